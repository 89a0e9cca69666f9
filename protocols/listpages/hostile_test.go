package listpages

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"
	"testing"

	markup "golang.org/x/net/html"
)

// hostile are texts that would run something, or load something, if a page had them as they are.
var hostile = []string{
	`<script>alert(1)</script>`, `<SCRIPT SRC=//evil.example/x.js></SCRIPT>`, `"><script>alert(1)</script>`, `'><script>alert(1)</script>`,
	`</title><script>alert(1)</script>`, `</div></main><script>alert(1)</script>`, `--><script>alert(1)</script>`, `<scr<script>ipt>alert(1)</scr</script>ipt>`,
	`<script/x>alert(1)</script>`, "<script\x0c>alert(1)</script>", "<script\n>alert(1)</script>", `<<script>alert(1)//<</script>`,
	`<img src=x onerror=alert(1)>`, `<img src="x" onerror="alert(1)"//`, `<img/src=x/onerror=alert(1)>`, `<IMG SRC=javascript:alert(1)>`, `<img src=https://evil.example/pixel.gif>`,
	`<img srcset="https://evil.example/p.gif 1x">`, `<image src=x onerror=alert(1)>`, `<img src=cid:part1 onload=alert(1)>`, `<picture><source srcset=//evil.example/x><img></picture>`,
	`<svg onload=alert(1)>`, `<svg><script>alert(1)</script></svg>`, `<svg><animate onbegin=alert(1) attributeName=x dur=1s>`, `<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>`,
	`<svg><use href="data:image/svg+xml;base64,PHN2Zy8+#x"/></svg>`, `<svg><foreignObject><iframe src=//evil.example></foreignObject></svg>`, `<svg><style><img src=x onerror=alert(1)></style></svg>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`,
	`<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<template><script>alert(1)</script></template>`, `<select><template><style></select><img src=x onerror=alert(1)>`,
	`<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">`, `<listing>&lt;img src=1 onerror=alert(1)&gt;</listing>`, `<xmp><p title="</xmp><svg/onload=alert(1)>">`,
	`<textarea><script>alert(1)</script>`, `<plaintext><script>alert(1)</script>`, `<!--<img src="--><img src=x onerror=alert(1)//">`, `<![CDATA[><script>alert(1)</script>]]>`, `<?xml version="1.0"?><script>alert(1)</script>`,
	`<a href="javascript:alert(1)">x</a>`, `<a href="JaVaScRiPt:alert(1)">x</a>`, "<a href=\"java\tscript:alert(1)\">x</a>", `<a href="&#106;avascript:alert(1)">x</a>`, `<a href=" javascript:alert(1)">x</a>`,
	`<a href="data:text/html,<script>alert(1)</script>">x</a>`, `<a href="vbscript:x">x</a>`, `<a href="//evil.example" onclick=alert(1)>x</a>`, `<a href="https://x/" onmouseover="alert(1)">x</a>`,
	`https://x.example/"onmouseover="alert(1)`, `https://x.example/'onmouseover='alert(1)`, `http://javascript:alert(1)@x.example/<script>`, `javascript://x.example/%0aalert(1)`,
	`<iframe src="javascript:alert(1)"></iframe>`, `<iframe srcdoc="<script>alert(1)</script>"></iframe>`, `<object data="data:text/html,x"></object>`, `<embed src="//evil.example/x.swf">`,
	`<base href="https://evil.example/">`, `<meta http-equiv=refresh content="0;url=https://evil.example/">`, `<link rel=stylesheet href=//evil.example/x.css>`, `<style>@import '//evil.example/x.css';</style>`,
	`<body onload=alert(1)>`, `<html onclick=alert(1)>`, `<p style="background:url(javascript:alert(1))">x</p>`, `<div style="position:fixed;inset:0">x</div>`, `<input autofocus onfocus=alert(1)>`,
	`<details open ontoggle=alert(1)>`, `<video><source onerror=alert(1)></video>`, `<audio src=x onerror=alert(1)>`, `<marquee onstart=alert(1)>`, `<form action=https://evil.example><button>x</button></form>`,
	`<button formaction=javascript:alert(1)>x</button>`, `<isindex action=javascript:alert(1)>`, `<table background="//evil.example/x">`, `<div id=x tabindex=1 onfocusin=alert(1)>`,
	`{{.Secret}}<script>alert(1)</script>`, "\u202e<script>alert(1)</script>", "\ufeff<script>alert(1)</script>", "\x00<script>\x00alert(1)</script>",
}

