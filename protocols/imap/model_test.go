package imap

import (
	"context"
	"net"
	"testing"
	"time"

	"gatepost/protocols/imap/imapmodel"
)

// TestManyClientsAgreeWithTheModel is the short form of "gatebench imapmodel".
func TestManyClientsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	f := start(t)
	report, err := imapmodel.Run(t.Context(), imapmodel.Options{
		Dial: func(context.Context) (net.Conn, error) { return f.dial() },
		User: "user1", Password: "secret1", Boxes: []string{"Model1", "Model2"}, Clients: 8, For: 3 * time.Second, Seed: uint64(time.Now().UnixNano()),
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d commands, %d kills", report.Commands, report.Kills)
}
