package scenario

import (
	"flag"
	"os"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"webmls/mls/suite/suitetest"
)

// TestMain sets how many histories are played, unless the command line or the
// environment does: `go test ./tests/scenario -run Scenario -rapid.checks=2000`
// is the long run.
func TestMain(m *testing.M) {
	flag.Parse()
	given := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		checks := "60"
		switch {
		case runtime.GOOS == "js":
			checks = "10"
		case raceEnabled || testing.Short():
			checks = "20"
		}
		flag.Set("rapid.checks", checks)
		// The short run plays the same histories each time: it tells whether a
		// change broke something. The long one looks for what nobody has seen.
		if f := flag.Lookup("rapid.seed"); f.Value.String() == "0" {
			flag.Set("rapid.seed", "9420")
		}
	}
	os.Exit(m.Run())
}

// TestScenarioHistories plays random histories of groups of 2 to 64 members.
func TestScenarioHistories(t *testing.T) {
	r, cleanup := suitetest.Record()
	t.Cleanup(cleanup)
	var total counts
	played := 0
	rapid.Check(t, func(t *rapid.T) {
		s := histories.Draw(t, "history")
		w := newWorld(t, &s, &faults{}, r)
		w.play()
		total.add(w.count)
		played++
	})
	if c := total; played >= 500 && min(c.epochs, c.joins, c.externals, c.resyncs, c.removals, c.read, c.refused, c.lost, c.updates, c.rotations, c.psks, c.reinits, c.branches, c.batches) == 0 {
		t.Errorf("something never happened in %d histories: %+v", played, c)
	}
	t.Logf("%+v", total)
}
