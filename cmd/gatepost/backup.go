package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"gatepost/server"
	"gatepost/server/backup"
	"gatepost/server/dataformat"
)

type backupCommand struct {
	Make   backupMakeCommand   `cmd:"" help:"Make a backup in a directory, beside the older ones."`
	Tar    backupTarCommand    `cmd:"" help:"Make a backup and write it to a file, or to standard output."`
	List   backupListCommand   `cmd:"" help:"List the backups in a directory, the oldest first."`
	Verify backupVerifyCommand `cmd:"" help:"Read a backup, and compare it with what was backed up."`
}

type backupMakeCommand struct {
	Directory string `arg:"" help:"The directory with the backups. It is made if it is not there."`
	Keep      int    `help:"Keep so many backups there, and remove older ones." placeholder:"N"`
}

func (m *backupMakeCommand) Run(c *commands) error {
	d, err := makeBackup(c, m.Directory, m.Keep)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s files, %s bytes; %s of the files take no space of their own\n", d.String("Path"), text(d["Files"]), text(d["Bytes"]), text(d["Linked"]))
	for _, name := range d.Strings("Removed") {
		fmt.Println("removed", name)
	}
	return nil
}

func text(v dataformat.Value) string {
	t, _ := dataformat.Text(v)
	if n, ok := dataformat.Int(v); ok && t == "" {
		return fmt.Sprint(n)
	}
	return t
}

func makeBackup(c *commands, directory string, keep int) (dataformat.Dict, error) {
	directory, err := filepath.Abs(directory)
	if err != nil {
		return nil, err
	}
	if keep < 0 {
		return nil, wrongUse("--keep needs a number of backups")
	}
	return askDict(c, "GATEPOST BACKUP ", dataformat.Dict{"Directory": dataformat.String(directory), "Keep": dataformat.String(fmt.Sprint(keep))})
}

// askDict gives a command with a dictionary, which answers one.
func askDict(c *commands, command string, request dataformat.Dict) (dataformat.Dict, error) {
	v, err := ask(c, command+dataformat.Compact(request))
	if err != nil {
		return nil, err
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return nil, errors.New("the answer of the server is no dictionary")
	}
	return d, nil
}

type backupTarCommand struct {
	File string `arg:"" help:"The file, which must not be there yet; - for standard output."`
}

// Run makes a backup in the base directory, where its files are links, and removes it when it is written.
func (t *backupTarCommand) Run(c *commands) (err error) {
	base, err := c.base()
	if err != nil {
		return err
	}
	out := os.Stdout
	if t.File != "-" {
		if out, err = os.OpenFile(t.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	} else if term.IsTerminal(int(out.Fd())) {
		return wrongUse("the backup is not written to a terminal; give a file, or a pipe")
	}
	defer func() {
		if err != nil && t.File != "-" {
			err = errors.Join(err, os.Remove(t.File))
		}
	}()
	d, err := makeBackup(c, filepath.Join(base, backup.Directory, "tar"), 0)
	if err != nil {
		return errors.Join(err, out.Close())
	}
	path := d.String("Path")
	err = writeTar(out, path)
	if err == nil && t.File != "-" {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close(), os.RemoveAll(path)); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s files, %s bytes\n", text(d["Files"]), text(d["Bytes"]))
	return nil
}

// writeTar writes a directory, under its own name, with its manifest last: what is cut short is no whole backup.
func writeTar(w io.Writer, path string) error {
	t := tar.NewWriter(w)
	add := func(file string) error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Dir(path), file)
		if err != nil {
			return err
		}
		h.Name, h.Format, h.Uid, h.Gid, h.Uname, h.Gname = filepath.ToSlash(rel), tar.FormatPAX, 0, 0, "", ""
		if info.IsDir() {
			h.Name += "/"
		}
		attributes, err := backup.Attributes(file)
		if err != nil {
			return err
		}
		for name, value := range attributes {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["SCHILY.xattr."+name] = string(value)
		}
		if err := t.WriteHeader(h); err != nil || info.IsDir() {
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		_, err = io.Copy(t, f)
		return errors.Join(err, f.Close())
	}
	manifest := filepath.Join(path, backup.Manifest)
	err := filepath.WalkDir(path, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || file == manifest {
			return err
		}
		return add(file)
	})
	if err == nil {
		err = add(manifest)
	}
	return errors.Join(err, t.Close())
}

