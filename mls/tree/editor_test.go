package tree_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"webmls/mls/tree"
	"webmls/mls/treemath"
)

// Searches in an editor find what a walk over its nodes finds, through every
// kind of edit, while there were few of them and when there were many.
func TestEditorFindsKeys(t *testing.T) {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(9, 9)))
	g.apply(t, commit{adds: 30, path: true})
	g.apply(t, commit{by: 17, path: true})
	e := g.tree.Edit()
	var signature, encryption [][]byte // all that ever were
	seen := func() {
		for _, c := range g.members {
			signature = append(signature, c.signer.Public())
		}
		for _, n := range g.tree.Export() {
			if n.Leaf != nil {
				encryption = append(encryption, n.Leaf.EncryptionKey)
			}
			if n.Parent != nil {
				encryption = append(encryption, n.Parent.EncryptionKey)
			}
		}
	}
	check := func(what string) {
		t.Helper()
		for _, key := range signature {
			want, found := treemath.LeafIndex(0), false
			for i := range treemath.LeafIndex(e.LeafCount()) {
				if leaf := e.Leaf(i); leaf != nil && !found && bytes.Equal(leaf.SignatureKey, key) {
					want, found = i, true
				}
			}
			if got, ok := e.FindSignatureKey(key); ok != found || got != want {
				t.Fatalf("%s: signature key found at %d, %v, want %d, %v", what, got, ok, want, found)
			}
		}
		for _, key := range encryption {
			found := false
			for x := range treemath.NodeIndex(2 * e.LeafCount()) {
				if p := e.Parent(x); p != nil && bytes.Equal(p.EncryptionKey, key) {
					found = true
				}
				if i, ok := x.Leaf(); ok && e.Leaf(i) != nil && bytes.Equal(e.Leaf(i).EncryptionKey, key) {
					found = true
				}
			}
			if e.HasEncryptionKey(key) != found {
				t.Fatalf("%s: encryption key found: %v, want %v", what, !found, found)
			}
		}
	}
	add := func(c *client) treemath.LeafIndex {
		signature = append(signature, c.leaf.SignatureKey)
		encryption = append(encryption, c.leaf.EncryptionKey)
		return e.Add(c.leaf)
	}
	seen()
	check("before")
	twin := newClient(g.k)
	twin.leaf.SignatureKey = g.members[20].leaf.SignatureKey
	add(twin)
	check("a signature key twice")
	e.Remove(20)
	check("and once again")
	for range 40 {
		add(newClient(g.k))
	}
	check("extended")
	made := must(e.CreatePath(t.Context(), g.k, 3, *g.members[3].leaf, g.members[3].signer, groupID))
	encryption = append(encryption, made.Leaf.EncryptionKey)
	for _, key := range made.Private().Path {
		encryption = append(encryption, key.Public())
	}
	check("with a path")
	e.Tree()
	c := newClient(g.k)
	signature, encryption = append(signature, c.leaf.SignatureKey), append(encryption, c.leaf.EncryptionKey)
	e.Update(5, c.leaf)
	check("with an update")
	for i := treemath.LeafIndex(e.LeafCount()) - 1; i > 2; i-- {
		if e.Leaf(i) != nil {
			e.Remove(i)
		}
	}
	check("truncated")
	for range 20 {
		add(newClient(g.k))
	}
	check("extended again")
	after := e.Tree()
	sameTree(t, "imported", must(tree.Import(testSuite, after.Export())), after)
}
