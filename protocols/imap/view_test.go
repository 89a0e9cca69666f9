package imap

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// viewer is a client that keeps its own picture of the mailbox from what it is told, as
// RFC 9051 section 5.2 wants it to, and fails when the picture turns out wrong.
type viewer struct {
	*client
	name string
	uids []int // by sequence number; 0 as long as it is not known
	tag  int
}

// run carries out a command. noExpunge: no EXPUNGE may come.
func (v *viewer) run(command string, noExpunge bool) {
	v.tag++
	tag := fmt.Sprintf("%s%d ", v.name, v.tag)
	v.send(tag + command + "\r\n")
	for {
		l := v.line()
		if rest, ok := strings.CutPrefix(l, tag); ok {
			if strings.HasPrefix(rest, "BAD") {
				v.t.Errorf("%s: %s", command, l)
			}
			return
		}
		v.told(l, command, noExpunge)
	}
}

func (v *viewer) told(l, command string, noExpunge bool) {
	words := strings.Fields(l)
	if len(words) < 3 || words[0] != "*" {
		return
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return
	}
	switch words[2] {
	case "EXISTS":
		if n < len(v.uids) {
			v.t.Errorf("%s: EXISTS fell from %d to %d", command, len(v.uids), n)
		}
		for len(v.uids) < n {
			v.uids = append(v.uids, 0)
		}
	case "EXPUNGE":
		if noExpunge {
			v.t.Errorf("%s was answered with %s", command, l)
		}
		if n < 1 || n > len(v.uids) {
			v.t.Errorf("%s: %s of %d", command, l, len(v.uids))
			return
		}
		v.uids = append(v.uids[:n-1], v.uids[n:]...)
	case "FETCH":
		if n < 1 || n > len(v.uids) {
			v.t.Errorf("%s: %s of %d", command, l, len(v.uids))
			return
		}
		_, rest, ok := strings.Cut(l, "(UID ")
		if !ok {
			return
		}
		uid, _ := strconv.Atoi(strings.FieldsFunc(rest, func(r rune) bool { return r < '0' || r > '9' })[0])
		if v.uids[n-1] != 0 && v.uids[n-1] != uid {
			v.t.Errorf("%s: message %d is %d and was %d", command, n, uid, v.uids[n-1])
		}
		v.uids[n-1] = uid
	}
}

// TestSequenceNumbersStaySafe lets sessions change one mailbox under each other.
func TestSequenceNumbersStaySafe(t *testing.T) {
	f := start(t)
	const sessions, commands = 4, 150
	var wg sync.WaitGroup
	var viewers []*viewer
	for i := range sessions {
		v := &viewer{client: f.connect(t), name: string(rune('a' + i))}
		v.line()
		v.run("LOGIN user1 secret1", true)
		v.run("SELECT INBOX", true)
		viewers = append(viewers, v)
		random := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for range commands {
				v.step(random)
			}
		})
	}
	wg.Wait()
	for _, v := range viewers {
		v.run("NOOP", false)
		v.run("FETCH 1:* (UID FLAGS)", true)
		for i, uid := range v.uids {
			if uid == 0 || i > 0 && uid <= v.uids[i-1] {
				t.Errorf("the UIDs of %s are %v", v.name, v.uids)
				break
			}
		}
		v.run("LOGOUT", false)
	}
}

func (v *viewer) step(random *rand.Rand) {
	what, seq := random.IntN(10), ""
	if n := len(v.uids); n > 0 {
		seq = strconv.Itoa(1 + random.IntN(n))
	} else if what == 3 || what == 4 || what == 7 {
		what = 9 // an empty mailbox has no number to name
	}
	switch what {
	case 0, 1, 2:
		v.run("APPEND INBOX {12+}\r\nSubject: x\r\n", false)
	case 3:
		v.run("FETCH "+seq+" (UID FLAGS BODY.PEEK[HEADER.FIELDS (x)])", true)
	case 4:
		v.run("STORE "+seq+" +FLAGS (\\Deleted)", true)
	case 5:
		v.run("EXPUNGE", false)
	case 6:
		v.run("SEARCH UNDELETED", true)
	case 7:
		v.run("MOVE "+seq+" INBOX", false)
	case 8:
		v.run("UID STORE 1:* -FLAGS ($k"+seq+")", false)
	default:
		v.run("NOOP", false)
	}
}
