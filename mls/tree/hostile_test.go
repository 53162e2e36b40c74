package tree_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// copyNodes is a deep copy that a test may break.
func copyNodes(nodes message.RatchetTree) message.RatchetTree {
	out := make(message.RatchetTree, len(nodes))
	for i, n := range nodes {
		if n.Leaf != nil {
			leaf := *n.Leaf
			out[i].Leaf = &leaf
		}
		if n.Parent != nil {
			parent := *n.Parent
			parent.UnmergedLeaves = slices.Clone(parent.UnmergedLeaves)
			out[i].Parent = &parent
		}
	}
	return out
}

// unmergedGroup is a valid group of the leaves 0 to 8, in which leaf 6 is
// unmerged at 7 and 11, and 13 and 15 are blank; leaf 8 is alone on its side.
//
//	                        15
//	            7[6]                  _
//	     3             11[6]
//	  1     5        9      13
//	0   1 2   3    4   5  6    7      8
func unmergedGroup(t testing.TB) *group {
	g := newGroup(fastKeys{}, rand.New(rand.NewPCG(5, 5)))
	g.apply(t, commit{adds: 8, path: true})
	for _, i := range []treemath.LeafIndex{5, 7, 0} {
		g.apply(t, commit{by: i, path: true})
	}
	// Leaf 6 goes and comes back, and is unmerged below nodes that 7 then set anew.
	g.apply(t, commit{by: 7, removes: []treemath.LeafIndex{6, 8}, path: true})
	g.apply(t, commit{by: 0, adds: 2})
	return g
}

func TestUnmergedGroup(t *testing.T) {
	g := unmergedGroup(t)
	for x, want := range map[treemath.NodeIndex][]treemath.LeafIndex{7: {6}, 11: {6}} {
		if p := g.tree.Parent(x); p == nil || !slices.Equal(p.UnmergedLeaves, want) {
			t.Errorf("node %d: %+v", x, p)
		}
	}
	for _, x := range []treemath.NodeIndex{13, 15} {
		if g.tree.Parent(x) != nil {
			t.Errorf("node %d is not blank", x)
		}
	}
	if got, want := g.tree.Resolution(15), []treemath.NodeIndex{7, 12, 16}; !slices.Equal(got, want) {
		t.Errorf("resolution of the root %v, want %v", got, want)
	}
	if got, want := g.tree.FilteredDirectPath(8), []treemath.NodeIndex{15}; !slices.Equal(got, want) {
		t.Errorf("filtered direct path of 8 %v, want %v", got, want)
	}
	if got := g.tree.FilteredDirectPath(16); len(got) != 0 {
		t.Errorf("filtered direct path of no leaf %v", got)
	}
	if got := g.tree.Resolution(31); got != nil {
		t.Errorf("resolution of no node %v", got)
	}
}

