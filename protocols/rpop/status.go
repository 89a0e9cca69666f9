package rpop

import (
	"strconv"
	"strings"
	"time"

	"gatepost/server/dataformat"
)

// status is what is told about the polls of a remote account since the start of the server. schedule.mu guards it.
type status struct {
	last    time.Time // end of the last poll; zero: none yet
	err     string    // of the last poll
	fetched int       // messages of the last poll
	left    int       // those of them that stay there as they could not be taken
	total   int       // messages since the start
}

// maxStatusError bounds the text of an error, which may be another server's.
const maxStatusError = 300

// note takes in how a poll has ended. err is as the log has it. p.mu is held.
func (s *status) note(result *poll, err error) {
	s.last, s.err, s.fetched, s.left = time.Now(), "", 0, 0
	if result != nil {
		s.fetched, s.left = result.fetched, result.left
		s.total += result.fetched
		if err != nil {
			s.err = result.explain(err)
		}
	} else if err != nil {
		s.err = err.Error()
	}
	if len(s.err) > maxStatusError {
		s.err = strings.ToValidUTF8(s.err[:maxStatusError], "") + "..."
	}
}

// Status tells about the polls of the remote accounts of an account, by their names; those that are not
// polled are left out. It is part of what GETACCOUNTINFO shows: lastPoll (not there before the first),
// nextPoll (while it runs: running), messages and left of the last poll, totalMessages since the start of
// the server, and lastError if the last poll has failed.
func (s *schedule) Status(domain, name string) dataformat.Dict {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := dataformat.Dict{}
	for k := range s.byName[[2]string{domain, name}] {
		out[k.record] = s.entries[k].told()
	}
	return out
}

// told is the status as a dictionary. The schedule's mutex is held.
func (e *entry) told() dataformat.Dict {
	number := func(n int) dataformat.Value { return dataformat.String(strconv.Itoa(n)) }
	d := dataformat.Dict{"totalMessages": number(e.status.total)}
	if !e.status.last.IsZero() {
		d["lastPoll"] = dataformat.Time{T: e.status.last}
		d["messages"], d["left"] = number(e.status.fetched), number(e.status.left)
	}
	if e.status.err != "" {
		d["lastError"] = dataformat.String(e.status.err)
	}
	if e.running {
		d["running"] = dataformat.String("YES")
	} else {
		d["nextPoll"] = dataformat.Time{T: e.due}
	}
	return d
}
