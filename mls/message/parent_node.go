package message

import (
	"webmls/mls/mlserr"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// ParentNode is RFC 9420, Section 7.1.
type ParentNode struct {
	EncryptionKey  []byte // HPKEPublicKey
	ParentHash     []byte
	UnmergedLeaves []treemath.LeafIndex // increasing
}

// Marshal implements wire.Marshaler.
func (n *ParentNode) Marshal(w *wire.Writer) {
	w.Opaque(n.EncryptionKey)
	w.Opaque(n.ParentHash)
	w.Vector(func(w *wire.Writer) {
		for _, leaf := range n.UnmergedLeaves {
			w.Uint32(uint32(leaf))
		}
	})
}

// Unmarshal implements wire.Unmarshaler. It refuses unmerged leaves that are
// not strictly increasing (D9). Code: UNMERGED_LEAVES_INVALID.
func (n *ParentNode) Unmarshal(r *wire.Reader) {
	n.EncryptionKey = r.Opaque()
	n.ParentHash = r.Opaque()
	r.Vector(func(r *wire.Reader) {
		leaf := treemath.LeafIndex(r.Uint32())
		if k := len(n.UnmergedLeaves); k > 0 && n.UnmergedLeaves[k-1] >= leaf {
			r.Fail(mlserr.New(mlserr.UnmergedLeaves, "D9"))
			return
		}
		n.UnmergedLeaves = append(n.UnmergedLeaves, leaf)
	})
}

// Node is one element of a RatchetTree: a leaf, a parent, or blank when both
// are nil (RFC 9420, Section 7.8 and 12.4.3.3).
type Node struct {
	Leaf   *LeafNode
	Parent *ParentNode
}

const (
	nodeTypeLeaf   = 1
	nodeTypeParent = 2
)

// MarshalNode writes an optional<Node>.
func (n Node) MarshalNode(w *wire.Writer) {
	switch {
	case n.Leaf != nil:
		w.Optional(true)
		w.Uint8(nodeTypeLeaf)
		n.Leaf.Marshal(w)
	case n.Parent != nil:
		w.Optional(true)
		w.Uint8(nodeTypeParent)
		n.Parent.Marshal(w)
	default:
		w.Optional(false)
	}
}

// UnmarshalNode reads an optional<Node>.
func UnmarshalNode(r *wire.Reader) Node {
	if !r.Optional() {
		return Node{}
	}
	switch r.Uint8() {
	case nodeTypeLeaf:
		n := new(LeafNode)
		n.Unmarshal(r)
		return Node{Leaf: n}
	case nodeTypeParent:
		n := new(ParentNode)
		n.Unmarshal(r)
		return Node{Parent: n}
	}
	r.Malformed("node type")
	return Node{}
}

// RatchetTree is the content of the ratchet_tree extension: the nodes in array
// order, cut after the last one that is not blank (RFC 9420, Section 12.4.3.3).
type RatchetTree []Node

// Marshal implements wire.Marshaler.
func (t RatchetTree) Marshal(w *wire.Writer) {
	w.Vector(func(w *wire.Writer) {
		for i := range t {
			t[i].MarshalNode(w)
		}
	})
}

// Unmarshal implements wire.Unmarshaler. It refuses an array of even length,
// one whose last node is blank, and a node of the wrong kind for its index
// (D8). Code: MALFORMED_TREE.
func (t *RatchetTree) Unmarshal(r *wire.Reader) {
	r.Vector(func(r *wire.Reader) {
		n := UnmarshalNode(r)
		isLeafIndex := len(*t)%2 == 0
		if n.Leaf != nil && !isLeafIndex || n.Parent != nil && isLeafIndex {
			r.Fail(mlserr.New(mlserr.MalformedTree, "D8: leaf and parent nodes do not alternate"))
			return
		}
		*t = append(*t, n)
	})
	if r.Err() != nil {
		return
	}
	if len(*t)%2 == 0 {
		r.Fail(mlserr.New(mlserr.MalformedTree, "D8: even number of nodes"))
		return
	}
	if (*t)[len(*t)-1] == (Node{}) {
		r.Fail(mlserr.New(mlserr.MalformedTree, "D8: last node blank"))
	}
}
