package message_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// decodeError decodes b as the kind of a name.
func decodeError(name string, b []byte) error {
	return wire.Unmarshal(b, find(name).fresh())
}

// refused checks the code and the detail of a refusal.
func refused(t *testing.T, what string, err error, code mlserr.Code, detail string) {
	t.Helper()
	var e *mlserr.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Detail, detail) {
		t.Errorf("%s: error %v, want %s: %s", what, err, code, detail)
	}
}

// Every octet or number that selects a branch is tried with all its values. The
// value is otherwise right, so that what is refused is refused for the selector.
func TestSelectors(t *testing.T) {
	g := newGenerator(10)
	leaf, parent := g.leafNode(), g.parentNode()
	for _, c := range []struct {
		name, kind, detail string
		known              func(v int) bool
		// encode writes a value whose selector is v, with the body of v
		// where v is known and any body else.
		encode func(w *wire.Writer, v int)
	}{
		{"sender type", "Sender", "sender type", func(v int) bool { return v >= 1 && v <= 4 }, func(w *wire.Writer, v int) {
			w.Uint8(uint8(v))
			if v == 1 || v == 2 {
				w.Uint32(7)
			}
		}},
		{"content type of a PrivateMessage", "PrivateMessage", "content type", func(v int) bool { return v >= 1 && v <= 3 }, func(w *wire.Writer, v int) {
			m := message.PrivateMessage{GroupID: []byte("g"), ContentType: message.ContentType(v)}
			m.Marshal(w)
		}},
		{"content type of a FramedContent", "FramedContent", "content type", func(v int) bool { return v >= 1 && v <= 3 }, func(w *wire.Writer, v int) {
			w.Opaque([]byte("g"))
			w.Uint64(1)
			w.Uint8(uint8(message.SenderNewMemberCommit))
			w.Opaque(nil)
			w.Uint8(uint8(v))
			switch v {
			case 2:
				(&message.Proposal{Type: message.ProposalRemove}).Marshal(w)
			case 3:
				(&message.Commit{}).Marshal(w)
			default:
				w.Opaque([]byte("text"))
			}
		}},
		{"ProposalOrRef type", "ProposalOrRef", "ProposalOrRef type", func(v int) bool { return v == 1 || v == 2 }, func(w *wire.Writer, v int) {
			w.Uint8(uint8(v))
			if v == 1 {
				(&message.Proposal{Type: message.ProposalRemove}).Marshal(w)
			} else {
				w.Opaque([]byte("reference"))
			}
		}},
		{"PSK type", "PreSharedKeyID", "PSK type", func(v int) bool { return v == 1 || v == 2 }, func(w *wire.Writer, v int) {
			w.Uint8(uint8(v))
			if v == 2 {
				w.Uint8(1)
				w.Opaque(nil)
				w.Uint64(5)
			} else {
				w.Opaque([]byte("id"))
			}
			w.Opaque([]byte("nonce"))
		}},
		{"resumption PSK usage", "PreSharedKeyID", "resumption PSK usage", func(v int) bool { return v >= 1 && v <= 3 }, func(w *wire.Writer, v int) {
			id := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionPSKUsage(v), Epoch: 2}
			id.Marshal(w)
		}},
		{"leaf node source", "LeafNode", "leaf node source", func(v int) bool { return v >= 1 && v <= 3 }, func(w *wire.Writer, v int) {
			n := leaf
			n.Source = message.LeafNodeSource(v)
			n.Marshal(w)
		}},
		{"node type", "Node", "node type", func(v int) bool { return v == 1 || v == 2 }, func(w *wire.Writer, v int) {
			w.Optional(true)
			w.Uint8(uint8(v))
			if v == 1 {
				leaf.Marshal(w)
			} else {
				parent.Marshal(w)
			}
		}},
		{"presence of a node", "Node", "D2", func(v int) bool { return v == 0 || v == 1 }, func(w *wire.Writer, v int) {
			w.Uint8(uint8(v))
			if v != 0 {
				w.Uint8(2)
				parent.Marshal(w)
			}
		}},
		{"presence of a path", "Commit", "D2", func(v int) bool { return v == 0 || v == 1 }, func(w *wire.Writer, v int) {
			w.Opaque(nil)
			w.Uint8(uint8(v))
			if v != 0 {
				(&message.UpdatePath{LeafNode: leaf}).Marshal(w)
			}
		}},
		{"presence of a path secret", "GroupSecrets", "D2", func(v int) bool { return v == 0 || v == 1 }, func(w *wire.Writer, v int) {
			w.Opaque([]byte("joiner"))
			w.Uint8(uint8(v))
			if v != 0 {
				w.Opaque([]byte("path"))
			}
			w.Opaque(nil)
		}},
	} {
		for v := range 256 {
			var w wire.Writer
			c.encode(&w, v)
			err := decodeError(c.kind, w.Bytes())
			what := fmt.Sprintf("%s %d", c.name, v)
			if c.known(v) {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			} else {
				refused(t, what, err, mlserr.Malformed, c.detail)
			}
		}
	}
}

