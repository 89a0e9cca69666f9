package groupware

import (
	"context"
	"io"

	"gatepost/accounts/groupware/interchange"
	"gatepost/server/fault"
)

// Export writes the whole collection as one text: one VCALENDAR with all components, a time zone once, or all cards one after another.
// What cannot be read any more is left out. Errors: NoMailbox, Denied, those of w.
func (c *Collection) Export(ctx context.Context, w io.Writer) error {
	list, err := c.Items(ctx)
	if err != nil {
		return err
	}
	out := interchange.NewWriter(w, c.Name)
	for i := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("groupware.Export", fault.Canceled, err)
		}
		_, text, err := c.Text(ctx, list[i].Name)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return err
		}
		if err := out.Add(text); err != nil {
			return err
		}
	}
	if c.Kind == Contacts {
		return nil
	}
	return out.Close()
}
