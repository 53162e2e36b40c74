//go:build js && wasm

package hostkeys

import (
	"testing"
	"time"
)

// TestPace: of long lists a few parts are the host's and one is Go's, once, and
// then the faster one does all; short lists decide nothing.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		host, inGo time.Duration // an element
		want       bool
	}{{50, 220, false}, {900, 220, true}, {220, 220, false}, {0, 1, false}} {
		var p pace
		slow := time.Duration(10) // the machine does something else, too
		// list plays one list and returns how many elements Go did.
		list := func(n int) (done int) {
			for left := n; left > 0; {
				inGo, part := p.next(left)
				if part < 1 || part > left {
					t.Fatalf("a part of %d, with %d left", part, left)
				}
				d := c.host * slow
				slow = 1
				if inGo {
					d, done = c.inGo, done+part
				}
				p.add(inGo, part, d*time.Duration(part))
				left -= part
			}
			return done
		}
		for n := range trialList {
			if list(n) != 0 || p.inGo() {
				t.Fatal("a short list before all long ones is not the host's")
			}
		}
		p, slow = pace{}, 10
		if n := list(2 * trialList); n != trialPart && !(c.want && n == 2*trialList-trialParts*trialPart) {
			t.Errorf("%v against %v: of the trial Go did %d, want %d", c.host, c.inGo, n, trialPart)
		}
		if p.inGo() != c.want {
			t.Errorf("%v against %v: it is Go's: %t", c.host, c.inGo, !c.want)
		}
		for _, n := range []int{1, trialList - 1, trialList, 1000} {
			want := 0
			if c.want {
				want = n
			}
			if got := list(n); got != want {
				t.Errorf("%v against %v: of %d, Go did %d, want %d", c.host, c.inGo, n, got, want)
			}
		}
	}
}
