package pipe

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"gatepost/queue"
	"gatepost/queue/transporttest"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/program"
	"gatepost/server/settings"
)

// counter counts the runs of programs that take, refuse or put off messages.
type counter struct {
	mu    sync.Mutex
	runs  map[string]int // by recipient and subject
	later bool
}

func (c *counter) Run(_ context.Context, j *program.Job) (*program.Result, error) {
	text, err := j.Message()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	data, err := io.ReadAll(text)
	if err != nil {
		return nil, err
	}
	_, subject, _ := strings.Cut(string(data), "Subject: ")
	subject, _, _ = strings.Cut(subject, "\r\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.Args[0] == "later" && c.later {
		return &program.Result{Exit: exitTempFail, Reason: "exit code 75"}, nil
	}
	rcpts, _ := strings.CutPrefix(j.Env[1], "RECIPIENT=")
	for rcpt := range strings.SplitSeq(rcpts, ",") {
		c.runs[rcpt+" "+subject]++
	}
	if j.Args[0] == "bad" {
		return &program.Result{Exit: 1, Reason: "exit code 1"}, nil
	}
	return &program.Result{}, nil
}

// Whenever the server is killed, a program gets a message once, or not at all and the sender hears of it.
func TestTransport(t *testing.T) {
	transporttest.Run(t, func(*testing.T, string) *transporttest.Subject {
		c := &counter{runs: map[string]int{}, later: true}
		set := defaults(t)
		return &transporttest.Subject{
			Module: router.PIPE, Once: true,
			Open: func(*queue.Queue, *queue.Counter) (queue.Transport, func()) {
				return New(settings.NewLive(set), c, slog.New(slog.DiscardHandler)), func() {}
			},
			Route: func(a address.Address) router.Route {
				name, _, _ := strings.Cut(a.Local, "-")
				return router.Route{Module: router.PIPE, Queue: name, Address: a}
			},
			Good: [2]string{"run-1@robots.test", "run-2@robots.test"}, Bad: "bad@robots.test", Later: "later@robots.test",
			Relent: func() { c.later = false },
			Met: func(rcpt, subject string) int {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.runs[rcpt+" "+subject]
			},
		}
	})
}
