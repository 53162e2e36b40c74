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

// originals computes original sibling tree hashes of one tree (RFC 9420,
// Section 7.9). It remembers for each node the last hash that it made.
type originals struct {
	tree *Tree
	h    *hasher
	made map[treemath.NodeIndex]original
}

type original struct {
	removed []treemath.LeafIndex
	hash    []byte
}

// hash is the tree hash of x with some leaves blanked and removed from the
// unmerged leaves of all parents. removed is increasing and all below x. Where
// nothing is removed the hash is that of the tree; where the same was removed
// for another parent, that one is used again. So members who are unmerged at
// all their ancestors, the usual case, cost a hash for each node, and no tree
// can cost more than O(n log n): its nodes, once for each level above.
func (o *originals) hash(x treemath.NodeIndex, removed []treemath.LeafIndex) []byte {
	n := o.tree.node(x)
	if len(removed) == 0 {
		return n.hash
	}
	if made, ok := o.made[x]; ok && slices.Equal(made.removed, removed) {
		return made.hash
	}
	var hash []byte
	if i, ok := x.Leaf(); ok {
		hash = o.h.leaf(i, nil)
	} else {
		left, _ := x.Left()
		right, _ := x.Right()
		l := o.hash(left, below(left, removed))
		r := o.hash(right, below(right, removed))
		parent := n.Parent
		if parent != nil {
			p := *parent
			p.UnmergedLeaves = without(p.UnmergedLeaves, removed)
			parent = &p
		}
		hash = o.h.parent(parent, l, r)
	}
	o.made[x] = original{removed, hash}
	return hash
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
