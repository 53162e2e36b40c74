package schedule

import (
	"bytes"
	"maps"
	"slices"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// Labels and contexts of RFC 9420, Section 9.
const (
	labelTree        = "tree"
	contextLeft      = "left"
	contextRight     = "right"
	labelHandshake   = "handshake"
	labelApplication = "application"
)

// Limits bound what out-of-order delivery may cost (RFC 9420, Section 15.3).
// A zero field stands for its default.
type Limits struct {
	// MaxForward is how many generations a message may skip in its ratchet:
	// what one message can make the receiver derive. The default is 1,000.
	MaxForward uint32
	// MaxSkipped is how many keys of skipped generations each ratchet retains.
	// The oldest are dropped first. The default is 1,000; negative is none.
	MaxSkipped int
}

func (l Limits) maxForward() uint64 {
	if l.MaxForward == 0 {
		return 1000
	}
	return uint64(l.MaxForward)
}

func (l Limits) maxSkipped() int {
	switch {
	case l.MaxSkipped == 0:
		return 1000
	case l.MaxSkipped < 0:
		return 0
	}
	return l.MaxSkipped
}

// SecretTree is the secret tree of an epoch and the ratchets that grew out of
// it (RFC 9420, Section 9). It holds the secrets of the topmost nodes below
// which nobody has spoken yet, and the two ratchets of each leaf that has.
//
// It changes in Draft.Apply and in Wipe alone. Any number of goroutines may
// read it at once through Drafts; Apply and Wipe need it alone.
type SecretTree struct {
	// Limits may be set before the first Draft; they are policy, not state,
	// and no record holds them.
	Limits Limits

	suite     *suite.Suite
	leafCount uint32
	size      treemath.LeafCount // leafCount, or the next power of two
	// nodes are the tree node secrets that are held, KDF.Nh bytes each. None is
	// above another; a leaf is below one of them or has ratchets.
	nodes  map[treemath.NodeIndex][]byte
	leaves map[treemath.LeafIndex]*leafRatchets
	// applied counts Apply, to tell a Draft of an older state.
	applied uint64
}

// leafRatchets are the ratchets of one leaf, by Ratchet. The value is
// immutable: a Draft replaces it.
type leafRatchets [2]ratchet

// NewSecretTree returns the secret tree of a group of leafCount leaves, blank
// ones included. It takes a copy of encryptionSecret, KDF.Nh bytes, which the
// caller wipes (RFC 9420, Section 9.2); Epoch.SecretTree does both. Nothing is
// derived before a leaf is used.
func NewSecretTree(s *suite.Suite, leafCount uint32, encryptionSecret []byte) *SecretTree {
	t := newSecretTree(s, leafCount)
	t.nodes[treemath.Root(t.size)] = bytes.Clone(encryptionSecret)
	return t
}

func newSecretTree(s *suite.Suite, leafCount uint32) *SecretTree {
	// Where leafCount is no size of a tree, size is 0: no leaf is contained,
	// and every use of the tree is INVALID_SENDER.
	size, _ := treemath.LeavesFor(leafCount)
	return &SecretTree{
		suite:     s,
		leafCount: leafCount,
		size:      size,
		nodes:     map[treemath.NodeIndex][]byte{},
		leaves:    map[treemath.LeafIndex]*leafRatchets{},
	}
}

// contains reports whether leaf is one of the tree's, blank or not.
func (t *SecretTree) contains(leaf treemath.LeafIndex) bool {
	return t.size.Contains(leaf) && uint32(leaf) < t.leafCount
}

// Draft returns changes to the tree of which none is made yet. It costs the
// same whatever the size of the tree.
func (t *SecretTree) Draft() *Draft {
	return &Draft{tree: t, base: t.applied}
}

// Wipe overwrites every secret and forgets it. The tree is of no use after
// that. Call it when the epoch is no longer retained.
func (t *SecretTree) Wipe() {
	for _, secret := range t.nodes {
		clear(secret)
	}
	for _, leaf := range t.leaves {
		leaf[Handshake].wipe()
		leaf[Application].wipe()
	}
	clear(t.nodes)
	clear(t.leaves)
	t.applied++
}

// Used calls yield for each leaf whose ratchets have been used, in order, with
// the generation that each of them gives next and how many keys of skipped
// generations it retains, by Ratchet.
func (t *SecretTree) Used(yield func(leaf treemath.LeafIndex, next [2]uint64, skipped [2]int)) {
	for _, leaf := range sortedKeys(t.leaves) {
		l := t.leaves[leaf]
		yield(leaf, [2]uint64{l[Handshake].next, l[Application].next}, [2]int{len(l[Handshake].skipped), len(l[Application].skipped)})
	}
}

// Draft is a list of changes to a SecretTree: keys taken for sending and for
// receiving. The tree stays as it is until Apply; a Draft that is dropped has
// done nothing. One Draft may take many keys, each after the last. It reads the
// tree, so that it is of no use once another Draft of the tree was applied.
type Draft struct {
	tree   *SecretTree
	base   uint64 // tree.applied when the Draft was made
	parent *Draft // of a Fork; else nil
	// nodes are the nodes that differ from the tree's: nil where a secret is
	// consumed. leaves are the leaves that differ.
	nodes  map[treemath.NodeIndex][]byte
	leaves map[treemath.LeafIndex]*leafRatchets
}

// Fork returns a Draft on top of d, which stays as it is until Join: for a
// message of a batch, that may turn out not to open. It is of no use once d has
// changed otherwise.
func (d *Draft) Fork() *Draft {
	return &Draft{tree: d.tree, base: d.base, parent: d}
}

// Forked reports whether d was made by Fork.
func (d *Draft) Forked() bool { return d.parent != nil }

// Join makes the changes of a Fork in the Draft that it was made of, and wipes
// what they consumed of it. The Fork is empty after that.
func (d *Draft) Join() {
	p := d.parent
	for x, secret := range d.nodes {
		if p.nodes == nil {
			p.nodes = map[treemath.NodeIndex][]byte{}
		}
		clear(p.nodes[x]) // the tree's own are not in it
		p.nodes[x] = secret
	}
	for leaf, changed := range d.leaves {
		p.setLeaf(leaf, changed)
	}
	d.nodes, d.leaves = nil, nil
}

// Contains reports whether leaf is one of the tree's, blank or not.
func (d *Draft) Contains(leaf treemath.LeafIndex) bool { return d.tree.contains(leaf) }

// Next takes the key, AEAD.Nk bytes, and the nonce, AEAD.Nn bytes, of the next
// generation of a ratchet, for sending (RFC 9420, Section 9.1). Both are the
// caller's to wipe once the message is sealed. Nothing may be sent before the
// Draft's Changes are stored (S12). Codes: INVALID_SENDER for a leaf that the
// tree does not have, GENERATIONS_SPENT at MaxGenerations, INTERNAL for a Draft
// of an older state.
func (d *Draft) Next(leaf treemath.LeafIndex, r Ratchet) (generation uint32, key, nonce []byte, err error) {
	next, err := d.position(leaf, r)
	if err != nil {
		return 0, nil, nil, err
	}
	if next >= MaxGenerations {
		return 0, nil, nil, mlserr.New(mlserr.GenerationsSpent, "F16")
	}
	generation = uint32(next)
	key, nonce, err = d.take(leaf, r, generation)
	return generation, key, nonce, err
}

// Key takes the key, AEAD.Nk bytes, and the nonce, AEAD.Nn bytes, of a
// generation of a ratchet, for receiving (RFC 9420, Section 9.1). Both are the
// caller's to wipe once the message is opened; where it does not open, the
// Draft must be dropped, for the key is not consumed (Section 9.2). Everything is
// checked before anything is derived (S4, S5). Codes: INVALID_SENDER for a leaf
// that the tree does not have, GENERATION_TOO_FAR for a generation more than
// MaxForward ahead, ALREADY_PROCESSED for one whose key was taken or is no longer
// retained, INTERNAL for a Draft of an older state.
func (d *Draft) Key(leaf treemath.LeafIndex, r Ratchet, generation uint32) (key, nonce []byte, err error) {
	next, err := d.position(leaf, r)
	if err != nil {
		return nil, nil, err
	}
	// In 64 bits: next may be 2^32.
	if g := uint64(generation); g >= next && g-next > d.tree.Limits.maxForward() {
		return nil, nil, mlserr.New(mlserr.GenerationTooFar, "F14")
	}
	return d.take(leaf, r, generation)
}

// Position returns the generation that a ratchet gives next, at most 2^32.
// Codes: INVALID_SENDER for a leaf that the tree does not have, INTERNAL for a
// Draft of an older state.
func (d *Draft) Position(leaf treemath.LeafIndex, r Ratchet) (uint64, error) {
	return d.position(leaf, r)
}

// SkipTo gives up all generations of a ratchet below generation, so that that is
// the next. It does nothing where the ratchet is there already. The caller bounds
// the distance. Codes: those of Next.
func (d *Draft) SkipTo(leaf treemath.LeafIndex, r Ratchet, generation uint64) error {
	next, err := d.position(leaf, r)
	if err != nil || next >= generation {
		return err
	}
	if generation >= MaxGenerations {
		return mlserr.New(mlserr.GenerationsSpent, "F16")
	}
	for ; next < generation; next++ {
		key, nonce, err := d.take(leaf, r, uint32(next))
		if err != nil {
			return err
		}
		suite.Wipe(key, nonce)
	}
	return nil
}

// position returns the generation that a ratchet gives next, and derives
// nothing.
func (d *Draft) position(leaf treemath.LeafIndex, r Ratchet) (uint64, error) {
	switch {
	case d.base != d.tree.applied:
		return 0, mlserr.New(mlserr.Internal, "draft of an older secret tree")
	case r > Application:
		return 0, mlserr.New(mlserr.Internal, "no such ratchet")
	case !d.tree.contains(leaf):
		return 0, mlserr.New(mlserr.InvalidSender, "F3: no such leaf")
	}
	if l := d.leaf(leaf); l != nil {
		return l[r].next, nil
	}
	return 0, nil
}

// take consumes a generation, which the caller has checked not to be too far
// ahead.
func (d *Draft) take(leaf treemath.LeafIndex, r Ratchet, generation uint32) (key, nonce []byte, err error) {
	old := d.leaf(leaf)
	if old == nil {
		if old, err = d.growLeaf(leaf); err != nil {
			return nil, nil, err
		}
	}
	changed := *old
	key, nonce, ok := changed[r].take(d.tree.suite, generation, d.tree.Limits.maxSkipped())
	if !ok {
		return nil, nil, mlserr.New(mlserr.AlreadyProcessed, "F14: the key is consumed")
	}
	d.setLeaf(leaf, &changed)
	return key, nonce, nil
}

// leaf returns the ratchets of a leaf as the Draft has them, or nil when the
// leaf has not been used.
func (d *Draft) leaf(leaf treemath.LeafIndex) *leafRatchets {
	if l, ok := d.leaves[leaf]; ok {
		return l
	}
	return d.below(leaf)
}

// below returns the ratchets of a leaf as they are without the Draft.
func (d *Draft) below(leaf treemath.LeafIndex) *leafRatchets {
	if d.parent != nil {
		return d.parent.leaf(leaf)
	}
	return d.tree.leaves[leaf]
}

// setLeaf puts changed ratchets into the Draft and wipes what an earlier change
// of the same Draft made and this one consumed.
func (d *Draft) setLeaf(leaf treemath.LeafIndex, changed *leafRatchets) {
	if d.leaves == nil {
		d.leaves = map[treemath.LeafIndex]*leafRatchets{}
	}
	if earlier, ok := d.leaves[leaf]; ok {
		wipeDropped(earlier, changed, d.below(leaf), d.tree.leaves[leaf])
	}
	d.leaves[leaf] = changed
}

// node returns the secret of a node as the Draft has it, or nil.
func (d *Draft) node(x treemath.NodeIndex) []byte {
	if secret, ok := d.nodes[x]; ok {
		return secret
	}
	if d.parent != nil {
		return d.parent.node(x)
	}
	return d.tree.nodes[x]
}

// growLeaf derives the ratchets of a leaf from the tree node secret above it,
// keeps the secrets of the siblings on the way down, and consumes those of the
// path (RFC 9420, Sections 9 and 9.2).
func (d *Draft) growLeaf(leaf treemath.LeafIndex) (*leafRatchets, error) {
	s := d.tree.suite
	// Up from the leaf to the node whose secret is held...
	x := leaf.Node()
	path := make([]treemath.NodeIndex, 0, 32)
	for d.node(x) == nil {
		path = append(path, x)
		var ok bool
		if x, ok = treemath.Parent(x, d.tree.size); !ok {
			return nil, mlserr.New(mlserr.Internal, "the secret tree is wiped")
		}
	}
	if d.nodes == nil {
		d.nodes = map[treemath.NodeIndex][]byte{}
	}
	secret, ofTree := d.node(x), !d.isMade(x)
	d.nodes[x] = nil
	// ...and down again. A parent on the path has both children.
	for _, child := range slices.Backward(path) {
		left, _ := x.Left()
		right, _ := x.Right()
		leftSecret := s.ExpandWithLabel(secret, labelTree, []byte(contextLeft), s.HashSize())
		rightSecret := s.ExpandWithLabel(secret, labelTree, []byte(contextRight), s.HashSize())
		if !ofTree {
			clear(secret)
		}
		ofTree = false
		if child == left {
			secret, d.nodes[right] = leftSecret, rightSecret
		} else {
			secret, d.nodes[left] = rightSecret, leftSecret
		}
		x = child
	}
	grown := &leafRatchets{
		Handshake:   {secret: s.ExpandWithLabel(secret, labelHandshake, nil, s.HashSize())},
		Application: {secret: s.ExpandWithLabel(secret, labelApplication, nil, s.HashSize())},
	}
	if !ofTree {
		clear(secret)
	}
	d.setLeaf(leaf, grown)
	return grown, nil
}

// isMade reports whether the Draft itself derived the secret of a node.
func (d *Draft) isMade(x treemath.NodeIndex) bool { return d.nodes[x] != nil }

// Apply makes the changes in the tree and wipes what they consumed (RFC 9420,
// Section 9.2). Call it once the Changes are stored. The Draft is empty after
// that. It panics for a Draft of an older state, which would bring back keys
// that are consumed: the caller holds the group's lock from Draft to Apply, so
// that no other Draft can have come between.
func (d *Draft) Apply() {
	t := d.tree
	if d.base != t.applied {
		panic("schedule: Apply of a draft of an older secret tree")
	}
	for x, secret := range d.nodes {
		clear(t.nodes[x])
		if secret == nil {
			delete(t.nodes, x)
		} else {
			t.nodes[x] = secret
		}
	}
	for leaf, changed := range d.leaves {
		if old := t.leaves[leaf]; old != nil {
			wipeDropped(old, changed)
		}
		t.leaves[leaf] = changed
	}
	t.applied++
	d.base, d.nodes, d.leaves = t.applied, nil, nil
}

// Wipe overwrites the secrets that the Draft derived and that are not in the
// tree. It may be called when the Draft is dropped without Apply; after Apply it
// does nothing.
func (d *Draft) Wipe() {
	for _, secret := range d.nodes {
		clear(secret)
	}
	for leaf, changed := range d.leaves {
		wipeDropped(changed, d.below(leaf), d.tree.leaves[leaf])
	}
	d.nodes, d.leaves = nil, nil
}

// Changes calls yield for each record that the Draft changes, in a fixed
// order. A record is the callee's, holds secrets in the clear, and is nil where
// the record is to be deleted, which no Draft asks for at present: a ratchet
// stays for as long as its epoch does.
func (d *Draft) Changes(yield func(name string, record []byte)) {
	t := d.tree
	if len(d.nodes) != 0 {
		nodes := maps.Clone(t.nodes)
		for x, secret := range d.nodes {
			if secret == nil {
				delete(nodes, x)
			} else {
				nodes[x] = secret
			}
		}
		yield(nodesRecord, marshalNodes(t.suite, nodes))
	}
	for _, leaf := range sortedKeys(d.leaves) {
		yield(leafRecord(leaf), d.leaves[leaf].marshal(t.suite))
	}
}
