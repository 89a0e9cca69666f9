package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatepost/server"
)

func (r *running) get(t *testing.T, path string, login ...string) (int, string) {
	t.Helper()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest("GET", "http://"+r.addr(8010)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(login) == 2 {
		req.SetBasicAuth(login[0], login[1])
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// mail sends a message to bob over a connection without TLS.
func (r *running) mail(t *testing.T) {
	t.Helper()
	c, err := smtp.Dial(r.addr(25))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := func() (io.WriteCloser, error) {
		if err := c.Mail("alice@" + testDomain); err != nil {
			return nil, err
		}
		if err := c.Rcpt("nobody@" + testDomain); err == nil {
			t.Error("a recipient that does not exist is accepted")
		}
		if err := c.Rcpt("bob@" + testDomain); err != nil {
			return nil, err
		}
		return c.Data()
	}()
	if err == nil {
		_, err = io.WriteString(w, "Subject: counted\r\n\r\ntext\r\n")
	}
	if err = errors.Join(err, w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
}

// element is the value of an element of statistics, by its name.
func element(t *testing.T, r *running, name string) string {
	t.Helper()
	return r.cli(t, "GETSTATELEMENT "+name).Text
}

func TestMetricsOfAMessage(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	if status, text := r.get(t, "/health"); status != 200 || text != "ok\n" {
		t.Errorf("health: %d %s", status, text)
	}
	if status, text := r.get(t, "/ready"); status != 200 || text != "ready\n" {
		t.Errorf("ready: %d %s", status, text)
	}
	if status, _ := r.get(t, "/metrics"); status != 401 {
		t.Errorf("metrics for a stranger: %d", status)
	}
	if status, _ := r.get(t, "/metrics", "alice@"+testDomain, testPassword); status != 403 {
		t.Errorf("metrics for an account without rights: %d", status)
	}
	r.mail(t)
	for end := time.Now().Add(20 * time.Second); element(t, r, "recipientsDelivered") != "#1"; {
		if time.Now().After(end) {
			t.Fatal("the message is not delivered")
		}
	}
	status, text := r.fetch(t, "http://"+r.addr(8010), "/metrics", nil)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for _, want := range []string{
		`gatepost_smtp_messages_total 1`, `gatepost_queue_messages_received_total{source="SMTP"} 1`, `gatepost_queue_delivered_total{module="LOCAL"} 1`,
		`gatepost_connections_total{module="SMTP"} `, `gatepost_queue_message_size_bytes_count 1`, `gatepost_disk_free_bytes `, `gatepost_logins_total{service="HTTP"} `,
		`gatepost_certificate_expiry_timestamp_seconds `, `gatepost_http_requests_total{module="HTTPA",status="2xx"} `, `gatepost_info{version="`,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	form := regexp.MustCompile(`^(# (HELP|TYPE) gatepost_[a-z_]+ .+|gatepost_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+Inf]+)$`)
	for line := range strings.Lines(text) {
		if !form.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("a line is not in the form of Prometheus: %q", line)
		}
	}
	r.cli(t, "UPDATEMODULE Monitoring {MetricsAddresses=\"127.0.0.0/8\";}")
	if status, _ := r.get(t, "/metrics"); status != 200 {
		t.Errorf("metrics for a named address: %d", status)
	}
	if got := element(t, r, "smtpInputJobs"); got != "#1" {
		t.Errorf("smtpInputJobs: %s", got)
	}
}

// Totals go on after a restart; what Prometheus reads begins anew.
func TestCountersOutliveARestart(t *testing.T) {
	dir, err := os.MkdirTemp("", "gp") // a short path, see start
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	shift := freeShift(t)
	open := func() *running {
		s, err := server.New(server.Config{Base: dir, MainDomain: testDomain, Listen: []string{"127.0.0.1"}, PortShift: shift})
		if err != nil {
			t.Fatal(err)
		}
		return &running{Server: s, dir: dir, shift: shift}
	}
	r := open()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(t.Context()) }()
	<-r.Ready()
	r.cli(t, "CREATEACCOUNT bob")
	r.mail(t)
	r.cli(t, "SETSTATELEMENT 1.3.6.1.4.1.5678.2.1.1000.4 SET 7")
	r.Shutdown()
	if err := errors.Join(<-ended, r.Close()); err != nil {
		t.Fatal(err)
	}

	r = open()
	for name, want := range map[string]int64{"smtpInputJobs": 1, "smtpInputRejected": 1, "custom4": 7} {
		if e, ok := r.Counters().Find(name); !ok || e.Value != want {
			t.Errorf("%s after a restart: %+v", name, e)
		}
	}
	if !strings.Contains(string(r.Counters().Expose()), "\ngatepost_smtp_messages_total 0\n") {
		t.Error("metrics go on from an earlier process")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	// A damaged file does not stop the server.
	path := filepath.Join(dir, "Settings", "Counters.data")
	if err := os.WriteFile(path, []byte("gatepost counters 1\nminute x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open().Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".bad"); err != nil {
		t.Error(err)
	}
}
