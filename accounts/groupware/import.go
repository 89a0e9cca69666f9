package groupware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// Outcome is what an import has done with a text.
type Outcome uint8

// The outcomes.
const (
	Imported  Outcome = iota // it is a new item
	Unchanged                // the item with its UID has these bytes
	Kept                     // the item with its UID has other bytes, and stays as it is
	Replaced                 // the item with its UID had other bytes
	Refused                  // it is no item of the collection
)

// ImportOptions say how texts are imported.
type ImportOptions struct {
	// Replace lets a text take the place of the item with its UID.
	Replace bool
	// DryRun changes nothing; outcomes are what would be done.
	DryRun bool
}

// ImportResult is what was done with a text.
type ImportResult struct {
	Outcome Outcome
	// Err is why the text is Refused: a *Violation.
	Err error
}

// importers is how many texts are stored at a time: they share commits.
const importers = 16

// Import stores texts that another program has exported, each under its UID: a text that is there already is not stored
// twice. The error is that of the collection as a whole, and then some texts may be stored: NoMailbox, Denied, OverQuota, NoSpace.
func (c *Collection) Import(ctx context.Context, texts [][]byte, o ImportOptions) ([]ImportResult, error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	results := make([]ImportResult, len(texts))
	var (
		mu     sync.Mutex
		failed error
		wait   sync.WaitGroup
	)
	slots := make(chan struct{}, importers)
	for i, text := range texts {
		slots <- struct{}{}
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		wait.Go(func() {
			defer func() { <-slots }()
			outcome, err := c.importOne(ctx, text, o)
			if _, ok := IsViolation(err); ok {
				results[i] = ImportResult{Refused, err}
				return
			}
			results[i].Outcome = outcome
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = err
			}
		})
	}
	wait.Wait()
	return results, failed
}

func (c *Collection) importOne(ctx context.Context, text []byte, o ImportOptions) (Outcome, error) {
	object, err := parse(c.Kind, text)
	if err != nil {
		return Refused, err
	}
	present, err := c.Owner.Mail().ItemByKey(ctx, c.Name, object.uid)
	switch {
	case fault.Is(err, fault.NoMessage):
	case err != nil:
		return Refused, err
	case present.ETag == etag(text):
		return Unchanged, nil
	case !o.Replace:
		return Kept, nil
	case o.DryRun:
		return Replaced, nil
	default:
		_, _, err := c.Put(ctx, Put{Name: present.Name, Text: text})
		return Replaced, err
	}
	if o.DryRun {
		return Imported, c.mayPut(false)
	}
	absent := func(present *mailbox.Item) error {
		if present != nil {
			return fault.New("groupware.Import", fault.Exists, "")
		}
		return nil
	}
	_, _, err = c.Put(ctx, Put{Name: c.nameFor(object), Text: text, If: absent})
	if v, ok := IsViolation(err); ok && v.Rule == UniqueUID {
		return Kept, nil // it came in between, or twice in one file
	}
	if fault.Is(err, fault.Exists) { // a client has given this name to another item
		sum := sha256.Sum256([]byte(object.uid))
		_, _, err = c.Put(ctx, Put{Name: hex.EncodeToString(sum[:]) + c.suffix(), Text: text, If: absent})
	}
	return Imported, err
}
