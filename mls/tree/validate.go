package tree

import (
	"bytes"
	"context"
	"iter"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// Validate checks everything about the tree that needs no group context
// (RFC 9420, Section 12.4.3.1): unmerged leaves, the uniqueness of keys, and
// that every non-blank parent is parent-hash valid. It takes O(n log n) time
// for any tree that Import accepts. Codes: UNMERGED_LEAVES_INVALID,
// ENCRYPTION_KEY_NOT_UNIQUE, SIGNATURE_KEY_NOT_UNIQUE, PARENT_HASH_INVALID.
func (t *Tree) Validate() error {
	if err := t.validateUnmerged(treemath.Root(t.leaves), nil); err != nil {
		return err
	}
	if err := t.validateUnique(); err != nil {
		return err
	}
	return t.validateParentHashes()
}

// validateUnmerged checks the unmerged leaves of x and all below it (W10).
// above are those of the next non-blank node above x, as far as they are below
// x. When each node lists what the next one above it lists, every node between
// a leaf and any parent that lists it does. It is as deep as the tree is high.
// Code: UNMERGED_LEAVES_INVALID.
func (t *Tree) validateUnmerged(x treemath.NodeIndex, above []treemath.LeafIndex) error {
	n := t.node(x)
	if x.IsLeaf() {
		if len(above) != 0 && n.Leaf == nil {
			return mlserr.New(mlserr.UnmergedLeaves, "W10: "+leafName(above[0])+" is blank")
		}
		return nil
	}
	if n.Parent != nil {
		if missing := without(above, n.Parent.UnmergedLeaves); len(missing) != 0 {
			return mlserr.New(mlserr.UnmergedLeaves, "W10: "+nodeName(x)+" does not list "+leafName(missing[0]))
		}
		above = n.Parent.UnmergedLeaves
	}
	left, _ := x.Left()
	if err := t.validateUnmerged(left, below(left, above)); err != nil {
		return err
	}
	right, _ := x.Right()
	return t.validateUnmerged(right, below(right, above))
}

// validateUnique checks that no encryption key is at two nodes (L9, W11) and
// no signature key at two leaves (L8). Codes: ENCRYPTION_KEY_NOT_UNIQUE,
// SIGNATURE_KEY_NOT_UNIQUE.
func (t *Tree) validateUnique() error {
	encryption := make(map[uint64]struct{}, 2*t.members)
	signature := make(map[uint64]struct{}, t.members)
	for x := range treemath.NodeIndex(treemath.Width(t.leaves)) {
		tier, number, slot := locate(x)
		p := t.tiers[tier][number]
		// Fingerprints may be equal by accident; then the keys decide.
		if f := p.encryption[slot]; f != 0 {
			if _, ok := encryption[f]; ok {
				if y, ok := t.findEncryptionKey(p.nodes[slot].encryptionKey(), x); ok {
					return mlserr.New(mlserr.EncryptionKeyNotUnique, "L9: "+nodeName(y)+" and "+nodeName(x))
				}
			}
			encryption[f] = struct{}{}
		}
		if leaf := p.nodes[slot].Leaf; leaf != nil {
			f := p.signature[slot/2]
			if _, ok := signature[f]; ok {
				if i, ok := t.findSignatureKey(leaf.SignatureKey, x); ok {
					return mlserr.New(mlserr.SignatureKeyNotUnique, "L8: "+leafName(i)+" and "+nodeName(x))
				}
			}
			signature[f] = struct{}{}
		}
	}
	return nil
}

// validateParentHashes checks that for every non-blank parent there is exactly
// one descendant for which it is parent-hash valid (W8; RFC 9420, Section
// 7.9.2). The unmerged leaves must be valid. Each node is in the resolution of
// a child of one non-blank parent only, the next above, but for unmerged
// leaves, which are as many as the tree lists: so the resolutions are linear
// in the size of the tree. Blank nodes in between change nothing (S14). Code: PARENT_HASH_INVALID.
func (t *Tree) validateParentHashes() error {
	h := newHasher(t.suite)
	originals := &originals{t, h, make(map[treemath.NodeIndex]original)}
	var resolution []treemath.NodeIndex
	for x := treemath.NodeIndex(1); t.leaves.ContainsNode(x); x += 2 {
		p := t.node(x).Parent
		if p == nil {
			continue
		}
		left, _ := x.Left()
		right, _ := x.Right()
		valid := 0
		for _, side := range [2][2]treemath.NodeIndex{{left, right}, {right, left}} {
			child, sibling := side[0], side[1]
			resolution = t.appendResolution(resolution[:0], child)
			d, ok := remainder(resolution, below(child, p.UnmergedLeaves))
			if !ok {
				continue
			}
			parentHash, ok := t.node(d).parentHash()
			if !ok {
				continue
			}
			siblingHash := originals.hash(sibling, below(sibling, p.UnmergedLeaves))
			if bytes.Equal(parentHash, h.parentHash(p, siblingHash)) {
				valid++
			}
		}
		if valid != 1 {
			return mlserr.New(mlserr.ParentHashInvalid, "W8: "+strconv.Itoa(valid)+" chains for "+nodeName(x))
		}
	}
	return nil
}

// remainder returns the one node of a resolution that is not in unmerged, and
// false unless that is one and all of unmerged is in the resolution. The
// leaves of a resolution are increasing where unmerged leaves are valid: a
// node's come after it and before what is right of it.
func remainder(resolution []treemath.NodeIndex, unmerged []treemath.LeafIndex) (treemath.NodeIndex, bool) {
	if len(resolution) != len(unmerged)+1 {
		return treemath.None, false
	}
	d := treemath.None
	for _, x := range resolution {
		switch {
		case len(unmerged) > 0 && x == unmerged[0].Node():
			unmerged = unmerged[1:]
		case d == treemath.None:
			d = x
		default:
			return treemath.None, false
		}
	}
	return d, d != treemath.None
}

// parentHash returns the parent_hash field of a node, and false where it has
// none (RFC 9420, Section 7.9.1).
func (n *node) parentHash() ([]byte, bool) {
	switch {
	case n.Leaf != nil:
		return n.Leaf.ParentHash, n.Leaf.Source == message.LeafNodeSourceCommit
	case n.Parent != nil:
		return n.Parent.ParentHash, true
	}
	return nil, false
}

// ValidateKeys checks that the HPKE public keys of all nodes are valid (L12), in
// one call of k. Codes: INVALID_PUBLIC_KEY, and those of k.
func (t *Tree) ValidateKeys(ctx context.Context, k suite.Keys) error {
	keys := make([][]byte, 0, 2*t.members)
	nodes := make([]treemath.NodeIndex, 0, 2*t.members)
	for x := range treemath.NodeIndex(treemath.Width(t.leaves)) {
		if n := t.node(x); n.Node != (message.Node{}) {
			keys = append(keys, n.encryptionKey())
			nodes = append(nodes, x)
		}
	}
	bad, err := k.ValidateHPKEKeys(ctx, t.suite.ID(), keys)
	if err != nil {
		return err
	}
	if bad != -1 {
		return mlserr.New(mlserr.InvalidPublicKey, "L12: "+nodeName(nodes[bad]))
	}
	return nil
}

// VerifyLeaves checks the signatures of all leaves, in one call of k
// (RFC 9420, Section 7.3, L2). Codes: INVALID_SIGNATURE with the leaf in the
// detail, and those of k.
func (t *Tree) VerifyLeaves(ctx context.Context, k suite.Keys, groupID []byte) error {
	return verifyLeaves(ctx, k, t.suite, groupID, t.members, t.Leaves())
}

// VerifyLeavesOf is VerifyLeaves for nodes of which Import makes a tree, or does
// not: it reads them alone, so that both can be done at once.
func VerifyLeavesOf(ctx context.Context, k suite.Keys, s *suite.Suite, groupID []byte, nodes message.RatchetTree) error {
	leaves := 0 // blank nodes, which cost their sender a byte, cost no more here
	for i := range nodes {
		if nodes[i].Leaf != nil {
			leaves++
		}
	}
	return verifyLeaves(ctx, k, s, groupID, leaves, func(yield func(treemath.LeafIndex, *message.LeafNode) bool) {
		for i := 0; i < len(nodes); i += 2 {
			if leaf := nodes[i].Leaf; leaf != nil && !yield(treemath.LeafIndex(i/2), leaf) {
				return
			}
		}
	})
}

// verifyLeaves is VerifyLeaves for at most so many leaves.
func verifyLeaves(ctx context.Context, k suite.Keys, s *suite.Suite, groupID []byte, most int, all iter.Seq2[treemath.LeafIndex, *message.LeafNode]) error {
	list := make([]suite.Verification, 0, most)
	leaves := make([]treemath.LeafIndex, 0, most)
	for i, leaf := range all {
		list = append(list, leaf.Verification(s, groupID, i))
		leaves = append(leaves, i)
	}
	bad, err := k.Verify(ctx, s.ID(), list)
	if err != nil {
		return err
	}
	if bad != -1 {
		return mlserr.New(mlserr.InvalidSignature, "L2: "+leafName(leaves[bad]))
	}
	return nil
}
