package dav

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

func TestFiles(t *testing.T) { newFixture(t).play("files.txt") }

// A large file goes up and comes back in parts.
func TestLargeFile(t *testing.T) {
	f := newFixture(t)
	must(t, f.accounts.AccountSettings("company.com", "ann").Update(t.Context(), dataformat.Dict{"MaxWebSize": dataformat.String("unlimited")}))
	const size = 30 << 20
	req, err := http.NewRequest("PUT", "http://company.com:8100/WebDAV/large", io.LimitReader(zeros{}, size))
	must(t, err)
	req.SetBasicAuth(f.user, "secret 1")
	resp, err := f.client.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != 201 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	a := f.want(206, f.do("GET", "/WebDAV/large", "", "Range", "bytes=31457270-"))
	if len(a.body) != 10 || a.header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", size-10, size-1, size) {
		t.Errorf("%d bytes, %s", len(a.body), a.header.Get("Content-Range"))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Locks are bounded, and are nobody else's.
func TestLocksAreBounded(t *testing.T) {
	f := newFixture(t)
	const body = `<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>`
	f.want(201, f.do("PUT", "/WebDAV/a", "x"))
	var last answer
	for range maxOwnLocks + 1 {
		last = f.do("LOCK", "/WebDAV/a", body)
	}
	if last.status == 200 {
		t.Error("an account has as many locks as it likes")
	}
	f.want(423, f.do("PUT", "/WebDAV/a", "y"))
	f.user = "bob@company.com"
	if a := f.want(207, f.do("PROPFIND", "/WebDAV/~ann/a", `<propfind xmlns="DAV:"><prop><lockdiscovery/></prop></propfind>`, "Depth", "0")); strings.Contains(a.body, "urn:uuid") {
		t.Error("bob is shown the token of ann's lock")
	}
}
