package mailrules

import (
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"

	"context"
)

// ServerRules are the rules of the server; nil if there are none.
func (r *Rules) ServerRules() *rules.Set { return r.server.Load() }

// SetServerRules replaces the rules of the server; nil removes them. When it returns they are on the disk
// and in force.
func (r *Rules) SetServerRules(set *rules.Set) error {
	r.changes.Lock()
	defer r.changes.Unlock()
	if err := dataformat.WriteFile(r.o.File, set.Value(), dataformat.StyleOld); err != nil {
		return fault.Wrap("mailrules.SetServerRules", fault.Internal, err)
	}
	r.server.Store(set)
	return nil
}

// load reads the file of the server's rules.
func (r *Rules) load() error {
	v, err := dataformat.ReadFile(r.o.File)
	if err != nil {
		return dataformat.Unreadable("mailrules.Open", err)
	}
	set, errs := rules.Load(v, rules.Server)
	for _, err := range errs {
		r.servers.Log(context.Background(), logs.LevelProblem, "a stored rule is not applied", "file", r.o.File, logs.AttrError, err)
	}
	r.server.Store(set)
	return nil
}
