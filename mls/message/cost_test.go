package message_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// maxCost is how many bytes decoding may allocate in all for each byte of its
// input, beside a fixed part: a list that grows is copied a few times, and its
// elements take more room than on the wire.
const maxCost, fixedCost = 150, 4096

// allocated returns how many bytes a call of f allocates.
func allocated(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := ^uint64(0)
	for range 2 { // the runtime may allocate meanwhile
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// crowded has, for each list of the structs, an input of about size bytes that is
// all elements of the least size.
func crowded(size int) map[string]struct {
	kind string
	data []byte
} {
	type input = struct {
		kind string
		data []byte
	}
	repeat := func(element ...byte) []byte { return bytes.Repeat(element, size/len(element)) }
	vector := func(body []byte) []byte {
		var w wire.Writer
		w.Opaque(body)
		return w.Bytes()
	}
	put := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	unmerged := make([]byte, 0, size)
	for i := uint32(0); len(unmerged) < size; i++ {
		unmerged = append(unmerged, byte(i>>24), byte(i>>16), byte(i>>8), byte(i))
	}
	blanks := append(make([]byte, size&^1), 1, 1) // of even number, and a leaf
	g := newGenerator(40)
	leaf := g.leafNode()
	encodedLeaf := wire.Marshal(&leaf)
	emptyUpdate := put([]byte{1, 0, 2, 0, 0, 0, 1, 0}, make([]byte, 5), []byte{2, 0, 0})
	return map[string]input{
		"references":            {"Commit", put(vector(repeat(2, 0)), []byte{0})},
		"custom proposals":      {"Commit", put(vector(repeat(1, 0xff, 0xff, 0)), []byte{0})},
		"PSK proposals":         {"Commit", put(vector(repeat(1, 0, 4, 1, 0, 0)), []byte{0})},
		"GCE proposals":         {"Commit", put(vector(repeat(1, 0, 7, 0)), []byte{0})},
		"re-init proposals":     {"Commit", put(vector(repeat(1, 0, 5, 0, 0, 1, 0, 1, 0)), []byte{0})},
		"updates":               {"Commit", put(vector(repeat(emptyUpdate...)), []byte{0})},
		"path nodes":            {"UpdatePath", put(encodedLeaf, vector(repeat(0, 0)))},
		"ciphertexts":           {"UpdatePath", put(encodedLeaf, vector(put([]byte{0}, vector(repeat(0, 0)))))},
		"certificates":          {"Credential", put([]byte{0, 2}, vector(repeat(0)))},
		"extensions":            {"Extensions", vector(repeat(0, 1, 0))},
		"external senders":      {"ExternalSenderList", vector(repeat(0, 0, 1, 0))},
		"PSKs":                  {"GroupSecrets", put([]byte{0, 0}, vector(repeat(1, 0, 0)))},
		"encrypted secrets":     {"Welcome", put([]byte{0, 1}, vector(repeat(0, 0, 0)), []byte{0})},
		"unmerged leaves":       {"ParentNode", put([]byte{0, 0}, vector(unmerged))},
		"blank nodes":           {"RatchetTree", vector(put(blanks, encodedLeaf))},
		"blank nodes alone":     {"RatchetTree", vector(repeat(0))},
		"versions":              {"Capabilities", put(vector(repeat(0, 1)), make([]byte, 4))},
		"required credentials":  {"RequiredCapabilities", put([]byte{0, 0}, vector(repeat(0, 1)))},
		"a large opaque":        {"PreSharedKeyID", put([]byte{1}, vector(repeat(7)), []byte{0})},
		"a length of 2^30-1":    {"Commit", put([]byte{0xbf, 0xff, 0xff, 0xff}, repeat(2, 0))},
		"in it one of 2^30-1":   {"Commit", vector(put([]byte{2, 0xbf, 0xff, 0xff, 0xff}, repeat(2, 0)))},
		"a ciphertext of them":  {"HPKECiphertext", put([]byte{0, 0xbf, 0xff, 0xff, 0xff}, repeat(0))},
		"a private message":     {"PrivateMessage", put([]byte{0}, make([]byte, 8), []byte{1, 0, 0}, vector(repeat(9)))},
		"application data":      {"FramedContent", put([]byte{0}, make([]byte, 8), []byte{4, 0, 1}, vector(repeat(9)))},
		"extensions of a group": {"GroupContext", put([]byte{0, 1, 0, 1, 0}, make([]byte, 8), []byte{0, 0}, vector(repeat(0xf0, 1, 0)))},
	}
}

// S3, D4: whatever the input is, decoding costs no more than a small multiple of its size.
func TestDecodingCost(t *testing.T) {
	for name, in := range crowded(1 << 16) {
		k := find(in.kind)
		var err error
		got := allocated(func() { err = wire.Unmarshal(in.data, k.fresh()) })
		if limit := uint64(maxCost*len(in.data) + fixedCost); got > limit {
			t.Errorf("%s: %d bytes for an input of %d, %.0f a byte; %v", name, got, len(in.data), float64(got)/float64(len(in.data)), err)
		}
		if class := mlserr.CodeOf(err).Info().Class; err != nil && class != mlserr.ClassMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	forRandom(t, 41, 5, func(_ *generator, k kind, _ codec, b []byte) error {
		if got := allocated(func() { wire.Unmarshal(b, k.fresh()) }); got > uint64(maxCost*len(b)+fixedCost) {
			t.Errorf("%s: %d bytes for an input of %d", k.name, got, len(b))
		}
		return nil
	})
}

// However large the input: the number of elements is bounded, and with it the
// memory (D4).
func TestElementsBounded(t *testing.T) {
	if testing.Short() || runtime.GOOS == "js" {
		t.Skip("takes memory")
	}
	many := func(element ...byte) []byte {
		w := wire.NewWriter(len(element)*wire.MaxElements + 16)
		w.Opaque(bytes.Repeat(element, wire.MaxElements+1))
		return w.Bytes()
	}
	refused(t, "blank nodes", decodeError("RatchetTree", many(0)), mlserr.TooLarge, "D4")
	// Extensions end where their types are used up.
	extensions := many(0, 1, 0)
	var err error
	got := allocated(func() { err = decodeError("Extensions", extensions) })
	refused(t, "extensions", err, mlserr.DuplicateExtension, "D7")
	if got > 32<<20 {
		t.Errorf("%d bytes for extensions that must have duplicates", got)
	}
}

// Sizes that are large and allowed: they decode, in memory that is in proportion.
func TestLargeValues(t *testing.T) {
	g := newGenerator(42)
	leaf := g.leafNode()
	leaf.Capabilities.Extensions = make([]message.ExtensionType, 65535)
	for i := range leaf.Capabilities.Extensions {
		leaf.Capabilities.Extensions[i] = message.ExtensionType(i + 1)
	}
	commit := message.Commit{Proposals: make([]message.ProposalOrRef, 100000)}
	for i := range commit.Proposals {
		commit.Proposals[i].Proposal = &message.Proposal{Type: message.ProposalRemove, Remove: 1 << 31}
	}
	tree := make(message.RatchetTree, 100001)
	tree[len(tree)-1].Leaf = &leaf
	for name, v := range map[string]codec{"65,535 capabilities": &leaf, "100,000 proposals": &commit, "100,000 blank nodes": &tree} {
		b := wire.Marshal(v)
		var fresh codec
		var err error
		got := allocated(func() {
			switch v.(type) {
			case *message.LeafNode:
				fresh = new(message.LeafNode)
			case *message.Commit:
				fresh = new(message.Commit)
			case *message.RatchetTree:
				fresh = new(message.RatchetTree)
			}
			err = wire.Unmarshal(b, fresh)
		})
		if err != nil || !bytes.Equal(wire.Marshal(fresh), b) {
			t.Errorf("%s: %v", name, err)
		}
		if got > uint64(maxCost*len(b)) {
			t.Errorf("%s: %d bytes for an input of %d", name, got, len(b))
		}
	}
	if !errors.Is(decodeError("RatchetTree", wire.Marshal(tree[:100000])), mlserr.MalformedTree) {
		t.Error("100,000 blank nodes alone are accepted")
	}
}