// unsafe says what in a page runs or loads something, or leads elsewhere than to pages and mail. The pages that templates make have
// nothing of that but their style sheet.
func unsafe(page string) (all []string) {
	doc, err := markup.Parse(strings.NewReader(page))
	if err != nil {
		return []string{err.Error()}
	}
	elements := strings.Fields("html head meta title link body header main footer h1 h2 p a b br ul li div span form label input button fieldset legend")
	for n := range doc.Descendants() {
		if n.Type != markup.ElementNode {
			continue
		}
		if !slices.Contains(elements, n.Data) || n.Namespace != "" {
			all = append(all, "<"+n.Data+">")
		}
		for _, a := range n.Attr {
			value := strings.ToLower(strings.TrimSpace(a.Val))
			link := strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") || strings.HasPrefix(value, "?")
			switch a.Key {
			case "class", "id", "for", "name", "value", "type", "maxlength", "required", "role", "rel", "download", "charset", "content", "method", "lang", "title", "autocomplete", "autocapitalize":
				if a.Key == "rel" && n.Data == "link" && value == "stylesheet" {
					for _, b := range n.Attr {
						if b.Key == "href" && b.Val != "/Lists/@/style.css" {
							all = append(all, "style sheet "+b.Val)
						}
					}
				}
			case "action":
				if !link {
					all = append(all, "action "+a.Val)
				}
			case "href":
				if !link && !strings.HasPrefix(value, "https://") && !strings.HasPrefix(value, "http://") && !strings.HasPrefix(value, "mailto:") || n.Data == "base" {
					all = append(all, "href "+a.Val)
				}
			default:
				all = append(all, n.Data+" "+a.Key+"="+a.Val)
			}
		}
	}
	return all
}

// encoded is a text as a header field may have it.
func encoded(s string) string {
	return "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
}

func TestHostilePostings(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;}"})
	var keys []string
	n := 0
	post := func(header, body string) {
		n++
		keys = append(keys, f.post("news", fmt.Sprint(n), header, body))
	}
	charsets := []string{"utf-8", "utf-7", "us-ascii", "iso-2022-jp", "utf-16", "x-none", "utf-8\"><script>alert(1)</script>"}
	for i, x := range hostile {
		flat := strings.NewReplacer("\n", " ", "\x00", "").Replace(x)
		charset := charsets[i%len(charsets)]
		post("From: "+encoded(x)+" <bob@b.example>\r\nSubject: "+encoded(x)+"\r\nContent-Type: text/plain; charset=\""+charset+"\"\r\nContent-Transfer-Encoding: 8bit\r\n", x+"\n> "+x+"\n")
		post("From: \""+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(flat)+"\" <bob@b.example>\r\nSubject: "+flat+"\r\nContent-Type: text/html; charset="+charsets[i%3]+"\r\n",
			"<html><body>"+x+"<p>end of "+fmt.Sprint(i)+"</p></body></html>")
		post("Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n", "--b\nContent-Type: "+strings.NewReplacer("\n", "", "\"", "").Replace(x)+"/x; name=\"n\"\n\none\n"+
			"--b\nContent-Type: image/svg+xml; name=\""+encoded(x)+"\"\nContent-Disposition: inline; filename*=utf-8''"+url.PathEscape(x)+"\n\n<svg onload=alert(1)>\n--b--\n")
	}
	post("Subject: =?utf-7?q?+ADw-script+AD4-alert(1)+ADw-/script+AD4-?=\r\nContent-Type: text/html; charset=utf-7\r\n", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-\n")
	post("Subject: =?iso-2022-jp?b?GyRCPHNjcmlwdD4=?=\r\nContent-Type: text/html; charset=iso-2022-jp\r\n", "\x1b$B<script>alert(1)</script>\x1b(B<img src=x onerror=alert(1)>\n")
	post("From: <script>alert(1)</script>@b.example\r\nSubject: x\r\n", "x\n")
	post("From: \"<img src=x onerror=alert(1)>\"@b.example\r\nSubject: =?x<script>?q?y?=\r\nReferences: <list-1@company.com\"><script>>\r\n", "x\n")

	pages := []string{"/archive/", "/archive/2026-11", "/archive/2026-11?page=2"}
	for _, k := range keys {
		pages = append(pages, "/archive/"+k)
	}
	for _, x := range hostile {
		pages = append(pages, "/archive/?q="+url.QueryEscape(x), "/archive/?from="+url.QueryEscape(x)+"&q=end")
	}
	for _, page := range pages {
		got := f.do("192.0.2.1", site+page, nil)
		if got.status != 200 && !strings.Contains(page, "?q=") || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html; charset=utf-8") {
			t.Errorf("%s: %d %s", page, got.status, got.header.Get("Content-Type"))
		}
		if p := got.header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") || strings.Contains(p, "script-src") {
			t.Errorf("%s: the policy is %q", page, p)
		}
		if bad := unsafe(got.body); len(bad) > 0 {
			t.Errorf("%s: %q\n%s", page, bad, got.body)
		}
		if strings.ContainsAny(got.body, "\x00\x1b\u202e\ufeff") {
			t.Errorf("%s has control characters", page)
		}
	}
	feed := f.do("192.0.2.1", site+"/archive/feed.atom", nil)
	for d := xml.NewDecoder(strings.NewReader(feed.body)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		must(t, err)
		if e, ok := token.(xml.StartElement); ok && !slices.Contains(strings.Fields("feed id title updated link entry author name summary"), e.Name.Local) {
			t.Errorf("the feed has <%s>", e.Name.Local)
		}
	}
}

