// Package tree is the ratchet tree: its nodes and their resolution (RFC 9420,
// Sections 4.1 and 7.1), how it evolves (7.4 to 7.7), its tree hashes and
// parent hashes (7.8 and 7.9), and the form in which a joiner gets it
// (12.4.3.3).
//
// It owns the public tree, the private keys that one member has in it, and
// update paths, from which it gives a commit secret. It must not know the key
// schedule that the commit secret goes into, the proposals and commits that
// say what to edit, nor what makes a leaf acceptable beyond the tree's own
// rules. It stores nothing: it encodes pages for those who do.
package tree

import (
	"iter"
	"slices"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// MaxLeaves is the size of the largest tree that Import and Load accept.
const MaxLeaves treemath.LeafCount = 1 << 20

// Tree is an immutable ratchet tree with its tree hashes. It shares pages and
// nodes with the tree it was edited from. Any number of goroutines may read
// it; nodes and slices that it returns are part of it and must not be changed,
// unless the method says otherwise.
type Tree struct {
	array
}

// New returns the tree of a group's creator, its one leaf (RFC 9420, Section 11).
func New(s *suite.Suite, leaf *message.LeafNode) *Tree {
	t := &Tree{newArray(s, 1)}
	t.fill(0, message.Node{Leaf: leaf})
	t.rehash(newHasher(s), 0)
	return t
}

// Import returns the tree of a ratchet_tree extension, with all hashes
// computed (RFC 9420, Section 12.4.3.3). It refuses what is no tree at all:
// an array of even length, one with a blank last node, or a node of the wrong
// kind for its index (D8); unmerged leaves that are not increasing (D9) or not
// below their node; more than MaxLeaves leaves. Everything else is Validate's
// to refuse. The tree aliases the nodes. Codes: MALFORMED_TREE,
// UNMERGED_LEAVES_INVALID, TOO_LARGE.
func Import(s *suite.Suite, nodes message.RatchetTree) (*Tree, error) {
	if len(nodes)%2 == 0 {
		return nil, mlserr.New(mlserr.MalformedTree, "D8: even number of nodes")
	}
	if nodes[len(nodes)-1] == (message.Node{}) {
		return nil, mlserr.New(mlserr.MalformedTree, "D8: last node blank")
	}
	if len(nodes) > int(treemath.Width(MaxLeaves)) {
		return nil, mlserr.New(mlserr.TooLarge, "ratchet tree of "+strconv.Itoa(len(nodes))+" nodes")
	}
	n, _ := treemath.LeavesFor(uint32(len(nodes)/2) + 1)
	t := &Tree{newArray(s, n)}
	for i, node := range nodes {
		x := treemath.NodeIndex(i)
		if err := checkNode(x, node); err != nil {
			return nil, err
		}
		if node != (message.Node{}) {
			t.fill(x, node)
		}
	}
	t.rehash(newHasher(s), treemath.Root(n))
	return t, nil
}

// checkNode checks that a node is of the kind that its index asks for, and
// that its unmerged leaves are increasing and below it, so that no index in a
// tree leads out of it. Codes: MALFORMED_TREE, UNMERGED_LEAVES_INVALID.
func checkNode(x treemath.NodeIndex, n message.Node) error {
	if n.Leaf != nil && !x.IsLeaf() || n.Parent != nil && x.IsLeaf() {
		return mlserr.New(mlserr.MalformedTree, "D8: wrong kind of node at "+nodeName(x))
	}
	if n.Parent == nil {
		return nil
	}
	first, last := treemath.SubtreeLeafRange(x)
	unmerged := n.Parent.UnmergedLeaves
	for i, leaf := range unmerged {
		if i > 0 && unmerged[i-1] >= leaf {
			return mlserr.New(mlserr.UnmergedLeaves, "D9: "+nodeName(x))
		}
		if leaf < first || leaf > last {
			return mlserr.New(mlserr.UnmergedLeaves, "W10: "+leafName(leaf)+" is not below "+nodeName(x))
		}
	}
	return nil
}

// nodeName is out of line because errors are.
//
//go:noinline
func nodeName(x treemath.NodeIndex) string {
	return "node " + strconv.FormatUint(uint64(x), 10)
}

//go:noinline
func leafName(i treemath.LeafIndex) string {
	return "leaf " + strconv.FormatUint(uint64(i), 10)
}

// Export returns the content of a ratchet_tree extension: all nodes up to the
// last one that is not blank (RFC 9420, Section 12.4.3.3). The slice is the
// caller's, the nodes are the tree's.
func (t *Tree) Export() message.RatchetTree {
	nodes := make(message.RatchetTree, treemath.Width(t.leaves))
	end := 0
	for i := range nodes {
		nodes[i] = t.node(treemath.NodeIndex(i)).Node
		if nodes[i] != (message.Node{}) {
			end = i + 1
		}
	}
	return nodes[:end]
}

// Hash returns the tree hash of the root, KDF.Nh bytes (RFC 9420, Section 7.8).
func (t *Tree) Hash() []byte {
	return t.node(treemath.Root(t.leaves)).hash
}

// NodeHash returns the tree hash of a node, KDF.Nh bytes, and nil where the
// tree does not contain it.
func (t *Tree) NodeHash(x treemath.NodeIndex) []byte {
	if !t.leaves.ContainsNode(x) {
		return nil
	}
	return t.node(x).hash
}

// LeafCount is the width of the tree in leaves, blank ones included: a power of two.
func (a *array) LeafCount() uint32 { return uint32(a.leaves) }

// MemberCount is the number of leaves that are not blank.
func (a *array) MemberCount() int { return a.members }

// Leaf returns a leaf node, and nil where it is blank or out of range.
func (a *array) Leaf(i treemath.LeafIndex) *message.LeafNode {
	if !a.leaves.Contains(i) {
		return nil
	}
	return a.node(i.Node()).Leaf
}

// Parent returns a parent node, and nil where it is blank, a leaf or out of range.
func (a *array) Parent(x treemath.NodeIndex) *message.ParentNode {
	if !a.leaves.ContainsNode(x) {
		return nil
	}
	return a.node(x).Parent
}

// Leaves goes through the leaves that are not blank, from the left.
func (a *array) Leaves() iter.Seq2[treemath.LeafIndex, *message.LeafNode] {
	return func(yield func(treemath.LeafIndex, *message.LeafNode) bool) {
		for i := range treemath.LeafIndex(a.leaves) {
			if leaf := a.node(i.Node()).Leaf; leaf != nil && !yield(i, leaf) {
				return
			}
		}
	}
}

// Resolution lists the non-blank nodes that together cover all non-blank
// descendants of x, in the order of RFC 9420, Section 4.1.1. It is empty where
// the tree does not contain x. The caller owns the slice.
func (a *array) Resolution(x treemath.NodeIndex) []treemath.NodeIndex {
	if !a.leaves.ContainsNode(x) {
		return nil
	}
	return a.appendResolution(nil, x)
}

// appendResolution appends the resolution of x, which the tree must contain.
// It is as deep as the tree is high.
func (a *array) appendResolution(list []treemath.NodeIndex, x treemath.NodeIndex) []treemath.NodeIndex {
	n := a.node(x)
	switch {
	case n.Leaf != nil:
		return append(list, x)
	case n.Parent != nil:
		list = append(list, x)
		for _, leaf := range n.Parent.UnmergedLeaves {
			list = append(list, leaf.Node())
		}
		return list
	}
	left, ok := x.Left()
	if !ok {
		return list
	}
	right, _ := x.Right()
	return a.appendResolution(a.appendResolution(list, left), right)
}

// empty reports whether the resolution of x is empty.
func (a *array) empty(x treemath.NodeIndex) bool {
	if n := a.node(x); n.Leaf != nil || n.Parent != nil {
		return false
	}
	left, ok := x.Left()
	if !ok {
		return true
	}
	right, _ := x.Right()
	return a.empty(left) && a.empty(right)
}

// FilteredDirectPath lists the ancestors of a leaf, from its parent to the
// root, whose child on the leaf's copath has a resolution that is not empty
// (RFC 9420, Section 4.1.2). It is empty where the leaf is out of range. The
// caller owns the slice.
func (a *array) FilteredDirectPath(leaf treemath.LeafIndex) []treemath.NodeIndex {
	steps := a.filteredPath(leaf)
	path := make([]treemath.NodeIndex, len(steps))
	for i := range steps {
		path[i] = steps[i].node
	}
	return path
}

// step is a node of a filtered direct path with its child on the copath.
type step struct {
	node, copath treemath.NodeIndex
}

// filteredPath is FilteredDirectPath with the copath.
func (a *array) filteredPath(leaf treemath.LeafIndex) []step {
	x := leaf.Node()
	coPath := treemath.CoPath(x, a.leaves)
	steps := make([]step, 0, len(coPath))
	for _, sibling := range coPath {
		x, _ = treemath.Parent(x, a.leaves)
		if !a.empty(sibling) {
			steps = append(steps, step{x, sibling})
		}
	}
	return steps
}

// commonStep returns the index of the step whose node is the lowest common
// ancestor of two leaves, one of which the path is of, and -1 where none is.
func commonStep(steps []step, a, b treemath.LeafIndex) int {
	x := treemath.CommonAncestor(a.Node(), b.Node())
	return slices.IndexFunc(steps, func(s step) bool { return s.node == x })
}

// FindSignatureKey returns the lowest leaf that has the signature key.
func (a *array) FindSignatureKey(key []byte) (treemath.LeafIndex, bool) {
	return a.findSignatureKey(key, treemath.None)
}

// HasEncryptionKey reports whether any node, leaf or parent, has the
// encryption key.
func (a *array) HasEncryptionKey(key []byte) bool {
	_, ok := a.findEncryptionKey(key, treemath.None)
	return ok
}
