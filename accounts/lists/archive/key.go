package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// noArchive marks the Message-ID of a posting whose author wants it in no archive.
const noArchive = "-noarchive@"

// MessageID is the Message-ID of what a list of a domain sends under a number. keep says that archives may have it.
func MessageID(domain, number string, keep bool) string {
	mark := noArchive
	if keep {
		mark = "@"
	}
	return "<list-" + number + mark + domain + ">"
}

// Unarchived reports whether a Message-ID of a list says that the posting is not to be archived.
func Unarchived(messageID string) bool {
	return strings.HasPrefix(messageID, "<list-") && strings.Contains(messageID, noArchive)
}

// Key names the posting with a Message-ID in the archive: 16 hexadecimal digits.
func Key(messageID string) string { return keyText(hash(messageID)) }

func keyText(key uint64) string { return fmt.Sprintf("%016x", key) }

func parseKey(text string) (uint64, bool) {
	if len(text) != 16 || strings.ToLower(text) != text {
		return 0, false
	}
	key, err := strconv.ParseUint(text, 16, 64)
	return key, err == nil
}

func hash(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
}

// messageIDs returns the identifiers in a field, with their angle brackets, most at most from the end.
func messageIDs(value string, most int) (all []string) {
	for len(all) < most {
		end := strings.LastIndexByte(value, '>')
		if end < 0 {
			break
		}
		start := strings.LastIndexByte(value[:end], '<')
		if start < 0 {
			break
		}
		all = append(all, value[start:end+1])
		value = value[:start]
	}
	return all
}

// threadSubject is a subject without the marks of lists and answers, in lower case; answer says that it had one of the latter.
func threadSubject(subject string) (rest string, answer bool) {
	rest = strings.TrimSpace(strings.ToLower(subject))
	for range 20 {
		before := rest
		for _, mark := range []string{"re:", "aw:", "sv:", "antw:", "на:", "отв:"} {
			if strings.HasPrefix(rest, mark) {
				rest, answer = strings.TrimSpace(rest[len(mark):]), true
			}
		}
		if strings.HasPrefix(rest, "[") {
			if _, behind, found := strings.Cut(rest, "]"); found {
				rest = strings.TrimSpace(behind)
			}
		}
		if rest == before {
			break
		}
	}
	return rest, answer
}
