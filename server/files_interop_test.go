package server_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test program of WebDAV servers passes whole.
func TestInteropLitmus(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	if _, err := exec.LookPath("litmus"); err != nil {
		t.Skip("there is no litmus")
	}
	r := start(t)
	cmd := exec.Command("litmus", "-k", "http://"+r.addr(8100)+"/WebDAV/", "alice@"+testDomain, testPassword)
	cmd.Dir = t.TempDir() // it writes logs there
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || strings.Contains(text, "FAIL") || strings.Count(text, "0 failed") != 5 {
		t.Errorf("%v\n%s", err, text)
	}
}

// A file of GATEPOST_LARGE bytes, such as 10737418240, goes up and comes down, while the memory of the process, the client's among it, stays flat.
func TestInteropLargeFile(t *testing.T) {
	size, err := strconv.ParseInt(os.Getenv("GATEPOST_LARGE"), 10, 64)
	if err != nil {
		t.Skip("GATEPOST_LARGE is not set")
	}
	r := start(t)
	r.cli(t, "UPDATEACCOUNTSETTINGS alice {MaxWebSize=unlimited; MaxFileSize=unlimited;}")
	url := "http://" + r.addr(8100) + "/WebDAV/large.bin"
	memory := func() (peak string) {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "VmHWM") {
				peak = strings.Join(strings.Fields(line)[1:], " ")
			}
		}
		return peak
	}
	before := memory()
	sent := &pattern{left: size}
	req, err := http.NewRequest("PUT", url, sent)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice@"+testDomain, testPassword)
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 201 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	up := time.Since(began)
	after := memory()
	if req, err = http.NewRequest("GET", url, nil); err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice@"+testDomain, testPassword)
	began = time.Now()
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	got := &pattern{}
	n, err := io.Copy(got, resp.Body)
	resp.Body.Close()
	if err != nil || n != size || got.wrong {
		t.Errorf("%d bytes come back, wrong ones %v: %v", n, got.wrong, err)
	}
	down := time.Since(began)
	t.Logf("%d bytes up in %v (%.0f MB/s), down in %v (%.0f MB/s); most memory of the process before %s, after the upload %s, at the end %s", size, up.Round(time.Second),
		float64(size)/1e6/up.Seconds(), down.Round(time.Second), float64(size)/1e6/down.Seconds(), before, after, memory())
}

// pattern is a stream whose bytes tell where they stand; what is written to it is compared.
type pattern struct {
	left, at int64
	wrong    bool
}

func patternAt(at int64) byte { return byte(at>>12) ^ byte(at>>20) ^ byte(at) }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	for i := range b {
		b[i] = patternAt(p.at + int64(i))
	}
	p.at += int64(len(b))
	p.left -= int64(len(b))
	return len(b), nil
}

func (p *pattern) Write(b []byte) (int, error) {
	for i := range b {
		p.wrong = p.wrong || b[i] != patternAt(p.at+int64(i))
	}
	p.at += int64(len(b))
	return len(b), nil
}
