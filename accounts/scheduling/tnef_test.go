package scheduling

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// winmail makes a winmail.dat of a class with the properties of an event.
func winmail(class, subject string, id []byte, start time.Time, recurring bool) []byte {
	le := binary.LittleEndian
	var props []byte
	n := uint32(0)
	named := func(kind uint16, set string, name uint32, value []byte) {
		n++
		guid, _ := hex.DecodeString(set)
		props = le.AppendUint16(le.AppendUint16(props, kind), 0x8000)
		props = le.AppendUint32(append(props, guid...), 0)
		props = append(le.AppendUint32(props, name), value...)
	}
	sized := func(v []byte) []byte {
		out := append(le.AppendUint32(le.AppendUint32(nil, 1), uint32(len(v))), v...)
		return append(out, make([]byte, padding(len(v)))...)
	}
	at := func(t time.Time) []byte { return le.AppendUint64(nil, uint64((t.Unix()+11_644_473_600)*10_000_000)) }
	var wide []byte
	for _, u := range utf16.Encode([]rune(subject + "\x00")) {
		wide = le.AppendUint16(wide, u)
	}
	n++
	props = append(le.AppendUint16(le.AppendUint16(props, 0x1F), propertySubject), sized(wide)...)
	named(0x1F, setAppointment, nameLocation, sized([]byte("R\x001\x00\x00\x00")))
	named(0x40, setAppointment, nameStart, at(start))
	named(0x40, setAppointment, nameEnd, at(start.Add(time.Hour)))
	named(0x03, setAppointment, nameSequence, []byte{2, 0, 0, 0})
	flag := []byte{0, 0, 0, 0}
	if recurring {
		flag[0] = 1
	}
	named(0x0B, setAppointment, nameRecurring, flag)
	named(0x102, setMeeting, nameIdentity, sized(id))
	props = append(le.AppendUint32(nil, n), props...)
	out := le.AppendUint16(le.AppendUint32(nil, tnefSignature), 1)
	attribute := func(id uint32, v []byte) {
		out = le.AppendUint32(le.AppendUint32(append(out, 1), id), uint32(len(v)))
		out = le.AppendUint16(append(out, v...), 0)
	}
	attribute(tnefClass, []byte(class+"\x00"))
	attribute(tnefProperties, props)
	return out
}

func TestInvitationInWinmail(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.room(map[string]dataValue{"BookedBy": str("Everybody")})
	start := time.Date(2030, 3, 10, 9, 0, 0, 0, time.UTC)
	send := func(class string, id []byte, recurring bool) {
		data := base64.StdEncoding.EncodeToString(winmail(class, "Встреча", id, start, recurring))
		o.receiveBody("joe@far.net", "room@company.com", proof, "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n--b\n"+
			"Content-Type: application/ms-tnef; name=\"winmail.dat\"\nContent-Transfer-Encoding: base64\n\n"+data+"\n--b--\n")
	}
	send("IPM.Microsoft Schedule.MtgReq", []byte{4, 0, 0xab}, false)
	o.wants("room", "0400AB", "SUMMARY:Встреча", "DTSTART:20300310T090000Z", "DTEND:20300310T100000Z", "LOCATION:R1", "SEQUENCE:2", "PARTSTAT=ACCEPTED")
	if len(o.away) != 1 || !strings.Contains(o.away[0], "method=REPLY") {
		t.Errorf("%q\n%s", o.away, o.log)
	}
	send("IPM.Schedule.Meeting.Canceled", []byte{4, 0, 0xab}, false)
	o.wants("room", "0400AB", "STATUS:CANCELLED")
	send("IPM.Schedule.Meeting.Request", []byte("xxxxvCal-Uid\x01\x00\x00\x00other-uid\x00"), false)
	o.wants("room", "other-uid", "SUMMARY:Встреча")
	send("IPM.Schedule.Meeting.Request", []byte("repeats"), true)
	send("IPM.Note", []byte("note"), false)
	if n := len(o.away); n != 2 {
		t.Errorf("%d answers: %q", n, o.away)
	}
	if n := o.messages("room", "INBOX"); n != 5 {
		t.Errorf("%d messages in INBOX", n)
	}
}

func FuzzTNEF(f *testing.F) {
	whole := winmail("IPM.Schedule.Meeting.Request", "x", []byte("id"), time.Unix(1_900_000_000, 0), false)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		text := calendarOfTNEF(data, "a@b.c", "d@e.f", time.Unix(0, 0))
		if text == nil {
			return
		}
		if _, err := parseObject(text); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	})
}
