package protection

import (
	"bufio"
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatepost/server/counters"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Greylisting (RFC 6647): who has not written from here, to this recipient and with this return-path, is asked to come again.

// triple is a hash of a network, a return-path and a recipient.
type triple [16]byte

const (
	maxGrey        = 100_000          // triples that wait, and as many that have passed
	greySaveEvery  = 10 * time.Minute // what comes after the last one is lost in a crash, and comes again
	greylistFile   = "Greylist.data"
	greylistHeader = "greylist 1"
)

// greylist has the triples. Those that wait and those that have passed are bounded by themselves, so that who makes up triples pushes
// out nobody who has passed.
type greylist struct {
	delayed, passed counters.Counter

	mu      sync.Mutex
	table   map[triple]*list.Element // of *greyEntry
	waiting list.List                // the oldest in front
	known   list.List                // what was seen least lately in front
	dirty   bool
}

type greyEntry struct {
	key   triple
	since time.Time // of the first attempt, or the last message
	known bool
}

func newGreylist() greylist { return greylist{table: map[triple]*list.Element{}} }

// greyNetwork is what an address counts as here: big senders try again from a neighbour.
func greyNetwork(ip netip.Addr) netip.Prefix {
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		n, _ := ip.Prefix(24) // an IPv4 address has that many bits
		return n
	}
	return Network(ip)
}

func tripleOf(ip netip.Addr, from, to string) (k triple) {
	sum := sha256.Sum256([]byte(greyNetwork(ip).String() + "\x00" + strings.ToLower(from) + "\x00" + strings.ToLower(to)))
	copy(k[:], sum[:])
	return k
}

// Greylisted reports whether a stranger has to come again before he may write with a return-path to a recipient, and in
// which time. It notes the attempt.
func (p *Protection) Greylisted(ip netip.Addr, from, to string) (wait time.Duration, grey bool) {
	set := p.settings.Get()
	if !bool(set.Greylisting) || !ip.IsValid() || p.Exempt(ip) {
		return 0, false
	}
	g, k, now := &p.grey, tripleOf(ip, from, to), time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expire(now, set)
	e, ok := g.table[k]
	if !ok {
		g.put(&greyEntry{key: k, since: now})
		g.delayed.Inc()
		return set.GreylistDelay.Duration(), true
	}
	entry := e.Value.(*greyEntry)
	if left := entry.since.Add(set.GreylistDelay.Duration()).Sub(now); !entry.known && left > 0 {
		g.delayed.Inc()
		return left, true
	}
	if !entry.known {
		g.passed.Inc()
	}
	g.remove(e)
	g.put(&greyEntry{key: k, since: now, known: true})
	return 0, false
}

// put adds an entry. The caller holds the lock.
func (g *greylist) put(e *greyEntry) {
	of := &g.waiting
	if e.known {
		of = &g.known
	}
	g.table[e.key] = of.PushBack(e)
	if of.Len() > maxGrey {
		g.remove(of.Front())
	}
	g.dirty = true
}

func (g *greylist) remove(e *list.Element) {
	entry := e.Value.(*greyEntry)
	delete(g.table, entry.key)
	if entry.known {
		g.known.Remove(e)
	} else {
		g.waiting.Remove(e)
	}
	g.dirty = true
}

// expire removes what is too old. The caller holds the lock.
func (g *greylist) expire(now time.Time, set *Settings) {
	for _, l := range [...]struct {
		of   *list.List
		life time.Duration
	}{{&g.waiting, set.GreylistRetry.Duration()}, {&g.known, set.GreylistLife.Duration()}} {
		for e := l.of.Front(); e != nil && now.Sub(e.Value.(*greyEntry).since) > l.life; e = l.of.Front() {
			g.remove(e)
		}
	}
}

// GreylistCounts are the attempts that were put off, and the triples that came again.
func (p *Protection) GreylistCounts() (delayed, passed *counters.Counter) {
	return &p.grey.delayed, &p.grey.passed
}

// GreylistLen is how many triples are remembered.
func (p *Protection) GreylistLen() int {
	p.grey.mu.Lock()
	defer p.grey.mu.Unlock()
	return len(p.grey.table)
}

// Run keeps the greylist on disk until ctx is done. Errors: Internal.
func (p *Protection) Run(ctx context.Context) error {
	tick := time.NewTicker(greySaveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.saveGreylist()
		case <-tick.C:
			if err := p.saveGreylist(); err != nil {
				p.log.LogAttrs(ctx, logs.LevelFailure, "the greylist could not be written", slog.Any(logs.AttrError, err))
			}
		}
	}
}

// saveGreylist writes the greylist, if it has changed: a line for each triple, the oldest first.
func (p *Protection) saveGreylist() error {
	g := &p.grey
	g.mu.Lock()
	if !g.dirty {
		g.mu.Unlock()
		return nil
	}
	var b bytes.Buffer
	b.WriteString(greylistHeader + "\n")
	for _, l := range [...]*list.List{&g.waiting, &g.known} {
		for e := l.Front(); e != nil; e = e.Next() {
			entry, word := e.Value.(*greyEntry), "waits"
			if entry.known {
				word = "passed"
			}
			fmt.Fprintf(&b, "%x %d %s\n", entry.key, entry.since.Unix(), word)
		}
	}
	g.dirty = false
	g.mu.Unlock()
	if err := durable.ReplaceFile(filepath.Join(p.dir, greylistFile), b.Bytes(), 0o600); err != nil {
		g.mu.Lock()
		g.dirty = true
		g.mu.Unlock()
		return fault.Wrap("protection.saveGreylist", fault.Internal, err)
	}
	return nil
}

// loadGreylist reads the greylist. Without it, or what is damaged of it, senders come again.
func (p *Protection) loadGreylist() error {
	f, err := os.Open(filepath.Join(p.dir, greylistFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	if !lines.Scan() || lines.Text() != greylistHeader {
		p.log.LogAttrs(context.Background(), logs.LevelProblem, greylistFile+" is of another form, and is not read: senders come again")
		return nil
	}
	g := &p.grey
	g.mu.Lock()
	defer g.mu.Unlock()
	for lines.Scan() {
		if e, ok := readGrey(lines.Text()); ok && g.table[e.key] == nil {
			g.put(e)
		}
	}
	g.dirty = false
	if err := lines.Err(); err != nil {
		p.log.LogAttrs(context.Background(), logs.LevelProblem, greylistFile+" is damaged, and not read to its end: some senders come again", slog.Any(logs.AttrError, err))
	}
	return nil
}

func readGrey(line string) (*greyEntry, bool) {
	var seconds int64
	var word string
	e := new(greyEntry)
	hash, rest, _ := strings.Cut(line, " ")
	key, err := hex.DecodeString(hash)
	if err != nil || len(key) != len(e.key) {
		return nil, false
	}
	if n, err := fmt.Sscanf(rest, "%d %s", &seconds, &word); n != 2 || err != nil {
		return nil, false
	}
	copy(e.key[:], key)
	e.since, e.known = time.Unix(seconds, 0), word == "passed"
	return e, word == "passed" || word == "waits"
}
