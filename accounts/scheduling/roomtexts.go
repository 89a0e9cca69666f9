package scheduling

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/contentline"
	"gatepost/accounts/icalendar"
)

// roomWords are what rooms say when they decline.
type roomWords struct{ busy, tooLong, tooFar, tooMany, stranger string }

var roomWordsOf = map[string]*roomWords{
	"en": {busy: "At this time it is booked already.", tooLong: "The booking is too long.", tooFar: "The booking is too far ahead.", tooMany: "The event repeats too often.", stranger: "You may not book it."},
	"ru": {busy: "Это время уже занято.", tooLong: "Слишком долгое бронирование.", tooFar: "Слишком раннее бронирование.", tooMany: "Событие повторяется слишком часто.", stranger: "У вас нет права бронировать."},
}

func roomWordsFor(a *accounts.Account) *roomWords {
	if strings.HasPrefix(strings.ToLower(a.Preference("Language")), "ru") {
		return roomWordsOf["ru"]
	}
	return roomWordsOf["en"]
}

func escape(s string) string { return contentline.EscapeText(s) }

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// instanceKey is the key of the component that describes an instance, or that would.
func instanceKey(o *object, i icalendar.Instance, zone *icalendar.Zone) string {
	main := o.part(mainKey)
	if main != nil && main.line("RRULE") == nil && main.line("RDATE") == nil {
		return mainKey
	}
	for _, n := range o.parts {
		if n.line("RECURRENCE-ID") != nil && n.text("RECURRENCE-ID") == recurrenceOf(i) && recurrenceOf(i) != "" {
			return o.key(n)
		}
	}
	at := i.ID
	if main != nil {
		if start := main.line("DTSTART"); start != nil {
			if m, err := o.cal.Moment(&start.Property); err == nil && (m.Kind == icalendar.Date || m.Kind == icalendar.Floating) {
				at = zone.Civil(at) // keys have days and floating times in UTC
			}
		}
	}
	return strconv.FormatInt(at, 10)
}

// recurrenceOf is the RECURRENCE-ID of an override that describes an instance; "" if it has none.
func recurrenceOf(i icalendar.Instance) string { return i.Component.Value("RECURRENCE-ID") }

// idOf makes the RECURRENCE-ID of an instance of a series by its key.
func (o *object) idOf(main *node, key string) (line, bool) {
	at, err := strconv.ParseInt(key, 10, 64)
	start := main.line("DTSTART")
	if err != nil || start == nil {
		return line{}, false
	}
	first, ok := o.instant(start, start.Value)
	if !ok {
		return line{}, false
	}
	id, ok := o.moved(start, at, first)
	id.Name = "RECURRENCE-ID"
	return id, ok
}
