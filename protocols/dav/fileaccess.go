package dav

import (
	"encoding/xml"

	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/server/fault"
)

// This file says who may do what with the files of an account: see accounts/files (acl.go). Rights are asked for with each request, and once more
// when what has arrived is stored: what is taken away counts at once.

// nothingHere is the answer to who may not see what there is.
func nothingHere() error {
	return fault.New("dav.files", fault.NotFound, "There is no file of this name.")
}

// need returns an error unless the user has rights to a directory of a place.
func (e *fileExchange) need(p *place, dir string, rights access.Rights) error {
	has, err := p.area.Rights(e.r.Context(), &p.owner, dir)
	if err != nil {
		return err
	}
	return lacking(has, rights)
}

func lacking(has, rights access.Rights) error {
	switch {
	case has.Has(rights):
		return nil
	case !has.Has(access.Lookup):
		return nothingHere()
	}
	return fault.New("dav.files", fault.Denied, "These files are another account's, which does not let you do this.")
}

// needHere is need for the directory that the path is or lies in.
func (e *fileExchange) needHere(rights access.Rights) error {
	return e.need(&e.at, e.at.area.DirOf(e.at.path), rights)
}

// needAll returns an error unless the user may take what a path stands for elsewhere, or remove it: rights to where it lies, and for a
// directory to all that is below it.
func (e *fileExchange) needAll(p *place, rights access.Rights) error {
	if p.own {
		return nil
	}
	if err := e.need(p, parentOf(p.path), rights); err != nil {
		return err
	}
	if i, err := p.area.Stat(p.path); err != nil || !i.Dir {
		return err
	}
	has, err := p.area.RightsToAll(e.r.Context(), &p.owner, p.path)
	if err != nil {
		return err
	}
	return lacking(has, rights)
}

// needTarget returns an error unless the user may put something at a path, in place of what is there.
func (e *fileExchange) needTarget(p *place) error {
	if err := e.need(p, parentOf(p.path), access.Write); err != nil || p.own {
		return err
	}
	i, err := p.area.Stat(p.path)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil && i.Dir {
		err = e.needAll(p, access.Delete)
	}
	return err
}

// still is a check that asks for the right to write once more before it asks may.
func (e *fileExchange) still(p *place, may files.Check) files.Check {
	return func(present *files.Info) error {
		if err := e.need(p, parentOf(p.path), access.Write); err != nil || may == nil {
			return err
		}
		return may(present)
	}
}

// aclProperty writes the properties of RFC 3744 of a directory.
func (e *fileExchange) aclProperty(x *xmlWriter, i *files.Info, n xml.Name) error {
	switch {
	case n == d("principal-collection-set"):
		x.href("/UserDAV/")
		return nil
	case !i.Dir:
		return errNoProperty
	case n == d("supported-privilege-set"):
		x.supported(filePrivileges, "", false)
		return nil
	case n == d("acl-restrictions"):
		return writeACLRestrictions(nil, x, nil)
	}
	if err := e.need(&e.at, i.Path, access.Administer); err != nil {
		return err
	}
	if n == d("acl") {
		acl, err := e.at.area.ACL(i.Path)
		if err == nil {
			x.aces(acl, filePrivileges, e.at.area.Account())
		}
		return err
	}
	// The ACL of a directory above counts as long as this one has none.
	dir, err := e.at.area.Inherited(i.Path)
	if err == nil && dir != i.Path {
		x.href(e.at.href(dir, true))
	}
	return err
}

// sees reports whether the user may see what a place means, or that there is nothing.
func (e *fileExchange) sees(p *place) bool {
	return e.need(p, p.area.DirOf(p.path), access.Lookup) == nil
}

// listed is what lies in the directory, and may be seen.
func (e *fileExchange) listed() ([]*files.Info, error) {
	list, err := e.at.area.List(e.at.path)
	if err != nil || e.at.own {
		return list, err
	}
	shown := list[:0]
	for _, i := range list {
		if i.Dir {
			has, err := e.at.area.Rights(e.r.Context(), &e.at.owner, i.Path)
			if err != nil {
				return nil, err
			}
			if !has.Has(access.Lookup) {
				continue
			}
		}
		shown = append(shown, i)
	}
	return shown, nil
}
