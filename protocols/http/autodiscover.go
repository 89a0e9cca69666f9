package http

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gatepost/server/fault"
	"gatepost/server/settings"
)

// outlookSchema names the form of answers for mail programs in Microsoft's POX autodiscover protocol
// ([MS-OXDSCLI]).
const outlookSchema = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"

type discoverRequest struct {
	email, schema string
}

// discoverAnswer is the document for mail programs.
type discoverAnswer struct {
	XMLName  xml.Name         `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Response discoverResponse `xml:"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a Response"`
}

type discoverResponse struct {
	User    string             `xml:"User>DisplayName"`
	Type    string             `xml:"Account>AccountType"`
	Action  string             `xml:"Account>Action"`
	Service []discoverProtocol `xml:"Account>Protocol"`
}

type discoverProtocol struct {
	Type           string
	Server         string
	Port           int
	LoginName      string
	DomainRequired string
	SPA            string
	SSL            string
	Encryption     string
	AuthRequired   string
	UsePOPAuth     string `xml:",omitempty"`
	SMTPLast       string `xml:",omitempty"`
}

// discoverFailure is the document for a request that cannot be answered.
type discoverFailure struct {
	XMLName xml.Name      `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Error   discoverError `xml:"Response>Error"`
}

type discoverError struct {
	Time      string `xml:",attr"`
	ID        string `xml:"Id,attr"`
	ErrorCode int
	Message   string
	DebugData string
}

// The error codes of the protocol.
const (
	discoverInvalid     = 600
	discoverUnsupported = 601
	discoverNobody      = 500
)

func (a *autoconfig) microsoft(w http.ResponseWriter, r *http.Request) {
	q := Of(r.Context())
	// Programs ask in clear, with GET, where they may ask with TLS.
	if port := a.server.securePort(); r.Method == http.MethodGet && !q.Peer.TLS && port != 0 {
		host, err := a.server.accounts.PublicName(q.Domain)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		w.Header().Set("Location", "https://"+hostPort(host, port)+"/autodiscover/autodiscover.xml")
		w.WriteHeader(http.StatusFound)
		return
	}
	if r.Method == http.MethodGet {
		a.fail(w, r, discoverInvalid, "Invalid Request")
		return
	}
	body, err := q.Spool(r.Body)
	if err != nil {
		Refuse(w, r, err)
		return
	}
	defer body.Close()
	req, err := readDiscover(body)
	if err != nil || req.email == "" {
		a.fail(w, r, discoverInvalid, "Invalid Request")
		return
	}
	if req.schema != "" && !strings.EqualFold(req.schema, outlookSchema) {
		a.fail(w, r, discoverUnsupported, "Requested schema version not supported")
		return
	}
	_, host, err := a.host(q, req.email)
	switch {
	case fault.Is(err, fault.NoDomain):
		a.fail(w, r, discoverNobody, "The email address can't be found.")
		return
	case fault.Is(err, fault.Invalid):
		a.fail(w, r, discoverInvalid, "Invalid Request")
		return
	case err != nil:
		Refuse(w, r, err)
		return
	}
	answer := discoverAnswer{Response: discoverResponse{User: req.email, Type: "email", Action: "settings"}}
	seen := map[string]bool{}
	for _, m := range a.usable(q) {
		if seen[m.Protocol] {
			continue // of each protocol the best
		}
		seen[m.Protocol] = true
		p := discoverProtocol{
			Type: strings.ToUpper(m.Protocol), Server: host, Port: m.Port, LoginName: req.email,
			DomainRequired: "off", SPA: "off", SSL: "on", Encryption: "SSL", AuthRequired: "on",
		}
		if m.TLS == settings.TLSStart {
			p.Encryption = "TLS"
		}
		if m.Protocol == "smtp" {
			p.UsePOPAuth, p.SMTPLast = "off", "off"
		}
		answer.Response.Service = append(answer.Response.Service, p)
	}
	writeXML(w, r, answer)
}

// fail answers with a failure in the protocol's own form, which goes with status 200.
func (a *autoconfig) fail(w http.ResponseWriter, r *http.Request, code int, message string) {
	writeXML(w, r, discoverFailure{Error: discoverError{
		Time: time.Now().UTC().Format("15:04:05.0000000"), ID: "1", ErrorCode: code, Message: message,
	}})
}

// maxElements bounds a request, which has five.
const maxElements = 50

// readDiscover reads a request. Package encoding/xml knows no entities but the five of XML and fetches
// nothing; elements that we do not know are skipped.
func readDiscover(from io.Reader) (discoverRequest, error) {
	var req discoverRequest
	d := xml.NewDecoder(from)
	var path []string
	for elements := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return req, nil
		}
		if err != nil {
			return req, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if elements++; elements > maxElements {
				return req, fmt.Errorf("more than %d elements", maxElements)
			}
			path = append(path, t.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			switch strings.Join(path, "/") {
			case "Autodiscover/Request/EMailAddress":
				req.email += strings.TrimSpace(string(t))
			case "Autodiscover/Request/AcceptableResponseSchema":
				req.schema += strings.TrimSpace(string(t))
			}
		}
	}
}