// D5: version and wire format of an MLSMessage, and the versions inside.
func TestVersionsAndWireFormats(t *testing.T) {
	g := newGenerator(11)
	for format := message.WireFormatPublicMessage; format <= message.WireFormatKeyPackage; format++ {
		var m message.MLSMessage
		for m.WireFormat != format {
			m = g.mlsMessage()
		}
		b := wire.Marshal(&m)
		for v := range 0x10000 {
			if v > 20 && v%251 != 0 {
				continue
			}
			b[0], b[1] = byte(v>>8), byte(v)
			_, err := message.Parse(b)
			_, peekErr := message.PeekHeader(b)
			if v == int(message.MLS10) {
				if err != nil || peekErr != nil {
					t.Errorf("version %d: %v, %v", v, err, peekErr)
				}
				continue
			}
			refused(t, "version", err, mlserr.UnknownVersion, "D5")
			refused(t, "version", peekErr, mlserr.UnknownVersion, "D5")
		}
	}
	for v := range 0x10000 {
		if v >= 1 && v <= 5 {
			continue
		}
		b := []byte{0, 1, byte(v >> 8), byte(v), 0, 0, 0, 0}
		_, err := message.Parse(b)
		_, peekErr := message.PeekHeader(b)
		if !errors.Is(err, mlserr.UnknownWireFormat) || !errors.Is(peekErr, mlserr.UnknownWireFormat) {
			t.Fatalf("wire format %d: %v, %v", v, err, peekErr)
		}
	}
	// The version is looked at first: what follows it may be of another shape.
	_, err := message.Parse([]byte{0, 2, 0xff, 0xff})
	refused(t, "version and wire format", err, mlserr.UnknownVersion, "D5")
	for n := range 4 {
		_, err := message.Parse([]byte{0, 2, 0xff, 0xff}[:n])
		refused(t, "half a header", err, mlserr.Malformed, "unexpected end")
	}

	for _, name := range []string{"KeyPackage", "GroupContext", "GroupInfo"} {
		b := wire.Marshal(find(name).random(g))
		for _, v := range []uint16{0, 2, 0x0a0a, 0xffff} {
			b[0], b[1] = byte(v>>8), byte(v)
			refused(t, name, decodeError(name, b), mlserr.UnknownVersion, "")
		}
	}
}

// Types that a later document may define are carried along as they are, and
// written as they were (X5; RFC 9420, Section 13).
func TestUnknownTypesAreCarried(t *testing.T) {
	for _, v := range []uint16{0x0a0a, 0x1a1a, 0xeaea, 8, 10, 0xf000, 0xffff} {
		for _, value := range []codec{
			&message.Proposal{Type: message.ProposalType(v), Custom: []byte("body")},
			&message.Credential{Type: message.CredentialType(v), Data: []byte("body")},
			&message.Extensions{{Type: message.ExtensionType(v), Data: []byte("body")}, {Type: message.ExtensionType(v - 1)}},
			&message.Capabilities{
				Versions:     []message.ProtocolVersion{message.ProtocolVersion(v)},
				Proposals:    []message.ProposalType{message.ProposalType(v), message.ProposalType(v)},
				Credentials:  []message.CredentialType{message.CredentialType(v)},
				Extensions:   []message.ExtensionType{message.ExtensionType(v)},
				CipherSuites: nil,
			},
		} {
			b := wire.Marshal(value)
			switch got := value.(type) {
			case *message.Proposal:
				*got = message.Proposal{}
			case *message.Credential:
				*got = message.Credential{}
			case *message.Extensions:
				*got = nil
			case *message.Capabilities:
				*got = message.Capabilities{}
			}
			if err := wire.Unmarshal(b, value); err != nil {
				t.Errorf("%T of type %d: %v", value, v, err)
			} else if again := wire.Marshal(value); string(again) != string(b) {
				t.Errorf("%T of type %d: %x is encoded again as %x", value, v, b, again)
			}
		}
	}
	refused(t, "proposal type 0", decodeError("Proposal", []byte{0, 0, 1, 'x'}), mlserr.Malformed, "proposal type 0")
}

