package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// startCommand makes a server with many domains and accounts, and measures how long it takes
// until it is ready and what memory it has then.
type startCommand struct {
	Dir      string `help:"Where the base directory is made and left; one that is there already is used again." required:"" placeholder:"DIR" type:"path"`
	Server   string `help:"The gatepost program; built from this module when not given." placeholder:"FILE"`
	Domains  int    `help:"Domains beside the Main Domain." default:"120000"`
	Accounts int    `help:"Accounts in all of them." default:"1000000"`
	Repeat   int    `help:"Starts; only the first can be one that finds nothing in the page cache." default:"3"`
	Port     int    `help:"Number that is added to the server's ports." default:"23000"`
}

func (c *startCommand) Run(ctx context.Context, out *report) error {
	work, err := os.MkdirTemp("", "gatebench-start-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	k := &killCommand{Server: c.Server, Base: filepath.Join(c.Dir, "base"), Port: c.Port}
	if err := k.build(ctx, work); err != nil {
		return err
	}
	if _, err := os.Stat(k.Base); errors.Is(err, os.ErrNotExist) {
		if err := k.prepare(ctx, work); err != nil {
			return err
		}
		if err := c.fill(ctx, k.Base); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		fmt.Fprintln(os.Stderr, "gatebench: the page cache stays warm:", err)
	}
	var ready, megabytes []float64
	for range c.Repeat {
		begin := time.Now()
		cmd, err := k.start(ctx, true)
		if err != nil {
			return err
		}
		ready = append(ready, time.Since(begin).Seconds()*1000)
		used, err := memory(cmd.Process.Pid)
		if err := errors.Join(err, stop(cmd)); err != nil {
			return err
		}
		megabytes = append(megabytes, float64(used)/1e6)
	}
	return errors.Join(out.print("start until ready", "ms", ready...), out.print("memory when ready", "MB", megabytes...))
}

// fill writes the domains and accounts as a script of the site would: their directories
// and settings. The server numbers each account when it is first used.
func (c *startCommand) fill(ctx context.Context, base string) error {
	account := 0
	for d := range c.Domains {
		domain := filepath.Join(base, "Domains", fmt.Sprintf("d%06d.test", d))
		if err := writeSettings(filepath.Join(domain, "Settings"), "domain.settings", "{}\n"); err != nil {
			return err
		}
		for ; account < (d+1)*c.Accounts/c.Domains; account++ {
			dir := filepath.Join(domain, "u"+strconv.Itoa(account)+".macnt")
			if err := writeSettings(dir, "account.settings", "{RealName = \"Start\";}\n"); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func writeSettings(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
}