type backupListCommand struct {
	Directory string `arg:"" help:"The directory with the backups."`
}

func (l *backupListCommand) Run() error {
	names, err := backup.List(l.Directory)
	for _, name := range names {
		head, err := backup.Look(filepath.Join(l.Directory, name))
		if err != nil {
			fmt.Printf("%s  not whole\n", name)
			continue
		}
		fmt.Printf("%s  %d files, %d bytes\n", name, head.Files, head.Bytes)
	}
	return err
}

type backupVerifyCommand struct {
	Path string `arg:"" help:"The path of the backup."`
}

func (v *backupVerifyCommand) Run(ctx context.Context) error {
	found, err := backup.Verify(ctx, v.Path, func(name, text string) { fmt.Printf("%s: %s\n", name, text) })
	if err != nil {
		return err
	}
	if found.Damaged > 0 {
		fmt.Printf("%d of %d files are damaged\n", found.Damaged, found.Files)
		return errSaidNo
	}
	fmt.Printf("whole: %d files, %d bytes\n", found.Files, found.Bytes)
	return nil
}

type restoreCommand struct {
	All     restoreAllCommand     `cmd:"" help:"Restore a whole backup into an empty base directory."`
	Account restoreAccountCommand `cmd:"" help:"Restore an account of a backup, under its own or another name."`
	Mailbox restoreMailboxCommand `cmd:"" help:"Restore a mailbox of a backup, beside the one that is there."`
}

type restoreAllCommand struct {
	Path string `arg:"" help:"The path of the backup."`
}

func (r *restoreAllCommand) Run(ctx context.Context, c *commands) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	done, err := server.RestoreBase(ctx, r.Path, base, func(name, text string) { fmt.Printf("%s: %s\n", name, text) })
	if err != nil {
		return err
	}
	fmt.Printf("restored: %d files, %d bytes, as of %s\n", done.Files, done.Bytes, done.Time.Local().Format("2006-01-02 15:04:05"))
	if done.Held > 0 {
		fmt.Printf("%d messages of the queue are on hold, as they may have been delivered since: 'gatepost queue list --on-hold' shows them, 'gatepost queue release' lets them go on\n", done.Held)
	}
	if done.Damaged > 0 {
		fmt.Printf("%d are damaged and left out\n", done.Damaged)
		return errSaidNo
	}
	return nil
}

type restoreAccountCommand struct {
	Path    string `arg:"" help:"The path of the backup."`
	Account string `arg:"" help:"The account in the backup: name@domain."`
	As      string `help:"The name of the new account, if the account itself is there." placeholder:"NAME@DOMAIN"`
}

func (r *restoreAccountCommand) Run(c *commands) error {
	return restoreOne(c, r.Path, dataformat.Dict{"Account": dataformat.String(r.Account), "AsAccount": dataformat.String(r.As)})
}

type restoreMailboxCommand struct {
	Path    string `arg:"" help:"The path of the backup."`
	Account string `arg:"" help:"The account in the backup: name@domain."`
	Mailbox string `arg:"" help:"The mailbox, such as INBOX or Work/2026."`
	As      string `help:"The name of the new mailbox, if there is one of the old name." placeholder:"MAILBOX"`
	To      string `help:"The account that gets it; without it the same." placeholder:"NAME@DOMAIN"`
}

func (r *restoreMailboxCommand) Run(c *commands) error {
	return restoreOne(c, r.Path, dataformat.Dict{"Account": dataformat.String(r.Account), "AsAccount": dataformat.String(r.To),
		"Mailbox": dataformat.String(r.Mailbox), "AsMailbox": dataformat.String(r.As)})
}

func restoreOne(c *commands, path string, request dataformat.Dict) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	request["Path"] = dataformat.String(path)
	d, err := askDict(c, "GATEPOST RESTORE ", request)
	if err != nil {
		return err
	}
	for _, line := range d.Strings("Report") {
		fmt.Println(line)
	}
	fmt.Printf("restored: %s mailboxes, %s messages\n", text(d["Mailboxes"]), text(d["Messages"]))
	if damaged := text(d["Damaged"]); damaged != "0" {
		fmt.Printf("%s are damaged and left out\n", damaged)
		return errSaidNo
	}
	return nil
}
