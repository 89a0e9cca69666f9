package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A disk is an ext4 file system in a file, on a loop device. What was written to the file is
// what the device had received when the power was cut.
//
// Nothing gets there by itself: commit, and the thirty seconds that Linux lets pages
// be dirty, are longer than a run; data=writeback and noauto_da_alloc take away the favours that
// ext4 does to programs that do not sync.
type disk struct {
	image, mount string
	size         int64
	journal      bool
	mounted      bool
}

const journalSize = "64" // MB; so large that a run does not fill it, which would write it back

// newDisk makes names for a disk in a new directory below dir. The disk is the caller's to close.
func newDisk(dir string, size int64, journal bool) (*disk, error) {
	dir, err := os.MkdirTemp(dir, "gatebench-power-")
	if err != nil {
		return nil, err
	}
	return &disk{image: filepath.Join(dir, "image"), mount: filepath.Join(dir, "mount"), size: size, journal: journal}, nil
}

// format makes an empty file system and mounts it.
func (d *disk) format(ctx context.Context) error {
	if err := d.unmount(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.mount, 0o700); err != nil {
		return err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(d.size), f.Close()); err != nil {
		return err
	}
	features := []string{"-J", "size=" + journalSize}
	if !d.journal {
		features = []string{"-O", "^has_journal"}
	}
	if err := tool(ctx, "mkfs.ext4", append(features, "-q", "-F", d.image)...); err != nil {
		return err
	}
	return d.attach(ctx)
}

// attach mounts the image; that frees what it takes from the journal first, as after a power cut.
func (d *disk) attach(ctx context.Context) error {
	options := "loop,noatime,noauto_da_alloc,noinit_itable"
	if d.journal {
		options += ",data=writeback,commit=300"
	}
	if err := tool(ctx, "mount", "-t", "ext4", "-o", options, d.image, d.mount); err != nil {
		return err
	}
	d.mounted = true
	return nil
}

// unmount writes everything back, and frees the loop device.
func (d *disk) unmount() error {
	if !d.mounted {
		return nil
	}
	// It has to happen when the run was called off, too.
	if err := tool(context.Background(), "umount", d.mount); err != nil {
		return err
	}
	d.mounted = false
	return nil
}

// cut takes the disk as it is in the file, without what the kernel has not written to
// it, and mounts that. Nobody may use the disk any more.
func (d *disk) cut(ctx context.Context) error {
	kept := d.image + ".cut"
	if err := copySparse(d.image, kept); err != nil {
		return fmt.Errorf("copy the image: %w", err)
	}
	if err := d.unmount(); err != nil {
		return err
	}
	if err := os.Rename(kept, d.image); err != nil {
		return err
	}
	if err := d.repair(ctx); err != nil {
		return err
	}
	return d.attach(ctx)
}

// repair does for a file system without a journal what the start of a machine does.
func (d *disk) repair(ctx context.Context) error {
	if d.journal {
		return nil
	}
	err := tool(ctx, "e2fsck", "-fy", d.image)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 { // errors were corrected
		return nil
	}
	return err
}

// again mounts the disk anew with everything written to it: what a run begins with.
func (d *disk) again(ctx context.Context) error {
	if err := d.unmount(); err != nil {
		return err
	}
	return d.attach(ctx)
}

// close removes the disk.
func (d *disk) close() error {
	if err := d.unmount(); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(d.image))
}

// tool runs a program of the system.
func tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	// An interrupt from the terminal is this program's: it ends tools in its order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return nil
}

// Positions that lseek(2) finds.
const (
	seekData = 3
	seekHole = 4
)

// copySparse copies a file and leaves out its holes.
func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	err = out.Truncate(info.Size())
	for at := int64(0); err == nil && at < info.Size(); {
		if at, err = in.Seek(at, seekData); err != nil {
			if errors.Is(err, syscall.ENXIO) { // only a hole is left
				err = nil
				break
			}
			break
		}
		var end int64
		if end, err = in.Seek(at, seekHole); err != nil {
			break
		}
		_, err = io.Copy(io.NewOffsetWriter(out, at), io.NewSectionReader(in, at, end-at))
		at = end
	}
	return errors.Join(err, out.Close())
}
