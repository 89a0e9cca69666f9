// Package qrcode draws QR codes (ISO/IEC 18004) for pages.
package qrcode

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the white frame around a code, in modules.
const quiet = 4

// Draw returns the black modules of the code of a text as the path of an SVG image, and the width of that image, which has a white
// frame. The error says that the text is too long.
func Draw(text string) (path string, size int, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, n, n)
			}
		}
	}
	return b.String(), code.Size + 2*quiet, nil
}
