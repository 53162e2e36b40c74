package message_test

import (
	"bytes"
	"slices"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// fuzzDecoder is the property of every decoder: it does not panic, what it
// refuses it refuses as malformed, and what it accepts is encoded again as it
// was. The seeds are random values of the kind and, where they are to be had,
// the official vectors; what fuzzing has found besides is in testdata.
func fuzzDecoder(f *testing.F, name string, more func(t *testing.T, v codec)) {
	k := find(name)
	g := newGenerator(50)
	for range 8 {
		f.Add(wire.Marshal(k.random(g)))
	}
	for _, b := range officialSeeds(name) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		v := k.fresh()
		err := wire.Unmarshal(b, v)
		if !bytes.Equal(b, before) {
			t.Fatalf("decoding has changed its input %x", before)
		}
		if err != nil {
			if code := mlserr.CodeOf(err); code.Info().Class != mlserr.ClassMalformed {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		if again := wire.Marshal(v); !bytes.Equal(again, b) {
			t.Fatalf("%x is encoded again as %x", b, again)
		}
		if more != nil {
			more(t, v)
		}
	})
}

func FuzzMLSMessage(f *testing.F) {
	fuzzDecoder(f, "MLSMessage", func(t *testing.T, v codec) {
		m := v.(*message.MLSMessage)
		h, err := message.PeekHeader(wire.Marshal(m))
		if err != nil || !sameHeader(h, headerOf(m)) {
			t.Fatalf("PeekHeader: %+v, %v, want %+v", h, err, headerOf(m))
		}
	})
}

// PeekHeader and Parse on any bytes.
func FuzzPeekHeader(f *testing.F) {
	g := newGenerator(51)
	for range 8 {
		m := g.mlsMessage()
		f.Add(wire.Marshal(&m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := message.PeekHeader(b)
		m, parseErr := message.Parse(b)
		if parseErr == nil && (err != nil || !sameHeader(h, headerOf(m))) {
			t.Fatalf("%x: %+v, %v, want %+v", b, h, err, headerOf(m))
		}
		if err != nil && mlserr.CodeOf(err).Info().Class != mlserr.ClassMalformed {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

func FuzzKeyPackage(f *testing.F) {
	s := lookup(f)
	fuzzDecoder(f, "KeyPackage", func(t *testing.T, v codec) {
		kp := v.(*message.KeyPackage)
		if b := wire.Marshal(kp); !bytes.Contains(kp.Verification(s).Message, b[:len(b)-sizeOfOpaque(kp.Signature)]) {
			t.Fatal("the signature does not cover what stands before it")
		}
		kp.Ref(s)
	})
}

func FuzzLeafNode(f *testing.F) {
	s := lookup(f)
	fuzzDecoder(f, "LeafNode", func(t *testing.T, v codec) {
		n := v.(*message.LeafNode)
		if b := wire.Marshal(n); !bytes.Contains(n.Verification(s, []byte("group"), 7).Message, b[:len(b)-sizeOfOpaque(n.Signature)]) {
			t.Fatal("the signature does not cover what stands before it")
		}
		if !n.Credential.Equal(&n.Credential) {
			t.Fatal("the credential is not its own")
		}
	})
}

func FuzzCredential(f *testing.F)           { fuzzDecoder(f, "Credential", nil) }
func FuzzCapabilities(f *testing.F)         { fuzzDecoder(f, "Capabilities", nil) }
func FuzzParentNode(f *testing.F)           { fuzzDecoder(f, "ParentNode", nil) }
func FuzzRatchetTree(f *testing.F)          { fuzzDecoder(f, "RatchetTree", nil) }
func FuzzProposal(f *testing.F)             { fuzzDecoder(f, "Proposal", nil) }
func FuzzCommit(f *testing.F)               { fuzzDecoder(f, "Commit", nil) }
func FuzzUpdatePath(f *testing.F)           { fuzzDecoder(f, "UpdatePath", nil) }
func FuzzWelcome(f *testing.F)              { fuzzDecoder(f, "Welcome", nil) }
func FuzzGroupSecrets(f *testing.F)         { fuzzDecoder(f, "GroupSecrets", nil) }
func FuzzGroupContext(f *testing.F)         { fuzzDecoder(f, "GroupContext", nil) }
func FuzzSenderData(f *testing.F)           { fuzzDecoder(f, "SenderData", nil) }
func FuzzHPKECiphertext(f *testing.F)       { fuzzDecoder(f, "HPKECiphertext", nil) }
func FuzzPrivateMessage(f *testing.F)       { fuzzDecoder(f, "PrivateMessage", nil) }
func FuzzRequiredCapabilities(f *testing.F) { fuzzDecoder(f, "RequiredCapabilities", nil) }
func FuzzExternalSenders(f *testing.F)      { fuzzDecoder(f, "ExternalSenderList", nil) }

func FuzzGroupInfo(f *testing.F) {
	s := lookup(f)
	fuzzDecoder(f, "GroupInfo", func(t *testing.T, v codec) {
		info := v.(*message.GroupInfo)
		if b := wire.Marshal(info); !bytes.Contains(info.Verification(s, nil).Message, b[:len(b)-sizeOfOpaque(info.Signature)]) {
			t.Fatal("the signature does not cover what stands before it")
		}
		checkExtensions(t, info.Extensions)
		checkExtensions(t, info.GroupContext.Extensions)
	})
}

func FuzzAuthenticatedContent(f *testing.F) {
	s := lookup(f)
	g := newGenerator(52)
	group := g.groupContext()
	fuzzDecoder(f, "AuthenticatedContent", func(t *testing.T, v codec) {
		a := v.(*message.AuthenticatedContent)
		content := wire.Marshal(&a.Content)
		for name, form := range map[string][]byte{
			"TBS": a.TBS(&group), "TBM": a.TBM(&group), "ConfirmedTranscriptHashInput": slices.Concat(a.ConfirmedTranscriptHashInput()),
			"SignContent": a.Verification(s, nil, &group).Message,
		} {
			if !bytes.Contains(form, content) {
				t.Fatalf("%s does not cover the content", name)
			}
		}
	})
}

func FuzzPreSharedKeyID(f *testing.F) {
	fuzzDecoder(f, "PreSharedKeyID", func(t *testing.T, v codec) {
		id := v.(*message.PreSharedKeyID)
		if key := id.Key(); !bytes.HasPrefix(wire.Marshal(id), []byte(key)) {
			t.Fatalf("key %x", key)
		}
	})
}

func FuzzExtensions(f *testing.F) {
	fuzzDecoder(f, "Extensions", func(t *testing.T, v codec) {
		checkExtensions(t, *v.(*message.Extensions))
	})
}

// sizeOfOpaque is the length of the encoding of b as opaque<V>.
func sizeOfOpaque(b []byte) int { return len(wire.AppendVarint(nil, len(b))) + len(b) }

// checkExtensions decodes every extension that carries a struct: what decodes
// is encoded again as it was.
func checkExtensions(t *testing.T, list message.Extensions) {
	t.Helper()
	again := func(extension message.ExtensionType, err error, encode func() []byte) {
		t.Helper()
		data, ok := list.Find(extension)
		switch {
		case err != nil && mlserr.CodeOf(err).Info().Class != mlserr.ClassMalformed:
			t.Fatalf("extension %d: %v", extension, err)
		case err != nil || !ok:
			return
		}
		if got := encode(); !bytes.Equal(got, data) {
			t.Fatalf("extension %d: %x is encoded again as %x", extension, data, got)
		}
	}
	required, err := list.RequiredCapabilities()
	again(message.ExtensionRequiredCapabilities, err, func() []byte { return wire.Marshal(required) })
	senders, err := list.ExternalSenders()
	again(message.ExtensionExternalSenders, err, func() []byte { return wire.Marshal(senders) })
	tree, _, err := list.RatchetTree()
	again(message.ExtensionRatchetTree, err, func() []byte { return wire.Marshal(tree) })
	public, _, err := list.ExternalPub()
	again(message.ExtensionExternalPub, err, func() []byte { return message.NewExternalPub(public).Data })
	id, _, err := list.ApplicationID()
	again(message.ExtensionApplicationID, err, func() []byte { return message.NewApplicationID(id).Data })
	if !list.Unique() {
		t.Fatal("a decoded list has a type twice")
	}
}

// The extensions that carry a struct, without the list around them.
func FuzzExtensionContent(f *testing.F) {
	g := newGenerator(53)
	for i := range 20 {
		for _, e := range g.extensions() {
			f.Add(uint16(e.Type), e.Data)
		}
		if i < 3 {
			f.Add(uint16(message.ExtensionRatchetTree), wire.Marshal(g.ratchetTree()))
		}
	}
	for _, b := range officialSeeds("RatchetTree") {
		f.Add(uint16(message.ExtensionRatchetTree), b)
	}
	f.Fuzz(func(t *testing.T, extension uint16, data []byte) {
		checkExtensions(t, message.Extensions{{Type: message.ExtensionType(extension), Data: data}})
	})
}
