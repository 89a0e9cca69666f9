package program

import (
	"errors"
	"os"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Manifest is the list of command lines that may be started, in the file Settings/ChildProcs.data. Whoever
// administers the server from afar cannot change it. A server without the file starts what its settings name.
type Manifest struct{ File string }

// Allows returns nil if a command line begins with one of the list. The file is read each time.
func (m Manifest) Allows(line string) error {
	const op = "program.Manifest"
	if m.File == "" {
		return nil
	}
	text, err := os.ReadFile(m.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(op, fault.Denied, err)
	}
	list, err := parseManifest(string(text))
	if err != nil {
		return &fault.Error{Op: op, Kind: fault.Denied, Text: "no program is started, as Settings/ChildProcs.data cannot be read", Err: err}
	}
	for _, prefix := range list {
		if rest, ok := strings.CutPrefix(line, prefix); ok && (rest == "" || rest[0] == ' ' || strings.HasSuffix(prefix, " ") || strings.HasSuffix(prefix, "/")) {
			return nil
		}
	}
	return fault.Newf(op, fault.Denied, "%s is not started, as Settings/ChildProcs.data does not list it; whoever may write that file can add the line %s", line, line)
}

// parseManifest reads an array of the data format, or a command line on each line of the text.
func parseManifest(text string) ([]string, error) {
	var list []string
	if strings.HasPrefix(strings.TrimSpace(text), "(") {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		array, ok := v.(dataformat.Array)
		if !ok {
			return nil, errors.New("an array of strings is expected")
		}
		for _, e := range array {
			s, ok := dataformat.Text(e)
			if !ok {
				return nil, errors.New("an array of strings is expected")
			}
			list = append(list, s)
		}
	} else {
		list = strings.Split(text, "\n")
	}
	out := list[:0]
	for _, line := range list {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
			out = append(out, line)
		}
	}
	return out, nil
}
