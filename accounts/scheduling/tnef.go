package scheduling

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf16"

	"gatepost/accounts/contentline"
	"gatepost/accounts/icalendar"
)

// Outlook puts an invitation into a winmail.dat (MS-OXTNEF) when it sends rich text to the Internet. What is read of it is what one event
// needs: class, identity, times, title and place (MS-OXOCAL). One that repeats is left to people.

// tnefSignature begins a winmail.dat.
const tnefSignature = 0x223E9F78

// The attributes of TNEF that are read.
const (
	tnefClass      = 0x00078008 // attMessageClass
	tnefProperties = 0x00069003 // attMsgProps
)

// maxProperties bounds the properties of a winmail.dat.
const maxProperties = 5000

// Property sets and names of MAPI.
const (
	setAppointment = "0220060000000000c000000000000046"
	setMeeting     = "90dad86e0b451b1098da00aa003f1305"

	nameSequence  = 0x8201
	nameLocation  = 0x8208
	nameStart     = 0x820D
	nameEnd       = 0x820E
	nameAllDay    = 0x8215
	nameRecurring = 0x8223
	nameIdentity  = 0x23 // PidLidCleanGlobalObjectId

	propertySubject = 0x0037
)

// mapi is what is read of the properties.
type mapi struct {
	class, subject, location, uid string
	start, end                    time.Time
	sequence                      uint32
	recurring                     bool
}

// methods of message classes, and the answers of those that are a REPLY.
var tnefMethods = map[string][2]string{
	"IPM.SCHEDULE.MEETING.REQUEST": {"REQUEST", ""}, "IPM.MICROSOFT SCHEDULE.MTGREQ": {"REQUEST", ""},
	"IPM.SCHEDULE.MEETING.CANCELED": {"CANCEL", ""}, "IPM.MICROSOFT SCHEDULE.MTGCNCL": {"CANCEL", ""},
	"IPM.SCHEDULE.MEETING.RESP.POS": {"REPLY", "ACCEPTED"}, "IPM.MICROSOFT SCHEDULE.MTGRESPP": {"REPLY", "ACCEPTED"},
	"IPM.SCHEDULE.MEETING.RESP.NEG": {"REPLY", "DECLINED"}, "IPM.MICROSOFT SCHEDULE.MTGRESPN": {"REPLY", "DECLINED"},
	"IPM.SCHEDULE.MEETING.RESP.TENT": {"REPLY", "TENTATIVE"}, "IPM.MICROSOFT SCHEDULE.MTGRESPA": {"REPLY", "TENTATIVE"},
}

// calendarOfTNEF makes the iTIP text of a winmail.dat that somebody has sent to an account; nil if it has none that is understood.
func calendarOfTNEF(data []byte, from, to string, sent time.Time) []byte {
	m, ok := readTNEF(data)
	method, known := tnefMethods[strings.ToUpper(strings.TrimRight(m.class, "\x00 "))]
	if !ok || !known || m.uid == "" || m.start.IsZero() || m.recurring || from == "" {
		return nil
	}
	at := func(t time.Time) string { return icalendar.Moment{Civil: t.Unix(), Kind: icalendar.UTC}.String() }
	organizer, attendee := from, to
	if method[0] == "REPLY" {
		organizer, attendee = to, from
	}
	status := method[1]
	if status == "" {
		status = needsAction
	}
	if m.end.Before(m.start) {
		m.end = m.start
	}
	event := &node{name: "VEVENT", lines: []line{
		newLine("UID", contentline.EscapeText(m.uid)), newLine("DTSTAMP", at(sent)), newLine("DTSTART", at(m.start)), newLine("DTEND", at(m.end)),
		newLine("SUMMARY", contentline.EscapeText(oneLine(m.subject))), newLine("LOCATION", contentline.EscapeText(oneLine(m.location))),
		newLine("SEQUENCE", icalendarNumber(m.sequence)), newLine("ORGANIZER", "mailto:"+organizer), newLine("ATTENDEE", "mailto:"+attendee, "PARTSTAT", status),
	}}
	root := &node{name: "VCALENDAR", lines: []line{newLine("VERSION", "2.0"), newLine("PRODID", product), newLine("METHOD", method[0])}, inner: []*node{event}}
	return root.append(nil)
}

func icalendarNumber(n uint32) string {
	b := []byte{}
	for {
		b = append([]byte{byte('0' + n%10)}, b...)
		if n /= 10; n == 0 {
			return string(b)
		}
	}
}

