package sendmail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"mime"
	"path/filepath"
)

// base64Line is how many octets a line of base64 holds (RFC 2045 section 6.8).
const base64Line = 57

// appendParts appends a body of several parts: the text and the files.
func (o *mailOptions) appendParts(b *bytes.Buffer, body []byte, files [][]byte) ([]byte, error) {
	boundary := "=_" + rand.Text()
	fmt.Fprintf(b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=%q\n\n--%s\n", boundary, boundary)
	var head bytes.Buffer
	writeTextFields(&head, body, true)
	b.Write(bytes.TrimPrefix(head.Bytes(), []byte("MIME-Version: 1.0\n")))
	b.WriteByte('\n')
	b.Write(body)
	for i, content := range files {
		name := filepath.Base(o.files[i])
		kind := mime.TypeByExtension(filepath.Ext(name))
		if kind == "" {
			kind = "application/octet-stream"
		}
		disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
		if disposition == "" {
			return nil, failed(ExitData, "%q cannot be the name of an attachment", name)
		}
		fmt.Fprintf(b, "\n--%s\nContent-Type: %s\nContent-Disposition: %s\nContent-Transfer-Encoding: base64\n\n", boundary, kind, disposition)
		for len(content) > 0 {
			n := min(len(content), base64Line)
			b.WriteString(base64.StdEncoding.EncodeToString(content[:n]) + "\n")
			content = content[n:]
		}
	}
	fmt.Fprintf(b, "\n--%s--\n", boundary)
	return b.Bytes(), nil
}
