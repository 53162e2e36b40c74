//go:build js && wasm

package hostkeys

import (
	"testing"
	"time"
)

// TestPace: lists are the host's; after one that is long and takes it long, they
// are those of who is faster.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		n          int
		host, inGo time.Duration // an element
		tried      bool
		want       bool
	}{
		{1000, 50, 10, false, false},
		{1000, 900, 220, true, true},
		{1000, 900, 1100, true, false},
		{trialList, 900, 220, true, true},
		{trialList - 1, 900, 220, false, false},
		{1, 9000, 220, false, false},
	} {
		var p pace
		tried := p.doubts(c.n, time.Duration(c.n)*c.host*time.Microsecond)
		if tried {
			p.decide(trialPart * c.inGo * time.Microsecond)
			if p.doubts(1000, time.Second) {
				t.Errorf("%+v: a second trial", c)
			}
		}
		if tried != c.tried || p.inGo() != c.want {
			t.Errorf("%+v: tried: %t, it is Go's: %t", c, tried, p.inGo())
		}
	}
}
