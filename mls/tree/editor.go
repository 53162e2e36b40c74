package tree

import (
	"slices"

	"webmls/mls/message"
	"webmls/mls/treemath"
)

// Editor makes a new Tree from a Tree that stays as it is. It copies only the
// pages that it writes. It answers the same questions as a Tree, for the state
// of the edit; what it returns holds until the next change. It is for one
// goroutine.
type Editor struct {
	array
	mark     *mark // of the pages that this editor may write
	ownTiers bool  // whether the slices in tiers are this editor's
	// fresh are the parents that no Tree holds yet, which may change in place.
	fresh      map[*message.ParentNode]struct{}
	firstBlank treemath.LeafIndex // no leaf before this one is blank
	placed     treemath.NodeIndex // what Place set last, or None
	lookups    int
	counts     *keyCounts // nil until there were many lookups
}

// Edit starts an edit of the tree.
func (t *Tree) Edit() *Editor {
	return &Editor{array: t.array, mark: new(mark), placed: treemath.None}
}

// Tree returns the tree as it now stands. It computes the hashes of what was
// changed since the last call, each once. The editor may go on being used;
// what it changes later does not show in the tree.
func (e *Editor) Tree() *Tree {
	e.rehash(newHasher(e.suite), treemath.Root(e.leaves))
	// From here on the pages, slices and parents are the tree's.
	e.mark = new(mark)
	e.ownTiers = false
	e.fresh = nil
	return &Tree{e.array}
}

// Add puts a leaf at the leftmost blank place and extends the tree when there
// is none. The leaf becomes unmerged at its non-blank ancestors (RFC 9420,
// Section 12.1.1).
func (e *Editor) Add(leaf *message.LeafNode) treemath.LeafIndex {
	i := e.leftmostBlank()
	for _, x := range treemath.DirectPath(i.Node(), e.leaves) {
		if p := e.node(x).Parent; p != nil {
			e.addUnmerged(x, p, i)
		}
	}
	e.put(i.Node(), message.Node{Leaf: leaf})
	return i
}

// Place puts a leaf where Add would, without listing it anywhere as unmerged:
// the leaf of an external commit, whose path replaces all its ancestors. What the
// commit removes must be gone by then, for its place may be the joiner's (E7;
// RFC 9420, Section 12.4.3.2). CreatePath or MergePath must follow.
func (e *Editor) Place(leaf *message.LeafNode) treemath.LeafIndex {
	i := e.leftmostBlank()
	e.put(i.Node(), message.Node{Leaf: leaf})
	e.placed = i.Node()
	return i
}

// Update replaces the leaf i, which the caller knows not to be blank, and
// blanks its direct path (RFC 9420, Section 12.1.2).
func (e *Editor) Update(i treemath.LeafIndex, leaf *message.LeafNode) {
	e.put(i.Node(), message.Node{Leaf: leaf})
	e.BlankPath(i)
}

// Remove blanks the leaf i, which the caller knows not to be blank, and its
// direct path, and truncates the tree (RFC 9420, Section 12.1.3).
func (e *Editor) Remove(i treemath.LeafIndex) {
	e.put(i.Node(), message.Node{})
	e.BlankPath(i)
	e.firstBlank = min(e.firstBlank, i)
	e.truncate()
}

// BlankPath blanks the direct path of the leaf i.
func (e *Editor) BlankPath(i treemath.LeafIndex) {
	for _, x := range treemath.DirectPath(i.Node(), e.leaves) {
		if e.node(x).Parent != nil {
			e.put(x, message.Node{})
		}
	}
}

// leftmostBlank returns the leftmost blank leaf, for which it extends the tree
// when there is none.
func (e *Editor) leftmostBlank() treemath.LeafIndex {
	if e.members == int(e.leaves) {
		e.firstBlank = treemath.LeafIndex(e.leaves)
		e.extend()
	}
	for e.node(e.firstBlank.Node()).Leaf != nil {
		e.firstBlank++
	}
	return e.firstBlank
}

// addUnmerged adds a leaf to the unmerged leaves of the parent p at x. The
// leaf itself, put after, drops the hash.
func (e *Editor) addUnmerged(x treemath.NodeIndex, p *message.ParentNode, leaf treemath.LeafIndex) {
	at, _ := slices.BinarySearch(p.UnmergedLeaves, leaf)
	if _, ok := e.fresh[p]; ok {
		p.UnmergedLeaves = slices.Insert(p.UnmergedLeaves, at, leaf)
		return
	}
	q := *p
	q.UnmergedLeaves = make([]treemath.LeafIndex, 0, len(p.UnmergedLeaves)+8)
	q.UnmergedLeaves = append(q.UnmergedLeaves, p.UnmergedLeaves[:at]...)
	q.UnmergedLeaves = append(q.UnmergedLeaves, leaf)
	q.UnmergedLeaves = append(q.UnmergedLeaves, p.UnmergedLeaves[at:]...)
	if e.fresh == nil {
		e.fresh = make(map[*message.ParentNode]struct{})
	}
	e.fresh[&q] = struct{}{}
	e.put(x, message.Node{Parent: &q})
}

