package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// look reads what the server keeps for the client.
func (c *client) look(ctx context.Context) (state, error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	defer c.close()
	have := state{}
	return have, errors.Join(c.lookAtMail(have), c.lookAtObjects(have))
}

// lookAtMail reads all mailboxes with their messages.
func (c *client) lookAtMail(have state) error {
	var boxes []string
	_, err := c.imap.do(`LIST "" "*"`, func(line, _ []byte) {
		if _, name, ok := strings.Cut(string(line), `"/" "`); ok && !strings.Contains(string(line), `\Noselect`) {
			boxes = append(boxes, strings.TrimSuffix(name, `"`))
		}
	})
	for _, box := range boxes {
		if err == nil {
			err = c.lookInto(box, have)
		}
	}
	return err
}

func (c *client) lookInto(box string, have state) error {
	messages := 0
	var validity uint64
	if _, err := c.imap.do("EXAMINE "+quote(box), func(line, _ []byte) {
		l := string(line)
		if _, n, ok := strings.Cut(l, "[UIDVALIDITY "); ok {
			n, _, _ = strings.Cut(n, "]")
			validity, _ = strconv.ParseUint(n, 10, 32)
		}
		if n, ok := strings.CutSuffix(strings.TrimPrefix(l, "* "), " EXISTS"); ok {
			messages, _ = strconv.Atoi(n)
		}
	}); err != nil {
		return err
	}
	have[key{aMailbox, box, ""}] = item{uid: uint32(validity)}
	if messages == 0 {
		return nil
	}
	_, err := c.imap.do("UID FETCH 1:* (UID FLAGS BODY.PEEK[])", func(line, literal []byte) {
		uid := uidOf(string(line))
		_, flags, _ := strings.Cut(string(line), "FLAGS (")
		flags, _, _ = strings.Cut(flags, ")")
		k := key{aMessage, box, messageID(literal)}
		if _, twice := have[k]; twice || k.id == "" {
			k.id = fmt.Sprintf("%s, UID %d", k.id, uid)
		}
		have[k] = item{messageText(strings.Fields(flags), digest(literal)), uid}
	})
	return err
}

func uidOf(line string) uint32 {
	_, n, _ := strings.Cut(line, "UID ")
	if at := strings.IndexAny(n, " )"); at >= 0 {
		n = n[:at]
	}
	uid, _ := strconv.ParseUint(n, 10, 32) // 0 is no UID
	return uint32(uid)
}

// messageID returns the Message-ID in a header, without its brackets: that which the author gave, if a mailing list gave another one.
func messageID(header []byte) string {
	_, rest, ok := strings.Cut(string(header), "X-Original-Message-Id: <")
	if !ok {
		_, rest, ok = strings.Cut(string(header), "\nMessage-ID: <")
	}
	if !ok {
		rest, ok = strings.CutPrefix(string(header), "Message-ID: <")
	}
	id, _, whole := strings.Cut(rest, ">")
	if !ok || !whole {
		return ""
	}
	return id
}

// lookAtObjects reads the client's domains, accounts and forwarders.
func (c *client) lookAtObjects(have state) error {
	domains, err := c.pwd.list("LISTDOMAINS", c.prefix())
	if err != nil {
		return err
	}
	for _, d := range domains {
		settings, err := c.pwd.do("GETDOMAINSETTINGS " + d)
		if err != nil {
			return err
		}
		have[key{aDomain, d, ""}] = item{text: settings}
	}
	forwarders, err := c.pwd.list("LISTFORWARDERS", c.prefix())
	if err != nil {
		return err
	}
	for _, f := range forwarders {
		to, err := c.pwd.do("GETFORWARDER " + f)
		if err != nil {
			return err
		}
		have[key{aForwarder, f, ""}] = item{text: to}
	}
	for _, d := range append(domains, c.server.domain) {
		accounts, err := c.pwd.list("LISTACCOUNTS "+d, c.prefix())
		if err != nil {
			return err
		}
		for _, a := range accounts {
			if err := c.lookAtAccount(a+"@"+d, have); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *client) lookAtAccount(name string, have state) error {
	have[key{anAccount, name, ""}] = item{}
	real, err := c.pwd.do("GETACCOUNTONESETTING " + name + " RealName")
	if err != nil {
		return err
	}
	have[key{aSetting, name, ""}] = item{text: strings.Trim(real, `"`)}
	aliases, err := c.pwd.list("GETACCOUNTALIASES "+name, "")
	if err != nil {
		return err
	}
	if slices.Sort(aliases); len(aliases) > 0 {
		have[key{anAlias, name, ""}] = item{text: "(" + strings.Join(aliases, ",") + ")"}
	}
	// Nobody can ask for a password, but whether it is this one.
	k := key{aPassword, name, ""}
	for _, password := range c.texts(k) {
		_, err := c.pwd.do("VERIFYACCOUNTPASSWORD " + name + " PASSWORD " + password)
		var no *refusal
		switch {
		case err == nil:
			have[k] = item{text: password}
		case !errors.As(err, &no):
			return err
		}
	}
	return nil
}
