package counters

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Metric names something that is counted. One of Counter, Labelled, Histogram, State and States is set.
type Metric struct {
	// Name is that of Prometheus: gatepost_, what it is, the unit; a count ends in _total.
	Name string
	// Labels tell metrics of one name apart: pairs of names and values.
	Labels []string
	// Help says in one sentence what it is. All metrics of one name have the same.
	Help string

	Counter   *Counter
	Labelled  *Labelled // Label names what differs
	Histogram *Histogram
	State     func() float64
	States    func(yield func(value string, n float64)) // of each value of Label
	Label     string
	// Rises says of State or States that they are counts, which the part keeps itself.
	Rises bool

	// Element is the name of the element of statistics that it is; of a Labelled it is the sum. Empty: none.
	Element string
	// OID is the last part of its number, see OID.
	OID string
}

// isCount reports whether the metric rises only.
func (m *Metric) isCount() bool { return m.State == nil && m.States == nil || m.Rises }

// Minutes is how long history is.
const Minutes = 24 * 60

// MaxSeries is how many series have history at most.
const MaxSeries = 1000

// series is one line of history. Registry.mu guards it.
type series struct {
	metric *Metric // nil: read from the file, and nobody has named it yet
	count  bool
	before float64   // what earlier processes have counted
	seen   float64   // of this process at the last sample
	ring   []float32 // by minute modulo Minutes; nil: all zero
}

// Registry has all metrics and their history.
type Registry struct {
	start time.Time
	now   func() time.Time

	mu      sync.Mutex
	metrics []*Metric
	series  map[string]*series
	minute  int64         // of the last sample, counted from 1970; 0: none yet
	ran     [Minutes]bool // whether the server took a sample then
	custom  map[string]*customElement
}

// New returns a Registry without metrics. Their counts since the start of the process begin at start.
func New(start time.Time) *Registry {
	return &Registry{start: start, now: time.Now, series: map[string]*series{}, custom: map[string]*customElement{}}
}

var metricName = regexp.MustCompile(`^gatepost_[a-z0-9_]*[a-z0-9]$`)

// Add adds metrics. One that is wrong, or there already, is a bug, which every test finds: Add panics.
func (r *Registry) Add(list ...Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list {
		m := &list[i]
		if err := r.check(m); err != nil {
			panic(fmt.Sprintf("counters: %s: %v", m.Name, err))
		}
		r.metrics = append(r.metrics, m)
	}
}

func (r *Registry) check(m *Metric) error {
	sources := 0
	for _, set := range []bool{m.Counter != nil, m.Labelled != nil, m.Histogram != nil, m.State != nil, m.States != nil} {
		if set {
			sources++
		}
	}
	switch {
	case sources != 1:
		return fmt.Errorf("it has %d sources", sources)
	case !metricName.MatchString(m.Name):
		return fmt.Errorf("its name is not of the form gatepost_what_unit")
	case len(m.Labels)%2 != 0:
		return fmt.Errorf("a label has no value")
	case (m.Labelled != nil || m.States != nil) != (m.Label != ""):
		return fmt.Errorf("its label has no name, or no values")
	case strings.HasSuffix(m.Name, "_total") != (m.isCount() && m.Histogram == nil):
		return fmt.Errorf("counts end in _total, and nothing else does")
	case (m.Element == "") != (m.OID == ""), m.Element != "" && m.Histogram != nil:
		return fmt.Errorf("an element has a name, a number and one value")
	}
	for _, o := range r.metrics {
		switch {
		case o.Name == m.Name && (o.Help != m.Help || o.isCount() != m.isCount() || slices.Equal(o.Labels, m.Labels)):
			return fmt.Errorf("another metric has its name, and the same labels or another help")
		case m.Element != "" && (o.Element == m.Element || o.OID == m.OID):
			return fmt.Errorf("another metric is the element %s, %s", m.Element, m.OID)
		}
	}
	return nil
}

// Key is what a series is called: the name of its metric, and its labels in the order of their names.
func Key(name string, labels ...string) string {
	if len(labels) == 0 {
		return name
	}
	pairs := make([]string, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+escape.Replace(labels[i+1])+`"`)
	}
	slices.Sort(pairs)
	return name + "{" + strings.Join(pairs, ",") + "}"
}

// escape is how the text format has the value of a label.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// Value is a series with its present value.
type Value struct {
	Metric *Metric
	Label  string // the value of Metric.Label, if it has one
	Key    string
	Now    float64 // since the start of the process
	Total  float64 // with what earlier processes have counted
}

// values asks every metric but histograms. Functions of states are called without the lock.
func (r *Registry) values() []Value {
	r.mu.Lock()
	metrics := slices.Clone(r.metrics)
	r.mu.Unlock()
	out := make([]Value, 0, 2*len(metrics))
	for _, m := range metrics {
		add := func(label string, n float64) {
			labels := m.Labels
			if m.Label != "" {
				labels = append(slices.Clone(labels), m.Label, label)
			}
			out = append(out, Value{Metric: m, Label: label, Key: Key(m.Name, labels...), Now: n, Total: n})
		}
		switch {
		case m.Counter != nil:
			add("", float64(m.Counter.Value()))
		case m.Labelled != nil:
			m.Labelled.Each(func(v string, n uint64) { add(v, float64(n)) })
		case m.State != nil:
			add("", m.State())
		case m.States != nil:
			n := 0
			m.States(func(v string, x float64) {
				if n++; n <= MaxValues {
					add(v, x)
				}
			})
		}
	}
	return out
}

// Values are all series with their present values, in the order in which metrics were added. Histograms are left out. States
// that had a value in the last day and have none now are 0.
func (r *Registry) Values() []Value {
	list := r.values()
	r.mu.Lock()
	defer r.mu.Unlock()
	have := map[string]bool{}
	for i := range list {
		have[list[i].Key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(r.series)) {
		if r.series[key].ring == nil || have[key] {
			continue
		}
		if m, label := r.metricOf(key); m != nil && m.States != nil {
			list = append(list, Value{Metric: m, Label: label, Key: key})
		}
	}
	for i := range list {
		if s := r.series[list[i].Key]; s != nil && s.count {
			list[i].Total += s.before
		}
	}
	return list
}

// Start is when the process began to count.
func (r *Registry) Start() time.Time { return r.start }
