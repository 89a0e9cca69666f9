package mtasts

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/logs"
)

// changed has the file written soon. p.mu is held.
func (p *Policies) changed() {
	p.dirty = true
	if p.timer != nil || p.closed || p.o.File == "" {
		return
	}
	p.saving.Add(1)
	p.timer = time.AfterFunc(saveAfter, func() {
		defer p.saving.Done()
		p.save()
	})
}

// Close writes what has changed.
func (p *Policies) Close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil && p.timer.Stop() {
		p.saving.Done()
	}
	p.mu.Unlock()
	p.saving.Wait()
	p.save()
	p.fetcher.client.CloseIdleConnections()
}

func (p *Policies) save() {
	p.write.Lock()
	defer p.write.Unlock()
	p.mu.Lock()
	p.timer = nil
	if !p.dirty || p.o.File == "" {
		p.mu.Unlock()
		return
	}
	p.dirty = false
	all := dataformat.Dict{}
	for domain, k := range p.known {
		all[domain] = dataformat.Dict{"ID": dataformat.String(k.id), "Fetched": dataformat.String(k.fetched.UTC().Format(time.RFC3339)),
			"Policy": dataformat.String(strings.Join(k.policy.Lines(), "\n"))}
	}
	p.mu.Unlock()
	if err := durable.ReplaceFile(p.o.File, []byte(dataformat.Pretty(all)+"\n"), 0o600); err != nil {
		p.log.Log(context.Background(), logs.LevelFailure, "the policies cannot be saved", logs.AttrError, err)
		p.mu.Lock()
		p.dirty = true
		p.mu.Unlock()
	}
}

// load reads the file. Policies whose time is over are left out.
func (p *Policies) load() {
	if p.o.File == "" {
		return
	}
	all, err := dataformat.ReadDict(p.o.File)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.log.Log(context.Background(), logs.LevelFailure, "the policies cannot be read, and are fetched again", logs.AttrError, err)
		}
		return
	}
	now := time.Now()
	for domain, v := range all {
		if k := readKnown(v); k != nil && now.Before(k.expires()) && !k.fetched.After(now) {
			k.used = k.fetched
			p.known[domain] = k
		}
	}
}

// readKnown reads an entry of the file; nil if it is none.
func readKnown(v dataformat.Value) *known {
	d, _ := v.(dataformat.Dict)
	id, _ := dataformat.Text(d["ID"])
	at, _ := dataformat.Text(d["Fetched"])
	text, _ := dataformat.Text(d["Policy"])
	fetched, err := time.Parse(time.RFC3339, at)
	if err != nil || !validID(id) {
		return nil
	}
	policy, err := Parse(text)
	if err != nil {
		return nil
	}
	return &known{policy: *policy, id: id, fetched: fetched}
}
