package tree

import (
	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Node types in TreeHashInput (RFC 9420, Section 7.8).
const (
	hashLeaf   = 1
	hashParent = 2
)

// hasher computes tree hashes and parent hashes into a buffer that it uses again.
type hasher struct {
	suite *suite.Suite
	w     wire.Writer
}

func newHasher(s *suite.Suite) *hasher {
	return &hasher{suite: s}
}

// leaf is the tree hash of a leaf, nil where it is blank: LeafNodeHashInput.
func (h *hasher) leaf(i treemath.LeafIndex, leaf *message.LeafNode) []byte {
	h.w.Reset()
	h.w.Uint8(hashLeaf)
	h.w.Uint32(uint32(i))
	h.w.Optional(leaf != nil)
	if leaf != nil {
		leaf.Marshal(&h.w)
	}
	return h.suite.Hash(h.w.Bytes())
}

// parent is the tree hash of a parent, nil where it is blank:
// ParentNodeHashInput.
func (h *hasher) parent(parent *message.ParentNode, left, right []byte) []byte {
	h.w.Reset()
	h.w.Uint8(hashParent)
	h.w.Optional(parent != nil)
	if parent != nil {
		parent.Marshal(&h.w)
	}
	h.w.Opaque(left)
	h.w.Opaque(right)
	return h.suite.Hash(h.w.Bytes())
}

// rehash returns the tree hash of x, which the tree must contain. It computes
// what is missing, each hash once, and keeps it: hashes are missing only in
// pages that the caller may write. It is as deep as the tree is high.
func (a *array) rehash(h *hasher, x treemath.NodeIndex) []byte {
	n := a.node(x)
	if n.hash != nil {
		return n.hash
	}
	if i, ok := x.Leaf(); ok {
		n.hash = h.leaf(i, n.Leaf)
		return n.hash
	}
	left, _ := x.Left()
	right, _ := x.Right()
	l, r := a.rehash(h, left), a.rehash(h, right)
	n.hash = h.parent(n.Parent, l, r)
	return n.hash
}
