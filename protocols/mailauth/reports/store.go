package reports

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

const (
	// Days is how long rows are kept.
	Days = 400
	// maxRows bounds the rows of a domain and day; further sources are counted together.
	maxRows = 1000
	// maxReports bounds the reports of a domain and day.
	maxReports = 1000
	// lateDays is how old a report may be when it comes, and earlyDays how far ahead: clocks differ.
	lateDays, earlyDays = 60, 2

	dayFile = ".data"
)

// Store has the reports that came in, by domain and day.
type Store struct {
	dir string
	now func() time.Time

	mu sync.Mutex // held while a file is read and replaced
}

// OpenStore returns the reports in a directory, which need not exist.
func OpenStore(dir string) *Store { return &Store{dir: dir, now: time.Now} }

// kept is a row with its reporter.
type kept struct {
	Row
	reporter string
}

// dayData is a file.
type dayData struct {
	reports [][2]string // reporter and number
	rows    []kept
}

func (s *Store) path(domain, day string) string { return filepath.Join(s.dir, domain, day+dayFile) }

// timely refuses a report about a day that is too long ago, or to come.
func (s *Store) timely(r *Report) error {
	if age := s.now().Sub(r.Begin); age > lateDays*24*time.Hour || age < -earlyDays*24*time.Hour {
		return refused("it is about %s, and is too old or too early", day(r.Begin))
	}
	return nil
}

// Add adds a report to what is known of a domain, durably. It reports false for one that is there already.
// Errors: fault.Rejected for a report that is not taken.
func (s *Store) Add(domain string, r *Report) (bool, error) {
	if err := s.timely(r); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.path(domain, day(r.Begin))
	d, err := readDay(path)
	if err != nil {
		return false, err
	}
	mark := [2]string{r.Reporter, r.ID}
	if slices.Contains(d.reports, mark) {
		return false, nil
	}
	if len(d.reports) >= maxReports {
		return false, refused("there are too many about this day")
	}
	d.reports = append(d.reports, mark)
	d.add(r)
	if err := makeDirectory(filepath.Dir(path), s.dir); err != nil {
		return false, err
	}
	return true, durable.ReplaceFile(path, []byte(dataformat.Pretty(d.value())+"\n"), 0o600)
}

// makeDirectory makes a directory below another one that has a parent, durably.
func makeDirectory(dir, top string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for d := filepath.Dir(dir); ; d = filepath.Dir(d) {
		if err := durable.SyncDir(d); err != nil {
			return err
		}
		if len(d) < len(filepath.Dir(top)) || d == filepath.Dir(d) {
			return nil
		}
	}
}

// add sums the rows of a report.
func (d *dayData) add(r *Report) {
	at := map[kept]int{}
	key := func(k kept) kept { k.Count = 0; return k }
	for i, k := range d.rows {
		at[key(k)] = i
	}
	for _, row := range r.Rows {
		k := key(kept{row, r.Reporter})
		i, there := at[k]
		if !there && len(d.rows) >= maxRows { // the others, together
			k.Source, k.reporter = netip.Addr{}, ""
			i, there = at[k]
		}
		if !there {
			i = len(d.rows)
			d.rows, at[k] = append(d.rows, k), i
		}
		d.rows[i].Count = plus(d.rows[i].Count, row.Count)
	}
}

// plus adds numbers of messages. Strangers give them: a sum that is too large stays the largest number.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// value is the content of a file.
func (d *dayData) value() dataformat.Value {
	var reports, rows dataformat.Array
	for _, r := range d.reports {
		reports = append(reports, dataformat.Array{dataformat.String(r[0]), dataformat.String(r[1])})
	}
	for _, k := range d.rows {
		rows = append(rows, dataformat.Array{dataformat.String(sourceText(k.Source)), dataformat.String(k.reporter), dataformat.String(strconv.FormatInt(k.Count, 10)),
			dataformat.String(passText(k.SPF)), dataformat.String(passText(k.DKIM)), dataformat.String(k.Disposition)})
	}
	return dataformat.Dict{"Reports": reports, "Rows": rows}
}

func sourceText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func passText(b bool) string {
	if b {
		return "pass"
	}
	return "fail"
}

