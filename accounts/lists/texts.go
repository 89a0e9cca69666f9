package lists

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"mime"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// tagNotice marks messages that lists write themselves.
const tagNotice = "LISTNOTICE"

// textKind is one of the texts that lists send.
type textKind uint8

const (
	textConfirm textKind = iota
	textConfirmLeave
	textPolicy
	textBye
	textWarning
	textAdmit
	textApprove
	textRejectedPosting
	textRejectedRequest
	textBounced
	textHelp
	textLink
	textDigestSubject
	textDigestHeader
	textTOCLine
	textDigestTrailer
)

// stock are the texts where a list has none of its own: subject and text by language.
var stock = map[string]map[textKind][2]string{
	"en": {
		textConfirm: {"Please confirm your subscription to ^N (^K)", "Somebody, perhaps you, has asked that\n\n    ^M\n\nis subscribed to the mailing list ^A, in the mode \"^T\".\n\n" +
			"If you want that, reply to this message. The reply goes to\n\n    ^C\n^P\nIf you do not want it, do nothing. You will not be asked again soon.\n"},
		textConfirmLeave: {"Please confirm that you leave ^N (^K)", "Somebody, perhaps you, has asked that\n\n    ^M\n\ngets no more mail from the mailing list ^A.\n\n" +
			"If you want that, reply to this message. The reply goes to\n\n    ^C\n^P\nIf you do not want it, do nothing.\n"},
		textPolicy: {"Welcome to ^N", "You are subscribed to the mailing list ^A.\n\nYour address: ^M\nYour mode: ^T\n\n" +
			"To write to the list, send mail to ^A.\nTo leave the list, send mail to ^U.\nTo reach its owner, send mail to ^O.\n"},
		textBye: {"You have left ^N", "The address ^M is not subscribed to the mailing list ^A any more.\n\nTo come back, send mail to ^S.\n"},
		textWarning: {"Mail from ^N does not reach you", "Mail from the mailing list ^A to your address\n\n    ^M\n\ncame back. You get no postings for now.\n\n" +
			"To get them again at once, reply to this message. The reply goes to\n\n    ^C\n^P"},
		textAdmit: {"^N: a subscription waits for you (^K)", "^X asks to be subscribed to ^A, in the mode \"^T\".\n\n" +
			"To accept, reply to this message, or send mail to\n    ^C\nTo reject, send mail to\n    ^J\n"},
		textApprove: {"^N: a posting waits for you: ^X (^K)", "This message was sent to ^A and waits for you.\n\n" +
			"To send it to the list, reply to this message, or send mail to\n    ^C\nTo reject it, send mail to\n    ^J\n"},
		textRejectedPosting: {"Your posting to ^N was rejected", "The owner of the mailing list ^A has rejected your posting \"^X\".\n^R"},
		textRejectedRequest: {"Your subscription to ^N was rejected", "The owner of the mailing list ^A has rejected your subscription.\n^R"},
		textBounced:         {"^N: a subscription has ended", "Mail to ^X came back. The address is not subscribed to ^A any more.\n"},
		textHelp: {"Help for ^N", "The mailing list ^A.\n\nPostings: ^A\nTo subscribe: ^S\nTo leave: ^U\nTo get digests: ^E-digest@^D\nTo get tables of contents: ^E-index@^D\n" +
			"To get each posting: ^E-feed@^D\nThe owner: ^O\n"},
		textLink: {"Your link to ^N", "Somebody, perhaps you, has asked for the link of\n\n    ^M\n\nto the pages of the mailing list ^A:\n^P\n" +
			"On that page you choose what you get, and open the archive. The link is yours alone: whoever has it can end your subscription.\n"},
		textDigestSubject: {"^N digest ^#", ""},
		textDigestHeader:  {"", "Digest ^# of the mailing list ^A\n\nIn this digest:\n"},
		textTOCLine:       {"", "^I. ^X (^F)"},
		textDigestTrailer: {"", "End of digest ^# of ^A.\nTo leave the list, send mail to ^U.\n"},
	},
	"ru": {
		textConfirm: {"Подтвердите подписку на ^N (^K)", "Кто-то, возможно вы, просит подписать адрес\n\n    ^M\n\nна список рассылки ^A в режиме \"^T\".\n\n" +
			"Если вы этого хотите, ответьте на это письмо. Ответ придёт на адрес\n\n    ^C\n^P\nЕсли не хотите, не делайте ничего. Повторного вопроса скоро не будет.\n"},
		textConfirmLeave: {"Подтвердите отказ от ^N (^K)", "Кто-то, возможно вы, просит, чтобы адрес\n\n    ^M\n\nбольше не получал писем списка рассылки ^A.\n\n" +
			"Если вы этого хотите, ответьте на это письмо. Ответ придёт на адрес\n\n    ^C\n^P\nЕсли не хотите, не делайте ничего.\n"},
		textPolicy: {"Добро пожаловать в ^N", "Вы подписаны на список рассылки ^A.\n\nВаш адрес: ^M\nВаш режим: ^T\n\n" +
			"Чтобы написать в список, пишите на ^A.\nЧтобы отписаться, напишите на ^U.\nВладелец списка: ^O.\n"},
		textBye: {"Вы отписаны от ^N", "Адрес ^M больше не подписан на список рассылки ^A.\n\nЧтобы вернуться, напишите на ^S.\n"},
		textWarning: {"Письма ^N до вас не доходят", "Письма списка рассылки ^A на ваш адрес\n\n    ^M\n\nвернулись. Пока вы их не получаете.\n\n" +
			"Чтобы получать их снова, ответьте на это письмо. Ответ придёт на адрес\n\n    ^C\n^P"},
		textAdmit: {"^N: подписка ждёт вашего решения (^K)", "^X просит подписать его на ^A в режиме \"^T\".\n\n" +
			"Чтобы согласиться, ответьте на это письмо или напишите на\n    ^C\nЧтобы отказать, напишите на\n    ^J\n"},
		textApprove: {"^N: письмо ждёт вашего решения: ^X (^K)", "Это письмо послано в ^A и ждёт вашего решения.\n\n" +
			"Чтобы разослать его, ответьте на это письмо или напишите на\n    ^C\nЧтобы отклонить его, напишите на\n    ^J\n"},
		textRejectedPosting: {"Ваше письмо в ^N отклонено", "Владелец списка рассылки ^A отклонил ваше письмо \"^X\".\n^R"},
		textRejectedRequest: {"Ваша подписка на ^N отклонена", "Владелец списка рассылки ^A отклонил вашу подписку.\n^R"},
		textBounced:         {"^N: подписка закончилась", "Письма на ^X возвращаются. Этот адрес больше не подписан на ^A.\n"},
		textHelp: {"Справка о ^N", "Список рассылки ^A.\n\nПисьма в список: ^A\nПодписаться: ^S\nОтписаться: ^U\nПолучать дайджесты: ^E-digest@^D\nПолучать оглавления: ^E-index@^D\n" +
			"Получать каждое письмо: ^E-feed@^D\nВладелец: ^O\n"},
		textLink: {"Ваша ссылка на ^N", "Кто-то, возможно вы, просит ссылку для адреса\n\n    ^M\n\nна страницы списка рассылки ^A:\n^P\n" +
			"Там можно выбрать, что вы получаете, и открыть архив. Ссылка только ваша: кто её знает, может закончить вашу подписку.\n"},
		textDigestSubject: {"^N: дайджест ^#", ""},
		textDigestHeader:  {"", "Дайджест ^# списка рассылки ^A\n\nВ этом дайджесте:\n"},
		textTOCLine:       {"", "^I. ^X (^F)"},
		textDigestTrailer: {"", "Конец дайджеста ^# списка ^A.\nЧтобы отписаться, напишите на ^U.\n"},
	},
}

