package pickup

import (
	"bufio"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"

	"gatepost/server/durable"
)

// File is a message that a program writes for the folder Submitted.
type File struct {
	dir, name string
	f         *os.File
	w         *bufio.Writer
}

// Create begins a message. Other users cannot guess its name.
func Create(dir string) (*File, error) {
	name := rand.Text()
	f, err := os.OpenFile(filepath.Join(dir, name+extWritten), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &File{dir: dir, name: name, f: f, w: bufio.NewWriter(f)}, nil
}

// Write takes text of the message, with the line ends of the system.
func (m *File) Write(p []byte) (int, error) { return m.w.Write(p) }

// Commit makes the message durable and gives it to the server, which takes it when it runs. After an
// error there is no message.
func (m *File) Commit() (err error) {
	tmp, sub := filepath.Join(m.dir, m.name+extWritten), filepath.Join(m.dir, m.name+extSub)
	defer func() {
		m.f.Close()
		m.f = nil
		if err != nil {
			err = errors.Join(err, os.Remove(tmp))
		}
	}()
	// The server is another user. Others cannot list the folder, or not enter it.
	if err = errors.Join(m.w.Flush(), m.f.Chmod(0o644), m.f.Sync()); err != nil {
		return err
	}
	if err = os.Rename(tmp, sub); err != nil {
		return err
	}
	// Who may write to the folder may not read it, and so not sync it. File systems with a journal
	// write the rename with a sync of the file, whose time of change it has set.
	if syncErr := durable.SyncDir(m.dir); syncErr != nil {
		_ = m.f.Sync() // the message is given to the server by now
	}
	return nil
}

// Abort drops a message that is not committed.
func (m *File) Abort() {
	if m.f == nil {
		return
	}
	m.f.Close()
	m.f = nil
	_ = os.Remove(filepath.Join(m.dir, m.name+extWritten)) // the server removes it otherwise, when it is old
}
