package schedule

import (
	"bytes"
	"sort"
	"strconv"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// The records of a secret tree: "nodes" holds the tree node secrets, and the
// leaf index in decimal names the ratchets of a leaf that has been used.
//
//	struct {
//	    uint32 node_index;
//	    opaque secret[KDF.Nh];
//	} Node;
//
//	Node nodes<V>;                 // ascending
//
//	struct {
//	    uint32 generation;
//	    opaque key[AEAD.Nk];
//	    opaque nonce[AEAD.Nn];
//	} SkippedKey;
//
//	struct {
//	    uint64 next;
//	    opaque secret[KDF.Nh];
//	    SkippedKey skipped<V>;     // ascending, each below next
//	} Ratchet;
//
//	Ratchet leaf[2];               // handshake, application

const nodesRecord = "nodes"

func leafRecord(leaf treemath.LeafIndex) string {
	return strconv.FormatUint(uint64(leaf), 10)
}

// Records calls yield for every record of the tree, in a fixed order. A record
// is the callee's and holds secrets in the clear. A fresh tree has the one
// record "nodes".
func (t *SecretTree) Records(yield func(name string, record []byte)) {
	yield(nodesRecord, marshalNodes(t.suite, t.nodes))
	for _, leaf := range sortedKeys(t.leaves) {
		yield(leafRecord(leaf), t.leaves[leaf].marshal(t.suite))
	}
}

// sortedKeys returns the keys of a map in order. (slices.Sort is a copy of its
// own for each type; sort.Slice is one for all.)
func sortedKeys[K ~uint32, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}

// LoadSecretTree returns the tree of leafCount leaves whose records get finds.
// It asks for "nodes" and then for each leaf that is below none of them, and
// takes copies, so that the records can be wiped. Code: STATE_CORRUPT, also
// where a record is missing: a ratchet that started anew would give out the keys
// of messages already sent (S12).
func LoadSecretTree(s *suite.Suite, leafCount uint32, get func(name string) ([]byte, bool)) (*SecretTree, error) {
	t := newSecretTree(s, leafCount)
	if t.size == 0 {
		return nil, corrupt("leaf count", nil)
	}
	record, ok := get(nodesRecord)
	if !ok {
		return nil, corrupt("no nodes", nil)
	}
	if err := t.unmarshalNodes(record); err != nil {
		t.Wipe()
		return nil, corrupt(nodesRecord, err)
	}
	if err := t.loadLeaves(treemath.Root(t.size), get); err != nil {
		t.Wipe()
		return nil, err
	}
	return t, nil
}

// loadLeaves loads each leaf below x that is not below a node that is held. It
// stops at the first one that has no record, so that the nodes, whatever they
// are, cannot make it walk further than there are records.
func (t *SecretTree) loadLeaves(x treemath.NodeIndex, get func(name string) ([]byte, bool)) error {
	if t.nodes[x] != nil {
		return nil
	}
	if leaf, ok := x.Leaf(); ok {
		if uint32(leaf) >= t.leafCount {
			// The tree ends before its last power of two.
			return corrupt("node above the last leaf", nil)
		}
		record, ok := get(leafRecord(leaf))
		if !ok {
			return corrupt("no record of leaf "+leafRecord(leaf), nil)
		}
		l := new(leafRatchets)
		if err := l.unmarshal(t.suite, record); err != nil {
			return corrupt("leaf "+leafRecord(leaf), err)
		}
		t.leaves[leaf] = l
		return nil
	}
	// x is a parent, which has both children.
	left, _ := x.Left()
	right, _ := x.Right()
	if err := t.loadLeaves(left, get); err != nil {
		return err
	}
	return t.loadLeaves(right, get)
}

func corrupt(detail string, err error) error {
	return mlserr.Wrap(mlserr.StateCorrupt, "secret tree: "+detail, err)
}

func marshalNodes(s *suite.Suite, nodes map[treemath.NodeIndex][]byte) []byte {
	w := wire.NewWriter(4 + len(nodes)*(4+s.HashSize()))
	w.Vector(func(w *wire.Writer) {
		for _, x := range sortedKeys(nodes) {
			w.Uint32(uint32(x))
			w.Raw(nodes[x])
		}
	})
	return w.Bytes()
}

func (t *SecretTree) unmarshalNodes(record []byte) error {
	r := wire.NewReader(record)
	free := uint64(0) // the first leaf that is below no node so far
	r.Vector(func(r *wire.Reader) {
		x := treemath.NodeIndex(r.Uint32())
		secret := r.Raw(t.suite.HashSize())
		if r.Err() != nil {
			return
		}
		first, last := treemath.SubtreeLeafRange(x)
		if !t.size.ContainsNode(x) || uint64(first) < free {
			r.Malformed("node out of order")
			return
		}
		free = uint64(last) + 1
		t.nodes[x] = bytes.Clone(secret)
	})
	return r.Finish()
}

func (l *leafRatchets) marshal(s *suite.Suite) []byte {
	perKey := 4 + s.KeySize() + s.NonceSize()
	size := 0
	for i := range l {
		size += 8 + s.HashSize() + 4 + len(l[i].skipped)*perKey
	}
	w := wire.NewWriter(size)
	for i := range l {
		l[i].marshal(w)
	}
	return w.Bytes()
}

func (r *ratchet) marshal(w *wire.Writer) {
	w.Uint64(r.next)
	w.Raw(r.secret)
	w.Vector(func(w *wire.Writer) {
		for i := range r.skipped {
			w.Uint32(r.skipped[i].generation)
			w.Raw(r.skipped[i].key)
			w.Raw(r.skipped[i].nonce)
		}
	})
}

func (l *leafRatchets) unmarshal(s *suite.Suite, record []byte) error {
	// One copy of the whole record, of which the secrets are parts.
	r := wire.NewReader(bytes.Clone(record))
	for i := range l {
		l[i].unmarshal(s, r)
	}
	return r.Finish()
}

func (r *ratchet) unmarshal(s *suite.Suite, in *wire.Reader) {
	r.next = in.Uint64()
	r.secret = in.Raw(s.HashSize())
	if r.next > maxNext {
		in.Malformed("generation")
	}
	free := uint64(0) // the first generation that may come
	in.Vector(func(in *wire.Reader) {
		k := skippedKey{in.Uint32(), in.Raw(s.KeySize()), in.Raw(s.NonceSize())}
		if in.Err() != nil {
			return
		}
		if g := uint64(k.generation); g < free || g >= r.next {
			in.Malformed("skipped generation")
			return
		}
		free = uint64(k.generation) + 1
		r.skipped = append(r.skipped, k)
	})
}
