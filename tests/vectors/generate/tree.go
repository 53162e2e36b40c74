package main

import (
	"slices"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// A forest is a ratchet tree with the secrets of all of its members.
type forest struct {
	suite   *suite.Suite
	groupID []byte
	tree    *tree.Tree
	members map[treemath.LeafIndex]*leafKeys
	// secrets are the path secrets of the parents that are not blank.
	secrets map[treemath.NodeIndex][]byte
}

type leafKeys struct {
	signature  suite.SignatureKey
	encryption suite.HPKEKey
}

// newForest has n members, of whom each has added the next by a commit: the
// get_tree(n-1) of test-vectors.md.
func newForest(s *suite.Suite, n int) *forest {
	first := newMember(s, "0")
	f := &forest{
		suite:   s,
		groupID: suite.Random(16),
		tree:    tree.New(s, &first.keyPackage.LeafNode),
		members: map[treemath.LeafIndex]*leafKeys{0: {first.signature, first.encryption}},
		secrets: map[treemath.NodeIndex][]byte{},
	}
	for i := range treemath.LeafIndex(n - 1) {
		edit := f.tree.Edit()
		f.add(edit)
		f.commit(edit, i)
	}
	return f
}

// add adds a new member to the tree and returns its leaf.
func (f *forest) add(edit *tree.Editor) treemath.LeafIndex {
	m := newMember(f.suite, strconv.Itoa(len(f.members)))
	leaf := edit.Add(&m.keyPackage.LeafNode)
	f.members[leaf] = &leafKeys{m.signature, m.encryption}
	return leaf
}

// commit ends an edit with a path of one member's.
func (f *forest) commit(edit *tree.Editor, committer treemath.LeafIndex) {
	m := f.members[committer]
	path := must(edit.CreatePath(ctx, keys, committer, *edit.Leaf(committer), m.signature, f.groupID))
	m.encryption = path.Private().Leaf
	f.tree = edit.Tree()
	filtered := f.tree.FilteredDirectPath(committer)
	for leaf := range f.tree.Leaves() {
		if leaf == committer {
			continue
		}
		// What this leaf gets is the secret of the lowest node above both; each of
		// the others follows from the one below it (RFC 9420, Section 7.4).
		secret, ok := path.PathSecretFor(leaf)
		if !ok {
			panic("no path secret for a leaf")
		}
		secret = slices.Clone(secret)
		lowest := treemath.CommonAncestor(committer.Node(), leaf.Node())
		for _, x := range filtered[slices.Index(filtered, lowest):] {
			f.secrets[x] = secret
			secret = f.suite.DeriveSecret(secret, "path")
		}
	}
	path.Wipe()
}

// knows reports whether a leaf has the private key of a parent.
func (f *forest) knows(leaf treemath.LeafIndex, x treemath.NodeIndex) bool {
	parent := f.tree.Parent(x)
	return parent != nil && !slices.Contains(parent.UnmergedLeaves, leaf)
}

// private is what a member knows of the tree.
func (f *forest) private(leaf treemath.LeafIndex) *tree.Private {
	p := &tree.Private{Self: leaf, Leaf: f.members[leaf].encryption, Path: map[treemath.NodeIndex]suite.HPKEKey{}}
	for _, x := range treemath.DirectPath(leaf.Node(), treemath.LeafCount(f.tree.LeafCount())) {
		if f.knows(leaf, x) {
			p.Path[x] = must(keys.DeriveHPKEKeys(ctx, f.suite.ID(), [][]byte{f.suite.DeriveSecret(f.secrets[x], "node")}))[0]
		}
	}
	return p
}

// forests are the trees that the cases of tree-validation and treekem have for
// each suite: one that is full, one with blanks inside and at its end, and one
// with unmerged leaves.
func forests(s *suite.Suite) []*forest {
	full := newForest(s, 4)

	blanks := newForest(s, 6)
	edit := blanks.tree.Edit()
	edit.Remove(2)
	edit.Remove(3)
	blanks.commit(edit, 0)

	unmerged := newForest(s, 5)
	edit = unmerged.tree.Edit()
	unmerged.add(edit)
	unmerged.add(edit)
	unmerged.tree = edit.Tree()

	return []*forest{full, blanks, unmerged}
}

func treeValidation() any {
	return eachSuite(func(s *suite.Suite) []vectors.TreeValidation {
		var cases []vectors.TreeValidation
		for _, f := range forests(s) {
			c := vectors.TreeValidation{CipherSuite: uint16(s.ID()), Tree: wire.Marshal(f.tree.Export()), GroupID: f.groupID}
			for x := range treemath.NodeIndex(treemath.Width(treemath.LeafCount(f.tree.LeafCount()))) {
				resolution := []uint32{}
				for _, y := range f.tree.Resolution(x) {
					resolution = append(resolution, uint32(y))
				}
				c.Resolutions = append(c.Resolutions, resolution)
				c.TreeHashes = append(c.TreeHashes, f.tree.NodeHash(x))
			}
			cases = append(cases, c)
		}
		return cases
	})
}

// treeOperations adds a member at the end, in a gap and where the tree has to
// grow, updates one, and removes one in the middle and the last, after which the
// tree is smaller.
func treeOperations() any {
	return eachSuite(func(s *suite.Suite) []vectors.TreeOperations {
		f := newForest(s, 3)
		before := f.tree
		edit := before.Edit()
		edit.Remove(1)
		gap := edit.Tree()
		edit = before.Edit()
		edit.Remove(2)
		full := edit.Tree()

		added := newMember(s, "added")
		updated := newMember(s, "updated")
		update := updated.leaf("updated", message.LeafNodeSourceUpdate)
		check(update.Sign(ctx, s, updated.signature, f.groupID, 1))

		var cases []vectors.TreeOperations
		operation := func(before *tree.Tree, proposal *message.Proposal, apply func(edit *tree.Editor)) {
			edit := before.Edit()
			apply(edit)
			after := edit.Tree()
			cases = append(cases, vectors.TreeOperations{
				CipherSuite:    uint16(s.ID()),
				TreeBefore:     wire.Marshal(before.Export()),
				Proposal:       wire.Marshal(proposal),
				ProposalSender: 1,
				TreeHashBefore: before.Hash(),
				TreeAfter:      wire.Marshal(after.Export()),
				TreeHashAfter:  after.Hash(),
			})
		}
		add := &message.Proposal{Type: message.ProposalAdd, Add: added.keyPackage}
		for _, before := range []*tree.Tree{before, gap, full} {
			operation(before, add, func(edit *tree.Editor) { edit.Add(&added.keyPackage.LeafNode) })
		}
		operation(before, &message.Proposal{Type: message.ProposalUpdate, Update: update}, func(edit *tree.Editor) { edit.Update(1, update) })
		for _, leaf := range []treemath.LeafIndex{1, 2} {
			operation(before, &message.Proposal{Type: message.ProposalRemove, Remove: leaf}, func(edit *tree.Editor) { edit.Remove(leaf) })
		}
		return cases
	})
}

// treeKEM has paths of the first and of the last member of each tree.
func treeKEM() any {
	return eachSuite(func(s *suite.Suite) []vectors.TreeKEM {
		var cases []vectors.TreeKEM
		for _, f := range forests(s) {
			c := vectors.TreeKEM{
				CipherSuite:             uint16(s.ID()),
				GroupID:                 f.groupID,
				Epoch:                   77,
				ConfirmedTranscriptHash: suite.Random(s.HashSize()),
				RatchetTree:             wire.Marshal(f.tree.Export()),
			}
			var leaves []treemath.LeafIndex
			for leaf := range f.tree.Leaves() {
				leaves = append(leaves, leaf)
				m := f.members[leaf]
				private := vectors.TreeKEMLeaf{
					Index:          uint32(leaf),
					EncryptionPriv: m.encryption.Reference(),
					SignaturePriv:  m.signature.Reference(),
					PathSecrets:    []vectors.TreeKEMPathSecret{},
				}
				for _, x := range treemath.DirectPath(leaf.Node(), treemath.LeafCount(f.tree.LeafCount())) {
					if f.knows(leaf, x) {
						private.PathSecrets = append(private.PathSecrets, vectors.TreeKEMPathSecret{Node: uint32(x), PathSecret: f.secrets[x]})
					}
				}
				c.LeavesPrivate = append(c.LeavesPrivate, private)
			}
			for _, sender := range []treemath.LeafIndex{leaves[0], leaves[len(leaves)-1]} {
				c.UpdatePaths = append(c.UpdatePaths, f.updatePath(&c, sender))
			}
			cases = append(cases, c)
		}
		return cases
	})
}

// updatePath makes a path that the forest itself does not take over.
func (f *forest) updatePath(c *vectors.TreeKEM, sender treemath.LeafIndex) vectors.TreeKEMUpdatePath {
	edit := f.tree.Edit()
	path := must(edit.CreatePath(ctx, keys, sender, *edit.Leaf(sender), f.members[sender].signature, f.groupID))
	after := edit.Tree()
	context := wire.Marshal(&message.GroupContext{
		Version:                 message.MLS10,
		CipherSuite:             f.suite.ID(),
		GroupID:                 c.GroupID,
		Epoch:                   c.Epoch,
		TreeHash:                after.Hash(),
		ConfirmedTranscriptHash: c.ConfirmedTranscriptHash,
	})
	sent := must(path.Encrypt(ctx, keys, after, context, nil))
	u := vectors.TreeKEMUpdatePath{
		Sender:        uint32(sender),
		UpdatePath:    wire.Marshal(sent),
		CommitSecret:  slices.Clone(path.CommitSecret),
		TreeHashAfter: after.Hash(),
	}
	for leaf := range treemath.LeafIndex(after.LeafCount()) {
		if after.Leaf(leaf) == nil || leaf == sender {
			u.PathSecrets = append(u.PathSecrets, nil)
			continue
		}
		secret, ok := path.PathSecretFor(leaf)
		if !ok {
			panic("no path secret for a leaf")
		}
		got := vectors.Hex(slices.Clone(secret))
		u.PathSecrets = append(u.PathSecrets, &got)
		// Nothing goes out that the receiver could not read.
		commitSecret, _, err := tree.DecryptPath(ctx, keys, after, f.private(leaf), sender, sent, context, nil)
		check(err)
		if !slices.Equal(commitSecret, path.CommitSecret) {
			panic("the receiver of a path has another commit secret")
		}
	}
	path.Wipe()
	return u
}