// TestHostileTextsAreHostile: each text would be found if a page had it as it is, so that the test above fails without what it tests.
func TestHostileTextsAreHostile(t *testing.T) {
	if len(hostile) < 60 {
		t.Errorf("%d texts", len(hostile))
	}
	harmless := []string{"http://javascript:", "javascript://", "https://x.example/"} // where a link is made of them
	for _, x := range hostile {
		raw := "<p>" + x + "</p>"
		if slices.ContainsFunc(harmless, func(p string) bool { return strings.HasPrefix(x, p) }) {
			raw += `<a href="` + x + `">` + `</a><a href='` + x + `'>x</a>` + `<a href="` + strings.TrimPrefix(x, "http://") + `">x</a>`
		}
		if len(unsafe(raw)) == 0 && !strings.Contains(x, "<html") && !strings.HasPrefix(x, "<body") {
			t.Errorf("%q is harmless", x)
		}
	}
	if bad := unsafe(`<p>a <a href="https://x/">b</a></p>`); len(bad) > 0 {
		t.Error(bad)
	}
}

func TestHostileAttachments(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;}"})
	names := append([]string{"../../etc/passwd", `C:\x\y.exe`, "a\r\nSet-Cookie: x=y", `a"; filename="b.html`, "\u202efdp.exe", ".htaccess", "CON", "", "x" + strings.Repeat("y", 500) + ".html", "отчёт.pdf"}, hostile...)
	types := []string{"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml", "text/html;charset=utf-7", "application/javascript", "multipart/related", "message/rfc822",
		"text/plain", "image/png", "text/calendar", "application/x-shockwave-flash", "TEXT/HTML", "text/html/x", "x", ""}
	for i, name := range names {
		kind := types[i%len(types)]
		key := f.post("news", fmt.Sprint(i), "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n", "--b\n\ntext\n--b\nContent-Type: "+kind+
			"\nContent-Disposition: attachment; filename*=utf-8''"+url.PathEscape(name)+"\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte("<script>alert(1)</script>"))+"\n--b--\n")
		page := f.do("192.0.2.1", site+"/archive/"+key, nil)
		if bad := unsafe(page.body); len(bad) > 0 {
			t.Errorf("%q: %q", name, bad)
		}
		_, rest, found := strings.Cut(page.body, `<li><a href="/Lists/news/archive/`+key)
		if !found {
			continue // shown as a text, or nothing
		}
		path, _, _ := strings.Cut(rest, `"`)
		got := f.do("192.0.2.1", site+"/archive/"+key+path, nil)
		if got.status != 200 {
			t.Errorf("%q %q: %d", name, path, got.status)
			continue
		}
		disposition, params, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
		if err != nil || disposition != "attachment" || params["filename"] == "" || strings.ContainsAny(params["filename"], "/\\\"<>\r\n\x00\u202e") || strings.HasPrefix(params["filename"], ".") || len(params["filename"]) > 130 {
			t.Errorf("%q: %q %v", name, got.header.Get("Content-Disposition"), err)
		}
		if c := got.header.Get("Content-Type"); c != "application/octet-stream" && !harmless[c] {
			t.Errorf("%q: type %q", kind, c)
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: header %v", name, got.header)
		}
	}
}

// TestNoArchive: an archive that was filled by other programs has postings that say it in the header alone.
func TestNoArchive(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;}"})
	key := f.post("news", "1", "Subject: Hidden\r\nX-No-Archive: Yes\r\n", "secret text")
	f.post("news", "2-noarchive", "Subject: Marked\r\n", "secret text")
	has(t, f.do("192.0.2.1", site+"/archive/"+key, nil), 404)
	for _, page := range []string{"/archive/", "/archive/feed.atom", "/archive/2026-11"} {
		lacks(t, f.do("192.0.2.1", site+page, nil), "secret text", "Marked")
	}
}
