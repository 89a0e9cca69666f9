package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// A report prints figures.
type report struct {
	w       io.Writer
	json    bool
	command string
}

// A figure is one measured quantity.
type figure struct {
	Command string    `json:"command"`
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Min     float64   `json:"min"`
	Median  float64   `json:"median"`
	P99     float64   `json:"p99"`
	Max     float64   `json:"max"`
	Count   int       `json:"count"`
	Samples []float64 `json:"samples,omitempty"` // in the order they were taken, if there are few
}

// mostSamples is how many samples are printed.
const mostSamples = 100

func (r *report) print(name, unit string, samples ...float64) error {
	if len(samples) == 0 {
		return fmt.Errorf("%s: nothing was measured", name)
	}
	sorted := slices.Sorted(slices.Values(samples))
	f := figure{
		Command: r.command, Name: name, Unit: unit, Count: len(sorted),
		Min: sorted[0], Median: sorted[len(sorted)/2], P99: sorted[len(sorted)*99/100], Max: sorted[len(sorted)-1],
	}
	if len(samples) <= mostSamples {
		f.Samples = samples
	}
	if r.json {
		return json.NewEncoder(r.w).Encode(f)
	}
	var err error
	if len(samples) == 1 {
		_, err = fmt.Fprintf(r.w, "%-34s %11.4g %s\n", name, f.Median, unit)
	} else {
		_, err = fmt.Fprintf(r.w, "%-34s %11.4g %s (min %.4g, 99%% %.4g, max %.4g, n=%d)\n",
			name, f.Median, unit, f.Min, f.P99, f.Max, f.Count)
	}
	return err
}

// milliseconds converts durations to samples.
func milliseconds(ds []time.Duration) []float64 {
	out := make([]float64, len(ds))
	for i, d := range ds {
		out[i] = d.Seconds() * 1000
	}
	return out
}
