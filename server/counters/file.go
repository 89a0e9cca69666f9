package counters

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The file of a Registry is text, one thing a line:
//
//	gatepost counters 1
//	minute 29800123                        the last one, counted from 1970
//	ran 1380*0 60*1                        the minutes up to it, as runs of equal values
//	count gatepost_x_total 4711 1439*0 12  a series: what it has counted altogether, and its minutes
//	state gatepost_y 0 1440*3
//	custom 1 17                            an element that administrators have set
//	end
const fileHead = "gatepost counters 1"

// maxFile bounds what Load reads.
const maxFile = 64 << 20

// Save returns the file. It takes a sample first.
func (r *Registry) Save() []byte {
	r.Sample()
	r.mu.Lock()
	defer r.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nminute %d\nran", fileHead, r.minute)
	ran := make([]float32, Minutes)
	for i, on := range r.ran {
		if on {
			ran[i] = 1
		}
	}
	r.writeRuns(&b, ran)
	for _, key := range slices.Sorted(maps.Keys(r.series)) {
		s := r.series[key]
		total := 0.0
		word := "state"
		if s.count {
			word, total = "count", s.before+s.seen
		}
		if total == 0 && s.ring == nil {
			continue
		}
		// Labels may have blanks in them; the key is quoted.
		fmt.Fprintf(&b, "%s %s %s", word, strconv.Quote(key), strconv.FormatFloat(total, 'f', -1, 64))
		r.writeRuns(&b, s.ring)
	}
	for _, id := range slices.Sorted(maps.Keys(r.custom)) {
		fmt.Fprintf(&b, "custom %s %d\n", id, r.custom[id].n)
	}
	b.WriteString("end\n")
	return b.Bytes()
}

// writeRuns writes a ring from its oldest minute on; nothing for one that is all zero. r.mu is held.
func (r *Registry) writeRuns(b *bytes.Buffer, ring []float32) {
	for i := 0; i < len(ring); {
		at := func(i int) float32 { return ring[(r.minute+1+int64(i))%Minutes] }
		v, n := at(i), 1
		for i+n < len(ring) && at(i+n) == v {
			n++
		}
		b.WriteByte(' ')
		if n > 1 {
			b.WriteString(strconv.Itoa(n))
			b.WriteByte('*')
		}
		b.WriteString(strconv.FormatFloat(float64(v), 'g', -1, 32))
		i += n
	}
	b.WriteByte('\n')
}

// Load reads what Save has written, after metrics were added and before the first sample. After an error the Registry is as it was.
func (r *Registry) Load(file []byte) error {
	if len(file) > maxFile {
		return fmt.Errorf("the file has %d bytes, more than can be", len(file))
	}
	fresh := New(r.start)
	line, done := 0, false
	in := bufio.NewScanner(bytes.NewReader(file))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line++
		var err error
		switch {
		case done:
			err = fmt.Errorf("there is more after the end")
		case line == 1 && in.Text() == fileHead:
		case line == 1:
			err = fmt.Errorf("%q is expected", fileHead)
		case in.Text() == "end":
			done = true
		default:
			err = fresh.readLine(in.Text())
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	switch {
	case in.Err() != nil:
		return in.Err()
	case !done:
		return fmt.Errorf("the end is missing")
	case fresh.minute <= 0:
		return fmt.Errorf("it does not say of which minute it is")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.series, r.minute, r.ran, r.custom = fresh.series, fresh.minute, fresh.ran, fresh.custom
	// Values that earlier processes have counted are there from the start.
	for key := range r.series {
		if m, label := r.metricOf(key); m != nil && m.Labelled != nil {
			m.Labelled.Of(label)
		}
	}
	return nil
}

// metricOf finds the metric with a label that a series is of, and the value of the label; nil if there is none. r.mu is held.
func (r *Registry) metricOf(key string) (*Metric, string) {
	name, labels := parseKey(key)
	for _, m := range r.metrics {
		label := labels[m.Label]
		if m.Label != "" && m.Name == name && label != "" && Key(name, append(slices.Clone(m.Labels), m.Label, label)...) == key {
			return m, label
		}
	}
	return nil, ""
}

// parseKey takes apart what Key has made.
func parseKey(key string) (name string, labels map[string]string) {
	name, rest, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
	labels = map[string]string{}
	for rest != "" {
		label, after, ok := strings.Cut(rest, "=")
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil {
			return name, labels
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return name, labels
		}
		labels[label] = value
		rest = strings.TrimPrefix(after[len(quoted):], ",")
	}
	return name, labels
}

func (r *Registry) readLine(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "minute":
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil || n <= 0 || n > 1<<40 {
			return fmt.Errorf("%q is no minute", rest)
		}
		r.minute = n
		return nil
	case "custom":
		id, text, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || !isCustom(id) || len(r.custom) >= maxCustom {
			return fmt.Errorf("%q is no element with its value", rest)
		}
		r.custom[id] = &customElement{n: n}
		return nil
	}
	if r.minute == 0 {
		return fmt.Errorf("the minute is expected first")
	}
	if word == "ran" {
		ring, err := r.readRuns(rest)
		for i, v := range ring {
			r.ran[i] = v == 1
		}
		return err
	}
	if word != "count" && word != "state" {
		return fmt.Errorf("%q is no word of this file", word)
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return fmt.Errorf("a key in quotation marks is expected")
	}
	key, err := strconv.Unquote(quoted)
	if err != nil || len(r.series) >= MaxSeries || r.series[key] != nil {
		return fmt.Errorf("the series %s is there twice, or there are too many", quoted)
	}
	text, runs, _ := strings.Cut(strings.TrimPrefix(rest[len(quoted):], " "), " ")
	s := &series{count: word == "count"}
	if s.before, err = strconv.ParseFloat(text, 64); err != nil || !(s.before >= 0 && s.before < 1e18) {
		return fmt.Errorf("%q is no total", text)
	}
	if runs != "" {
		if s.ring, err = r.readRuns(runs); err != nil {
			return err
		}
	}
	r.series[key] = s
	return nil
}

func (r *Registry) readRuns(text string) ([]float32, error) {
	ring := make([]float32, Minutes)
	i := 0
	for word := range strings.FieldsSeq(text) {
		n := 1
		times, value, repeated := strings.Cut(word, "*")
		if !repeated {
			value = word
		} else {
			var err error
			if n, err = strconv.Atoi(times); err != nil || n < 1 {
				return nil, fmt.Errorf("%q is no run", word)
			}
		}
		v, err := strconv.ParseFloat(value, 32)
		if err != nil || v != v || v-v != 0 || n > Minutes-i {
			return nil, fmt.Errorf("%q is no value, or one too many", word)
		}
		for range n {
			ring[(r.minute+1+int64(i))%Minutes] = float32(v)
			i++
		}
	}
	if i != Minutes {
		return nil, fmt.Errorf("%d minutes instead of %d", i, Minutes)
	}
	return ring, nil
}
