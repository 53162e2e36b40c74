// Package treemath is the array-based tree of RFC 9420, Appendix C: which
// node of a ratchet tree or a secret tree is whose parent, child or sibling.
//
// It owns the two index types and the arithmetic on them. It knows nothing of
// what a node holds, allocates only the slices it returns, keeps no state, and
// imports nothing of this module.
//
// Leaf i of a tree is node 2*i; the parents stand at the odd indices between
// their children. A tree of n leaves, n a power of two, has 2*n-1 nodes:
//
//	level 2           3
//	level 1     1           5
//	level 0  0     2     4     6
//	leaf     0     1     2     3
//
// The largest tree has 2^31 leaves, for its last node, 2^32-2, is the last one
// whose index fits a uint32 beside [None]. Indices come from the network, so
// no function here panics or wraps around, whatever it is given: where a
// question has no answer, the second result is false.
package treemath

import "math/bits"

// A LeafIndex counts the leaves of a tree from the left (RFC 9420, Section 4.1.1).
type LeafIndex uint32

// A NodeIndex counts all nodes of a tree from the left (RFC 9420, Appendix C).
type NodeIndex uint32

// A LeafCount is the number of leaves of a tree, blank ones included: a power
// of two from 1 to [MaxLeaves].
type LeafCount uint32

const (
	// MaxLeaves is the size of the largest tree.
	MaxLeaves LeafCount = 1 << 31

	// None is a node index that no tree has.
	None NodeIndex = 1<<32 - 1
)

// LeavesFor returns the size of the smallest tree that has room for n leaves,
// and false where n is zero or over MaxLeaves.
func LeavesFor(n uint32) (LeafCount, bool) {
	if n == 0 || n > uint32(MaxLeaves) {
		return 0, false
	}
	return 1 << bits.Len32(n-1), true
}

// Valid reports whether n is the size of a tree: a power of two of at most MaxLeaves.
func (n LeafCount) Valid() bool {
	return n != 0 && n&(n-1) == 0
}

// Width is the number of nodes of a tree of n leaves, node_width in Appendix C,
// and 0 where n is not the size of a tree.
func Width(n LeafCount) uint32 {
	if !n.Valid() {
		return 0
	}
	return 2*(uint32(n)-1) + 1
}

// Root is the root of a tree of n leaves, and None where n is not the size of a tree.
func Root(n LeafCount) NodeIndex {
	if !n.Valid() {
		return None
	}
	return NodeIndex(n) - 1
}

// Contains reports whether a tree of n leaves has the leaf i.
func (n LeafCount) Contains(i LeafIndex) bool {
	return n.Valid() && uint32(i) < uint32(n)
}

// ContainsNode reports whether a tree of n leaves has the node x.
func (n LeafCount) ContainsNode(x NodeIndex) bool {
	return uint32(x) < Width(n)
}

// Node is the node that the leaf i is, and None where i is too large for any tree.
func (i LeafIndex) Node() NodeIndex {
	if uint32(i) >= uint32(MaxLeaves) {
		return None
	}
	return NodeIndex(i) * 2
}

// IsLeaf reports whether x is a leaf, that is, even.
func (x NodeIndex) IsLeaf() bool {
	return x&1 == 0
}

// Leaf is the leaf that the node x is, and false where x is a parent.
func (x NodeIndex) Leaf() (LeafIndex, bool) {
	if !x.IsLeaf() {
		return 0, false
	}
	return LeafIndex(x / 2), true
}

// Level is the height of x over the leaves: 0 for a leaf. It is at most 31,
// but 32 for None.
func (x NodeIndex) Level() int {
	return bits.TrailingZeros32(^uint32(x))
}

// Left is the left child of x, and false where x is a leaf or None.
func (x NodeIndex) Left() (NodeIndex, bool) {
	k := x.Level()
	if k == 0 || x == None {
		return 0, false
	}
	return x ^ 1<<(k-1), true
}

