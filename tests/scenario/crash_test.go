package scenario

import (
	"flag"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"webmls/mls"
	"webmls/mls/suite/suitetest"
)

// A crash is a Store.Commit that fails, before or after it wrote, and the loss
// of everything in memory, or of what the core itself drops. Whatever the device was at, afterwards nobody diverges
// (world.check), no AEAD key seals two messages that leave (ledger), what was
// received is in the inbox, what Send did not return was not sent, a pending
// commit is the same byte for byte, and a key package is consumed if and only if
// its group is there.

// playWithFault plays a history with one fault, and returns how often a commit
// of a store was asked for.
func playWithFault(t rapid.TB, s *script, at int, kind mls.Fault, r *suitetest.Recorder, total *counts) int {
	f := &faults{at: at, kind: kind}
	w := newWorld(t, s, f, r)
	switch kind {
	case mls.FaultBefore:
		w.logf("commit %d fails before it writes", at)
	case mls.FaultAfter:
		w.logf("commit %d fails after it wrote", at)
	}
	w.play()
	if f.hit {
		t.Fatalf("nobody noticed that the store failed")
	}
	total.add(w.count)
	return f.count
}

// TestScenarioCrashes plays random histories, each with a crash in some places.
func TestScenarioCrashes(t *testing.T) {
	r, cleanup := suitetest.Record()
	t.Cleanup(cleanup)
	var total counts
	rapid.Check(t, func(t *rapid.T) {
		s := shortHistories.Draw(t, "history")
		first := rapid.IntRange(0, 1<<20).Draw(t, "first place")
		n := playWithFault(t, &s, 0, mls.NoFault, r, &total)
		for i := range 3 {
			at := (first+i*n/3)%n + 1
			playWithFault(t, &s, at, mls.FaultBefore+mls.Fault((first+i)%2), r, &total)
		}
	})
	t.Logf("%+v", total)
}

// TestScenarioCrashEverywhere plays some random histories with a crash at every
// place, before and after the write.
func TestScenarioCrashEverywhere(t *testing.T) {
	r, cleanup := suitetest.Record()
	t.Cleanup(cleanup)
	// Each of these is about a hundred histories.
	checks := flag.Lookup("rapid.checks")
	all := checks.Value.String()
	n, err := strconv.Atoi(all)
	if err != nil {
		t.Fatal(err)
	}
	flag.Set("rapid.checks", strconv.Itoa(max(1, min(3, n/20), n/60)))
	t.Cleanup(func() { flag.Set("rapid.checks", all) })
	var total counts
	rapid.Check(t, func(t *rapid.T) {
		s := shortHistories.Draw(t, "history")
		n := playWithFault(t, &s, 0, mls.NoFault, r, &total)
		for at := 1; at <= n; at++ {
			playWithFault(t, &s, at, mls.FaultBefore, r, &total)
			playWithFault(t, &s, at, mls.FaultAfter, r, &total)
		}
	})
	t.Logf("%+v", total)
}
