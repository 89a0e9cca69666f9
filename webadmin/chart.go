package webadmin

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"gatepost/server/counters"
)

// This file draws charts as SVG. Colours are classes of the stylesheet, so that they follow light and dark.

// The area of a chart, in units of its view box: at 360 pixels of width one of them is a pixel.
const (
	chartWidth, chartHeight = 360, 172
	plotLeft, plotRight     = 46, 354
	plotTop, plotBottom     = 8, 148
	// step is how many minutes a point of a chart stands for, and points how many there are.
	step   = 15
	points = counters.Minutes / step
	// maxCurves bounds the curves of a chart; the rest is one.
	maxCurves = 6
)

// curve is a line of a chart, with what the legend says of it.
type curve struct {
	Name   string
	Class  string
	Now    string
	values []float64
}

// chart is a picture of a day.
type chart struct {
	Title, Unit string
	Link        string // to the page about it; empty: none
	Now, Span   string // the figure beside the title, and what it is about
	Curves      []curve
	Picture     template.HTML
	Empty       bool
}

// plotted says how a chart is drawn.
type plotted struct {
	end     time.Time
	ran     []bool // of the points
	stacked bool
	text    func(v float64) string // of a value at the axis
	zone    *time.Location
	alt     string
}

// draw makes the picture.
func draw(curves []curve, p plotted) template.HTML {
	top := 0.0
	for i := range points {
		sum := 0.0
		for _, c := range curves {
			if p.stacked {
				sum += c.values[i]
			} else {
				sum = max(sum, c.values[i])
			}
		}
		top = max(top, sum)
	}
	top = nice(top)
	y := func(v float64) float64 { return plotBottom - v/top*(plotBottom-plotTop) }
	x := func(i int) float64 { return plotLeft + float64(i)/(points-1)*(plotRight-plotLeft) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(p.alt))
	for i := 0; i < points; i++ {
		first := i
		for i < points && !p.ran[i] {
			i++
		}
		if i > first {
			fmt.Fprintf(&b, `<rect class="off" x="%.1f" y="%d" width="%.1f" height="%d"/>`, x(first), plotTop, max(1, x(min(i, points-1))-x(first)), plotBottom-plotTop)
		}
	}
	for n := range 5 {
		v := top * float64(n) / 4
		fmt.Fprintf(&b, `<path class="rule" d="M%d %.1fH%d"/><text x="%d" y="%.1f" class="end">%s</text>`, plotLeft, y(v), plotRight, plotLeft-5, y(v)+3.5, template.HTMLEscapeString(p.text(v)))
	}
	p.hours(&b, x)
	base := make([]float64, points)
	for _, c := range curves {
		line := make([]string, points)
		for i, v := range c.values {
			line[i] = number(x(i)) + " " + number(y(v+base[i]))
		}
		if p.stacked {
			back := make([]string, points)
			for i := range points {
				back[points-1-i] = number(x(i)) + " " + number(y(base[i]))
			}
			fmt.Fprintf(&b, `<path class="area %s" d="M%sL%sZ"/>`, c.Class, strings.Join(line, "L"), strings.Join(back, "L"))
			for i, v := range c.values {
				base[i] += v
			}
			continue
		}
		fmt.Fprintf(&b, `<path class="line %s" d="`, c.Class)
		pen := byte('M')
		for i, at := range line {
			if !p.ran[i] { // nobody knows
				pen = 'M'
				continue
			}
			b.WriteByte(pen)
			b.WriteString(at)
			pen = 'L'
		}
		b.WriteString(`"/>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // its texts were escaped
}

// hours writes the axis of time: a mark at every fourth hour of the zone.
func (p *plotted) hours(b *strings.Builder, x func(int) float64) {
	first := p.end.Add(-counters.Minutes * time.Minute)
	for t := first.In(p.zone).Truncate(time.Hour); t.Before(p.end); t = t.Add(time.Hour) {
		i := int(t.Sub(first) / (step * time.Minute))
		if t.Hour()%4 != 0 || i < 0 || i > points-2 {
			continue
		}
		fmt.Fprintf(b, `<path class="rule" d="M%.1f %dv4"/><text x="%.1f" y="%d" class="middle">%s</text>`, x(i), plotBottom, x(i), plotBottom+15, t.Format("15:04"))
	}
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// nice is the next round number from v on, of which a fourth is round, too.
func nice(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 4
	}
	scale := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 4, 8, 10} {
		if v <= m*scale {
			return m * scale
		}
	}
	return 20 * scale
}

// plain is a value in few figures: 12, 0.25, 3.4k, 1.2M.
func plainNumber(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return strconv.FormatFloat(math.Round(v/1e5)/10, 'f', -1, 64) + "M"
	case a >= 1e4:
		return strconv.FormatFloat(math.Round(v/100)/10, 'f', -1, 64) + "k"
	case a >= 100 || a == math.Trunc(a):
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	case a >= 1:
		return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// gathered makes points of minutes: of counts the mean a minute, of states the highest.
func gathered(h counters.History, count bool) (values []float64, ran []bool) {
	values, ran = make([]float64, points), make([]bool, points)
	for i := range points {
		n := 0
		for j := i * step; j < (i+1)*step; j++ {
			if !h.Ran[j] {
				continue
			}
			n++
			if count {
				values[i] += h.Values[j]
			} else {
				values[i] = max(values[i], h.Values[j])
			}
		}
		if ran[i] = n > 0; count && n > 0 {
			values[i] /= float64(n)
		}
	}
	return values, ran
}
