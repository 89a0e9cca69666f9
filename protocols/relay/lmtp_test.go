package relay

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/server/dataformat"
)

func TestLMTPHosts(t *testing.T) {
	for text, want := range map[string]Host{
		"lmtp:/run/lmtp":     {Name: "/run/lmtp", LMTP: true},
		"lmtp:mx.test":       {Name: "mx.test", LMTP: true},
		"LMTP:mx.test:2424":  {Name: "mx.test", Port: 2424, LMTP: true},
		"lmtp:[2001:db8::1]": {Name: "2001:db8::1", LMTP: true},
		"mx.test:25":         {Name: "mx.test", Port: 25},
	} {
		h, err := ParseHost(text)
		if err != nil || h != want {
			t.Errorf("%s: %+v %v", text, h, err)
		}
		if again, err := ParseHost(h.String()); err != nil || again != h {
			t.Errorf("%s: %s %v", text, h, err)
		}
	}
	if _, err := ParseHost("/run/lmtp"); err == nil {
		t.Error("a socket without LMTP")
	}
}

// A server that speaks LMTP has an answer for each recipient, over TCP and over a socket.
func TestLMTP(t *testing.T) {
	for way, address := range map[string]string{"lmtp:mx.test": "tcp 192.0.2.25:24", "lmtp:/run/lmtp": "unix /run/lmtp",
		"gateway lmtp:mx.test": "tcp 192.0.2.25:24", "gateway lmtp:/run/lmtp": "unix /run/lmtp"} {
		synctest.Test(t, func(t *testing.T) {
			host, gateway := strings.CutPrefix(way, "gateway ")
			set := dataformat.Dict{"SmartHost": dataformat.String(host), "ChannelsPerHost": dataformat.String("1")}
			if gateway {
				set["SmartHost"] = dataformat.String("")
			}
			s := newStation(t, set)
			defer s.stop()
			if gateway {
				tls := "" // a socket needs none
				if strings.Contains(host, "mx") {
					tls = "TLS=Never;"
				}
				s.configure(t, "ChannelsPerHost=1;", `store={Host="`+host+`";Default=YES;`+tls+`};`)
			}
			var dialed []string
			s.transport.dialer.dial = func(_ context.Context, network, address string) (net.Conn, error) {
				dialed = append(dialed, network+" "+address)
				near, far := net.Pipe()
				go lmtpServer(far)
				return near, nil
			}
			s.hold(func() {
				s.send(mailText, nil, "a@far.org", "none@far.org", "full@far.org", "b@far.org")
				s.send(mailText, nil, "none@far.org")
				s.send(mailText, nil, "c@far.org")
			})
			name := strings.TrimPrefix(host, "lmtp:")
			s.want("SMTP(far.org) failed: recipient rejected by "+name+": 550 5.1.1 unknown none@far.org 5.1.1",
				"SMTP(far.org) relayed: relayed via "+name+" a@far.org 2.0.0",
				"SMTP(far.org) delayed: message text rejected by "+name+": 452 4.2.2 full full@far.org 4.2.2",
				"SMTP(far.org) relayed: relayed via "+name+" b@far.org 2.0.0",
				"SMTP(far.org) failed: recipient rejected by "+name+": 550 5.1.1 unknown none@far.org 5.1.1",
				"SMTP(far.org) relayed: relayed via "+name+" c@far.org 2.0.0")
			if len(dialed) != 1 || dialed[0] != address {
				t.Errorf("dialed %q", dialed)
			}
		})
	}
}

func TestGatewayAtASocketIsTested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		s.configure(t, "", `store={Host="lmtp:/run/lmtp";};`)
		s.transport.dialer.dial = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go lmtpServer(far)
			return near, nil
		}
		for to, want := range map[string]string{"a@far.org": "connect success!", "full@far.org": "the server refused the message: 452 4.2.2 full"} {
			steps, ok, err := s.transport.TestGateway(t.Context(), "store", to)
			if err != nil || ok != (to == "a@far.org") || steps[0] != "connected to the socket /run/lmtp" || steps[len(steps)-1] != want {
				t.Errorf("%q %v %v", steps, ok, err)
			}
		}
	})
}

// lmtpServer takes mail for all but none, and refuses that for full at the end.
func lmtpServer(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("220 LMTP")
	var rcpts []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "LHLO":
			say("250-mx.test\r\n250 PIPELINING")
		case "RCPT":
			if strings.Contains(arg, "none@") {
				say("550 5.1.1 unknown")
				break
			}
			rcpts = append(rcpts, arg)
			say("250 ok")
		case "DATA":
			if len(rcpts) == 0 {
				say("503 5.5.1 no recipients")
				break
			}
			say("354 go")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			for _, rcpt := range rcpts {
				if strings.Contains(rcpt, "full@") {
					say("452 4.2.2 full")
				} else {
					say("250 2.0.0 stored")
				}
			}
			rcpts = nil
		case "EHLO":
			say("500 5.5.1 what")
		default:
			say("250 ok")
		}
	}
}
