package server

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	gate "gatepost/protocols/http"
	"gatepost/server/admin"
	"gatepost/server/certificates"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// The methods of this file are what monitors need of the server (admin.Monitors), and what monitoring programs ask by HTTP.

// maxConnections bounds the list of connections of a module.
const maxConnections = 500

// Connections lists the open connections by module, the oldest first.
func (s *Server) Connections(context.Context) (dataformat.Array, error) {
	list := dataformat.Array{}
	for _, w := range s.wires() {
		for _, c := range w.Connections(maxConnections) {
			list = append(list, dataformat.Dict{
				"module": dataformat.String(w.module), "number": dataformat.String(strconv.FormatUint(c.Number, 10)), "address": dataformat.String(c.Remote.String()),
				"kind": dataformat.String(c.Kind), "since": dataformat.Time{T: c.Accepted}, "idle": dataformat.Number(c.Idle / time.Second),
			})
		}
	}
	return list, nil
}

// EndConnection ends one.
func (s *Server) EndConnection(_ context.Context, module string, number uint64) error {
	for _, w := range s.wires() {
		if strings.EqualFold(w.module, module) && w.End(number, "closed by the administrator") {
			return nil
		}
	}
	return fault.New("server.EndConnection", fault.NotFound, "there is no such connection any more")
}

// Polls lists remote accounts that are polled.
func (s *Server) Polls(context.Context) (dataformat.Array, error) {
	return s.poller.All(maxConnections), nil
}

// maxCertificates bounds the certificates that are listed.
const maxCertificates = 1000

// Certificates lists those that clients are shown: the server's, then those of domains.
func (s *Server) Certificates(ctx context.Context) (dataformat.Array, error) {
	d := admin.DescribeCertificate(s.cert.Load())
	d["file"] = dataformat.String("Certificates/" + certificateFile)
	list := dataformat.Array{d}
	names, err := s.accounts.Domains(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		kind, own := s.accounts.Certificate(name)
		if kind == accounts.ACMECertificate {
			own = s.acmeCertificate(name, "")
		}
		if own != nil && len(list) < maxCertificates {
			d := admin.DescribeCertificate(own)
			d["domain"] = dataformat.String(name)
			list = append(list, d)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ImportCertificate puts another certificate and its key into the place of the server's, and in force for new connections.
func (s *Server) ImportCertificate(_ context.Context, chain, key string) error {
	p, err := certificates.FromPEM(chain, key)
	if err != nil {
		return err
	}
	cert, err := p.TLS()
	if err != nil {
		return err
	}
	if err := certificates.Valid(cert.Leaf, time.Now()); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.replaceCertificate(certificates.EncodeCertificates(cert.Certificate...), certificates.EncodeKey(p.Key)); err != nil {
		return fault.Wrap("server.ImportCertificate", fault.Internal, err)
	}
	return s.reloadCertificate()
}

// monitors mounts what monitoring programs ask on HTTPA.
func (s *Server) monitors(h *gate.Server) error {
	for _, m := range []struct {
		pattern string
		answer  http.HandlerFunc
	}{{"/metrics", s.showMetrics}, {"/health", s.showHealth}, {"/ready", s.showReady}, {"/debug/pprof/", s.showProfile}} {
		if err := h.Mount(m.pattern, gate.Options{}, m.answer); err != nil {
			return err
		}
	}
	return nil
}

// showMetrics answers with all metrics, for a named address or an administrator with the right Monitor who logs in with
// Basic authentication.
func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) {
	q := gate.Of(r.Context())
	w.Header().Set("Cache-Control", "no-store")
	if !s.monitoring.settings.Get().Addresses.Contains(q.Peer.IP) {
		if err := s.monitorLogin(r, q, accounts.RightMonitor); err != nil {
			refuseMonitor(w, r, "metrics", err)
			return
		}
	}
	w.Header().Set("Content-Type", counters.ContentType)
	// A client that is gone does not miss them.
	_, _ = w.Write(s.monitoring.counters.Expose())
}

// refuseMonitor asks for a login, or says why there is no answer.
func refuseMonitor(w http.ResponseWriter, r *http.Request, realm string, err error) {
	if fault.Is(err, fault.AuthRequired) || fault.Is(err, fault.BadCredentials) {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+realm+`", charset="UTF-8"`)
	}
	gate.Refuse(w, r, err)
}

// monitorLogin lets in an administrator with a right of the server, or with all.
func (s *Server) monitorLogin(r *http.Request, q *gate.Request, right string) error {
	const op = "server.Monitor"
	name, password, ok := r.BasicAuth()
	if !ok {
		return fault.New(op, fault.AuthRequired, "")
	}
	a, err := q.Login(r.Context(), name, password)
	if err != nil {
		return err
	}
	rights, err := s.accounts.RightsOf(a)
	if err != nil {
		return err
	}
	if !rights.Server(right) && !rights.Server(accounts.RightMaster) {
		return fault.New(op, fault.Denied, "The account has no right to see this: it needs "+right+".")
	}
	return nil
}

// showHealth answers that the process answers.
func (s *Server) showHealth(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") }

// showReady answers whether the server takes mail: all listeners accept, it does not stop, and the disk has room.
func (s *Server) showReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case !isClosed(s.ready):
		plain(w, http.StatusServiceUnavailable, "starting")
	case isClosed(s.stop):
		plain(w, http.StatusServiceUnavailable, "stopping")
	case s.diskNow().err == nil && s.diskNow().free < minFree:
		plain(w, http.StatusServiceUnavailable, "the disk is full")
	default:
		plain(w, http.StatusOK, "ready")
	}
}

// minFree is how much of the disk must be free for mail.
const minFree = 16 << 20

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone does not miss it.
	_, _ = io.WriteString(w, text+"\n")
}
