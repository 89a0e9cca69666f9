package scheduling

import (
	"strings"

	"gatepost/accounts"
)

// words are the texts of mail in one language. Subjects have the title of the event in the place of %s.
type words struct {
	invitation, updated, cancelled, answer string
	subjects                               map[string]string // of a REPLY, by PARTSTAT
	accepts, declines, tentative, answers  string
	delegates                              string
	noTitle                                string
	what, when, where, who, repeats, note  string
	attendees                              string
	invites, changes, cancels, asks        string
}

var wordsOf = map[string]*words{
	"en": {
		invitation: "Invitation: %s", updated: "Changed: %s", cancelled: "Cancelled: %s", answer: "Answer: %s",
		subjects: map[string]string{"ACCEPTED": "Accepted: %s", "DECLINED": "Declined: %s", "TENTATIVE": "Tentative: %s", "DELEGATED": "Delegated: %s"},
		accepts:  "%s accepts the invitation.", declines: "%s declines the invitation.", tentative: "%s perhaps takes part.", delegates: "%s sends somebody else.",
		answers: "%s answers the invitation.", noTitle: "(no title)", what: "What", when: "When", where: "Where", who: "Organizer", repeats: "The event repeats.", note: "Note", attendees: "Attendees",
		invites: "%s invites you.", changes: "%s has changed an event to which you are invited.", cancels: "%s has cancelled an event, or takes you out of it.", asks: "%s asks for the event once more.",
	},
	"ru": {
		invitation: "Приглашение: %s", updated: "Изменено: %s", cancelled: "Отменено: %s", answer: "Ответ: %s",
		subjects: map[string]string{"ACCEPTED": "Принято: %s", "DECLINED": "Отклонено: %s", "TENTATIVE": "Под вопросом: %s", "DELEGATED": "Поручено другому: %s"},
		accepts:  "%s принимает приглашение.", declines: "%s отклоняет приглашение.", tentative: "%s, возможно, примет участие.", delegates: "%s поручает участие другому.",
		answers: "%s отвечает на приглашение.", noTitle: "(без названия)", what: "Что", when: "Когда", where: "Где", who: "Организатор", repeats: "Событие повторяется.", note: "Примечание", attendees: "Участники",
		invites: "%s приглашает вас.", changes: "%s изменил событие, на которое вы приглашены.", cancels: "%s отменил событие или исключил вас из числа участников.", asks: "%s просит прислать событие ещё раз.",
	},
}

// wordsFor returns the words in the language of an account.
func wordsFor(a *accounts.Account) *words {
	switch l := strings.ToLower(a.Preference("Language")); {
	case strings.HasPrefix(l, "ru"):
		return wordsOf["ru"]
	}
	return wordsOf["en"]
}

// maxListed bounds the attendees whom a text lists.
const maxListed = 30

// words returns the subject and the text of the mail.
func (m *letter) words(w *words) (subject, text string) {
	title := oneLine(m.part.text("SUMMARY"))
	if title == "" {
		title = w.noTitle
	}
	put := func(pattern, value string) string { return strings.Replace(pattern, "%s", value, 1) }
	name := oneLine(m.owner.Settings().RealName)
	if name == "" {
		name = m.from
	}
	var first string
	switch m.method {
	case "REQUEST", "ADD":
		subject, first = w.invitation, w.invites
		if m.part.number("SEQUENCE") > 0 || m.part.line("RECURRENCE-ID") != nil {
			subject, first = w.updated, w.changes
		}
	case "CANCEL":
		subject, first = w.cancelled, w.cancels
	case "REFRESH":
		subject, first = w.answer, w.asks
	default:
		subject, first = w.answer, w.answers
		if own := m.part.attendee(m.from); own != nil {
			if s := w.subjects[own.partstat()]; s != "" {
				subject = s
			}
			switch own.partstat() {
			case "ACCEPTED":
				first = w.accepts
			case "DECLINED":
				first = w.declines
			case "TENTATIVE":
				first = w.tentative
			case "DELEGATED":
				first = w.delegates
			}
		}
	}
	var b strings.Builder
	b.WriteString(put(first, name) + "\n\n")
	row := func(label, value string) {
		if value != "" {
			b.WriteString(label + ": " + value + "\n")
		}
	}
	row(w.what, title)
	row(w.when, m.when(m.part))
	if m.part.line("RRULE") != nil {
		b.WriteString(w.repeats + "\n")
	}
	row(w.where, oneLine(m.part.text("LOCATION")))
	row(w.who, oneLine(m.part.organizer()))
	if m.method == "REQUEST" {
		var list []string
		for i := range m.part.lines {
			if l := &m.part.lines[i]; l.Name == "ATTENDEE" {
				if len(list) == maxListed {
					list = append(list, "…")
					break
				}
				list = append(list, l.address())
			}
		}
		row(w.attendees, strings.Join(list, ", "))
	}
	row(w.note, oneLine(m.part.text("COMMENT")))
	if d := strings.TrimSpace(m.part.text("DESCRIPTION")); d != "" && m.method == "REQUEST" {
		if len(d) > 10_000 {
			d = strings.ToValidUTF8(d[:10_000], "") + "…"
		}
		b.WriteString("\n" + strings.ReplaceAll(d, "\r", "") + "\n")
	}
	return put(subject, title), b.String()
}
