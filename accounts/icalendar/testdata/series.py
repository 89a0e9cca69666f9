#!/usr/bin/python3
"""Writes series.python: what Debian's python3-recurring-ical-events (2.0.1, on icalendar 4.0.3) makes of each case of
series.txt. Run it in this directory: ./series.py > series.python"""
import datetime as dt
import sys
import zoneinfo

import icalendar
import recurring_ical_events

UTC = zoneinfo.ZoneInfo("UTC")


def cases():
    name, events, zones, ask, inside = None, [[]], [], None, False
    for line in open("series.txt", encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("# "):
            name, events, zones, ask = line[2:], [[]], [], None
        elif line.startswith("? "):
            yield name, events, zones, line[2:].split()
        elif line == "---":
            events.append([])
        elif line == "BEGIN:VTIMEZONE":
            inside = True
            zones.append(line)
        elif inside:
            zones.append(line)
            inside = line != "END:VTIMEZONE"
        elif line:
            events[-1].append(line)


def text(events, zones):
    out = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN"] + zones
    for e in events:
        out += ["BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z"] + e + ["END:VEVENT"]
    return "\r\n".join(out + ["END:VCALENDAR", ""])


def when(value, zone):
    if not isinstance(value, dt.datetime):
        return value.strftime("%Y%m%d"), value
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    value = dt.datetime.fromtimestamp(value.timestamp(), UTC)
    return value.strftime("%Y%m%dT%H%M%SZ"), value


for name, events, zones, ask in cases():
    zone = zoneinfo.ZoneInfo(ask[2]) if len(ask) > 2 else UTC
    a, b = (dt.datetime.strptime(x, "%Y%m%d").replace(tzinfo=zone) for x in ask[:2])
    try:
        found = recurring_ical_events.of(icalendar.Calendar.from_ical(text(events, zones))).between(a, b)
        out = []
        for e in found:
            start, s = when(e["DTSTART"].dt, zone)
            _, end = when(e["DTEND"].dt, zone)
            length = end - s # this library gives a day without end no length, RFC 5545 section 3.6.1 one day
            if isinstance(s, dt.datetime):
                seconds = int(length.total_seconds())
                out.append(start + ("+%d" % seconds if seconds else ""))
            else:
                out.append(start + ("+%dd" % length.days if length.days > 1 else ""))
        print(name + "\t" + " ".join(sorted(out)))
    except Exception as e:
        print(name + "\tfails: " + type(e).__name__)
        print(name, e, file=sys.stderr)
