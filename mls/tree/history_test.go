package tree_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// snapshot is everything that a tree says, to be compared later.
type snapshot struct {
	tree   *tree.Tree
	export []byte
	hashes []byte
}

func take(t *tree.Tree) snapshot {
	s := snapshot{t, wire.Marshal(t.Export()), nil}
	for x := range treemath.NodeIndex(treemath.Width(treemath.LeafCount(t.LeafCount()))) {
		s.hashes = append(s.hashes, t.NodeHash(x)...)
	}
	return s
}

func (s snapshot) same() bool {
	now := take(s.tree)
	return bytes.Equal(now.export, s.export) && bytes.Equal(now.hashes, s.hashes)
}

// Random histories: after each commit all members agree, the tree is valid and
// imports again (S14, S15), no earlier tree has changed, and a store that took
// the changed pages of each commit holds the tree.
func TestHistories(t *testing.T) {
	for _, run := range []struct {
		name    string
		keys    suite.Keys
		seeds   int
		commits int
		largest int
	}{
		{"small", fastKeys{}, 20, 50, 8},
		{"medium", fastKeys{}, 4, 60, 40},
		{"large", fastKeys{}, 1, 15, 700},
		{"real keys", softkeys.New(), 1, 15, 12},
	} {
		t.Run(run.name, func(t *testing.T) {
			for seed := range run.seeds {
				rng := rand.New(rand.NewPCG(uint64(seed), 9420))
				g := newGroup(run.keys, rng)
				g.check(t)
				if run.largest > 100 {
					g.apply(t, commit{adds: run.largest * 3 / 4})
				}
				store := newPageStore()
				var last *tree.Tree
				var history []snapshot
				for range run.commits {
					store.save(t, g.tree, last)
					last = g.tree
					sameTree(t, "loaded tree", store.load(t, g.tree.LeafCount()), g.tree)
					history = append(history, take(g.tree))
					g.apply(t, g.random(run.largest))
				}
				for i, s := range history {
					if !s.same() {
						t.Fatalf("seed %d: tree %d has changed", seed, i)
					}
				}
			}
		})
	}
}

// An editor goes on after Tree, and what it does then does not show; two
// editors of one tree do not see each other.
func TestEditorsAreApart(t *testing.T) {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(1, 1)))
	g.apply(t, commit{adds: 20, path: true})
	g.apply(t, commit{by: 7, adds: 3, path: true})
	before := take(g.tree)

	a, b := g.tree.Edit(), g.tree.Edit()
	ca, cb := newClient(g.k), newClient(g.k)
	if i, j := a.Add(ca.leaf), b.Add(cb.leaf); i != j {
		t.Fatalf("added at %d and %d", i, j)
	}
	first := take(a.Tree())
	if bytes.Equal(first.tree.Hash(), b.Tree().Hash()) {
		t.Fatal("two editors made the same tree")
	}
	a.Add(newClient(g.k).leaf)
	a.Remove(2)
	second := take(a.Tree())
	for range 40 {
		a.Add(newClient(g.k).leaf)
		b.Add(newClient(g.k).leaf)
	}
	for i := treemath.LeafIndex(3); i < 60; i++ {
		a.Remove(i)
		a.Tree()
	}
	for name, s := range map[string]snapshot{"base": before, "first": first, "second": second} {
		if !s.same() {
			t.Errorf("the %s tree has changed", name)
		}
	}
	if got := must(tree.Import(testSuite, a.Tree().Export())); !bytes.Equal(got.Hash(), a.Tree().Hash()) {
		t.Error("the edited tree has other hashes than the same tree imported")
	}
	if a.LeafCount() != b.LeafCount() && b.Leaf(20) == nil {
		t.Error("the other editor has changed")
	}
}

// Two editors that extend one full tree share what was there before, and only that.
func TestEditorsExtendApart(t *testing.T) {
	for n := 1; n <= 1024; n *= 2 {
		e := tree.New(testSuite, newClient(fastKeys{}).leaf).Edit()
		for range n - 1 {
			e.Add(newClient(fastKeys{}).leaf)
		}
		full := e.Tree()
		before := take(full)
		var wider []snapshot
		for range 3 {
			e := full.Edit()
			e.Add(newClient(fastKeys{}).leaf)
			wider = append(wider, take(e.Tree()))
		}
		for _, s := range wider {
			sameTree(t, "imported", must(tree.Import(testSuite, s.tree.Export())), s.tree)
		}
		if !before.same() {
			t.Fatalf("the tree of %d has changed", n)
		}
	}
}

// A leaf that comes between others in a list of unmerged leaves. Adds alone do
// not make such a tree, but it is valid.
func TestAddBetweenUnmerged(t *testing.T) {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(10, 10)))
	g.apply(t, commit{adds: 7, path: true})
	g.apply(t, commit{by: 0, removes: []treemath.LeafIndex{2, 4, 6}, path: true})
	g.apply(t, commit{by: 0, adds: 3})
	if p := g.tree.Parent(7); p == nil || len(p.UnmergedLeaves) != 3 {
		t.Fatalf("root %+v", p)
	}
	nodes := copyNodes(g.tree.Export())
	leaf := nodes[8].Leaf
	nodes[8].Leaf = nil
	for x := range nodes {
		if p := nodes[x].Parent; p != nil {
			p.UnmergedLeaves = slices.DeleteFunc(p.UnmergedLeaves, func(i treemath.LeafIndex) bool { return i == 4 })
		}
	}
	without := must(tree.Import(testSuite, nodes))
	if err := without.Validate(); err != nil {
		t.Fatal(err)
	}
	e := without.Edit()
	if at := e.Add(leaf); at != 4 {
		t.Fatalf("added at %d", at)
	}
	sameTree(t, "with the leaf again", e.Tree(), g.tree)
}

