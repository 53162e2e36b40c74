package tree

import (
	"bytes"
	"hash/maphash"
	"iter"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// A page is a subtree of five levels. Tier 0 holds levels 0 to 4 of the tree,
// 16 leaves a page; tier 1 holds levels 5 to 9, and so on. So the path from a
// leaf to the root of a tree of 8,000 members touches three pages.
const (
	pageLevels = 5
	pageLeaves = 1 << (pageLevels - 1)
	pageNodes  = 2*pageLeaves - 1
)

// node is one node of the tree with its tree hash. A page that is in a Tree
// has the hash of every node that the tree contains. In an Editor a hash is
// nil from the time the subtree changes until it is asked for; then those of
// all ancestors are nil too.
type node struct {
	message.Node
	hash []byte // KDF.Nh bytes
}

// page is the unit of sharing, in memory and in the store. Only the editor
// whose mark it bears may write to it.
type page struct {
	mark  *mark
	nodes [pageNodes]node
	// Fingerprints of the encryption keys and, in tier 0, of the signature
	// keys, 0 where there is none: what a search looks at first.
	encryption [pageNodes]uint64
	signature  [pageLeaves]uint64
}

// mark tells the pages of one editor from all others. It has a size so that
// no two share an address.
type mark struct{ _ byte }

// locate returns where the node x is kept.
func locate(x treemath.NodeIndex) (tier int, number uint32, slot int) {
	tier = x.Level() / pageLevels
	// Above the levels of the lower tiers, the index is that of a tree whose
	// leaves are the lowest level of this tier.
	y := uint32(x) >> (pageLevels * tier)
	return tier, y >> pageLevels, int(y & (1<<pageLevels - 1))
}

// nodeAt is the inverse of locate.
func nodeAt(tier int, number uint32, slot int) treemath.NodeIndex {
	y := number<<pageLevels | uint32(slot)
	return treemath.NodeIndex(y<<(pageLevels*tier) | (1<<(pageLevels*tier) - 1))
}

// tiersFor is the number of tiers of a tree of n leaves.
func tiersFor(n treemath.LeafCount) int {
	return treemath.Root(n).Level()/pageLevels + 1
}

// pagesFor is the number of pages of a tier in a tree of n leaves that has the
// tier. Only the one page of the highest tier can reach beyond the tree.
func pagesFor(n treemath.LeafCount, tier int) int {
	return max(1, int(n>>(pageLevels*tier+pageLevels-1)))
}

// set writes a node and its fingerprints, and drops its hash.
func (p *page) set(tier, slot int, n message.Node) {
	p.nodes[slot] = node{Node: n}
	p.encryption[slot] = 0
	switch {
	case n.Leaf != nil:
		p.encryption[slot] = fingerprint(n.Leaf.EncryptionKey)
		p.signature[slot/2] = fingerprint(n.Leaf.SignatureKey)
	case n.Parent != nil:
		p.encryption[slot] = fingerprint(n.Parent.EncryptionKey)
	case tier == 0 && slot%2 == 0:
		p.signature[slot/2] = 0
	}
}

var fingerprintSeed = maphash.MakeSeed()

// fingerprint is a number that two keys share by accident only, and that
// nobody outside of this process can make two keys share. It is never 0.
func fingerprint(key []byte) uint64 {
	return max(1, maphash.Bytes(fingerprintSeed, key))
}

// array is the array-based tree (RFC 9420, Appendix C) in pages: what a Tree
// and an Editor have in common, and all questions that both answer.
type array struct {
	suite   *suite.Suite
	leaves  treemath.LeafCount
	members int       // leaves that are not blank
	tiers   [][]*page // by tier and number
}

// newArray returns an array of n blank leaves, without hashes.
func newArray(s *suite.Suite, n treemath.LeafCount) array {
	a := array{suite: s, leaves: n, tiers: make([][]*page, tiersFor(n))}
	for tier := range a.tiers {
		a.tiers[tier] = make([]*page, pagesFor(n, tier))
		for i := range a.tiers[tier] {
			a.tiers[tier][i] = new(page)
		}
	}
	return a
}

// fill writes a node into an array that nobody shares yet.
func (a *array) fill(x treemath.NodeIndex, n message.Node) {
	tier, number, slot := locate(x)
	a.tiers[tier][number].set(tier, slot, n)
	if n.Leaf != nil {
		a.members++
	}
}

// node returns the node x, which the tree must contain.
func (a *array) node(x treemath.NodeIndex) *node {
	tier, number, slot := locate(x)
	return &a.tiers[tier][number].nodes[slot]
}

// findEncryptionKey returns the first node, in the order of the pages, whose
// encryption key is key, other than the node except.
func (a *array) findEncryptionKey(key []byte, except treemath.NodeIndex) (treemath.NodeIndex, bool) {
	want := fingerprint(key)
	for tier, pages := range a.tiers {
		for number, p := range pages {
			for slot, have := range p.encryption {
				if have != want || !bytes.Equal(p.nodes[slot].encryptionKey(), key) {
					continue
				}
				if x := nodeAt(tier, uint32(number), slot); x != except {
					return x, true
				}
			}
		}
	}
	return treemath.None, false
}

// findSignatureKey returns the first leaf whose signature key is key, other
// than the leaf except.
func (a *array) findSignatureKey(key []byte, except treemath.NodeIndex) (treemath.LeafIndex, bool) {
	want := fingerprint(key)
	for number, p := range a.tiers[0] {
		for i, have := range p.signature {
			if have != want || !bytes.Equal(p.nodes[2*i].Leaf.SignatureKey, key) {
				continue
			}
			leaf := treemath.LeafIndex(number*pageLeaves + i)
			if leaf.Node() != except {
				return leaf, true
			}
		}
	}
	return 0, false
}

// encryptionKey is the node's public key, or nil where it is blank.
func (n *node) encryptionKey() []byte {
	switch {
	case n.Leaf != nil:
		return n.Leaf.EncryptionKey
	case n.Parent != nil:
		return n.Parent.EncryptionKey
	}
	return nil
}

// PageID names a page of a tree.
type PageID struct {
	Tier   uint8
	Number uint32
}

// Name returns the page's name as part of a storage key: "0-12".
func (id PageID) Name() string {
	return strconv.Itoa(int(id.Tier)) + "-" + strconv.FormatUint(uint64(id.Number), 10)
}

// Page is an encoded page: the nodes with their tree hashes. It holds nothing
// secret. The data is the caller's.
type Page struct {
	ID   PageID
	Data []byte
}

// PageCount is the number of pages of the tree.
func (t *Tree) PageCount() int {
	n := 0
	for _, pages := range t.tiers {
		n += len(pages)
	}
	return n
}

// PageIDs returns the ids of all pages of the tree.
func (t *Tree) PageIDs() iter.Seq[PageID] {
	return func(yield func(PageID) bool) {
		for tier, pages := range t.tiers {
			for number := range pages {
				if !yield(PageID{uint8(tier), uint32(number)}) {
					return
				}
			}
		}
	}
}

// HasPage reports whether the tree has a page of an id.
func (t *Tree) HasPage(id PageID) bool {
	return int(id.Tier) < len(t.tiers) && uint64(id.Number) < uint64(len(t.tiers[id.Tier]))
}

// Page returns a page that the tree has.
func (t *Tree) Page(id PageID) Page { return Page{id, t.marshalPage(id)} }

// ChangedPages lists what a store that holds old must put and delete to hold
// t. old is nil where it holds nothing. Pages that t shares with old are found
// by their address, so that the cost is that of what changed when t was edited
// from old; any other two trees give a right list, though a long one.
func (t *Tree) ChangedPages(old *Tree) (put []Page, deleted []PageID) {
	var before [][]*page
	if old != nil {
		before = old.tiers
	}
	for tier := range max(len(before), len(t.tiers)) {
		var was, is []*page
		if tier < len(before) {
			was = before[tier]
		}
		if tier < len(t.tiers) {
			is = t.tiers[tier]
		}
		for i, p := range is {
			if i >= len(was) || was[i] != p {
				id := PageID{uint8(tier), uint32(i)}
				put = append(put, Page{id, t.marshalPage(id)})
			}
		}
		for i := len(is); i < len(was); i++ {
			deleted = append(deleted, PageID{uint8(tier), uint32(i)})
		}
	}
	return put, deleted
}

// marshalPage encodes the nodes of a page that the tree contains, in order:
// optional<Node>, then the tree hash of KDF.Nh bytes.
func (t *Tree) marshalPage(id PageID) []byte {
	w := wire.NewWriter(4096)
	for slot := range pageNodes {
		x := nodeAt(int(id.Tier), id.Number, slot)
		if !t.leaves.ContainsNode(x) {
			continue
		}
		n := t.node(x)
		n.MarshalNode(w)
		w.Raw(n.hash)
	}
	return w.Bytes()
}

// Load returns the tree of leafCount leaves whose pages get returns. It does
// not hash: the caller, who knows the tree hash from the GroupContext, may
// compare it with Hash. The tree aliases what get returns. Code: STATE_CORRUPT.
func Load(s *suite.Suite, leafCount uint32, get func(PageID) ([]byte, bool)) (*Tree, error) {
	n := treemath.LeafCount(leafCount)
	if !n.Valid() || n > MaxLeaves {
		return nil, mlserr.New(mlserr.StateCorrupt, "tree of "+strconv.FormatUint(uint64(leafCount), 10)+" leaves")
	}
	t := &Tree{newArray(s, n)}
	for tier := range t.tiers {
		for number := range t.tiers[tier] {
			id := PageID{uint8(tier), uint32(number)}
			data, ok := get(id)
			if !ok {
				return nil, mlserr.New(mlserr.StateCorrupt, "no tree page "+id.Name())
			}
			if err := t.unmarshalPage(id, data); err != nil {
				return nil, mlserr.Wrap(mlserr.StateCorrupt, "tree page "+id.Name(), err)
			}
		}
	}
	return t, nil
}

// unmarshalPage fills in one page of a tree that is being loaded.
func (t *Tree) unmarshalPage(id PageID, data []byte) error {
	r := wire.NewReader(data)
	for slot := range pageNodes {
		x := nodeAt(int(id.Tier), id.Number, slot)
		if !t.leaves.ContainsNode(x) {
			continue
		}
		n := message.UnmarshalNode(r)
		hash := r.Raw(t.suite.HashSize())
		if err := r.Err(); err != nil {
			return err
		}
		if err := checkNode(x, n); err != nil {
			return err
		}
		t.fill(x, n)
		t.node(x).hash = hash
	}
	return r.Finish()
}
