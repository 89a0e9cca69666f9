package program

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

// Sandbox bounds what a program can reach. The zero Sandbox takes away the right to gain rights, and
// nothing else.
type Sandbox struct {
	// User, if not nil, is who runs the program. Only a server that is root can change it.
	User *User
	// Hide are directories of which the program sees nothing but what is in Show: files and
	// directories inside of them.
	Hide, Show []string
	// NoNetwork leaves the program only Unix sockets.
	NoNetwork bool
	// Weak lets a program start on a system that cannot hide directories. Without it, that is an error.
	Weak bool
}

// User is a user of the system.
type User struct {
	Name     string
	UID, GID uint32
}

// FindUser finds a user of the system by name. The program gets its main group and no other.
func FindUser(name string) (*User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fault.Newf("program.FindUser", fault.NotFound, "the system has no user %q", name)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return nil, fault.Newf("program.FindUser", fault.Invalid, "the user %q has no number", name)
	}
	return &User{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
}

// enter bounds the calling thread, and what it starts.
func (s *Sandbox) enter() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return startError(fault.Denied, err, "a program cannot be kept from gaining rights: %v", err)
	}
	if len(s.Hide) > 0 {
		err := s.hide()
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPERM) {
			if s.Weak {
				err = nil
			} else {
				err = startError(fault.Denied, err, "a program cannot be kept out of the base directory: this system has no landlock%s; run the server as root, so that programs have a user of their own",
					unitOr(", or the unit forbids it (a line SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self allows it)", ""))
			}
		}
		if err != nil {
			return err
		}
	}
	if s.NoNetwork {
		if err := forbidSockets(); err != nil {
			return startError(fault.Denied, err, "a program cannot be kept from the network: %v; allow it the network, or use a system with seccomp", err)
		}
	}
	return nil
}

const (
	ofFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	ofDirs  = ofFiles | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	landlockVersion = 1 // flag of landlock_create_ruleset
)

// rulesets are the access rights that versions of landlock know beside those of the first.
var rulesets = []struct {
	version     uintptr
	files, dirs uint64
}{
	{2, 0, unix.LANDLOCK_ACCESS_FS_REFER},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
}

// hide takes the hidden directories away by allowing everything else: landlock knows no exceptions.
func (s *Sandbox) hide() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, landlockVersion)
	if errno != 0 {
		return errno
	}
	files, dirs := uint64(ofFiles), uint64(ofDirs)
	for _, r := range rulesets {
		if version >= r.version {
			files, dirs = files|r.files, dirs|r.dirs
		}
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: dirs}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	hidden := make([]string, len(s.Hide))
	for i, dir := range s.Hide {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return fault.Wrap("program.Start", fault.Internal, err)
		}
		hidden[i] = real
	}
	allow := func(path string) error { return allowPath(int(fd), path, files, dirs) }
	if err := allowAround("/", hidden, allow); err != nil {
		return err
	}
	for _, path := range s.Show {
		if err := allow(path); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// allowAround allows all entries of a directory but those that are hidden, or lead to a hidden one.
func allowAround(dir string, hidden []string, allow func(string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.Wrap("program.Start", fault.Internal, err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case slices.Contains(hidden, path):
		case slices.ContainsFunc(hidden, func(h string) bool { return strings.HasPrefix(h, path+"/") }):
			if err := allowAround(path, hidden, allow); err != nil {
				return err
			}
		default:
			if err := allow(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// allowPath allows a file, or a directory with all that is below it. A path that does not exist any
// more, or that the server cannot reach either, needs no rule; nor does a symbolic link, whose end has one.
func allowPath(ruleset int, path string, files, dirs uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == unix.ENOENT || err == unix.EACCES {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	access := files
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		access = dirs
	case unix.S_IFLNK:
		return nil
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "allow", Path: path, Err: errno}
	}
	return nil
}

// auditArch is the number that a system call filter sees of this kind of machine.
var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]

// x32Bit marks the system calls of a second kind of program that amd64 can run.
const x32Bit = 0x40000000

// forbidSockets forbids the thread, and what it starts, all sockets but Unix ones: socket(2) fails with
// EACCES. io_uring, which could make sockets as well, is not there. A program of another kind of
// machine (32 bit) is killed, as its calls have other numbers.
func forbidSockets() error {
	if auditArch == 0 {
		return unix.ENOSYS
	}
	// Offsets in struct seccomp_data: nr 0, arch 4, args[0] 16 (low half).
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	jump := func(kind uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | kind | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	filter := []unix.SockFilter{
		load(4),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		load(0),
		jump(unix.BPF_JGE, x32Bit, 0, 1),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		jump(unix.BPF_JEQ, unix.SYS_IO_URING_SETUP, 0, 1),
		ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)),
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 1, 0),
		ret(unix.SECCOMP_RET_ALLOW),
		load(16),
		jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1),
		ret(unix.SECCOMP_RET_ALLOW),
		ret(unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)),
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	runtime.KeepAlive(filter)
	return err
}