// D7: no list of extensions has a type twice, in whatever struct it stands.
func TestDuplicateExtensions(t *testing.T) {
	g := newGenerator(12)
	twice := message.Extensions{{Type: 0xf001}, {Type: 0xf002}, {Type: 0xf001, Data: []byte("another")}}
	for name, v := range map[string]codec{
		"Extensions": &twice,
		"LeafNode":   func() codec { n := g.leafNode(); n.Extensions = twice; return &n }(),
		"KeyPackage": func() codec { p := g.keyPackage(); p.Extensions = twice; return &p }(),
		"GroupContext": func() codec {
			c := g.groupContext()
			c.Extensions = twice
			return &c
		}(),
		"GroupInfo": func() codec { i := g.groupInfo(); i.Extensions = twice; return &i }(),
		"Proposal":  &message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: twice},
		"Commit": &message.Commit{Proposals: []message.ProposalOrRef{{Proposal: &message.Proposal{
			Type: message.ProposalReInit, ReInit: &message.ReInit{Version: message.MLS10, Extensions: twice}}}}},
	} {
		refused(t, name, decodeError(name, wire.Marshal(v)), mlserr.DuplicateExtension, "D7")
	}
	for _, c := range []struct {
		list   message.Extensions
		unique bool
	}{
		{nil, true},
		{twice[:1], true},
		{twice[:2], true},
		{twice, false},
		{message.Extensions{{Type: 1}, {Type: 1}}, false},
	} {
		if c.list.Unique() != c.unique {
			t.Errorf("Unique of %v is %v", c.list, !c.unique)
		}
	}
	// All types there are, and one more.
	all := make(message.Extensions, 0x10000)
	for i := range all {
		all[i].Type = message.ExtensionType(i)
	}
	if err := decodeError("Extensions", wire.Marshal(all)); err != nil {
		t.Errorf("all types: %v", err)
	}
	refused(t, "one more than all types", decodeError("Extensions", wire.Marshal(append(all, message.Extension{Type: 3}))), mlserr.DuplicateExtension, "D7")
}

// D9: unmerged leaves are strictly increasing.
func TestUnmergedLeavesOrder(t *testing.T) {
	for _, c := range []struct {
		leaves []treemath.LeafIndex
		ok     bool
	}{
		{nil, true},
		{[]treemath.LeafIndex{0}, true},
		{[]treemath.LeafIndex{0, 1, 5, 1 << 31, 1<<32 - 1}, true},
		{[]treemath.LeafIndex{1, 0}, false},
		{[]treemath.LeafIndex{0, 0}, false},
		{[]treemath.LeafIndex{0, 2, 1}, false},
		{[]treemath.LeafIndex{0, 2, 2, 3}, false},
		{[]treemath.LeafIndex{1<<32 - 1, 0}, false},
		{[]treemath.LeafIndex{1<<31 - 1, 1 << 31}, true}, // as signed numbers they would fall
		{[]treemath.LeafIndex{1 << 31, 1<<31 - 1}, false},
	} {
		b := wire.Marshal(&message.ParentNode{UnmergedLeaves: c.leaves})
		err := decodeError("ParentNode", b)
		if c.ok && err != nil {
			t.Errorf("%v: %v", c.leaves, err)
		}
		if !c.ok {
			refused(t, fmt.Sprint(c.leaves), err, mlserr.UnmergedLeaves, "D9")
		}
	}
	refused(t, "three bytes", decodeError("ParentNode", []byte{0, 0, 3, 0, 0, 0}), mlserr.Malformed, "unexpected end")
}

