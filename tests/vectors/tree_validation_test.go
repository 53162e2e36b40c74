package vectors_test

import (
	"testing"

	"webmls/mls/treemath"
	"webmls/tests/vectors"
)

func TestTreeValidation(t *testing.T) {
	run(t, "tree-validation", 98, checkTreeValidation)
}

func checkTreeValidation(t *testing.T, c vectors.TreeValidation) {
	s := lookup(t, c.CipherSuite)
	tr := importTree(t, s, c.Tree)
	width := treemath.Width(treemath.LeafCount(tr.LeafCount()))
	if len(c.Resolutions) != int(width) || len(c.TreeHashes) != int(width) {
		t.Fatalf("%d resolutions and %d hashes for %d nodes", len(c.Resolutions), len(c.TreeHashes), width)
	}
	for x := range treemath.NodeIndex(width) {
		equal(t, "tree hash", tr.NodeHash(x), c.TreeHashes[x])
		got, want := tr.Resolution(x), c.Resolutions[x]
		if len(got) != len(want) {
			t.Fatalf("resolution of %d: %v, want %v", x, got, want)
		}
		for i := range want {
			if got[i] != treemath.NodeIndex(want[i]) {
				t.Fatalf("resolution of %d: %v, want %v", x, got, want)
			}
		}
	}
	if err := tr.Validate(); err != nil {
		t.Error(err)
	}
	if err := tr.ValidateKeys(t.Context(), keys); err != nil {
		t.Error(err)
	}
	if err := tr.VerifyLeaves(t.Context(), keys, c.GroupID); err != nil {
		t.Error(err)
	}
}
