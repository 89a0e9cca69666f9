package server_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatepost/protocols/mailauth"
	"gatepost/server"
	"gatepost/server/control"
	"gatepost/server/resolver/resolvertest"
)

// BenchmarkReceive sends messages of 4 KB over 20 SMTP connections to 100
// accounts, and counts them when the last one has left the queue.
func BenchmarkReceive(b *testing.B) { benchmarkReceive(b, plainMessage) }

// BenchmarkReceiveOfStrangers is BenchmarkReceive with signed mail of strangers (RSA of 2048 bits), whose SPF, DKIM and DMARC are
// verified over a name server on loopback, and with the same mail while CheckSenders is off.
func BenchmarkReceiveOfStrangers(b *testing.B) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		b.Fatal(err)
	}
	public := base64.StdEncoding.EncodeToString(der)
	zone := resolvertest.New(b, `bench.test. TXT "v=spf1 ip4:127.0.0.1 -all"
		_dmarc.bench.test. TXT "v=DMARC1; p=reject"
		s._domainkey.bench.test. TXT "v=DKIM1; k=rsa; p=`+public[:200]+`" "`+public[200:]+`"`)
	messages := make([]string, 200)
	for i := range messages {
		text := strings.TrimSuffix(plainMessage(int64(i)), ".\r\n")
		fields, err := mailauth.Sign(strings.NewReader(text), int64(len(text)), []mailauth.Key{{Domain: "bench.test", Selector: "s", Signer: private}})
		if err != nil {
			b.Fatal(err)
		}
		messages[i] = string(fields) + text + ".\r\n"
	}
	for _, check := range []string{"YES", "NO"} {
		b.Run("check="+check, func(b *testing.B) {
			benchmarkReceive(b, func(n int64) string { return messages[n%int64(len(messages))] },
				fmt.Sprintf("SETDNRSETTINGS {Servers=(%q);}", zone.Serve(b).String()), `SETCLIENTIPS ""`, "UPDATEMODULE SenderChecks {CheckSenders="+check+";}")
		})
	}
}

// BenchmarkReceiveWithRules is BenchmarkReceive with 100 server rules of 3 conditions, as large sites have them. The last
// condition of each fails.
func BenchmarkReceiveWithRules(b *testing.B) {
	var rules strings.Builder
	for i := range 100 {
		cond := [...]string{
			`("Any To or Cc",is,"*corp*"),(Subject,"is not","*[list%d]*"),("Header Field",is,"X-Spam-Flag: YES")`,
			`(From,"not in","boss%d@corp.com,*@partner.com"),("Message Size","less than","10M"),(Subject,is,"*invoice %d*")`,
			`(Source,is,"trusted"),("Return-Path","is not","%d*"),("Header Field",in,"X-Junk-Score*XXXXXXXXXX*,List-Id: *list%d*")`,
			`("Human Generated"),("Any Recipient","is not","x%d@*"),(From,is,"*robot%d@*")`,
		}[i%4]
		fmt.Fprintf(&rules, `,(%d,rule%d,(%s),((Discard)))`, i%10+1, i, strings.ReplaceAll(cond, "%d", fmt.Sprint(i)))
	}
	benchmarkReceive(b, plainMessage, "SETSERVERMAILRULES ("+rules.String()[1:]+")")
}

// plainMessage is a message of 4 KB with the dot at its end.
func plainMessage(n int64) string {
	return fmt.Sprintf("From: a@bench.test\r\nTo: u@%s\r\nSubject: message %d\r\nMessage-ID: <%d@bench>\r\n\r\n", testDomain, n, n) +
		strings.Repeat(strings.Repeat("x", 70)+"\r\n", 55) + ".\r\n"
}

func benchmarkReceive(b *testing.B, message func(n int64) string, commands ...string) {
	dir := b.TempDir()
	ready := make(chan struct{})
	s, err := server.New(server.Config{Base: dir, MainDomain: testDomain, Listen: []string{"127.0.0.1"},
		PortShift: freeShift(b), Messages: writerFunc(func(p []byte) { close(ready) })})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	<-ready
	cli, err := control.Dial(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer cli.Close()
	for n := range 100 {
		if a, err := cli.Do(fmt.Sprintf("CREATEACCOUNT u%03d", n)); err != nil || !a.OK() {
			b.Fatal(a, err)
		}
	}
	for _, command := range commands {
		if a, err := cli.Do(command); err != nil || !a.OK() {
			b.Fatal(command, a, err)
		}
	}
	b.ResetTimer()
	start, used := time.Now(), processorTime(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := sendMany(s.Addr("SMTP", 25), &left, message); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "accepted/s")
	for {
		if list, err := s.QueueList(b.Context(), nil); err != nil {
			b.Fatal(err)
		} else if len(list) == 0 {
			break
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "delivered/s")
	// What the machine does besides changes the rate, and this hardly.
	b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/op")
}

// processorTime is what this process has used of the processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// sendMany sends on one connection as long as messages are left.
func sendMany(addr string, left *atomic.Int64, message func(n int64) string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	expect := func(code string) error {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if !strings.HasPrefix(line, code) {
				return fmt.Errorf("%q instead of %s", line, code)
			}
			if len(line) > 3 && line[3] == ' ' {
				return nil
			}
		}
	}
	say := func(text string, codes ...string) error {
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		for _, code := range codes {
			if err := expect(code); err != nil {
				return err
			}
		}
		return nil
	}
	if err := expect("220"); err != nil {
		return err
	}
	if err := say("EHLO bench\r\n", "250"); err != nil {
		return err
	}
	for n := left.Add(-1); n >= 0; n = left.Add(-1) {
		rcpt := fmt.Sprintf("MAIL FROM:<a@bench.test>\r\nRCPT TO:<u%03d@%s>\r\nDATA\r\n", n%100, testDomain)
		if err := say(rcpt, "250", "250", "354"); err != nil {
			return err
		}
		if err := say(message(n), "250"); err != nil {
			return err
		}
	}
	return nil
}
