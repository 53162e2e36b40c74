package treemath

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// The tree of RFC 9420, Appendix C, Figure 31, spelled out: 8 leaves, 15 nodes.
func TestEightLeaves(t *testing.T) {
	const n = LeafCount(8)
	no := None
	var (
		level   = []int{0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0}
		left    = []NodeIndex{no, 0, no, 1, no, 4, no, 3, no, 8, no, 9, no, 12, no}
		right   = []NodeIndex{no, 2, no, 5, no, 6, no, 11, no, 10, no, 13, no, 14, no}
		parents = []NodeIndex{1, 3, 1, 7, 5, 3, 5, no, 9, 11, 9, 7, 13, 11, 13}
		sibs    = []NodeIndex{2, 5, 0, 11, 6, 1, 4, no, 10, 13, 8, 3, 14, 9, 12}
	)
	if got := Width(n); got != 15 {
		t.Errorf("Width(8) = %d, want 15", got)
	}
	if got := Root(n); got != 7 {
		t.Errorf("Root(8) = %d, want 7", got)
	}
	orNone := func(x NodeIndex, ok bool) NodeIndex {
		if !ok {
			return None
		}
		return x
	}
	for x := range NodeIndex(15) {
		if got := x.Level(); got != level[x] {
			t.Errorf("Level(%d) = %d, want %d", x, got, level[x])
		}
		if got := orNone(x.Left()); got != left[x] {
			t.Errorf("Left(%d) = %d, want %d", x, got, left[x])
		}
		if got := orNone(x.Right()); got != right[x] {
			t.Errorf("Right(%d) = %d, want %d", x, got, right[x])
		}
		if got := orNone(Parent(x, n)); got != parents[x] {
			t.Errorf("Parent(%d) = %d, want %d", x, got, parents[x])
		}
		if got := orNone(Sibling(x, n)); got != sibs[x] {
			t.Errorf("Sibling(%d) = %d, want %d", x, got, sibs[x])
		}
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		x       NodeIndex
		n       LeafCount
		direct  []NodeIndex
		coPath  []NodeIndex
		comment string
	}{
		{0, 1, nil, nil, "the only leaf is the root"},
		{0, 8, []NodeIndex{1, 3, 7}, []NodeIndex{2, 5, 11}, "first leaf"},
		{4, 8, []NodeIndex{5, 3, 7}, []NodeIndex{6, 1, 11}, "leaf C of Section 4.1.1"},
		{14, 8, []NodeIndex{13, 11, 7}, []NodeIndex{12, 9, 3}, "last leaf"},
		{5, 8, []NodeIndex{3, 7}, []NodeIndex{1, 11}, "a parent"},
		{7, 8, nil, nil, "the root"},
		{15, 8, nil, nil, "outside the tree"},
		{None, 8, nil, nil, "no node"},
		{0, 7, nil, nil, "no tree"},
		{0, 0, nil, nil, "no leaves"},
	} {
		if got := DirectPath(c.x, c.n); !reflect.DeepEqual(got, c.direct) {
			t.Errorf("%s: DirectPath(%d, %d) = %v, want %v", c.comment, c.x, c.n, got, c.direct)
		}
		if got := CoPath(c.x, c.n); !reflect.DeepEqual(got, c.coPath) {
			t.Errorf("%s: CoPath(%d, %d) = %v, want %v", c.comment, c.x, c.n, got, c.coPath)
		}
	}
	// The largest tree: the path is 31 long, ends at the root and is allocated at once.
	last := LeafIndex(MaxLeaves - 1).Node()
	path := DirectPath(last, MaxLeaves)
	if len(path) != 31 || cap(path) != 31 || path[30] != Root(MaxLeaves) {
		t.Errorf("DirectPath(%d, 2^31) = %v (cap %d)", last, path, cap(path))
	}
	if path := CoPath(last, MaxLeaves); len(path) != 31 || path[30] != 1<<30-1 {
		t.Errorf("CoPath(%d, 2^31) = %v", last, path)
	}
}

