package vectors_test

import (
	"testing"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestTreeOperations(t *testing.T) {
	run(t, "tree-operations", 5, checkTreeOperations)
}

func checkTreeOperations(t *testing.T, c vectors.TreeOperations) {
	s := lookup(t, c.CipherSuite)
	before := importTree(t, s, c.TreeBefore)
	equal(t, "tree_hash_before", before.Hash(), c.TreeHashBefore)

	var proposal message.Proposal
	encodesAgain(t, "proposal", c.Proposal, &proposal)
	edit := before.Edit()
	switch proposal.Type {
	case message.ProposalAdd:
		edit.Add(&proposal.Add.LeafNode)
	case message.ProposalUpdate:
		edit.Update(treemath.LeafIndex(c.ProposalSender), proposal.Update)
	case message.ProposalRemove:
		edit.Remove(proposal.Remove)
	default:
		t.Fatalf("proposal of type %d", proposal.Type)
	}
	after := edit.Tree()
	equal(t, "tree_after", wire.Marshal(after.Export()), c.TreeAfter)
	equal(t, "tree_hash_after", after.Hash(), c.TreeHashAfter)

	equal(t, "the old tree, later", wire.Marshal(before.Export()), c.TreeBefore)
	equal(t, "tree_after, imported", importTree(t, s, c.TreeAfter).Hash(), c.TreeHashAfter)
}

// importTree is the tree of a ratchet_tree extension, which must export to the
// same bytes.
func importTree(t *testing.T, s *suite.Suite, data []byte) *tree.Tree {
	t.Helper()
	var nodes message.RatchetTree
	if err := wire.Unmarshal(data, &nodes); err != nil {
		t.Fatal(err)
	}
	imported, err := tree.Import(s, nodes)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "exported tree", wire.Marshal(imported.Export()), data)
	return imported
}
