// Package pipe gives mail to programs: it is the transport of the module PIPE.
//
// The queue of a message names the program: [FILE] [RETPATH] [RCPT] [ORCPT] [STDERR] name arguments
// (commandline.Parse). A record of the Router Table makes an address of it: <robot> = "robot -q"@pipe.
// The name is looked up in the ApplicationDirectory and nowhere else, so that nobody who can name a program
// gets at one that the server's administrator has not put there.
//
// # A run
//
// A program runs once for a message, whatever the number of its recipients in the queue. It gets the message
// with LF line ends on its standard input, or as a file, and in its environment
//
//	SENDER       the return-path, empty for reports
//	RECIPIENT    the recipient as it was given; several are separated by commas
//	MESSAGE_ID   the queue ID
//
// It runs in the sandbox of package program: without a shell, as another user if the server is root, without
// network unless that is allowed, within limits. What comes of it follows from its exit code (sysexits.h):
//
//	0             delivered
//	71, 75        tried again: a failure of the system, a temporary one
//	other, or ended by a signal
//	              failed; the report has what it wrote to its standard output, or error with [STDERR]
//
// A program that is not there, may not be started, or has run for longer than TimeLimit is tried again.
//
// # Once
//
// A program does not know what it has had before. So the queue file says durably that a message is being handed over
// before the program starts (queue.Item.Begin), and what has come of it before anything else follows. If the server is
// killed in between, the program is not run again: the sender is told that the message may be
// done or not. A stop of the server gives programs three seconds to end; those that are ended then are run
// again.
package pipe

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/program"
	"gatepost/server/program/commandline"
	"gatepost/server/settings"
)

// Runner runs programs that users can reach: a program.Runner.
type Runner interface {
	Run(ctx context.Context, j *program.Job) (*program.Result, error)
}

// Transport gives mail to programs.
type Transport struct {
	settings *settings.Live[Settings]
	runner   Runner
	log      *slog.Logger
}

// New returns the transport of the module PIPE.
func New(s *settings.Live[Settings], r Runner, log *slog.Logger) *Transport {
	return &Transport{settings: s, runner: r, log: logs.Component(log, "PIPE")}
}

const (
	// stopGrace is how long programs may go on when the server stops.
	stopGrace = 3 * time.Second
	// maxOutput is what is kept of the output of a program, in bytes.
	maxOutput = 4000
)

// Deliver runs the program for each message.
func (t *Transport) Deliver(ctx context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		if ctx.Err() != nil {
			return
		}
		t.deliver(ctx, b.Queue, it)
	}
}

func (t *Transport) deliver(ctx context.Context, line string, it *queue.Item) {
	job, stderr, err := newJob(line, it)
	if err != nil {
		it.ReportAll(it.Recipients, failed(envelope.Code{5, 1, 3}, fault.Text(err)))
		return
	}
	if err := it.Begin(it.Recipients); err != nil {
		t.log.LogAttrs(ctx, logs.LevelFailure, "the program is not run, as that cannot be noted in the queue file",
			slog.Any(logs.AttrQueueID, it.ID), slog.Any(logs.AttrError, err))
		it.ReportAll(it.Recipients, delayed("internal error"))
		return
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	release := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-run.Done():
		}
	})
	defer release()
	began := time.Now()
	res, err := t.runner.Run(run, job)
	if err != nil {
		t.log.LogAttrs(ctx, logs.LevelFailure, "the program was not started: "+fault.Explain(err), slog.Any(logs.AttrQueueID, it.ID))
		it.ReportAll(it.Recipients, notStarted(err))
		return
	}
	t.log.LogAttrs(ctx, logs.LevelLowLevel, "the program has ended", slog.Any(logs.AttrQueueID, it.ID), slog.String("program", job.Args[0]),
		slog.Int("exit", res.Exit), slog.Duration("took", time.Since(began).Round(time.Millisecond)))
	it.ReportAll(it.Recipients, outcome(res, stderr, ctx.Err() != nil))
}

