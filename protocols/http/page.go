package http

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// style is inside each page. Its hash in the Content-Security-Policy allows it and no other.
const style = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em}` +
	`h1{font-size:1.5em;line-height:1.2}a:focus-visible{outline:2px solid}footer{margin-top:3em;opacity:.75}`

var stylePolicy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page is what stands on a page.
type page struct {
	Title  string
	Domain string
	Text   string
	Links  []link
	Style  template.CSS
}

type link struct{ Path, Title string }

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}{{if and .Domain (ne .Domain .Title)}} · {{.Domain}}{{end}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{- if .Links}}
<ul>
{{- range .Links}}
<li><a href="{{.Path}}">{{.Title}}</a></li>
{{- end}}
</ul>
{{- end}}
</main>
<footer>{{if and .Domain (ne .Domain .Title)}}{{.Domain}} · {{end}}Gatepost</footer>
</body>
</html>
`))

// writePage sends a page.
func writePage(w http.ResponseWriter, status int, title string, p page) {
	p.Title, p.Style = title, style
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		panic(err) // the template and page do not fit together; a test shows it
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", stylePolicy)
	w.WriteHeader(status)
	// A client that is gone does not miss the page.
	_, _ = w.Write(b.Bytes())
}

// Front returns the page at the root of a module: the domain's name and links to the parts that
// have a title and that the client may reach.
func (s *Server) Front() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := Of(r.Context())
		p := page{Domain: q.Domain, Text: "This server offers:"}
		for i := len(s.mounts) - 1; i >= 0; i-- {
			m := s.mounts[i]
			if m.Title != "" && q.open(r, m) == nil {
				p.Links = append(p.Links, link{m.pattern, m.Title})
			}
		}
		if len(p.Links) == 0 {
			p.Text = "This server has nothing to show here."
		}
		writePage(w, http.StatusOK, q.Domain, p)
	})
}
