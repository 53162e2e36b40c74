package tree_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// pageStore is a store of pages by name, as the group's store is.
type pageStore map[string][]byte

func newPageStore() pageStore { return pageStore{} }

// save writes what changed and returns the number of pages written.
func (s pageStore) save(t testing.TB, now, old *tree.Tree) int {
	t.Helper()
	put, deleted := now.ChangedPages(old)
	for _, id := range deleted {
		if s[id.Name()] == nil {
			t.Fatalf("page %s deleted that was not there", id.Name())
		}
		delete(s, id.Name())
	}
	for _, p := range put {
		s[p.ID.Name()] = p.Data
	}
	return len(put)
}

func (s pageStore) get(id tree.PageID) ([]byte, bool) {
	data, ok := s[id.Name()]
	return data, ok
}

func (s pageStore) load(t testing.TB, leafCount uint32) *tree.Tree {
	t.Helper()
	used := 0
	loaded, err := tree.Load(testSuite, leafCount, func(id tree.PageID) ([]byte, bool) {
		used++
		return s.get(id)
	})
	if err != nil {
		t.Fatal(err)
	}
	if used != len(s) {
		t.Fatalf("the store holds %d pages, the tree has %d", len(s), used)
	}
	return loaded
}

// How many pages a change costs.
func TestChangedPages(t *testing.T) {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(3, 3)))
	g.apply(t, commit{adds: 999, path: true})
	store := newPageStore()
	// 64 pages of 16 leaves, two of 32 of those, one on top.
	if n := store.save(t, g.tree, nil); n != 64+2+1 {
		t.Errorf("%d pages", n)
	}
	if put, deleted := g.tree.ChangedPages(g.tree); len(put)+len(deleted) != 0 {
		t.Errorf("no change: %d put, %d deleted", len(put), len(deleted))
	}
	same := g.tree.Edit().Tree()
	if put, deleted := same.ChangedPages(g.tree); len(put)+len(deleted) != 0 {
		t.Errorf("an edit of nothing: %d put, %d deleted", len(put), len(deleted))
	}
	old := g.tree
	g.apply(t, commit{by: 500, path: true})
	if n := store.save(t, g.tree, old); n != 3 {
		t.Errorf("a path: %d pages", n)
	}
	sameTree(t, "loaded", store.load(t, 1024), g.tree)

	// Down to one page and up again.
	e := g.tree.Edit()
	for i := treemath.LeafIndex(999); i > 9; i-- {
		e.Remove(i)
	}
	small := e.Tree()
	if n := store.save(t, small, g.tree); n != 1 || len(store) != 1 {
		t.Errorf("truncated: %d pages put, %d left", n, len(store))
	}
	sameTree(t, "loaded", store.load(t, 16), small)
	if put, deleted := g.tree.ChangedPages(small); len(put) != 67 || len(deleted) != 0 {
		t.Errorf("back: %d put, %d deleted", len(put), len(deleted))
	}
}

func TestLoadRefuses(t *testing.T) {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(4, 4)))
	g.apply(t, commit{adds: 40, path: true})
	g.apply(t, commit{by: 20, adds: 1, path: true})
	g.apply(t, commit{by: 40, removes: []treemath.LeafIndex{33}, path: true})
	g.apply(t, commit{by: 0, adds: 1})
	if p := g.tree.Parent(79); p == nil || len(p.UnmergedLeaves) != 1 {
		t.Fatalf("node 79: %+v", p)
	}
	good := newPageStore()
	good.save(t, g.tree, nil)
	refused := func(what string, leafCount uint32, get func(tree.PageID) ([]byte, bool)) {
		t.Helper()
		if _, err := tree.Load(testSuite, leafCount, get); !errors.Is(err, mlserr.StateCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, n := range []uint32{0, 3, 65, 1 << 21, 1 << 31, 1<<32 - 1} {
		refused("a wrong number of leaves", n, good.get)
	}
	// 16 are a tree of their own, with another tree hash.
	for _, n := range []uint32{1, 8, 32, 128} {
		refused("another number of leaves", n, good.get)
	}
	for name, data := range good {
		with := func(data []byte, ok bool) func(tree.PageID) ([]byte, bool) {
			return func(id tree.PageID) ([]byte, bool) {
				if id.Name() == name {
					return data, ok
				}
				return good.get(id)
			}
		}
		refused("no page "+name, 64, with(nil, false))
		for n := 0; n < len(data); n += 1 + n/16 {
			refused("cut page "+name, 64, with(data[:n], true))
		}
		refused("long page "+name, 64, with(append(append([]byte{}, data...), 0), true))
	}
	refused("a page in place of another, with unmerged leaves of its own", 64, func(id tree.PageID) ([]byte, bool) {
		if id.Tier == 0 && id.Number == 1 {
			id.Number = 2
		}
		return good.get(id)
	})
	leafForParent := wire.NewWriter(4096)
	for _, n := range []message.Node{{Leaf: g.tree.Leaf(0)}, {Leaf: g.tree.Leaf(1)}, {}} {
		n.MarshalNode(leafForParent)
		leafForParent.Raw(g.tree.Hash())
	}
	refused("a leaf in place of a parent", 2, func(tree.PageID) ([]byte, bool) { return leafForParent.Bytes(), true })
}