// newJob makes the run of a message.
func newJob(line string, it *queue.Item) (j *program.Job, stderr bool, err error) {
	c, err := commandline.Parse(line)
	if err != nil {
		return nil, false, fault.Newf("pipe.Deliver", fault.Invalid, "the program cannot be read: %v", err)
	}
	var recipients, originals []string
	for _, r := range it.Recipients {
		rcpt := &it.Envelope.Recipients[r]
		name := argument(rcpt.Address)
		recipients = append(recipients, name)
		if _, orcpt, ok := strings.Cut(rcpt.Original, ";"); ok && !strings.HasPrefix(orcpt, "-") && !strings.ContainsRune(orcpt, 0) {
			name = orcpt
		}
		originals = append(originals, name)
	}
	sender := ""
	if !it.Envelope.ReturnPath.IsNull() {
		sender = argument(it.Envelope.ReturnPath)
	}
	if c.ReturnPath {
		c.Args = append(c.Args, "-f", sender)
	}
	if c.Recipients {
		c.Args = append(c.Args, recipients...)
	}
	if c.Originals {
		c.Args = append(c.Args, originals...)
	}
	return &program.Job{
		Args: c.Args, File: c.File, MaxOutput: maxOutput,
		Env: []string{"SENDER=" + sender, "RECIPIENT=" + strings.Join(recipients, ","), "MESSAGE_ID=" + it.ID.String()},
		Message: func() (io.ReadCloser, error) {
			f, err := os.Open(it.File)
			if err != nil {
				return nil, err
			}
			return section{io.NewSectionReader(f, it.Offset, it.Size), f}, nil
		},
	}, c.Stderr, nil
}

type section struct {
	io.Reader
	io.Closer
}

// argument writes an address as an argument of a program. One that would look like an option gets
// quotes, which mean the same (RFC 5321 section 4.1.2).
func argument(a address.Address) string {
	s := a.String()
	if !strings.HasPrefix(s, "-") {
		return s
	}
	return `"` + a.Local + `"@` + a.Domain
}

// Exit codes that mean: try again (sysexits.h).
const (
	exitOS       = 71
	exitTempFail = 75
)

// codes are the enhanced status codes of failures by exit code (sysexits.h, RFC 3463).
var codes = map[int]envelope.Code{
	64: {5, 3, 5}, // usage
	65: {5, 6, 0}, // data
	67: {5, 1, 1}, // no user
	68: {5, 1, 2}, // no host
	76: {5, 5, 0}, // protocol
	77: {5, 7, 0}, // no permission
	78: {5, 3, 5}, // configuration
}

// outcome is what a run means for the recipients.
func outcome(res *program.Result, stderr, stopping bool) envelope.Status {
	text := res.Output
	if stderr {
		text = res.Errors
	}
	text = shown(text)
	switch {
	case res.Stopped && stopping:
		return delayed("the program was ended, as the server was stopped")
	case res.Stopped:
		return delayed("time limit exceeded: the program was ended")
	case res.Signal == 0 && res.Exit == 0:
		return envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "Delivered to the program"}
	case res.Signal == 0 && (res.Exit == exitTempFail || res.Exit == exitOS):
		return delayed(withText(res.Reason, text))
	}
	code, ok := codes[res.Exit]
	if !ok || res.Signal != 0 {
		code = envelope.Code{5, 3, 0}
	}
	return failed(code, withText(res.Reason, text))
}

func withText(reason, text string) string {
	if text == "" {
		return reason
	}
	return reason + ":\n" + text
}

func failed(code envelope.Code, text string) envelope.Status {
	return envelope.Status{Action: envelope.ActionFailed, Code: code, Text: text}
}

func delayed(text string) envelope.Status {
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: text}
}

// notStarted is what a program that was not started means. What can be put right is tried again; the log has the
// details, which are not for senders.
func notStarted(err error) envelope.Status {
	switch fault.KindOf(err) {
	case fault.NotFound:
		return delayed("the program is not there")
	case fault.Denied:
		return delayed("the program may not be started")
	case fault.Invalid:
		return failed(envelope.Code{5, 3, 0}, "the program cannot be started")
	}
	return delayed("the program cannot be started now")
}

// maxLines bounds what a report has of the output of a program.
const maxLines = 30

// shown makes output of a program fit for a report: lines of text.
func shown(s string) string {
	s = strings.ToValidUTF8(s, "?")
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		line = strings.Map(func(r rune) rune {
			if r != '\t' && !unicode.IsPrint(r) || r == utf8.RuneError {
				return -1
			}
			return r
		}, line)
		if lines = append(lines, strings.TrimRight(line, " \t")); len(lines) == maxLines {
			break
		}
	}
	return strings.Join(lines, "\n")
}