// reader takes values from bytes; short says that there were too few.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.short, r.b = true, nil
		return make([]byte, max(0, min(n, 16)))
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

// readTNEF reads the class and the properties. What stands behind them may be missing.
func readTNEF(data []byte) (m mapi, ok bool) {
	r := reader{b: data}
	if r.u32() != tnefSignature {
		return m, false
	}
	r.u16()
	for len(r.b) > 0 && !r.short {
		r.take(1)
		id, size := r.u32(), int(r.u32())
		value := r.take(size)
		r.u16()
		if r.short {
			break
		}
		switch id {
		case tnefClass:
			m.class = string(value)
		case tnefProperties:
			m.read(value)
		}
	}
	return m, m.class != ""
}

// read reads a list of properties (MS-OXTNEF section 2.1.3.4). It ends where it does not understand a type.
func (m *mapi) read(data []byte) {
	r := reader{b: data}
	for n := min(r.u32(), maxProperties); n > 0 && !r.short; n-- {
		kind, id := r.u16(), r.u16()
		set, name := "", uint32(id)
		if id >= 0x8000 {
			set = hex.EncodeToString(r.take(16))
			if r.u32() == 0 {
				name = r.u32()
			} else {
				size := int(r.u32())
				r.take(size + padding(size))
				name = 0
			}
		}
		count := uint32(1)
		various := kind&0x1000 != 0
		kind &^= 0x1000
		if various || kind == 0x1E || kind == 0x1F || kind == 0x0D || kind == 0x102 {
			count = r.u32()
		}
		for ; count > 0 && !r.short; count-- {
			value, ok := r.value(kind)
			if !ok {
				return
			}
			if !various {
				m.set(kind, set, name, value)
			}
		}
	}
}

func padding(n int) int { return (4 - n&3) & 3 }

// value takes a value of a type.
func (r *reader) value(kind uint16) ([]byte, bool) {
	switch kind {
	case 0x02, 0x03, 0x04, 0x0A, 0x0B:
		return r.take(4), true
	case 0x05, 0x06, 0x07, 0x14, 0x40:
		return r.take(8), true
	case 0x48:
		return r.take(16), true
	case 0x0D, 0x1E, 0x1F, 0x102:
		size := int(r.u32())
		v := r.take(size)
		r.take(padding(size))
		return v, true
	}
	return nil, false
}

// set keeps a property that is asked for.
func (m *mapi) set(kind uint16, set string, name uint32, value []byte) {
	text := func() string {
		if kind == 0x1F {
			units := make([]uint16, len(value)/2)
			for i := range units {
				units[i] = binary.LittleEndian.Uint16(value[2*i:])
			}
			return strings.TrimRight(string(utf16.Decode(units)), "\x00")
		}
		return strings.ToValidUTF8(string(bytes.TrimRight(value, "\x00")), "?")
	}
	instant := func() time.Time {
		ticks := int64(binary.LittleEndian.Uint64(value)) // of 100 ns since 1601
		return time.Unix(ticks/10_000_000-11_644_473_600, 0).UTC()
	}
	isText := kind == 0x1E || kind == 0x1F
	switch {
	case set == "" && name == propertySubject && isText:
		m.subject = text()
	case set == setAppointment && name == nameLocation && isText:
		m.location = text()
	case set == setAppointment && name == nameStart && kind == 0x40:
		m.start = instant()
	case set == setAppointment && name == nameEnd && kind == 0x40:
		m.end = instant()
	case set == setAppointment && name == nameSequence && kind == 0x03:
		m.sequence = binary.LittleEndian.Uint32(value) & 0xffff
	case set == setAppointment && (name == nameRecurring || name == nameAllDay) && kind == 0x0B:
		m.recurring = m.recurring || value[0] != 0 // days of an unknown zone are left to people as well
	case set == setMeeting && name == nameIdentity && kind == 0x102:
		m.uid = identity(value)
	}
}

// identity is the UID of a global object ID (MS-OXCICAL section 2.1.3.1.1.20.26): that of another program, which it holds, or itself in
// hexadecimal digits.
func identity(id []byte) string {
	if at := bytes.Index(id, []byte("vCal-Uid\x01\x00\x00\x00")); at >= 0 {
		return strings.ToValidUTF8(string(bytes.TrimRight(id[at+12:], "\x00")), "?")
	}
	if len(id) > 500 {
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(id))
}
