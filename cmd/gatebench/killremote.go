package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// A remote is the other server of a kill test: it counts how often each message came. A
// message may come twice if its answer was on the way when the server was killed, and no
// other.
type remote struct {
	sink *sink
	addr string

	mu     sync.Mutex
	came   map[string]int
	unsure map[string]bool // the last messages of sessions
}

func newRemote(ctx context.Context) (*remote, error) {
	r := &remote{came: map[string]int{}, unsure: map[string]bool{}}
	r.sink = &sink{
		took: func(id string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.came[id]++
		},
		unsure: func(id string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.unsure[id] = true
		},
	}
	addr, err := r.sink.listen(ctx, "127.0.0.1:0", prompt)
	if err == nil {
		r.addr = addr.String()
	}
	return r, err
}

// look compares what came with the ledgers. It returns how many messages are in these, how
// many came twice, and how many may have.
func (r *remote) look(ledgers []string) (acknowledged, twice, allowed int, err error) {
	owed := map[string][]string{}
	for _, path := range ledgers {
		n, err := readLedger(path, owed)
		if err != nil {
			return 0, 0, 0, err
		}
		acknowledged += n
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	bad := 0
	for _, ids := range owed {
		for _, id := range ids {
			if r.came[id] == 0 {
				bad++
				fmt.Fprintf(os.Stderr, "missing: <%s>\n", id)
			}
		}
	}
	for id, n := range r.came {
		if n == 1 || !strings.HasSuffix(id, "@gatebench") {
			continue
		}
		twice++
		if !r.unsure[id] {
			bad++
			fmt.Fprintf(os.Stderr, "%d times: <%s>, which was not in flight\n", n, id)
		}
	}
	if bad > 0 {
		err = errFindings
	}
	return acknowledged, twice, len(r.unsure), err
}

// print prints what look found.
func (r *remote) print(out *report, ledgers []string) error {
	n, twice, allowed, err := r.look(ledgers)
	return errors.Join(err,
		out.print("acknowledged, each there", "messages", float64(n)),
		out.print("in flight at a kill", "messages", float64(allowed)),
		out.print("of them there more than once", "messages", float64(twice)))
}
