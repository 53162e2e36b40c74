//go:build js && wasm

package hostkeys

import (
	"testing"
	"time"
)

// TestPace: long lists are divided until each side has done its trial, and then
// the faster one does all; short lists decide nothing.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		host, inGo time.Duration // an element
		want       bool
	}{{50, 220, false}, {900, 220, true}, {220, 220, false}} {
		var p pace
		// list plays one list and returns how many elements Go did.
		list := func(n int) (done int) {
			for left := n; left > 0; {
				inGo, part := p.next(n, left)
				if part < 1 || part > left {
					t.Fatalf("a part of %d, with %d left", part, left)
				}
				d := c.host
				if inGo {
					d, done = c.inGo, done+part
				}
				p.add(inGo, part, d*time.Duration(part))
				left -= part
			}
			return done
		}
		for range 100 {
			if list(trialList-1) != 0 {
				t.Fatal("a short list before all long ones is not the host's")
			}
		}
		if n := list(2 * trialSize); n != trialSize {
			t.Errorf("of the trial Go did %d, want %d", n, trialSize)
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
