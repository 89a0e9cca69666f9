package main

import (
	"os"
	"os/exec"
	"strings"
)

// program is how to call this program in a command that can be pasted.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "gatepost"
	}
	if path, err := exec.LookPath("gatepost"); err == nil && sameFile(path, self) {
		return "gatepost"
	}
	if strings.Contains(self, "/go-build") { // "go run" removes the program when it has ended
		if _, err := os.Stat("cmd/gatepost"); err == nil {
			return "go run ./cmd/gatepost"
		}
		return "go run gatepost/cmd/gatepost"
	}
	return quoted(self)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// quoted is a word of the shell.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