// Right is the right child of x, and false where x is a leaf or None.
func (x NodeIndex) Right() (NodeIndex, bool) {
	k := x.Level()
	if k == 0 || x == None {
		return 0, false
	}
	return x ^ 3<<(k-1), true
}

// Parent is the parent of x in a tree of n leaves, and false where x is the
// root or not in the tree.
func Parent(x NodeIndex, n LeafCount) (NodeIndex, bool) {
	if !n.ContainsNode(x) || x == Root(n) {
		return 0, false
	}
	return parent(x), true
}

// parent is the parent of x in a tree that has one. It sets the lowest zero
// bit of x and clears the bit over that; the level of x is at most 30, for
// only the root of the largest tree has level 31.
func parent(x NodeIndex) NodeIndex {
	k := x.Level()
	return (x | 1<<k) &^ (1 << (k + 1))
}

// Sibling is the other child of the parent of x in a tree of n leaves, and
// false where x is the root or not in the tree.
func Sibling(x NodeIndex, n LeafCount) (NodeIndex, bool) {
	if !n.ContainsNode(x) || x == Root(n) {
		return 0, false
	}
	return sibling(x), true
}

// sibling is the sibling of x in a tree where x has a parent: the two differ
// in the bit over the lowest zero bit alone.
func sibling(x NodeIndex) NodeIndex {
	return x ^ 1<<(x.Level()+1)
}

// DirectPath lists the ancestors of x in a tree of n leaves, from its parent
// to the root (RFC 9420, Section 4.1.1). It is empty where x is the root or
// not in the tree. The caller owns the slice.
func DirectPath(x NodeIndex, n LeafCount) []NodeIndex {
	if !n.ContainsNode(x) || x == Root(n) {
		return nil
	}
	root := Root(n)
	path := make([]NodeIndex, 0, root.Level()-x.Level())
	for x != root {
		x = parent(x)
		path = append(path, x)
	}
	return path
}

// CoPath lists the siblings of x and of its ancestors in a tree of n leaves,
// lowest first: element i is the child of DirectPath(x, n)[i] that is not
// above x (RFC 9420, Section 4.1.1). It is empty where x is the root or not in
// the tree. The caller owns the slice.
func CoPath(x NodeIndex, n LeafCount) []NodeIndex {
	if !n.ContainsNode(x) || x == Root(n) {
		return nil
	}
	root := Root(n)
	path := make([]NodeIndex, 0, root.Level()-x.Level())
	for x != root {
		path = append(path, sibling(x))
		x = parent(x)
	}
	return path
}

// CommonAncestor is the lowest node whose subtree holds both a and b: a itself
// where b is below a. It does not depend on the size of the tree.
func CommonAncestor(a, b NodeIndex) NodeIndex {
	// A node of level k heads the 2^k leaves whose node indices share the bits
	// above bit k. So the ancestor's level is where a and b begin to agree,
	// though never below the level of either.
	k := max(bits.Len32(uint32(a^b))-1, a.Level(), b.Level())
	if k >= 32 {
		return None
	}
	low := NodeIndex(1)<<k - 1
	return (a &^ low &^ (1 << k)) | low
}

// InSubtree reports whether x is head or a descendant of head.
func InSubtree(head, x NodeIndex) bool {
	k := head.Level()
	// Shifting out the low bits and the bit at head's level leaves what all of
	// its subtree shares. The heights keep apart a node and its ancestors, which share
	// it too.
	return k >= x.Level() && uint64(head)>>(k+1) == uint64(x)>>(k+1)
}

// SubtreeLeafRange is the first and the last leaf below x, both inclusive;
// twice the same where x is a leaf. The range is that of a tree where every leaf
// exists, so it is right for each x that the tree contains.
func SubtreeLeafRange(x NodeIndex) (first, last LeafIndex) {
	span := uint64(1)<<x.Level() - 1
	return LeafIndex((uint64(x) - span) / 2), LeafIndex((uint64(x) + span) / 2)
}