// texts returns subject and text of a kind, as the list has them.
func texts(l *accounts.MailingList, kind textKind) (subject, text string) {
	set := l.Settings()
	byLanguage := stock[set.Language]
	if byLanguage == nil {
		byLanguage = stock["en"]
	}
	subject, text = byLanguage[kind][0], byLanguage[kind][1]
	own := func(s, t string) {
		if s != "" {
			subject = s
		}
		if t != "" {
			text = t
		}
	}
	switch kind {
	case textConfirm:
		own(set.ConfirmationSubject, set.ConfirmationText)
	case textPolicy:
		own(set.PolicySubject, set.PolicyText)
	case textBye:
		own(set.ByeSubject, set.ByeText)
	case textWarning:
		own(set.WarningSubject, set.WarningText)
	case textDigestSubject:
		own(set.DigestSubject, "")
	case textDigestHeader:
		own("", set.DigestHeader)
	case textTOCLine:
		own("", set.TOCLine)
	case textDigestTrailer:
		own("", set.DigestTrailer)
	}
	return subject, text
}

// symbols are the values of ^-symbols beyond those of the list itself.
type symbols map[byte]string

// expand puts values into the place of ^-symbols. A symbol that is not known stays as it is, and ^^ is one ^. Values are on one
// line, but for ^P and ^R, and have no symbols themselves.
func expand(l *accounts.MailingList, text string, more symbols) string {
	if !strings.Contains(text, "^") {
		return text
	}
	own := func(c byte) (string, bool) {
		switch c {
		case '^':
			return "^", true
		case 'N':
			if name := l.Settings().RealName; name != "" {
				return name, true
			}
			return l.Name, true
		case 'E':
			return l.Name, true
		case 'D':
			return l.Domain, true
		case 'A':
			return l.Address().String(), true
		case 'S':
			return l.Service("on").String(), true
		case 'U':
			return l.Service("off").String(), true
		case 'O':
			return l.Service("admin").String(), true
		}
		v, ok := more[c]
		return v, ok
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '^' && i+1 < len(text) {
			if v, ok := own(text[i+1]); ok {
				out.WriteString(v)
				i++
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// notice is a message that a list writes to one person.
type notice struct {
	to     string
	text   textKind
	token  string // of the question that the person may answer
	secret string
	mode   subscribers.Mode
	name   string
	about  string // whom or what it is about: ^X
	reason string
	// approval says that the question is one for the owner.
	approval bool
}

// confirmAddress is the address that answers a question.
func confirmAddress(l *accounts.MailingList, token string) address.Address {
	a := l.Service("confirm")
	a.Local += "+" + token
	return a
}

// rejectMark stands before the token in the address that rejects.
const rejectMark = "reject-"

// symbols are the values of the notice's symbols.
func (m *Manager) symbols(l *accounts.MailingList, n *notice) symbols {
	s := symbols{'M': oneLine(n.to), 'T': n.mode.String(), 'X': oneLine(n.about), 'P': "", 'R': "", 'K': "", 'C': "", 'J': ""}
	if n.reason != "" {
		s['R'] = "\n" + strings.ReplaceAll(strings.ToValidUTF8(n.reason, "?"), "\r\n", "\n") + "\n"
	}
	if n.secret != "" && n.text == textLink {
		s['P'] = "\n    " + m.page(l, "/options/"+n.secret) + "\n"
	}
	if n.token != "" {
		s['K'] = n.token
		s['C'] = confirmAddress(l, n.token).String()
		s['J'] = confirmAddress(l, rejectMark+n.token).String()
		if page := m.page(l, "/confirm/"+n.token); page != "" && !n.approval {
			s['P'] = "\n    " + page + "\n"
		}
	}
	return s
}

// notify sends a notice. Its return-path is empty: nobody is told when it cannot be delivered, and no program answers it.
func (m *Manager) notify(ctx context.Context, l *accounts.MailingList, n notice) error {
	to, err := address.Parse(n.to)
	if err != nil {
		return err
	}
	subject, text := texts(l, n.text)
	values := m.symbols(l, &n)
	subject, text = oneLine(expand(l, subject, values)), expand(l, text, values)
	env := &envelope.Envelope{
		Source:     envelope.Source{Tag: tagNotice, Domain: l.Domain, Trusted: true},
		Recipients: []envelope.Recipient{{Address: to, Notify: envelope.NotifyNever}},
		SMTPUTF8:   to.NeedsUTF8(),
	}
	sub, err := m.o.Queue.Begin(ctx, env)
	if err != nil {
		return err
	}
	defer sub.Abort()
	sub.Unattended()
	var b bytes.Buffer
	m.noticeHeader(&b, l, sub.ID(), to.String(), subject)
	if n.token != "" {
		b.WriteString("Reply-To: <" + confirmAddress(l, n.token).String() + ">\r\n")
	}
	b.WriteString("MIME-Version: 1.0\r\n")
	writeText(&b, text)
	if _, err := sub.Write(b.Bytes()); err != nil {
		return err
	}
	return sub.Commit(ctx)
}

// noticeHeader writes the fields that messages have which a list writes itself.
func (m *Manager) noticeHeader(w io.Writer, l *accounts.MailingList, id envelope.QueueID, to, subject string) {
	io.WriteString(w, "From: "+namedAddress(l)+"\r\nTo: <"+to+">\r\nSubject: "+encodeWords(subject)+"\r\nDate: "+time.Now().Format(time.RFC1123Z)+
		"\r\nMessage-ID: <list-"+id.String()+"@"+l.Domain+">\r\nAuto-Submitted: auto-generated\r\nPrecedence: list\r\n"+listID(l))
}

// namedAddress is the address of the list's owner service, with the name of the list.
func namedAddress(l *accounts.MailingList) string {
	return phrase(l.Settings().RealName) + "<" + l.Service("admin").String() + ">"
}

// phrase is a display name with the space behind it, or nothing.
func phrase(name string) string {
	name = oneLine(name)
	if name == "" || len(name) > maxName {
		return ""
	}
	if quoted, ok := quotePhrase(name); ok {
		return quoted + " "
	}
	return encodeWords(name) + " "
}

// encodeWords returns a text for a header field, as encoded-words on lines of their own if it is not ASCII (RFC 2047).
func encodeWords(text string) string {
	encoded := mime.BEncoding.Encode("utf-8", text)
	return strings.ReplaceAll(encoded, "?= =?", "?=\r\n =?")
}

// listID is the field List-Id (RFC 2919), which ends in the address with a dot for the @.
func listID(l *accounts.MailingList) string {
	return "List-Id: " + phrase(l.Settings().RealName) + "<" + l.Name + "." + l.Domain + ">\r\n"
}

// writeText writes a text with its Content fields, the empty line and the body, as text/plain.
func writeText(b *bytes.Buffer, text string) {
	text = crlf(text)
	if plain(text) {
		b.WriteString("Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text)
		return
	}
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	all := base64.StdEncoding.EncodeToString([]byte(text))
	for len(all) > 76 {
		b.WriteString(all[:76] + "\r\n")
		all = all[76:]
	}
	b.WriteString(all + "\r\n")
}

// crlf gives a text the line ends of messages; it ends with one.
func crlf(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// plain reports whether a text is ASCII in lines that may be sent as they are.
func plain(text string) bool {
	line := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
		if line++; text[i] == '\n' {
			line = 0
		}
		if line > 900 {
			return false
		}
	}
	return true
}