// readDay reads a file, which need not exist.
func readDay(path string) (*dayData, error) {
	v, err := dataformat.ReadDict(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &dayData{}, nil
	}
	if err != nil {
		return nil, err
	}
	corrupt := fault.New("reports.Read", fault.Corrupt, path+" cannot be read")
	d := &dayData{}
	reports, _ := v["Reports"].(dataformat.Array)
	for _, e := range reports {
		w, ok := words(e, 2)
		if !ok {
			return nil, corrupt
		}
		d.reports = append(d.reports, [2]string{w[0], w[1]})
	}
	rows, _ := v["Rows"].(dataformat.Array)
	for _, e := range rows {
		w, ok := words(e, 6)
		if !ok {
			return nil, corrupt
		}
		k := kept{Row{SPF: w[3] == "pass", DKIM: w[4] == "pass", Disposition: w[5]}, w[1]}
		if k.Count, err = strconv.ParseInt(w[2], 10, 64); err != nil {
			return nil, corrupt
		}
		if w[0] != "" {
			if k.Source, err = netip.ParseAddr(w[0]); err != nil {
				return nil, corrupt
			}
		}
		d.rows = append(d.rows, k)
	}
	return d, nil
}

// words are the texts of an array of a length.
func words(v dataformat.Value, n int) ([]string, bool) {
	a, ok := v.(dataformat.Array)
	if !ok || len(a) != n {
		return nil, false
	}
	list := make([]string, n)
	for i, e := range a {
		if list[i], ok = dataformat.Text(e); !ok {
			return nil, false
		}
	}
	return list, true
}

// Source is what all reporters say of one address, or of those that are not listed one by one.
type Source struct {
	Addr           netip.Addr
	Passed, Failed int64 // messages; a message passes when SPF or DKIM does, aligned
	Rejected       int64 // of the failed: refused or put into junk
	Reporters      []string
	First, Last    string // days
}

// Summary is what is known of a domain.
type Summary struct {
	Reports int
	Sources []Source // those with the most messages first
}

// Sum sums the reports about a domain of the last days, today included.
func (s *Store) Sum(ctx context.Context, domain string, days int) (*Summary, error) {
	days = min(max(days, 1), Days)
	sum := &Summary{}
	at := map[netip.Addr]*Source{}
	since := day(s.now().AddDate(0, 0, 1-days))
	names, err := dayNames(filepath.Join(s.dir, domain), dayFile)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name < since {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		d, err := readDay(s.path(domain, name))
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		sum.Reports += len(d.reports)
		for _, k := range d.rows {
			one := at[k.Source]
			if one == nil {
				one = &Source{Addr: k.Source, First: name}
				at[k.Source] = one
			}
			one.Last = name
			switch {
			case k.SPF || k.DKIM:
				one.Passed = plus(one.Passed, k.Count)
			default:
				one.Failed = plus(one.Failed, k.Count)
				if k.Disposition != "none" {
					one.Rejected = plus(one.Rejected, k.Count)
				}
			}
			if k.reporter != "" && !slices.Contains(one.Reporters, k.reporter) && len(one.Reporters) < 20 {
				one.Reporters = append(one.Reporters, k.reporter)
			}
		}
	}
	for _, one := range at {
		slices.Sort(one.Reporters)
		sum.Sources = append(sum.Sources, *one)
	}
	slices.SortFunc(sum.Sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(plus(b.Passed, b.Failed), plus(a.Passed, a.Failed)), a.Addr.Compare(b.Addr))
	})
	return sum, nil
}

// dayNames are the days that a directory has files of, sorted.
func dayNames(dir, ext string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ext)
		if _, wrong := time.Parse(time.DateOnly, name); ok && wrong == nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list, err
}

// PruneDaily removes twice a day, until ctx ends, what is over Days old.
func (s *Store) PruneDaily(ctx context.Context, log *slog.Logger) {
	timer := time.NewTicker(12 * time.Hour)
	defer timer.Stop()
	for {
		s.Prune(ctx, log)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// Prune removes the days that are over Days old.
func (s *Store) Prune(ctx context.Context, log *slog.Logger) {
	since := day(s.now().AddDate(0, 0, -Days))
	domains, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, d := range domains {
		names, listed := dayNames(filepath.Join(s.dir, d.Name()), dayFile)
		err = errors.Join(err, listed)
		for _, name := range names {
			if name >= since {
				break
			}
			err = errors.Join(err, os.Remove(s.path(d.Name(), name)))
		}
	}
	if err != nil {
		log.Log(ctx, logs.LevelProblem, "old aggregate reports could not be removed", logs.AttrError, err)
	}
}
