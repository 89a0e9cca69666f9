package webadmin

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// palettes are the custom properties of the style by scheme.
func palettes(t *testing.T) map[string]map[string]string {
	t.Helper()
	css, err := files.ReadFile("static/style.css")
	must(t, err)
	block := regexp.MustCompile(`(?s)(:root[^{]*)\{\s*color-scheme:(light|dark);(.*?)\}`)
	property := regexp.MustCompile(`--([a-z-]+):(#[0-9a-f]{3,6})\b`)
	out := map[string]map[string]string{}
	for _, m := range block.FindAllStringSubmatch(string(css), -1) {
		p := map[string]string{}
		for _, v := range property.FindAllStringSubmatch(m[3], -1) {
			p[v[1]] = v[2]
		}
		out[m[2]+" "+m[1]] = p
	}
	return out
}

// luminance is the relative luminance of a colour (WCAG 2.2).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	hex := strings.TrimPrefix(colour, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		must(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// Each colour of text has a contrast of 4.5 on all that it stands on, and each edge of a field and the focus ring of 3
// (WCAG 2.2 AA: 1.4.3, 1.4.11), in light and dark.
func TestContrast(t *testing.T) {
	all := palettes(t)
	if len(all) != 3 {
		t.Fatalf("%d palettes", len(all))
	}
	pairs := map[string]string{ // colour: what it stands on
		"text": "page card code accent-soft good-soft bad-soft warn-soft", "soft": "page card code good-soft bad-soft", "accent": "page card accent-soft good-soft bad-soft",
		"accent-text": "accent", "good": "page card good-soft", "bad": "page card bad-soft", "warn": "page card warn-soft good-soft bad-soft",
		"card": "good bad warn",
	}
	edges := map[string]string{"edge": "page card", "focus": "page card accent-soft good-soft bad-soft", "good": "page", "bad": "page card"}
	for scheme, p := range all {
		check := func(pairs map[string]string, least float64) {
			for colour, grounds := range pairs {
				for _, ground := range strings.Fields(grounds) {
					a, b := luminance(t, p[colour]), luminance(t, p[ground])
					if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < least {
						t.Errorf("%s: %s %s on %s %s has a contrast of %.2f, not %.1f", scheme, colour, p[colour], ground, p[ground], ratio, least)
					}
				}
			}
		}
		check(pairs, 4.5)
		check(edges, 3)
		for name := range p {
			used := name == "line" // it separates, and tells nothing
			for colour, grounds := range pairs {
				used = used || name == colour || strings.Contains(" "+grounds+" ", " "+name+" ")
			}
			for colour := range edges {
				used = used || name == colour
			}
			if !used {
				t.Errorf("%s: nobody computes the contrast of %s", scheme, name)
			}
		}
	}
	// No colour stands outside of the palettes but in what is printed.
	css, err := files.ReadFile("static/style.css")
	must(t, err)
	rest := regexp.MustCompile(`(?s):root[^{]*\{.*?\}|@media print\{.*`).ReplaceAllString(string(css), "")
	rest, _, _ = strings.Cut(rest, "@media print")
	if m := regexp.MustCompile(`#[0-9a-f]{3,6}\b|rgba?\(|hsl\(`).FindString(rest); m != "" {
		t.Errorf("the colour %s is not in the palettes", m)
	}
}
