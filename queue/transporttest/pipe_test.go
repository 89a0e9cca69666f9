package transporttest

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
)

// pipe is a transport that runs a program for each message. Programs do not know what
// they have done before.
type pipe struct {
	mu    sync.Mutex
	runs  map[string]int // by recipient and subject
	later bool
}

func (*pipe) Policy() queue.Policy {
	return queue.Policy{Workers: 5, Retry: queue.Schedule{Every: 10 * time.Minute, Expire: 24 * time.Hour}}
}

func (p *pipe) Deliver(ctx context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		data, err := os.ReadFile(it.File)
		for i, r := range it.Recipients {
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				it.Report(r, envelope.Status{Code: envelope.Code{4, 3, 0}, Text: "no file"})
				continue
			}
			it.Report(r, p.run(it.Routes[i].Address, string(data[it.Offset:])))
		}
	}
}

// run runs the program.
func (p *pipe) run(rcpt address.Address, text string) envelope.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rcpt.Local == "later" && p.later {
		return envelope.Status{Code: envelope.Code{4, 3, 0}, Text: "time limit exceeded"}
	}
	_, subject, _ := strings.Cut(text, "Subject: ")
	subject, _, _ = strings.Cut(subject, "\r\n")
	p.runs[rcpt.String()+" "+subject]++
	if rcpt.Local == "bad" {
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 3, 0}, Text: "exit code 1"}
	}
	return envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "the program has it"}
}

func pipeSubject(*testing.T, string) *Subject {
	p := &pipe{runs: map[string]int{}, later: true}
	return &Subject{
		Module: router.PIPE,
		Open:   func(*queue.Queue, *queue.Counter) (queue.Transport, func()) { return p, func() {} },
		Route: func(a address.Address) router.Route {
			return router.Route{Module: router.PIPE, Queue: "program", Address: a}
		},
		Good: [2]string{"good@pipe", "other@pipe"}, Bad: "bad@pipe", Later: "later@pipe",
		Relent: func() { p.later = false },
		Met: func(rcpt, subject string) int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.runs[rcpt+" "+subject]
		},
	}
}

// A program is not run twice once it has reported, whenever the server is killed.
func TestPipe(t *testing.T) { Run(t, pipeSubject) }
