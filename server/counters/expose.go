package counters

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// ContentType is that of Expose.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Expose returns all metrics in the text format of Prometheus, version 0.0.4: those of one name together, with help and
// type. Counts are since the start of the process.
func (r *Registry) Expose() []byte {
	values := r.values()
	r.mu.Lock()
	metrics := slices.Clone(r.metrics)
	r.mu.Unlock()
	of := map[*Metric][]Value{}
	for _, v := range values {
		of[v.Metric] = append(of[v.Metric], v)
	}
	var b bytes.Buffer
	shown := map[string]bool{}
	for _, first := range metrics {
		if shown[first.Name] {
			continue
		}
		shown[first.Name] = true
		kind := "counter"
		switch {
		case first.Histogram != nil:
			kind = "histogram"
		case !first.isCount():
			kind = "gauge"
		}
		b.WriteString("# HELP " + first.Name + " " + strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(first.Help) + "\n# TYPE " + first.Name + " " + kind + "\n")
		for _, m := range metrics {
			if m.Name != first.Name {
				continue
			}
			for _, v := range of[m] {
				line(&b, v.Key, v.Now)
			}
			if m.Histogram != nil {
				m.Histogram.expose(&b, m)
			}
		}
	}
	line(&b, "# HELP gatepost_start_time_seconds When the process began to count, in seconds since 1970.\n# TYPE gatepost_start_time_seconds gauge\ngatepost_start_time_seconds",
		float64(r.start.Unix()))
	return b.Bytes()
}

func line(b *bytes.Buffer, key string, v float64) {
	b.WriteString(key)
	b.WriteByte(' ')
	b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
	b.WriteByte('\n')
}

func (h *Histogram) expose(b *bytes.Buffer, m *Metric) {
	n := uint64(0)
	for i := range h.counts {
		n += h.counts[i].Value()
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		line(b, Key(m.Name+"_bucket", append(slices.Clone(m.Labels), "le", bound)...), float64(n))
	}
	line(b, Key(m.Name+"_sum", m.Labels...), float64(h.sum.Load())*h.unit)
	line(b, Key(m.Name+"_count", m.Labels...), float64(n))
}
