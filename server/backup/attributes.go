package backup

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// attributePrefix begins the names of extended attributes that the server gives to stored files and directories.
const attributePrefix = "user.gatepost"

// Attributes are those of a file or directory. A file system without any has none.
func Attributes(path string) (map[string][]byte, error) {
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	switch {
	case errors.Is(err, unix.ENOTSUP):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var all map[string][]byte
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if !strings.HasPrefix(name, attributePrefix) {
			continue
		}
		value := make([]byte, 64<<10)
		k, err := unix.Lgetxattr(path, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = map[string][]byte{}
		}
		all[name] = value[:k]
	}
	return all, nil
}

// copyAttributes copies them. Where they cannot be kept, they are lost, as on any copy there.
func copyAttributes(from, to string) error {
	all, err := Attributes(from)
	if err != nil {
		return err
	}
	for name, value := range all {
		if err := unix.Lsetxattr(to, name, value, 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	return nil
}
