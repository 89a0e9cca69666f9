package main

import (
	"bytes"
	"fmt"
	"time"
)

// newMessage returns an ordinary plain text message of about the size in bytes.
func newMessage(id, from, to string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Gate Bench <%s>\r\nTo: <%s>\r\nSubject: benchmark %s\r\nDate: %s\r\nMessage-ID: <%s>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
		from, to, id, time.Now().Format(time.RFC1123Z), id)
	for i := 0; b.Len() < size-2; i++ {
		line := fmt.Sprintf("%06d the quick brown fox jumps over the lazy dog, again and again", i)
		b.WriteString(line[:min(len(line), size-2-b.Len())])
		b.WriteString("\r\n")
	}
	return b.Bytes()
}