func TestLeafIndexNode(t *testing.T) {
	for _, c := range []struct {
		leaf LeafIndex
		node NodeIndex
	}{{0, 0}, {1, 2}, {5, 10}, {1<<31 - 1, 1<<32 - 2}, {1 << 31, None}, {math.MaxUint32, None}} {
		if got := c.leaf.Node(); got != c.node {
			t.Errorf("LeafIndex(%d).Node() = %d, want %d", c.leaf, got, c.node)
		}
		if c.node == None {
			continue
		}
		if got, ok := c.node.Leaf(); !ok || got != c.leaf {
			t.Errorf("NodeIndex(%d).Leaf() = %d, %v, want %d", c.node, got, ok, c.leaf)
		}
	}
	for _, x := range []NodeIndex{1, 3, 1<<31 - 1, None} {
		if leaf, ok := x.Leaf(); ok {
			t.Errorf("NodeIndex(%d).Leaf() = %d, want none", x, leaf)
		}
	}
}

func TestLeafCount(t *testing.T) {
	for _, c := range []struct {
		n    uint32
		want LeafCount
	}{{0, 0}, {1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {1000, 1024}, {1<<30 + 1, 1 << 31}, {1 << 31, 1 << 31}, {1<<31 + 1, 0}, {math.MaxUint32, 0}} {
		got, ok := LeavesFor(c.n)
		if got != c.want || ok != (c.want != 0) {
			t.Errorf("LeavesFor(%d) = %d, %v, want %d", c.n, got, ok, c.want)
		}
	}
	for _, n := range []LeafCount{0, 3, 6, 1000, 1<<31 + 1, math.MaxUint32} {
		if n.Valid() || Width(n) != 0 || Root(n) != None || n.Contains(0) || n.ContainsNode(0) {
			t.Errorf("%d leaves are taken for a tree", n)
		}
	}
	if Width(MaxLeaves) != math.MaxUint32 || Root(MaxLeaves) != 1<<31-1 {
		t.Errorf("largest tree: width %d, root %d", Width(MaxLeaves), Root(MaxLeaves))
	}
	if !MaxLeaves.Contains(1<<31-1) || MaxLeaves.Contains(1<<31) {
		t.Error("largest tree: wrong leaves")
	}
	if !MaxLeaves.ContainsNode(1<<32-2) || MaxLeaves.ContainsNode(None) {
		t.Error("largest tree: wrong nodes")
	}
}

// Every relation against its definition, in every tree of up to 64 leaves.
func TestSmallTrees(t *testing.T) {
	for n := LeafCount(1); n <= 64; n *= 2 {
		// ancestors[x] holds x and all nodes above it, built from the children alone.
		ancestors := make([][]NodeIndex, Width(n))
		var descend func(x NodeIndex, above []NodeIndex)
		descend = func(x NodeIndex, above []NodeIndex) {
			above = append([]NodeIndex{x}, above...)
			ancestors[x] = above
			l, okL := x.Left()
			r, okR := x.Right()
			if okL != okR || okL == x.IsLeaf() {
				t.Fatalf("node %d has one child", x)
			}
			if okL {
				if s, ok := Sibling(l, n); !ok || s != r {
					t.Errorf("Sibling(%d, %d) = %d, %v, want %d", l, n, s, ok, r)
				}
				if s, ok := Sibling(r, n); !ok || s != l {
					t.Errorf("Sibling(%d, %d) = %d, %v, want %d", r, n, s, ok, l)
				}
				descend(l, above)
				descend(r, above)
			}
		}
		descend(Root(n), nil)

		for x := range NodeIndex(Width(n)) {
			if ancestors[x] == nil {
				t.Fatalf("n=%d: node %d cannot be reached from the root", n, x)
			}
			if got := DirectPath(x, n); !slices.Equal(got, ancestors[x][1:]) {
				t.Errorf("n=%d: DirectPath(%d) = %v, want %v", n, x, got, ancestors[x][1:])
			}
			for i, s := range CoPath(x, n) {
				want := ancestors[x][i]
				if got, ok := Sibling(want, n); !ok || got != s {
					t.Errorf("n=%d: CoPath(%d)[%d] = %d, want %d", n, x, i, s, got)
				}
			}
			first, last := SubtreeLeafRange(x)
			for y := range NodeIndex(Width(n)) {
				below := slices.Contains(ancestors[y], x)
				if got := InSubtree(x, y); got != below {
					t.Errorf("n=%d: InSubtree(%d, %d) = %v", n, x, y, got)
				}
				if leaf, ok := y.Leaf(); ok && below != (first <= leaf && leaf <= last) {
					t.Errorf("n=%d: SubtreeLeafRange(%d) = %d, %d, but leaf %d", n, x, first, last, leaf)
				}
				i := slices.IndexFunc(ancestors[x], func(a NodeIndex) bool { return slices.Contains(ancestors[y], a) })
				if got := CommonAncestor(x, y); got != ancestors[x][i] {
					t.Errorf("n=%d: CommonAncestor(%d, %d) = %d, want %d", n, x, y, got, ancestors[x][i])
				}
			}
		}
	}
}

// The same identities at random places, the ends of uint32 among them.
func TestProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(9420, 3))
	edges := []uint32{0, 1, 2, 1<<31 - 2, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 3, 1<<32 - 2, 1<<32 - 1}
	draw := func() NodeIndex {
		if rng.IntN(4) == 0 {
			return NodeIndex(edges[rng.IntN(len(edges))])
		}
		return NodeIndex(rng.Uint32() >> rng.IntN(32))
	}
	for range 200_000 {
		x, y := draw(), draw()
		n := LeafCount(1) << rng.IntN(33) // also 0
		p, ok := Parent(x, n)
		s, okSibling := Sibling(x, n)
		if ok != okSibling || ok != (n.ContainsNode(x) && x != Root(n)) {
			t.Fatalf("Parent(%d, %d): %v, Sibling: %v", x, n, ok, okSibling)
		}
		if ok {
			l, _ := p.Left()
			r, _ := p.Right()
			if min(x, s) != l || max(x, s) != r || p.Level() != x.Level()+1 {
				t.Fatalf("Parent(%d) = %d with children %d and %d, sibling %d", x, p, l, r, s)
			}
			if !n.ContainsNode(p) || !n.ContainsNode(s) || CommonAncestor(x, s) != p {
				t.Fatalf("Parent(%d, %d) = %d, Sibling = %d", x, n, p, s)
			}
		}
		a := CommonAncestor(x, y)
		if a != CommonAncestor(y, x) || !InSubtree(a, x) || !InSubtree(a, y) {
			t.Fatalf("CommonAncestor(%d, %d) = %d", x, y, a)
		}
		if l, ok := a.Left(); ok && a != x && a != y {
			r, _ := a.Right()
			if InSubtree(l, x) == InSubtree(l, y) || InSubtree(r, x) == InSubtree(r, y) {
				t.Fatalf("CommonAncestor(%d, %d) = %d is not the lowest", x, y, a)
			}
		}
		if x == None {
			continue
		}
		first, last := SubtreeLeafRange(x)
		if uint64(last)-uint64(first)+1 != 1<<x.Level() || !InSubtree(x, first.Node()) || !InSubtree(x, last.Node()) {
			t.Fatalf("SubtreeLeafRange(%d) = %d, %d", x, first, last)
		}
		if first > 0 && InSubtree(x, (first-1).Node()) || last < 1<<31-1 && InSubtree(x, (last+1).Node()) {
			t.Fatalf("SubtreeLeafRange(%d) = %d, %d is too narrow", x, first, last)
		}
	}
}

func TestDirectPathAllocatesOnce(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { DirectPath(0, 1<<20) }); n > 1 {
		t.Errorf("DirectPath allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { CoPath(0, 1<<20) }); n > 1 {
		t.Errorf("CoPath allocates %v times", n)
	}
}