// D8: the shape of a ratchet tree.
func TestRatchetTreeShapes(t *testing.T) {
	g := newGenerator(13)
	for _, c := range []struct {
		shape  string // L leaf, P parent, - blank
		detail string // empty: accepted
	}{
		{"L", ""},
		{"LPL", ""},
		{"-PL", ""},
		{"--L", ""},
		{"L-L", ""},
		{"LPLPLPL", ""},
		{"LPLP-PL", ""},
		{"------L", ""},
		{"LPLPL", ""}, // no full tree: the joiner extends it
		{"", "even number"},
		{"LP", "even number"},
		{"L-", "even number"},
		{"LPLP", "even number"},
		{"-", "last node blank"},
		{"--", "even number"},
		{"---", "last node blank"},
		{"LP-", "last node blank"},
		{"LPLP-P-", "last node blank"},
		{"P", "alternate"},
		{"PPL", "alternate"},
		{"LLL", "alternate"},
		{"LPP", "alternate"},
		{"-L", "alternate"},
		{"LPLL", "alternate"},
		{"LPLPLPP", "alternate"},
	} {
		var tree message.RatchetTree
		for _, n := range c.shape {
			var node message.Node
			switch n {
			case 'L':
				leaf := g.leafNode()
				node.Leaf = &leaf
			case 'P':
				parent := g.parentNode()
				node.Parent = &parent
			}
			tree = append(tree, node)
		}
		data := wire.Marshal(tree)
		extension := message.Extensions{{Type: message.ExtensionRatchetTree, Data: data}}
		nodes, ok, err := extension.RatchetTree()
		if !ok {
			t.Fatalf("%q: not found", c.shape)
		}
		if c.detail != "" {
			refused(t, fmt.Sprintf("%q", c.shape), err, mlserr.MalformedTree, c.detail)
		} else if err != nil || len(nodes) != len(tree) {
			t.Errorf("%q: %d nodes, %v", c.shape, len(nodes), err)
		}
	}
}

// A vector of uint16 has an even length.
func TestOddVectors(t *testing.T) {
	for field := range 5 {
		var w wire.Writer
		for i := range 5 {
			if i == field {
				w.Opaque([]byte{0, 1, 2})
			} else {
				w.Opaque([]byte{0, 1})
			}
		}
		refused(t, fmt.Sprintf("field %d of Capabilities", field), decodeError("Capabilities", w.Bytes()), mlserr.Malformed, "odd length")
		if field < 3 {
			b := w.Bytes()[:0:0]
			for i := range 3 {
				if i == field {
					b = append(b, 1, 9)
				} else {
					b = append(b, 0)
				}
			}
			refused(t, fmt.Sprintf("field %d of RequiredCapabilities", field), decodeError("RequiredCapabilities", b), mlserr.Malformed, "odd length")
		}
	}
}

// D3: the extensions that carry a struct are used up by it.
func TestExtensionContent(t *testing.T) {
	g := newGenerator(14)
	required := g.requiredCapabilities()
	senders := message.ExternalSenderList{{SignatureKey: []byte("key"), Credential: message.BasicCredential([]byte("name"))}}
	for _, c := range []struct {
		name   string
		list   message.Extensions
		decode func(list message.Extensions) (found bool, err error)
	}{
		{"required_capabilities", message.Extensions{{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&required)}}, func(list message.Extensions) (bool, error) {
			got, err := list.RequiredCapabilities()
			return got != nil, err
		}},
		{"external_senders", message.Extensions{{Type: message.ExtensionExternalSenders, Data: wire.Marshal(senders)}}, func(list message.Extensions) (bool, error) {
			got, err := list.ExternalSenders()
			return len(got) == 1 && string(got[0].SignatureKey) == "key", err
		}},
		{"external_pub", message.Extensions{message.NewExternalPub([]byte("key"))}, func(list message.Extensions) (bool, error) {
			got, ok, err := list.ExternalPub()
			return ok && string(got) == "key", err
		}},
		{"application_id", message.Extensions{message.NewApplicationID([]byte("id"))}, func(list message.Extensions) (bool, error) {
			got, ok, err := list.ApplicationID()
			return ok && string(got) == "id", err
		}},
		{"ratchet_tree", message.Extensions{{Type: message.ExtensionRatchetTree, Data: wire.Marshal(g.ratchetTree())}}, func(list message.Extensions) (bool, error) {
			got, ok, err := list.RatchetTree()
			return ok && len(got) > 0, err
		}},
	} {
		if found, err := c.decode(c.list); !found || err != nil {
			t.Errorf("%s: found %v, %v", c.name, found, err)
		}
		other := message.Extensions{{Type: 0xf001, Data: c.list[0].Data}}
		if found, err := c.decode(other); found || err != nil {
			t.Errorf("%s: found where there is none: %v", c.name, err)
		}
		if found, err := c.decode(append(other, c.list...)); !found || err != nil {
			t.Errorf("%s behind another: found %v, %v", c.name, found, err)
		}
		data := c.list[0].Data
		c.list[0].Data = append(data[:len(data):len(data)], 0)
		if _, err := c.decode(c.list); !errors.Is(err, mlserr.Malformed) {
			t.Errorf("%s and a byte: %v", c.name, err)
		}
		for n := range data {
			c.list[0].Data = data[:n:n]
			if _, err := c.decode(c.list); err == nil {
				t.Errorf("%s: the first %d of %d bytes are accepted", c.name, n, len(data))
			}
		}
	}
}
