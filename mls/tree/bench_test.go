package tree_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// sizes are the numbers of members that the benchmarks run with.
var sizes = []int{10, 100, 1000, 4000}

// population is a group in which every member has committed, the last one last.
type population struct {
	tree    *tree.Tree
	clients []*client
	last    *tree.Private // of the last member
}

func populate(b *testing.B, k suite.Keys, n int) population {
	b.Helper()
	p := population{clients: make([]*client, n)}
	e := tree.New(testSuite, newClient(k).leaf).Edit()
	e.Remove(0)
	for i := range p.clients {
		p.clients[i] = newClient(k)
		e.Add(p.clients[i].leaf)
	}
	for _, i := range append(rand.New(rand.NewPCG(8, uint64(n))).Perm(n-1), n-1) {
		c := p.clients[i]
		p.last = must(e.CreatePath(b.Context(), k, treemath.LeafIndex(i), *c.leaf, c.signer, groupID)).Private()
	}
	p.tree = e.Tree()
	return p
}

// unmerge replaces every other leaf by one that is unmerged at all ancestors,
// after the others have committed.
func (p population) unmerge(b *testing.B) *tree.Tree {
	e := p.tree.Edit()
	for i := 1; i < len(p.clients); i += 2 {
		e.Remove(treemath.LeafIndex(i))
	}
	for i := 0; i < len(p.clients); i += 2 {
		c := p.clients[i]
		must(e.CreatePath(b.Context(), fastKeys{}, treemath.LeafIndex(i), *c.leaf, c.signer, groupID))
	}
	for i := 1; i < len(p.clients); i += 2 {
		e.Add(newClient(fastKeys{}).leaf)
	}
	return e.Tree()
}

func eachSize(b *testing.B, f func(b *testing.B, n int)) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) { f(b, n) })
	}
}

func BenchmarkImportValidate(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		nodes := populate(b, fastKeys{}, n).tree.Export()
		b.ReportAllocs()
		for b.Loop() {
			if err := must(tree.Import(testSuite, nodes)).Validate(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The dearest of valid trees: every parent hash needs half of the sibling's
// leaves taken away.
func BenchmarkImportValidateUnmerged(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		nodes := populate(b, fastKeys{}, n).unmerge(b).Export()
		b.ReportAllocs()
		for b.Loop() {
			if err := must(tree.Import(testSuite, nodes)).Validate(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What signatures cost, to compare with.
func BenchmarkVerifyLeaves(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		k := softkeys.New()
		e := tree.New(testSuite, newClient(k).leaf).Edit()
		for range n - 1 {
			e.Add(newClient(k).leaf)
		}
		t := e.Tree()
		for b.Loop() {
			if err := t.VerifyLeaves(b.Context(), k, groupID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAdd1000(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		p := populate(b, fastKeys{}, n)
		leaves := make([]*message.LeafNode, 1000)
		for i := range leaves {
			leaves[i] = newClient(fastKeys{}).leaf
		}
		b.ReportAllocs()
		for b.Loop() {
			e := p.tree.Edit()
			for _, leaf := range leaves {
				if _, ok := e.FindSignatureKey(leaf.SignatureKey); ok || e.HasEncryptionKey(leaf.EncryptionKey) {
					b.Fatal("found")
				}
				e.Add(leaf)
			}
			e.Tree()
		}
	})
}

func BenchmarkFindKeys(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		t := populate(b, fastKeys{}, n).tree
		key := suite.Random(32)
		for b.Loop() {
			if _, ok := t.FindSignatureKey(key); ok || t.HasEncryptionKey(key) {
				b.Fatal("found")
			}
		}
	})
}

// One commit without the encryption, on real keys: the tree half of it is what
// is left after a signature and a key pair for each level.
func BenchmarkCreatePath(b *testing.B) {
	for name, k := range map[string]suite.Keys{"real keys": softkeys.New(), "fast keys": fastKeys{}} {
		b.Run(name, func(b *testing.B) {
			eachSize(b, func(b *testing.B, n int) {
				p := populate(b, fastKeys{}, n)
				c := newClient(k)
				for b.Loop() {
					e := p.tree.Edit()
					must(e.CreatePath(b.Context(), k, treemath.LeafIndex(n/3), *c.leaf, c.signer, groupID))
					e.Tree()
				}
			})
		})
	}
}

func BenchmarkMergePathDecryptPath(b *testing.B) {
	for name, k := range map[string]suite.Keys{"real keys": softkeys.New(), "fast keys": fastKeys{}} {
		b.Run(name, func(b *testing.B) {
			eachSize(b, func(b *testing.B, n int) {
				p := populate(b, k, n)
				by := treemath.LeafIndex(n / 3)
				e := p.tree.Edit()
				made := must(e.CreatePath(b.Context(), k, by, *p.tree.Leaf(by), p.clients[by].signer, groupID))
				path := must(made.Encrypt(b.Context(), k, e.Tree(), groupID, nil))
				for b.Loop() {
					e := p.tree.Edit()
					if err := e.MergePath(by, path, nil); err != nil {
						b.Fatal(err)
					}
					if _, _, err := tree.DecryptPath(b.Context(), k, e.Tree(), p.last, by, path, groupID, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkPages(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		p := populate(b, fastKeys{}, n)
		e := p.tree.Edit()
		must(e.CreatePath(b.Context(), fastKeys{}, 3, *p.tree.Leaf(3), p.clients[3].signer, groupID))
		next := e.Tree()
		store := newPageStore()
		store.save(b, p.tree, nil)
		b.Run("path", func(b *testing.B) {
			for b.Loop() {
				next.ChangedPages(p.tree)
			}
		})
		b.Run("load", func(b *testing.B) {
			for b.Loop() {
				must(tree.Load(testSuite, p.tree.LeafCount(), store.get))
			}
		})
		b.Run("export", func(b *testing.B) {
			for b.Loop() {
				wire.Marshal(p.tree.Export())
			}
		})
	})
}