// Each rule of an imported tree, broken once.
func TestImportRefuses(t *testing.T) {
	valid := unmergedGroup(t).tree.Export()
	for _, c := range []struct {
		name   string
		code   mlserr.Code
		break_ func(n message.RatchetTree) message.RatchetTree
	}{
		{"no nodes", mlserr.MalformedTree, func(n message.RatchetTree) message.RatchetTree { return nil }},
		{"even number of nodes", mlserr.MalformedTree, func(n message.RatchetTree) message.RatchetTree { return n[:14] }},
		{"last node blank", mlserr.MalformedTree, func(n message.RatchetTree) message.RatchetTree {
			return append(n, message.Node{}, message.Node{})
		}},
		{"one blank node", mlserr.MalformedTree, func(n message.RatchetTree) message.RatchetTree { return message.RatchetTree{{}} }},
		{"leaf at a parent's index", mlserr.MalformedTree, func(n message.RatchetTree) message.RatchetTree {
			n[13] = n[12]
			return n
		}},
		{"parent at a leaf's index", mlserr.MalformedTree, func(n message.RatchetTree) message.RatchetTree {
			n[4] = n[7]
			return n
		}},
		{"unmerged leaves not increasing", mlserr.UnmergedLeaves, func(n message.RatchetTree) message.RatchetTree {
			n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{6, 5}
			return n
		}},
		{"unmerged leaf twice", mlserr.UnmergedLeaves, func(n message.RatchetTree) message.RatchetTree {
			n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{6, 6}
			return n
		}},
		{"unmerged leaf of another subtree", mlserr.UnmergedLeaves, func(n message.RatchetTree) message.RatchetTree {
			n[11].Parent.UnmergedLeaves = []treemath.LeafIndex{3}
			return n
		}},
		{"unmerged leaf outside of the tree", mlserr.UnmergedLeaves, func(n message.RatchetTree) message.RatchetTree {
			n[11].Parent.UnmergedLeaves = []treemath.LeafIndex{6, 1 << 31}
			return n
		}},
		{"unmerged leaf 2^32-1", mlserr.UnmergedLeaves, func(n message.RatchetTree) message.RatchetTree {
			n[11].Parent.UnmergedLeaves = []treemath.LeafIndex{6, 1<<32 - 1}
			return n
		}},
		{"more leaves than MaxLeaves", mlserr.TooLarge, func(n message.RatchetTree) message.RatchetTree {
			n = append(n, make(message.RatchetTree, int(treemath.Width(tree.MaxLeaves))+2-len(n))...)
			n[len(n)-1] = n[0]
			return n
		}},
	} {
		if _, err := tree.Import(testSuite, c.break_(copyNodes(valid))); !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	if _, err := tree.Import(testSuite, copyNodes(valid)); err != nil {
		t.Error(err)
	}
}

// Each rule of a valid tree, broken once.
func TestValidateRefuses(t *testing.T) {
	g := unmergedGroup(t)
	valid := g.tree.Export()
	if err := must(tree.Import(testSuite, copyNodes(valid))).Validate(); err != nil {
		t.Fatal(err)
	}
	other := newClient(g.k).leaf
	// The last committer, leaf 7, is below nobody's sibling.
	for _, c := range []struct {
		name   string
		code   mlserr.Code
		break_ func(n message.RatchetTree)
	}{
		{"W10: unmerged leaf blank", mlserr.UnmergedLeaves, func(n message.RatchetTree) { n[12].Leaf = nil }},
		{"W10: not listed by the node between", mlserr.UnmergedLeaves, func(n message.RatchetTree) { n[11].Parent.UnmergedLeaves = nil }},
		{"L8: signature key of two leaves", mlserr.SignatureKeyNotUnique, func(n message.RatchetTree) { n[2].Leaf.SignatureKey = n[16].Leaf.SignatureKey }},
		{"L9: encryption key of two leaves", mlserr.EncryptionKeyNotUnique, func(n message.RatchetTree) { n[2].Leaf.EncryptionKey = n[16].Leaf.EncryptionKey }},
		{"L9: encryption key of a leaf and a parent", mlserr.EncryptionKeyNotUnique, func(n message.RatchetTree) { n[2].Leaf.EncryptionKey = n[7].Parent.EncryptionKey }},
		{"L9: encryption key of two parents (W11)", mlserr.EncryptionKeyNotUnique, func(n message.RatchetTree) { n[3].Parent.EncryptionKey = n[7].Parent.EncryptionKey }},
		{"W8: parent hash of a leaf", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[14].Leaf.ParentHash = suite.Random(32) }},
		{"W8: short parent hash of a leaf", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[14].Leaf.ParentHash = n[14].Leaf.ParentHash[:31] }},
		{"W8: empty parent hash of a leaf", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[14].Leaf.ParentHash = nil }},
		{"W8: a leaf that is not of a commit", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[14].Leaf.Source = message.LeafNodeSourceUpdate }},
		{"W8: parent hash of a parent", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[3].Parent.ParentHash = suite.Random(32) }},
		{"W8: empty parent hash of a parent", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[3].Parent.ParentHash = nil }},
		{"W8: parent hash of the topmost parent", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[7].Parent.ParentHash = suite.Random(32) }},
		{"W8: key of a parent", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[7].Parent.EncryptionKey = suite.Random(32) }},
		{"W8: another leaf below the sibling", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[8].Leaf = other }},
		{"W8: no leaf below the sibling", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[4].Leaf = nil }},
		{"W8: one more leaf below the sibling, unmerged to nobody", mlserr.ParentHashInvalid, func(n message.RatchetTree) {
			n[11].Parent.UnmergedLeaves, n[7].Parent.UnmergedLeaves = nil, nil
		}},
		{"W8: unmerged leaf that was merged", mlserr.ParentHashInvalid, func(n message.RatchetTree) {
			n[1].Parent.UnmergedLeaves, n[3].Parent.UnmergedLeaves = []treemath.LeafIndex{1}, []treemath.LeafIndex{1}
		}},
		{"W8: a parent that nobody set", mlserr.ParentHashInvalid, func(n message.RatchetTree) {
			n[13].Parent = &message.ParentNode{EncryptionKey: suite.Random(32), ParentHash: suite.Random(32), UnmergedLeaves: []treemath.LeafIndex{6}}
		}},
		{"W8: a parent over unmerged leaves alone", mlserr.ParentHashInvalid, func(n message.RatchetTree) {
			n[13].Parent = &message.ParentNode{EncryptionKey: suite.Random(32), UnmergedLeaves: []treemath.LeafIndex{6, 7}}
		}},
		{"W8: a parent over blank leaves", mlserr.ParentHashInvalid, func(n message.RatchetTree) {
			n[3] = message.Node{}
			n[0], n[2] = message.Node{}, message.Node{}
		}},
		{"W8: a parent blanked on a chain", mlserr.ParentHashInvalid, func(n message.RatchetTree) { n[3].Parent = nil }},
	} {
		nodes := copyNodes(valid)
		c.break_(nodes)
		imported, err := tree.Import(testSuite, nodes)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := imported.Validate(); !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.name[:2]) {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}

	nodes := copyNodes(valid)
	nodes[11].Parent.EncryptionKey = make([]byte, 31)
	if err := must(tree.Import(testSuite, nodes)).ValidateKeys(t.Context(), g.k); !errors.Is(err, mlserr.InvalidPublicKey) || !strings.Contains(err.Error(), "node 11") {
		t.Errorf("an HPKE key of 31 bytes: %v", err)
	}
	nodes = copyNodes(valid)
	nodes[16].Leaf.Signature = suite.Random(32)
	if err := must(tree.Import(testSuite, nodes)).VerifyLeaves(t.Context(), g.k, groupID); !errors.Is(err, mlserr.InvalidSignature) || !strings.Contains(err.Error(), "leaf 8") {
		t.Errorf("a wrong signature: %v", err)
	}
	if err := g.tree.VerifyLeaves(t.Context(), g.k, []byte("another group")); !errors.Is(err, mlserr.InvalidSignature) {
		t.Errorf("leaves of another group: %v", err)
	}
}

