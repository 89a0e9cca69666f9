package pipe

import (
	"strings"
	"time"

	"gatepost/queue"
	"gatepost/server/program"
	"gatepost/server/settings"
)

// Settings of programs that mail goes to, and of those that rules execute.
type Settings struct {
	Processors  int             `key:"Processors" default:"5" level:"basic" since:"0.2" help:"programs that run at once; 0 stops the module, and its mail waits"`
	PerProgram  int             `key:"ProcessorsPerProgram" default:"1" level:"advanced" since:"0.2" help:"messages that one program with the same arguments gets at once"`
	Directory   string          `key:"ApplicationDirectory" level:"basic" since:"0.2" help:"the only directory from which programs are started, for mail and for rules; empty: none is started"`
	TimeLimit   settings.Period `key:"TimeLimit" default:"2m" level:"basic" since:"0.2" help:"how long a program may run; then it is ended, and mail for it is tried again"`
	RetryEvery  settings.Period `key:"RetryEvery" default:"10m" level:"basic" since:"0.2" help:"retry interval after a failure that is temporary"`
	RetryFor    settings.Period `key:"RetryFor" default:"1d" level:"basic" since:"0.2" help:"age at which a message that no program has taken is returned; never tries for ever"`
	RunAs       string          `key:"RunAs" default:"nobody" level:"advanced" since:"0.2" help:"user of the system that runs the programs if the server is root; they then see nothing of the base directory"`
	Network     settings.Flag   `key:"AllowNetwork" default:"NO" level:"advanced" since:"0.2" help:"whether the programs may use the network"`
	Memory      settings.Size   `key:"MemoryLimit" default:"1G" unit:"bytes" level:"advanced" since:"0.2" help:"memory of each of their processes"`
	FileSize    settings.Size   `key:"FileSizeLimit" default:"1G" unit:"bytes" level:"advanced" since:"0.2" help:"largest file that they can write"`
	WeakSandbox settings.Flag   `key:"AllowWeakSandbox" default:"NO" level:"expert" since:"0.2" help:"programs run also where the system cannot hide the base directory from them"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	switch {
	case s.Processors < 0:
		return settings.BadValue("Processors", "a negative number of programs")
	case s.PerProgram < 1:
		return settings.BadValue("ProcessorsPerProgram", "at least 1 is needed")
	case s.Directory != "" && s.Directory[0] != '/' || strings.ContainsAny(s.Directory, "\r\n\x00"):
		return settings.BadValue("ApplicationDirectory", "%q is not an absolute path", s.Directory)
	case s.TimeLimit.Duration() < time.Second || s.TimeLimit == settings.Never:
		return settings.BadValue("TimeLimit", "it is at least 1s")
	case s.RetryEvery.Duration() < time.Second:
		return settings.BadValue("RetryEvery", "it is at least 1s")
	case s.RetryFor == 0:
		return settings.BadValue("RetryFor", "it is longer than nothing, or never")
	}
	return nil
}

// openFiles is what a program may have open.
const openFiles = 256

// processes bounds the processes and threads of the user who runs programs, all together.
const processes = 1000

// Permission is what programs that users can reach may do. They do not see the base directory, except what
// is shown.
func (s *Settings) Permission(base string, show ...string) program.Permission {
	limits := program.Limits{Files: openFiles, Processes: processes, CPU: s.TimeLimit.Duration()}
	if s.Memory > 0 {
		limits.Memory = int64(s.Memory)
	}
	if s.FileSize > 0 {
		limits.FileSize = int64(s.FileSize)
	}
	return program.Permission{
		Directory: s.Directory, Base: base, Show: show, User: s.RunAs, Network: bool(s.Network), Weak: bool(s.WeakSandbox),
		Limits: limits, Time: s.TimeLimit.Duration(),
	}
}

// Policy says how the queues of programs are run.
func (t *Transport) Policy() queue.Policy {
	s := t.settings.Get()
	expire := s.RetryFor.Duration()
	if s.RetryFor == settings.Never {
		expire = 0
	}
	return queue.Policy{
		Workers: s.Processors, PerQueue: s.PerProgram, BatchSize: 1,
		Retry: queue.Schedule{Every: s.RetryEvery.Duration(), Expire: expire},
	}
}
