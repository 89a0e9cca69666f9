package autoconfig

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	gate "gatepost/protocols/http"
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

func (p *Pages) microsoft(w http.ResponseWriter, r *http.Request) {
	q := gate.Of(r.Context())
	// Programs ask in clear, with GET, where they may ask with TLS.
	if port := p.o.Port(); r.Method == http.MethodGet && !q.Peer.TLS && port != 0 {
		host, err := p.o.Accounts.PublicName(q.Domain)
		if err != nil {
			gate.Refuse(w, r, err)
			return
		}
		w.Header().Set("Location", "https://"+gate.HostPort(host, port)+"/autodiscover/autodiscover.xml")
		w.WriteHeader(http.StatusFound)
		return
	}
	if r.Method == http.MethodGet {
		p.fail(w, r, discoverInvalid, "Invalid Request")
		return
	}
	body, err := q.Spool(r.Body)
	if err != nil {
		gate.Refuse(w, r, err)
		return
	}
	defer body.Close()
	req, err := readDiscover(body)
	if err != nil || req.email == "" {
		p.fail(w, r, discoverInvalid, "Invalid Request")
		return
	}
	if req.schema != "" && !strings.EqualFold(req.schema, outlookSchema) {
		p.fail(w, r, discoverUnsupported, "Requested schema version not supported")
		return
	}
	o, err := p.offer(q, req.email)
	switch {
	case fault.Is(err, fault.NoDomain):
		p.fail(w, r, discoverNobody, "The email address can't be found.")
		return
	case fault.Is(err, fault.Invalid):
		p.fail(w, r, discoverInvalid, "Invalid Request")
		return
	case err != nil:
		gate.Refuse(w, r, err)
		return
	}
	answer := discoverAnswer{Response: discoverResponse{User: req.email, Type: "email", Action: "settings"}}
	seen := map[string]bool{}
	for _, m := range o.mail {
		if seen[m.Protocol] {
			continue // of each protocol the best
		}
		seen[m.Protocol] = true
		one := discoverProtocol{
			Type: strings.ToUpper(m.Protocol), Server: o.host, Port: m.Port, LoginName: req.email,
			DomainRequired: "off", SPA: "off", SSL: "on", Encryption: "SSL", AuthRequired: "on",
		}
		if m.TLS == settings.TLSStart {
			one.Encryption = "TLS"
		}
		if m.Protocol == "smtp" {
			one.UsePOPAuth, one.SMTPLast = "off", "off"
		}
		answer.Response.Service = append(answer.Response.Service, one)
	}
	writeXML(w, r, answer)
}

// fail answers with a failure in the protocol's own form, which goes with status 200.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, code int, message string) {
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

// The protocols that new mail programs of Microsoft ask for as JSON (autodiscover version 2). Of these there is the first, which
// leads to the document above.
var discoverProtocols = []string{"AutodiscoverV1", "ActiveSync", "Ews", "Rest", "Substrate", "SubstrateSearchService"}

type discoverURL struct {
	Protocol string
	URL      string `json:"Url"`
}

type discoverProblem struct {
	ErrorCode, ErrorMessage string
}

// microsoftJSON answers /autodiscover/autodiscover.json?Email=E&Protocol=P and /autodiscover/autodiscover.json/v1.0/E?Protocol=P.
func (p *Pages) microsoftJSON(w http.ResponseWriter, r *http.Request) {
	q := gate.Of(r.Context())
	email, protocol := "", ""
	for key, values := range r.URL.Query() {
		switch strings.ToLower(key) {
		case "email":
			email = values[0]
		case "protocol":
			protocol = values[0]
		}
	}
	if len(q.Path) == 2 && strings.EqualFold(q.Path[0], "v1.0") {
		email = q.Path[1]
	} else if len(q.Path) > 0 {
		gate.Refuse(w, r, fault.New("autoconfig.JSON", fault.NotFound, ""))
		return
	}
	o, err := p.offer(q, email)
	i := slices.IndexFunc(discoverProtocols, func(s string) bool { return strings.EqualFold(s, protocol) })
	switch {
	case protocol == "":
		writeJSON(w, r, http.StatusBadRequest, discoverProblem{"MandatoryParameterMissing", "A valid value must be provided for the query parameter 'Protocol'"})
	case email == "" || fault.Is(err, fault.Invalid):
		writeJSON(w, r, http.StatusBadRequest, discoverProblem{"InvalidUserId", "The given user is invalid"})
	case fault.Is(err, fault.NoDomain):
		writeJSON(w, r, http.StatusNotFound, discoverProblem{"UserNotFound", "The given user is not found"})
	case err != nil:
		gate.Refuse(w, r, err)
	case i < 0:
		writeJSON(w, r, http.StatusBadRequest, discoverProblem{"InvalidProtocol",
			"The given protocol value is invalid. Supported values are '" + strings.Join(discoverProtocols, ",") + "'"})
	case i > 0 || o.url == "":
		writeJSON(w, r, http.StatusNotFound, discoverProblem{"ProtocolNotSupported", "The server does not have the protocol " + discoverProtocols[i]})
	default:
		writeJSON(w, r, http.StatusOK, discoverURL{discoverProtocols[i], o.url + "/autodiscover/autodiscover.xml"})
	}
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		gate.Refuse(w, r, fault.Wrap("autoconfig.JSON", fault.Internal, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone does not miss it.
	_, _ = w.Write(append(text, '\n'))
}
