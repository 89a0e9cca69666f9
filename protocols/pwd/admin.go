package pwd

import (
	"context"

	"gatepost/server/dataformat"
)

// Admin is what commands need of the server as a whole. Its errors are faults;
// Invalid ones carry the key or line that is wrong in their text.
type Admin interface {
	// Version is the version of the server, such as 0.1.
	Version() string
	// Shutdown begins an orderly stop and returns at once.
	Shutdown()

	// RouterTable is the table's text, lines separated by LF.
	RouterTable(ctx context.Context) (string, error)
	SetRouterTable(ctx context.Context, text string) error
	RouterSettings(ctx context.Context) (dataformat.Dict, error)
	SetRouterSettings(ctx context.Context, d dataformat.Dict) error

	// Modules lists the names that Module takes. A module's settings are those
	// that are explicit. Unknown modules are fault.NotFound.
	Modules(ctx context.Context) ([]string, error)
	Module(ctx context.Context, name string) (dataformat.Dict, error)
	SetModule(ctx context.Context, name string, d dataformat.Dict) error
	UpdateModule(ctx context.Context, name string, update dataformat.Dict) error

	// ServerSettings are the other settings of the server, those of Main.settings.
	ServerSettings(ctx context.Context) (dataformat.Dict, error)
	UpdateServerSettings(ctx context.Context, update dataformat.Dict) error
	QueueSettings(ctx context.Context) (dataformat.Dict, error)
	SetQueueSettings(ctx context.Context, d dataformat.Dict) error
	LogSettings(ctx context.Context) (dataformat.Dict, error)
	UpdateLogSettings(ctx context.Context, update dataformat.Dict) error

	// QueueInfo tells of one logical queue of a module: nTotal, size,
	// delayedTill, lastError, numbers as strings; an empty dictionary if there is none.
	QueueInfo(ctx context.Context, module, queue string) (dataformat.Dict, error)
	// ReleaseQueue lets a logical queue of the SMTP module or of an account try now.
	ReleaseQueue(ctx context.Context, queue string) error

	// QueueList tells of every waiting recipient, one dictionary each.
	QueueList(ctx context.Context) (dataformat.Array, error)
	// Check compares index and files and returns one line per finding; one that is
	// no fault begins with "note: ".
	Check(ctx context.Context) ([]string, error)
}
