package vectors_test

import (
	"testing"

	"webmls/mls/treemath"
	"webmls/tests/vectors"
)

func TestTreeMath(t *testing.T) {
	run(t, "tree-math", 10, checkTreeMath)
}

func checkTreeMath(t *testing.T, c vectors.TreeMath) {
	n, ok := treemath.LeavesFor(c.NLeaves)
	if !ok || uint32(n) != c.NLeaves {
		t.Fatalf("LeavesFor(%d) = %d, %v", c.NLeaves, n, ok)
	}
	if got := treemath.Width(n); got != c.NNodes {
		t.Errorf("Width = %d, want %d", got, c.NNodes)
	}
	if got := treemath.Root(n); got != treemath.NodeIndex(c.Root) {
		t.Errorf("Root = %d, want %d", got, c.Root)
	}
	for _, list := range [][]*uint32{c.Left, c.Right, c.Parent, c.Sibling} {
		if len(list) != int(c.NNodes) {
			t.Fatalf("list of %d, want %d", len(list), c.NNodes)
		}
	}
	for i := range c.NNodes {
		x := treemath.NodeIndex(i)
		for _, relation := range []struct {
			name string
			of   func() (treemath.NodeIndex, bool)
			want *uint32
		}{
			{"Left", x.Left, c.Left[i]},
			{"Right", x.Right, c.Right[i]},
			{"Parent", func() (treemath.NodeIndex, bool) { return treemath.Parent(x, n) }, c.Parent[i]},
			{"Sibling", func() (treemath.NodeIndex, bool) { return treemath.Sibling(x, n) }, c.Sibling[i]},
		} {
			got, ok := relation.of()
			switch {
			case ok != (relation.want != nil):
				t.Errorf("%s(%d): ok = %v", relation.name, x, ok)
			case ok && uint32(got) != *relation.want:
				t.Errorf("%s(%d) = %d, want %d", relation.name, x, got, *relation.want)
			}
		}
	}
}