// sentPath is a commit as its receivers get it.
type sentPath struct {
	old, next    *tree.Tree
	by           treemath.LeafIndex
	path         *message.UpdatePath
	added        []treemath.LeafIndex
	joiner       *client
	groupContext []byte
	made         *tree.NewPath
}

// send makes a path of leaf 0 in the unmerged group, with one more leaf added.
func send(t testing.TB, g *group) sentPath {
	s := sentPath{old: g.tree, by: 0, joiner: newClient(g.k), groupContext: []byte("context")}
	e := g.tree.Edit()
	s.added = []treemath.LeafIndex{e.Add(s.joiner.leaf)}
	s.made = must(e.CreatePath(t.Context(), g.k, s.by, *g.members[s.by].leaf, g.members[s.by].signer, groupID))
	s.next = e.Tree()
	s.path = must(s.made.Encrypt(t.Context(), g.k, s.next, s.groupContext, s.added))
	return s
}

// edit is an edit of a receiver, up to the path.
func (s *sentPath) edit() *tree.Editor {
	e := s.old.Edit()
	e.Add(s.joiner.leaf)
	return e
}

// Each rule of a received path, broken once. The editor stays as it was.
func TestMergePathRefuses(t *testing.T) {
	g := unmergedGroup(t)
	s := send(t, g)
	encoded := wire.Marshal(s.path)
	for _, c := range []struct {
		name   string
		code   mlserr.Code
		break_ func(p *message.UpdatePath, s *sentPath)
	}{
		{"S5: a blank sender", mlserr.InvalidSender, func(p *message.UpdatePath, s *sentPath) { s.by = 15 }},
		{"S5: a sender outside of the tree", mlserr.InvalidSender, func(p *message.UpdatePath, s *sentPath) { s.by = 16 }},
		{"S5: sender 2^31", mlserr.InvalidSender, func(p *message.UpdatePath, s *sentPath) { s.by = 1 << 31 }},
		{"S5: sender 2^32-1", mlserr.InvalidSender, func(p *message.UpdatePath, s *sentPath) { s.by = 1<<32 - 1 }},
		{"C6: no nodes", mlserr.PathInvalid, func(p *message.UpdatePath, s *sentPath) { p.Nodes = nil }},
		{"C6: a node less", mlserr.PathInvalid, func(p *message.UpdatePath, s *sentPath) { p.Nodes = p.Nodes[:len(p.Nodes)-1] }},
		{"C6: a node more", mlserr.PathInvalid, func(p *message.UpdatePath, s *sentPath) { p.Nodes = append(p.Nodes, p.Nodes[0]) }},
		{"C6: a ciphertext less", mlserr.PathInvalid, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[2].EncryptedPathSecret = p.Nodes[2].EncryptedPathSecret[1:]
		}},
		{"C6: a ciphertext more", mlserr.PathInvalid, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[3].EncryptedPathSecret = append(p.Nodes[3].EncryptedPathSecret, p.Nodes[0].EncryptedPathSecret[0])
		}},
		{"C6: ciphertexts for new leaves too", mlserr.PathInvalid, func(p *message.UpdatePath, s *sentPath) { s.added = nil }},
		{"C4: the leaf's key as before", mlserr.EncryptionKeyReused, func(p *message.UpdatePath, s *sentPath) {
			p.LeafNode.EncryptionKey = s.old.Leaf(0).EncryptionKey
		}},
		{"C5: the leaf has the key of a leaf", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.LeafNode.EncryptionKey = s.old.Leaf(5).EncryptionKey
		}},
		{"C5: the leaf has the key of a parent to be replaced", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.LeafNode.EncryptionKey = s.old.Parent(3).EncryptionKey
		}},
		{"C5: a node has the key of a new leaf", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[1].EncryptionKey = s.joiner.leaf.EncryptionKey
		}},
		{"C5: a node has its key as before", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[1].EncryptionKey = s.old.Parent(3).EncryptionKey
		}},
		{"C5: a node has the sender's old leaf key", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[0].EncryptionKey = s.old.Leaf(0).EncryptionKey
		}},
		{"C5: a key twice in the path", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[3].EncryptionKey = p.Nodes[1].EncryptionKey
		}},
		{"C5: a node has the leaf's new key", mlserr.EncryptionKeyNotUnique, func(p *message.UpdatePath, s *sentPath) {
			p.Nodes[2].EncryptionKey = p.LeafNode.EncryptionKey
		}},
		{"C9: another parent hash", mlserr.ParentHashInvalid, func(p *message.UpdatePath, s *sentPath) { p.LeafNode.ParentHash = suite.Random(32) }},
		{"C9: no parent hash", mlserr.ParentHashInvalid, func(p *message.UpdatePath, s *sentPath) { p.LeafNode.ParentHash = nil }},
		{"C9: another key", mlserr.ParentHashInvalid, func(p *message.UpdatePath, s *sentPath) { p.Nodes[0].EncryptionKey = suite.Random(32) }},
		{"C9: another key of the root", mlserr.ParentHashInvalid, func(p *message.UpdatePath, s *sentPath) { p.Nodes[3].EncryptionKey = suite.Random(32) }},
	} {
		var path message.UpdatePath
		if err := wire.Unmarshal(encoded, &path); err != nil {
			t.Fatal(err)
		}
		broken := s
		c.break_(&path, &broken)
		e := s.edit()
		before := e.Tree()
		if err := e.MergePath(broken.by, &path, broken.added); !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
		if put, _ := e.Tree().ChangedPages(before); len(put) != 0 {
			t.Errorf("%s: the editor has changed", c.name)
		}
		// Whatever it is, the private half does not take it for a path.
		p := g.members[7].private
		if _, _, err := tree.DecryptPath(t.Context(), g.k, before, p, broken.by, &path, s.groupContext, broken.added); err == nil {
			t.Errorf("%s: decrypted", c.name)
		}
	}
	e := s.edit()
	if err := e.MergePath(s.by, s.path, s.added); err != nil {
		t.Fatal(err)
	}
	sameTree(t, "merged", e.Tree(), s.next)
}