// Extending and truncating at the sizes where pages and tiers come and go.
func TestExtendTruncate(t *testing.T) {
	for _, n := range []int{2, 15, 16, 17, 31, 32, 33, 511, 512, 513, 1025} {
		creator := newClient(fastKeys{})
		e := tree.New(testSuite, creator.leaf).Edit()
		for i := 1; i < n; i++ {
			if at := e.Add(newClient(fastKeys{}).leaf); at != treemath.LeafIndex(i) {
				t.Fatalf("leaf %d added at %d", i, at)
			}
		}
		full := e.Tree()
		width, _ := treemath.LeavesFor(uint32(n))
		if full.LeafCount() != uint32(width) || full.MemberCount() != n {
			t.Fatalf("%d members: %d of %d leaves", n, full.MemberCount(), full.LeafCount())
		}
		sameTree(t, "imported", must(tree.Import(testSuite, full.Export())), full)

		// From the right, with a tree in between and without.
		for i := n - 1; i > 0; i-- {
			e.Remove(treemath.LeafIndex(i))
			width, _ := treemath.LeavesFor(uint32(i))
			if e.LeafCount() != uint32(width) {
				t.Fatalf("%d members: %d leaves, want %d", i, e.LeafCount(), width)
			}
			if i%7 == 0 && n < 100 || i == 1 {
				left := e.Tree()
				sameTree(t, "truncated", must(tree.Import(testSuite, left.Export())), left)
			}
		}
		// All but the last: the width stays.
		e = full.Edit()
		for i := range treemath.LeafIndex(n - 1) {
			e.Remove(i)
		}
		if e.LeafCount() != full.LeafCount() {
			t.Fatalf("one member at leaf %d: %d leaves", n-1, e.LeafCount())
		}
		// The leftmost blank leaf is taken first; then the last goes and the tree shrinks.
		if at := e.Add(newClient(fastKeys{}).leaf); at != 0 {
			t.Fatalf("added at %d", at)
		}
		e.Remove(treemath.LeafIndex(n - 1))
		if e.LeafCount() != 1 || e.Tree().MemberCount() != 1 {
			t.Fatalf("%d leaves with one member", e.LeafCount())
		}
		for range n {
			e.Add(newClient(fastKeys{}).leaf)
		}
		again := e.Tree()
		sameTree(t, "extended again", must(tree.Import(testSuite, again.Export())), again)
	}
}

// A committer alone, and one whose path stops below the root: the commit
// secret comes one step after the last path secret (S23).
func TestCommitSecret(t *testing.T) {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(2, 2)))
	e := g.tree.Edit()
	alone := must(e.CreatePath(t.Context(), g.k, 0, *g.members[0].leaf, g.members[0].signer, groupID))
	if len(alone.CommitSecret) != testSuite.HashSize() || len(alone.Leaf.ParentHash) != 0 || len(alone.Private().Path) != 0 {
		t.Errorf("path of a single member: %d bytes of commit secret, parent hash %x", len(alone.CommitSecret), alone.Leaf.ParentHash)
	}
	if again := must(e.CreatePath(t.Context(), g.k, 0, *g.members[0].leaf, g.members[0].signer, groupID)); bytes.Equal(again.CommitSecret, alone.CommitSecret) {
		t.Error("two commits with one commit secret")
	}

	// Members at leaves 4 and 5 of 8: nothing is left of them, and their path
	// stops below the root.
	g.apply(t, commit{adds: 5, path: true})
	g.apply(t, commit{by: 4, removes: []treemath.LeafIndex{0, 1, 2, 3}, path: true})
	if path := g.tree.FilteredDirectPath(4); g.tree.LeafCount() != 8 || len(path) != 1 || path[0] != 9 {
		t.Fatalf("filtered direct path %v in %d leaves", path, g.tree.LeafCount())
	}
	p := must(g.tree.Edit().CreatePath(t.Context(), g.k, 4, *g.members[4].leaf, g.members[4].signer, groupID))
	secret, ok := p.PathSecretFor(5)
	if !ok || !bytes.Equal(p.CommitSecret, testSuite.DeriveSecret(secret, "path")) {
		t.Error("the commit secret is not derived from the last path secret")
	}
	for _, i := range []treemath.LeafIndex{0, 4, 8, 1 << 31, 1<<32 - 1} {
		if _, ok := p.PathSecretFor(i); ok {
			t.Errorf("a path secret for leaf %d", i)
		}
	}
	p.Wipe()
	if zero := make([]byte, testSuite.HashSize()); !bytes.Equal(p.CommitSecret, zero) || !bytes.Equal(secret, zero) {
		t.Error("secrets not wiped")
	}
	g.apply(t, commit{by: 5, path: true})
	g.apply(t, commit{by: 4, adds: 2, path: true})
}
