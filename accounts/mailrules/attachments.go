package mailrules

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/accounts/message"
	"gatepost/rules"
	"gatepost/server/fault"
)

const (
	// maxAttachments bounds the files that one message becomes.
	maxAttachments = 200
	// maxNumbered bounds the numbers that a file gets whose name is taken.
	maxNumbered = 1000
	// maxCompared bounds, in bytes, what is compared with files that are there for one message; from there on a file of the same content is stored once more.
	maxCompared = 64 << 20
	// maxFileName bounds the names of attachments, in bytes; file systems and clients take longer ones.
	maxFileName = 150

	fileService = "WebSite"
)

// copyAttachments stores the attachments of a message as files, before the message is stored or discarded. When it is done again, after a
// crash or a failure, what is there with the same content is not stored twice. A file takes no other's place: it gets a number.
func (a *application) copyAttachments(ctx context.Context, rule *rules.Rule, act rules.CopyAttachments) (ended bool, err error) {
	if err := a.Rules.copyAttachments(ctx, a, act); err != nil {
		return a.failed(ctx, rule, act, err)
	}
	a.fired(ctx, rules.Step{Rule: rule, Action: act})
	return false, nil
}

func (r *Rules) copyAttachments(ctx context.Context, a *application, act rules.CopyAttachments) error {
	sum, err := a.mail.summary()
	if err != nil {
		return err
	}
	parts := attachments(nil, sum.Root)
	switch {
	case len(parts) > maxAttachments:
		return fault.Newf("mailrules.Attachments", fault.TooMany, "the message has more than %d attachments", maxAttachments)
	case len(parts) == 0:
		return nil
	}
	dir, owner, err := r.fileDirectory(ctx, a, act)
	if err != nil {
		return err
	}
	area, err := r.o.Files.Open(owner.Account)
	if err != nil {
		return err
	}
	defer area.Close()
	if err := makeDirectories(ctx, area, &owner, dir); err != nil {
		return err
	}
	f, err := a.mail.open()
	if err != nil {
		return err
	}
	defer f.Close()
	compare := int64(maxCompared)
	for i, p := range parts {
		content := func() io.Reader {
			return message.Decode(io.NewSectionReader(f, p.Body.Start, p.Body.Size()), p.Encoding)
		}
		if err := putAttachment(ctx, area, &owner, dir, fileName(p, i+1), content, &compare); err != nil {
			return err
		}
	}
	return nil
}

// fileDirectory returns the directory that an action names, and whose it is.
func (r *Rules) fileDirectory(ctx context.Context, a *application, act rules.CopyAttachments) (string, access.Owner, error) {
	const op = "mailrules.Attachments"
	if r.o.Files == nil {
		return "", access.Owner{}, fault.New(op, fault.Unsupported, "this server has no file storage")
	}
	prefix := ""
	if act.Owner != "" {
		prefix = "~" + act.Owner + "/"
	}
	owner, err := r.o.Access.Owner(ctx, a.Account, prefix)
	if err != nil {
		return "", owner, err
	}
	if !owner.Account.Enabled(fileService) {
		return "", owner, fault.New(op, fault.Denied, "the account may not use file storage")
	}
	var names []string
	for n := range strings.SplitSeq(act.Directory, "/") {
		if n != "" {
			names = append(names, n)
		}
	}
	dir, err := files.Join(names)
	return dir, owner, err
}

// makeDirectories makes the directories of a path that are not there.
func makeDirectories(ctx context.Context, area *files.Area, owner *access.Owner, dir string) error {
	at := ""
	for n := range strings.SplitSeq(dir, "/") {
		up := at
		at = path.Join(at, n)
		if i, err := area.Stat(at); err == nil && i.Dir {
			continue
		} else if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := mayWrite(ctx, area, owner, up); err != nil {
			return err
		}
		if err := area.MakeDir(at, nil); err != nil && !isDirectory(area, at) {
			return err
		}
	}
	return mayWrite(ctx, area, owner, dir)
}

func isDirectory(area *files.Area, p string) bool {
	i, err := area.Stat(p)
	return err == nil && i.Dir
}

// mayWrite returns an error unless the account of the rule may store files in a directory.
func mayWrite(ctx context.Context, area *files.Area, owner *access.Owner, dir string) error {
	rights, err := area.Rights(ctx, owner, dir)
	if err == nil && !rights.Has(access.Write) {
		err = fault.New("mailrules.Attachments", fault.Denied, "the account may not store files there")
	}
	return err
}