// An external joiner's own leaf is in the tree before its path is.
func TestPlaced(t *testing.T) {
	g := unmergedGroup(t)
	c := newClient(g.k)
	e := g.tree.Edit()
	at := e.Place(c.leaf)
	made := must(e.CreatePath(t.Context(), g.k, at, *c.leaf, c.signer, groupID))
	path := must(made.Encrypt(t.Context(), g.k, e.Tree(), nil, nil))

	e = g.tree.Edit()
	e.Place(&path.LeafNode)
	path.Nodes[0].EncryptionKey = path.LeafNode.EncryptionKey
	if err := e.MergePath(at, path, nil); !errors.Is(err, mlserr.EncryptionKeyNotUnique) {
		t.Errorf("the leaf's key in the path: %v", err)
	}
	taken := *path
	taken.LeafNode.EncryptionKey = g.tree.Leaf(3).EncryptionKey
	e = g.tree.Edit()
	e.Place(&taken.LeafNode)
	if err := e.MergePath(at, &taken, nil); !errors.Is(err, mlserr.EncryptionKeyNotUnique) {
		t.Errorf("the key of another leaf: %v", err)
	}
}

func TestCreatePathRefuses(t *testing.T) {
	g := unmergedGroup(t)
	e := g.tree.Edit()
	m := g.members[0]
	for _, i := range []treemath.LeafIndex{15, 16, 1 << 31, 1<<32 - 1} {
		if _, err := e.CreatePath(t.Context(), g.k, i, *m.leaf, m.signer, groupID); !errors.Is(err, mlserr.InvalidArgument) {
			t.Errorf("leaf %d: %v", i, err)
		}
	}
	if _, err := e.CreatePath(t.Context(), g.k, 0, *m.leaf, g.members[1].signer, groupID); !errors.Is(err, mlserr.InvalidArgument) {
		t.Errorf("another signer: %v", err)
	}
	for _, k := range []suite.Keys{failingKeys{generate: true}, failingKeys{derive: true}, failingKeys{short: true}} {
		if _, err := e.CreatePath(t.Context(), k, 0, *m.leaf, m.signer, groupID); err == nil {
			t.Error("no error of Keys comes out")
		}
	}
	if _, err := e.CreatePath(t.Context(), g.k, 0, *m.leaf, failingSigner{m.signer}, groupID); !errors.Is(err, mlserr.Cancelled) {
		t.Errorf("signing fails: %v", err)
	}
	if put, _ := e.Tree().ChangedPages(g.tree); len(put) != 0 {
		t.Error("the editor has changed")
	}
}

