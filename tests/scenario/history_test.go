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
// environment does: `go test -run Scenario -rapid.checks=2000 ./tests/scenario`
// is the long run.
func TestMain(m *testing.M) {
	flag.Parse()
	given := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		checks := "100"
		switch {
		case runtime.GOOS == "js":
			checks = "4"
		case raceEnabled || testing.Short():
			checks = "25"
		}
		flag.Set("rapid.checks", checks)
	}
	os.Exit(m.Run())
}

// TestScenarioHistories plays random histories of groups of 2 to 64 members.
func TestScenarioHistories(t *testing.T) {
	r, cleanup := suitetest.Record()
	t.Cleanup(cleanup)
	var total counts
	histories := histories
	rapid.Check(t, func(t *rapid.T) {
		s := histories.Draw(t, "history")
		w := newWorld(t, &s, &faults{}, r)
		w.play()
		total.add(w.count)
	})
	t.Logf("%+v", total)
}