// putAttachment stores a file under a name that is free, or one that has the same content.
func putAttachment(ctx context.Context, area *files.Area, owner *access.Owner, dir, name string, content func() io.Reader, compare *int64) error {
	const op = "mailrules.Attachments"
	errTaken := errors.New("the name is taken")
	ext := path.Ext(name)
	for n := 1; n <= maxNumbered; n++ {
		at := path.Join(dir, name)
		if n > 1 {
			at = path.Join(dir, strings.TrimSuffix(name, ext)+" ("+strconv.Itoa(n)+")"+ext)
		}
		if same, err := sameContent(area, at, content(), compare); err != nil || same {
			return err
		}
		_, _, err := area.Put(ctx, at, content(), func(present *files.Info) error {
			if present != nil {
				return errTaken
			}
			return mayWrite(ctx, area, owner, dir)
		})
		if !errors.Is(err, errTaken) && !fault.Is(err, fault.Exists) {
			return err
		}
	}
	return fault.Newf(op, fault.TooMany, "there are %d files of this name", maxNumbered)
}

// sameContent reports whether there is a file of a path with this content. It reads as many bytes as compare has, and takes them from it.
func sameContent(area *files.Area, p string, content io.Reader, compare *int64) (bool, error) {
	if *compare <= 0 {
		return false, nil
	}
	f, _, err := area.OpenFile(p)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	one, other := bufio.NewReaderSize(f, 32<<10), bufio.NewReaderSize(content, 32<<10)
	for {
		_, errA := one.Peek(1) // fills the buffer
		_, errB := other.Peek(1)
		switch {
		case errA == io.EOF && errB == io.EOF:
			return true, nil
		case errA != nil && errA != io.EOF:
			return false, errA
		case errB != nil && errB != io.EOF:
			return false, errB
		case errA != nil || errB != nil:
			return false, nil
		}
		n := min(one.Buffered(), other.Buffered())
		if *compare -= int64(n); *compare <= 0 {
			return false, nil
		}
		a, _ := one.Peek(n)
		b, _ := other.Peek(n)
		if !bytes.Equal(a, b) {
			return false, nil
		}
		one.Discard(n)   // it is buffered
		other.Discard(n) // likewise
	}
}

// attachments lists the parts that are attachments. A message that is attached is one file.
func attachments(list []*message.Part, p *message.Part) []*message.Part {
	switch {
	case p == nil || len(list) > maxAttachments:
	case p.Attachment():
		return append(list, p)
	default:
		for _, c := range p.Children {
			list = attachments(list, c)
		}
	}
	return list
}

// fileName is the name of the n-th attachment as a file. Its sender is a stranger: what could mean another directory, a hidden file, a command or a device, or
// what other systems do not have in names, does not stay.
func fileName(p *message.Part, n int) string {
	name := strings.ToValidUTF8(p.Filename(), "_")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r), unicode.IsControl(r): // those that turn the direction of a text hide an extension
			return -1
		case strings.ContainsRune(`<>:"|?*`, r), r == utf8.RuneError:
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, " .~-"), " .")
	ext := path.Ext(name)
	if len(ext) > 20 {
		ext = ""
	}
	base := strings.TrimSuffix(name, ext)
	for len(base)+len(ext) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	if first, _, _ := strings.Cut(strings.ToUpper(base), "."); devices[first] {
		base = "_" + base
	}
	if base == "" {
		base = "attachment " + strconv.Itoa(n)
		if ext == "" {
			ext = extensionOf(p)
		}
	}
	return strings.TrimSpace(base) + ext
}

// devices are names that are no files on Windows.
var devices = map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true, "COM1": true, "COM2": true, "COM3": true, "COM4": true, "COM5": true, "COM6": true,
	"COM7": true, "COM8": true, "COM9": true, "LPT1": true, "LPT2": true, "LPT3": true, "LPT4": true, "LPT5": true, "LPT6": true, "LPT7": true, "LPT8": true, "LPT9": true}

// extensionOf is that of the type of a part without a name.
func extensionOf(p *message.Part) string {
	if p.Type == "message" && p.Subtype == "rfc822" {
		return ".eml"
	}
	if list, err := mime.ExtensionsByType(p.Type + "/" + p.Subtype); err == nil && len(list) > 0 {
		return list[0]
	}
	return ".bin"
}