// extend doubles the tree: a blank root over the tree as it was and a blank
// right subtree (RFC 9420, Section 7.7).
func (e *Editor) extend() {
	e.takeTiers()
	e.leaves *= 2
	for tier := range tiersFor(e.leaves) {
		if tier == len(e.tiers) {
			e.tiers = append(e.tiers, nil)
		}
		for len(e.tiers[tier]) < pagesFor(e.leaves, tier) {
			e.tiers[tier] = append(e.tiers[tier], &page{mark: e.mark})
		}
	}
	// Nodes that come into the tree have no hash yet. Those that are not in a
	// new page are in the root's: pages of lower tiers are full.
	tier, number, _ := locate(treemath.Root(e.leaves))
	e.writable(tier, number)
}

// truncate halves the tree while its right half has no non-blank leaf (S15;
// RFC 9420, Sections 7.7 and 12.1.3).
func (e *Editor) truncate() {
	last := treemath.LeafIndex(e.leaves) - 1
	for last > 0 && e.node(last.Node()).Leaf == nil {
		last--
	}
	n, _ := treemath.LeavesFor(uint32(last) + 1)
	if n == e.leaves {
		return
	}
	e.takeTiers()
	e.leaves = n
	clear(e.tiers[tiersFor(n):])
	e.tiers = e.tiers[:tiersFor(n)]
	for tier := range e.tiers {
		keep := pagesFor(n, tier)
		clear(e.tiers[tier][keep:])
		e.tiers[tier] = e.tiers[tier][:keep]
	}
	// What is left outside of the tree is in the root's page. It must be blank
	// when the tree extends again, and is not yet where a forged tree has a
	// parent over blank leaves.
	tier, number, _ := locate(treemath.Root(n))
	p := e.writable(tier, number)
	for slot := range pageNodes {
		if !n.ContainsNode(nodeAt(tier, number, slot)) {
			p.set(tier, slot, message.Node{})
		}
	}
}

// put writes a node.
func (e *Editor) put(x treemath.NodeIndex, n message.Node) {
	e.touch(x)
	tier, number, slot := locate(x)
	p := e.writable(tier, number)
	if e.counts != nil {
		e.count(p, tier, slot, -1)
	}
	if p.nodes[slot].Leaf != nil {
		e.members--
	}
	p.set(tier, slot, n)
	if n.Leaf != nil {
		e.members++
	}
	if e.counts != nil {
		e.count(p, tier, slot, +1)
	}
}

// touch drops the hashes of x and its ancestors, so that none is stale (S15). It ends at one that has none:
// then those above have none either, so that many edits cost no more than the
// nodes they touch.
func (e *Editor) touch(x treemath.NodeIndex) {
	for ok := true; ok && e.node(x).hash != nil; x, ok = treemath.Parent(x, e.leaves) {
		tier, number, slot := locate(x)
		e.writable(tier, number).nodes[slot].hash = nil
	}
}

// writable returns a page that this editor may write, a copy if need be.
func (e *Editor) writable(tier int, number uint32) *page {
	p := e.tiers[tier][number]
	if p.mark == e.mark {
		return p
	}
	e.takeTiers()
	q := *p
	q.mark = e.mark
	e.tiers[tier][number] = &q
	return &q
}

// takeTiers makes the slices in tiers this editor's own.
func (e *Editor) takeTiers() {
	if e.ownTiers {
		return
	}
	tiers := make([][]*page, len(e.tiers))
	for tier := range tiers {
		tiers[tier] = slices.Clone(e.tiers[tier])
	}
	e.tiers = tiers
	e.ownTiers = true
}

// keyCounts counts the fingerprints of the keys in an editor, so that the
// usual answer to a search, that there is no such key, needs no search. A count
// may be too high, for a parent of a forged tree that was cut off: then a
// search decides.
type keyCounts struct {
	encryption, signature map[uint64]int
}

// lookupsBeforeCounts is after how many searches the counts are made. A commit
// with few proposals does without; one that adds a thousand members would take
// time in the square of their number.
const lookupsBeforeCounts = 32

// counted returns the counts, or nil while there were few lookups.
func (e *Editor) counted() *keyCounts {
	if e.lookups < lookupsBeforeCounts {
		e.lookups++
		return nil
	}
	if e.counts == nil {
		e.counts = &keyCounts{make(map[uint64]int, 4*e.members), make(map[uint64]int, 2*e.members)}
		for tier, pages := range e.tiers {
			for _, p := range pages {
				for slot := range pageNodes {
					e.count(p, tier, slot, +1)
				}
			}
		}
	}
	return e.counts
}

// count adds d to the counts of the keys in one place.
func (e *Editor) count(p *page, tier, slot, d int) {
	if f := p.encryption[slot]; f != 0 {
		e.counts.encryption[f] += d
	}
	if f := p.signature[slot/2]; f != 0 && tier == 0 && slot%2 == 0 {
		e.counts.signature[f] += d
	}
}

// FindSignatureKey returns the lowest leaf that has the signature key.
func (e *Editor) FindSignatureKey(key []byte) (treemath.LeafIndex, bool) {
	if c := e.counted(); c != nil && c.signature[fingerprint(key)] == 0 {
		return 0, false
	}
	return e.findSignatureKey(key, treemath.None)
}

// HasEncryptionKey reports whether any node, leaf or parent, has the
// encryption key.
func (e *Editor) HasEncryptionKey(key []byte) bool {
	if c := e.counted(); c != nil && c.encryption[fingerprint(key)] == 0 {
		return false
	}
	_, ok := e.findEncryptionKey(key, treemath.None)
	return ok
}