type failingKeys struct {
	fastKeys
	generate, derive, short bool
}

var errCancelled = mlserr.New(mlserr.Cancelled, "")

func (k failingKeys) GenerateHPKEKey(ctx context.Context, id suite.ID) (suite.HPKEKey, error) {
	if k.generate {
		return nil, errCancelled
	}
	return k.fastKeys.GenerateHPKEKey(ctx, id)
}

func (k failingKeys) DeriveHPKEKeys(ctx context.Context, id suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	switch {
	case k.derive:
		return nil, errCancelled
	case k.short:
		ikm = ikm[1:]
	}
	return k.fastKeys.DeriveHPKEKeys(ctx, id, ikm)
}

type failingSigner struct{ suite.SignatureKey }

func (failingSigner) Sign(context.Context, []byte) ([]byte, error) { return nil, errCancelled }

// recordingKeys keeps the node secrets that it is given.
type recordingKeys struct {
	fastKeys
	nodeSecrets *[][]byte
}

func (k recordingKeys) DeriveHPKEKeys(ctx context.Context, id suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	*k.nodeSecrets = append(*k.nodeSecrets, ikm...)
	return k.fastKeys.DeriveHPKEKeys(ctx, id, ikm)
}

func TestNodeSecretsAreWiped(t *testing.T) {
	g := unmergedGroup(t)
	var secrets [][]byte
	k := recordingKeys{nodeSecrets: &secrets}
	e := g.tree.Edit()
	made := must(e.CreatePath(t.Context(), k, 0, *g.members[0].leaf, g.members[0].signer, groupID))
	next := e.Tree()
	path := must(made.Encrypt(t.Context(), k, next, nil, nil))
	if _, _, err := tree.DecryptPath(t.Context(), k, next, g.members[1].private, 0, path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if len(secrets) != 8 {
		t.Fatalf("%d node secrets", len(secrets))
	}
	for _, s := range secrets {
		if !bytes.Equal(s, make([]byte, testSuite.HashSize())) {
			t.Error("a node secret is not wiped")
		}
	}
}

func TestPrune(t *testing.T) {
	g := unmergedGroup(t)
	s := send(t, g)
	p := g.members[4].private
	if len(p.Path) != 3 {
		t.Fatalf("%d keys", len(p.Path))
	}
	if same := p.Prune(s.old, s.old); len(same.Path) != 3 {
		t.Error("a key of the same tree is dropped")
	}
	// The path of leaf 0 replaces node 7 alone of 9, 11 and 7.
	next := p.Prune(s.old, s.next)
	if len(next.Path) != 2 || next.Path[9] == nil || next.Path[11] == nil || next.Leaf != p.Leaf || next.Self != 4 {
		t.Errorf("after a path: %v", next.Path)
	}
	e := s.next.Edit()
	e.BlankPath(5)
	if next = p.Prune(s.next, e.Tree()); len(next.Path) != 0 {
		t.Errorf("after blanking: %v", next.Path)
	}
	if len(p.Path) != 3 {
		t.Error("the old value has changed")
	}
}

func TestDecryptPathRefuses(t *testing.T) {
	g := unmergedGroup(t)
	s := send(t, g)
	decrypt := func(i treemath.LeafIndex, path *message.UpdatePath, groupContext []byte) error {
		_, _, err := tree.DecryptPath(t.Context(), g.k, s.next, g.members[i].private, s.by, path, groupContext, s.added)
		return err
	}
	for i := range g.members {
		err := decrypt(i, s.path, s.groupContext)
		if i == s.by {
			if !errors.Is(err, mlserr.PathInvalid) {
				t.Errorf("the sender itself: %v", err)
			}
			continue
		}
		if err != nil {
			t.Errorf("leaf %d: %v", i, err)
		}
		if err := decrypt(i, s.path, []byte("another context")); !errors.Is(err, mlserr.DecryptionFailed) {
			t.Errorf("C7: leaf %d, another group context: %v", i, err)
		}
	}
	// A secret that is not that of the public key: of another node, or longer.
	for _, secret := range [][]byte{suite.Random(32), suite.Random(31), suite.Random(33), {}} {
		broken := *s.path
		broken.Nodes = slices.Clone(broken.Nodes)
		broken.Nodes[0].EncryptedPathSecret = must(testSuite.EncryptWithLabel(t.Context(), g.k, "UpdatePathNode", s.groupContext,
			[]suite.Recipient{{PublicKey: s.old.Leaf(1).EncryptionKey, Plaintext: secret}}))
		if err := decrypt(1, &broken, s.groupContext); !errors.Is(err, mlserr.PathKeyMismatch) {
			t.Errorf("C8: a path secret of %d bytes: %v", len(secret), err)
		}
	}
	// The key of a node further up that the secret does not give.
	nodes := copyNodes(s.next.Export())
	nodes[7].Parent.EncryptionKey = suite.Random(32)
	forged := must(tree.Import(testSuite, nodes))
	if _, _, err := tree.DecryptPath(t.Context(), g.k, forged, g.members[1].private, s.by, s.path, s.groupContext, s.added); !errors.Is(err, mlserr.PathKeyMismatch) {
		t.Errorf("C8: another key above: %v", err)
	}
	// Keys that are not those of the tree are of no use.
	stale := g.members[1].private.WithLeaf(newClient(g.k).key)
	if _, _, err := tree.DecryptPath(t.Context(), g.k, s.next, stale, s.by, s.path, s.groupContext, s.added); !errors.Is(err, mlserr.PathInvalid) {
		t.Errorf("another leaf key: %v", err)
	}
	// A new leaf has no ciphertext.
	joiner := must(tree.JoinPrivate(t.Context(), g.k, s.next, s.added[0], s.joiner.key, s.by, nil))
	if _, _, err := tree.DecryptPath(t.Context(), g.k, s.next, joiner, s.by, s.path, s.groupContext, s.added); !errors.Is(err, mlserr.PathInvalid) {
		t.Errorf("a leaf that the commit adds: %v", err)
	}
	if _, _, err := tree.DecryptPath(t.Context(), failingKeys{derive: true}, s.next, g.members[1].private, s.by, s.path, s.groupContext, s.added); !errors.Is(err, mlserr.Cancelled) {
		t.Errorf("Keys fail: %v", err)
	}
}

func TestJoinPrivateRefuses(t *testing.T) {
	g := unmergedGroup(t)
	s := send(t, g)
	self := s.added[0]
	join := func(self treemath.LeafIndex, key suite.HPKEKey, signer treemath.LeafIndex, secret []byte) error {
		_, err := tree.JoinPrivate(t.Context(), g.k, s.next, self, key, signer, secret)
		return err
	}
	secret := func() []byte {
		secret, _ := s.made.PathSecretFor(self)
		return bytes.Clone(secret)
	}
	if err := join(self, s.joiner.key, s.by, secret()); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another key":       join(self, newClient(g.k).key, s.by, secret()),
		"a blank leaf":      join(15, s.joiner.key, s.by, secret()),
		"a leaf outside":    join(1<<31, s.joiner.key, s.by, secret()),
		"leaf 2^32-1":       join(1<<32-1, s.joiner.key, s.by, secret()),
		"another key alone": join(self, newClient(g.k).key, s.by, nil),
	} {
		if !errors.Is(err, mlserr.LeafMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := secret()[1:]
	for name, err := range map[string]error{
		"W13: another secret":         join(self, s.joiner.key, s.by, suite.Random(32)),
		"W13: a short secret":         join(self, s.joiner.key, s.by, short),
		"W13: an empty secret":        join(self, s.joiner.key, s.by, []byte{}),
		"W13: another signer":         join(self, s.joiner.key, 8, secret()),
		"W13: oneself as the signer":  join(self, s.joiner.key, self, secret()),
		"W13: a signer outside":       join(self, s.joiner.key, 1<<31, secret()),
		"W13: signer 2^32-1":          join(self, s.joiner.key, 1<<32-1, secret()),
		"W13: a signer without nodes": join(self, s.joiner.key, 15, secret()),
	} {
		if !errors.Is(err, mlserr.PathKeyMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A parent that its maker alone is below: no commit makes it, but a member can
// sign for it, and the tree is valid. The next path blanks it.
func forgedParent(t testing.TB) (*tree.Tree, *client) {
	c := newClient(fastKeys{})
	blank := []byte{1, 0, 0, 0, 1, 0} // LeafNodeHashInput of leaf 1
	parent := &message.ParentNode{EncryptionKey: suite.Random(32)}
	var input wire.Writer
	input.Opaque(parent.EncryptionKey)
	input.Opaque(nil)
	input.Opaque(testSuite.Hash(blank))
	c.leaf.Source, c.leaf.ParentHash = message.LeafNodeSourceCommit, testSuite.Hash(input.Bytes())
	forged := must(tree.Import(testSuite, message.RatchetTree{{Leaf: c.leaf}, {Parent: parent}, {}, {}, {Leaf: newClient(fastKeys{}).leaf}}))
	if err := forged.Validate(); err != nil {
		t.Fatal(err)
	}
	return forged, c
}

func TestForgedParentIsBlanked(t *testing.T) {
	forged, c := forgedParent(t)
	key := forged.Parent(1).EncryptionKey
	e := forged.Edit()
	made := must(e.CreatePath(t.Context(), fastKeys{}, 0, *c.leaf, c.signer, groupID))
	created := e.Tree()
	path := must(made.Encrypt(t.Context(), fastKeys{}, created, nil, nil))
	e = forged.Edit()
	if err := e.MergePath(0, path, nil); err != nil {
		t.Fatal(err)
	}
	sameTree(t, "merged", e.Tree(), created)
	if created.Parent(1) != nil || created.HasEncryptionKey(key) || len(path.Nodes) != 1 {
		t.Error("a node that is not on the filtered direct path is left")
	}
}

// A forged parent over blank leaves goes when the tree is cut, and does not
// come back when it grows.
func TestTruncateForgedParent(t *testing.T) {
	key := suite.Random(32)
	for _, lookups := range []int{0, 100} {
		nodes := make(message.RatchetTree, 15)
		nodes[0].Leaf, nodes[14].Leaf = newClient(fastKeys{}).leaf, newClient(fastKeys{}).leaf
		nodes[9].Parent = &message.ParentNode{EncryptionKey: key}
		e := must(tree.Import(testSuite, nodes)).Edit()
		for range lookups {
			e.FindSignatureKey(key)
		}
		if !e.HasEncryptionKey(key) {
			t.Error("the parent is not found")
		}
		e.Remove(7)
		if e.LeafCount() != 1 || e.HasEncryptionKey(key) {
			t.Errorf("cut: %d leaves", e.LeafCount())
		}
		for range 7 {
			e.Add(newClient(fastKeys{}).leaf)
		}
		if e.LeafCount() != 8 || e.Parent(9) != nil || e.HasEncryptionKey(key) {
			t.Error("the parent is back")
		}
		grown := e.Tree()
		sameTree(t, "imported", must(tree.Import(testSuite, grown.Export())), grown)
	}
}

// Random damage to an encoded tree: whatever still imports may be asked
// anything and edited, without a panic.
func TestDamagedTrees(t *testing.T) {
	encoded := wire.Marshal(unmergedGroup(t).tree.Export())
	rng := rand.New(rand.NewPCG(6, 6))
	imported := 0
	for range 1000 {
		data := bytes.Clone(encoded)
		for range 1 + rng.IntN(3) {
			data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		}
		if exercise(data, rng) {
			imported++
		}
	}
	if imported < 300 {
		t.Errorf("only %d trees imported", imported)
	}
	// Trees of which each node is there or not, and lists what it may.
	for range 300 {
		nodes := copyNodes(must(decodeTree(encoded)))
		for x := range nodes {
			if rng.IntN(4) == 0 && x != len(nodes)-1 {
				nodes[x] = message.Node{}
			}
			if p := nodes[x].Parent; p != nil || x%2 == 1 && rng.IntN(2) == 0 {
				p = &message.ParentNode{EncryptionKey: suite.Random(32), ParentHash: suite.Random(32)}
				first, last := treemath.SubtreeLeafRange(treemath.NodeIndex(x))
				for i := first; i <= last; i++ {
					if rng.IntN(3) == 0 {
						p.UnmergedLeaves = append(p.UnmergedLeaves, i)
					}
				}
				nodes[x].Parent = p
			}
		}
		if !exercise(wire.Marshal(nodes), rng) {
			t.Fatal("not imported")
		}
	}
}

func decodeTree(data []byte) (nodes message.RatchetTree, err error) {
	err = wire.Unmarshal(data, &nodes)
	return nodes, err
}

// exercise imports a tree, if it can be, and uses all that a tree has.
func exercise(data []byte, rng *rand.Rand) bool {
	nodes, err := decodeTree(data)
	if err != nil {
		return false
	}
	imported, err := tree.Import(testSuite, nodes)
	if err != nil {
		return false
	}
	ctx := context.Background()
	k := fastKeys{}
	imported.Validate()
	imported.ValidateKeys(ctx, k)
	imported.VerifyLeaves(ctx, k, groupID)
	for x := range treemath.NodeIndex(treemath.Width(treemath.LeafCount(imported.LeafCount())) + 2) {
		imported.Resolution(x)
	}
	before := take(imported)
	c := newClient(k)
	for i, leaf := range imported.Leaves() {
		imported.FilteredDirectPath(i)
		e := imported.Edit()
		e.HasEncryptionKey(leaf.EncryptionKey)
		made := must(e.CreatePath(ctx, k, i, *c.leaf, c.signer, groupID))
		made.Encrypt(ctx, k, e.Tree(), nil, []treemath.LeafIndex{1, 1 << 31})
		e.MergePath(i, &message.UpdatePath{LeafNode: *leaf}, nil)
		e.Add(newClient(k).leaf)
		if rng.IntN(2) == 0 {
			e.Remove(i)
		}
		e.Tree()
		if imported.MemberCount() > 1 {
			e = imported.Edit()
			e.Remove(i)
			e.Add(newClient(k).leaf)
			e.Tree()
		}
		tree.JoinPrivate(ctx, k, imported, i, c.key, 0, suite.Random(32))
	}
	if !before.same() {
		panic("an edit has changed a tree")
	}
	return true
}

func FuzzImport(f *testing.F) {
	f.Add(wire.Marshal(unmergedGroup(f).tree.Export()))
	rng := rand.New(rand.NewPCG(7, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		exercise(data, rng)
	})
}
