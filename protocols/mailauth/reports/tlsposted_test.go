package reports

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
)

type noRoom struct{ Queue }

func (noRoom) BeginHeld(context.Context, *envelope.Envelope) (*queue.Submission, error) {
	return nil, errors.New("no room in the queue")
}

// A report for a web server and an address is posted again each hour while the queue takes no mail.
func TestAReportIsPostedOnceWhileTheQueueIsFull(t *testing.T) {
	o := newOutside(t)
	o.set.SendTLS = true
	posted := 0
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { posted++ }))
	t.Cleanup(web.Close)
	o.zone.Set(t, `_smtp._tls.far.test. TXT "v=TLSRPTv1;rua=`+web.URL+`/take,mailto:tls@far.test"`)
	out := o.tlsOutbox(t)
	out.client = web.Client()
	out.Count(stsGood)
	o.at = begin.Add(25 * time.Hour)
	out.queue = noRoom{out.queue}
	for range 5 {
		out.sendAll(t.Context())
	}
	if posted > 1 {
		t.Errorf("posted %d times", posted)
	}
}
