package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// A Linux machine mounts the storage (davfs2), where the kernel lets it: files are written, read, renamed and removed, also those of a shared directory.
func TestInteropDavfs(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Getuid() != 0 {
		t.Skip("this machine mounts nothing")
	}
	needPrograms(t, "mount.davfs", "umount")
	r := start(t)
	r.cli(t, `WRITESTORAGEFILE bob FILE "private/" DATA []`)
	r.cli(t, `WRITESTORAGEFILE bob FILE "private/team/" DATA []`)
	r.cli(t, `SETSTORAGEFILEACL bob PATH "private/team" {alice=lrwd;}`)
	dir := t.TempDir()
	mount := func(name, url string) string {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		conf := filepath.Join(dir, name+".conf")
		write(t, dir, name+".secrets", fmt.Sprintf("%s alice@%s %q\n", at, testDomain, testPassword))
		if err := os.Chmod(filepath.Join(dir, name+".secrets"), 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, dir, name+".conf", fmt.Sprintf("secrets %s\nask_auth 0\ndelay_upload 0\n", filepath.Join(dir, name+".secrets")))
		cmd := exec.Command("mount.davfs", url, at, "-o", "conf="+conf)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("this machine does not mount: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		return at
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	own := mount("own", "http://"+r.addr(8100)+"/WebDAV/")
	large := strings.Repeat("0123456789abcdef", 1<<17)
	must(os.Mkdir(filepath.Join(own, "dir"), 0o755))
	must(os.WriteFile(filepath.Join(own, "dir", "a b.txt"), []byte(large), 0o644))
	must(os.WriteFile(filepath.Join(own, "dir", "план.txt"), []byte("x"), 0o644))
	must(os.Rename(filepath.Join(own, "dir", "a b.txt"), filepath.Join(own, "moved.txt")))
	must(os.Remove(filepath.Join(own, "dir", "план.txt")))
	must(os.Remove(filepath.Join(own, "dir")))
	text, err := os.ReadFile(filepath.Join(own, "moved.txt"))
	if must(err); string(text) != large {
		t.Errorf("%d bytes are read", len(text))
	}
	r.want(t, "LISTSTORAGEFILES alice", "moved.txt:map[")
	shared := mount("shared", "http://"+r.addr(8100)+"/WebDAV/~bob@"+testDomain+"/private/team/")
	must(os.WriteFile(filepath.Join(shared, "plan.txt"), []byte("ours"), 0o644))
	r.want(t, `LISTSTORAGEFILES bob PATH "private/team"`, "plan.txt:map[")
}
