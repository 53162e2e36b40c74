package tree

import (
	"slices"

	"webmls/mls/message"
	"webmls/mls/treemath"
)

// parentHash is the parent hash of a parent node whose copath child has the
// original sibling tree hash given (RFC 9420, Section 7.9). ParentHash stands
// for the "parent hash of the next node after P on the filtered direct path",
// and is empty at the end of the path.
func (h *hasher) parentHash(p *message.ParentNode, originalSiblingTreeHash []byte) []byte {
	h.w.Reset()
	h.w.Opaque(p.EncryptionKey)
	h.w.Opaque(p.ParentHash)
	h.w.Opaque(originalSiblingTreeHash)
	return h.suite.Hash(h.w.Bytes())
}

// originalTreeHash is the tree hash of x with some leaves blanked and removed
// from the unmerged leaves of all parents (RFC 9420, Section 7.9). removed is
// sorted and all below x. Where nothing was removed the hash is known, so that
// the cost is that of the nodes above removed leaves: never more than the
// subtree, and so O(n log n) for all parents of a tree, whatever they list.
func (a *array) originalTreeHash(h *hasher, x treemath.NodeIndex, removed []treemath.LeafIndex) []byte {
	n := a.node(x)
	if len(removed) == 0 {
		return n.hash
	}
	if i, ok := x.Leaf(); ok {
		return h.leaf(i, nil)
	}
	left, _ := x.Left()
	right, _ := x.Right()
	l := a.originalTreeHash(h, left, below(left, removed))
	r := a.originalTreeHash(h, right, below(right, removed))
	if n.Parent == nil {
		return h.parent(nil, l, r)
	}
	p := *n.Parent
	p.UnmergedLeaves = without(p.UnmergedLeaves, removed)
	return h.parent(&p, l, r)
}

// below returns the part of a sorted list of leaves that is below x.
func below(x treemath.NodeIndex, leaves []treemath.LeafIndex) []treemath.LeafIndex {
	first, last := treemath.SubtreeLeafRange(x)
	from, _ := slices.BinarySearch(leaves, first)
	to, _ := slices.BinarySearch(leaves, last+1)
	return leaves[from:to]
}

// without returns the elements of list that are not in removed; both are
// increasing.
func without(list, removed []treemath.LeafIndex) []treemath.LeafIndex {
	var rest []treemath.LeafIndex
	for _, leaf := range list {
		for len(removed) > 0 && removed[0] < leaf {
			removed = removed[1:]
		}
		if len(removed) == 0 || removed[0] != leaf {
			rest = append(rest, leaf)
		}
	}
	return rest
}

// newParents returns the parent nodes of a new path with the given public
// keys, and the parent hash of the leaf (RFC 9420, Section 7.5, steps 2 and 3).
// It goes from the root to the leaf, so that each hash covers all the nodes
// above. A new node has no unmerged leaves: the original tree hash of its
// copath child is the tree hash. For an empty path the parent hash is empty.
func (e *Editor) newParents(steps []step, publicKeys [][]byte) (parents []*message.ParentNode, leafParentHash []byte) {
	h := newHasher(e.suite)
	parents = make([]*message.ParentNode, len(steps))
	var parentHash []byte
	for i := len(steps) - 1; i >= 0; i-- {
		parents[i] = &message.ParentNode{EncryptionKey: publicKeys[i], ParentHash: parentHash}
		sibling := e.rehash(h, steps[i].copath)
		parentHash = h.parentHash(parents[i], sibling)
	}
	return parents, parentHash
}
