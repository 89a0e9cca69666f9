package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
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

// newWords returns a message of words that are as often as in a language: the word number n is about n times as rare as the first. Which
// words they are follows from the message's number, so that two servers can have the same ones.
func newWords(id, from, to string, size, number, words int) []byte {
	b := newMessage(id, from, to, 0)
	r := rand.New(rand.NewPCG(uint64(number), 1))
	often := rand.NewZipf(r, 1.07, 2, uint64(words-1))
	b = fmt.Appendf(b, "needle%d ", number)
	for line := len(b); len(b) < size-14; {
		if b = fmt.Appendf(b, "%s ", word(often.Uint64())); len(b) > line+70 {
			b = append(b, '\r', '\n')
			line = len(b)
		}
	}
	return append(b, '\r', '\n')
}

// word returns a word that stands for a number.
func word(n uint64) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	var w []byte
	for range 3 {
		w = append(w, consonants[n%14], vowels[n/14%5])
		n /= 70
	}
	for ; n > 0; n /= 14 {
		w = append(w, consonants[n%14])
	}
	return string(w)
}
