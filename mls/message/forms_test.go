package message_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// signContent is SignContent (RFC 9420, Section 5.1.2), from the RFC alone.
func signContent(label string, content []byte) []byte {
	var w wire.Writer
	w.Opaque([]byte("MLS 1.0 " + label))
	w.Opaque(content)
	return w.Bytes()
}

func lookup(t testing.TB) *suite.Suite {
	t.Helper()
	s, err := suite.Lookup(suite.X25519AES128SHA256Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recorder is a signature key that keeps what it signs.
type recorder struct {
	signed []byte
	err    error
}

func (r *recorder) Public() []byte    { return []byte("public key") }
func (r *recorder) Reference() []byte { return nil }
func (r *recorder) Name() string      { return "" }
func (r *recorder) Sign(_ context.Context, b []byte) ([]byte, error) {
	r.signed = b
	return []byte("signature"), r.err
}
func (r *recorder) SignAll(ctx context.Context, messages [][]byte) (list [][]byte, err error) {
	for _, b := range messages {
		signature, err := r.Sign(ctx, b)
		if err != nil {
			return nil, err
		}
		list = append(list, signature)
	}
	return list, nil
}

// FramedContentTBS has the group context for senders of type member and
// new_member_commit only (RFC 9420, Section 6.1), AuthenticatedContentTBM adds the
// authentication data (Section 6.2), and ConfirmedTranscriptHashInput leaves out
// the confirmation tag (Section 8.2).
func TestFramedContentForms(t *testing.T) {
	s := lookup(t)
	g := newGenerator(20)
	senders := make(map[message.SenderType]int)
	for i := range rounds() {
		a := g.authenticatedContent()
		group := g.groupContext()
		c := &a.Content
		senders[c.Sender.Type]++

		var content wire.Writer
		content.Opaque(c.GroupID)
		content.Uint64(c.Epoch)
		content.Uint8(uint8(c.Sender.Type))
		switch c.Sender.Type {
		case message.SenderMember:
			content.Uint32(uint32(c.Sender.Leaf))
		case message.SenderExternal:
			content.Uint32(c.Sender.Index)
		}
		content.Opaque(c.AuthenticatedData)
		content.Uint8(uint8(c.ContentType))
		switch c.ContentType {
		case message.ContentTypeApplication:
			content.Opaque(c.ApplicationData)
		case message.ContentTypeProposal:
			c.Proposal.Marshal(&content)
		case message.ContentTypeCommit:
			c.Commit.Marshal(&content)
		}
		tbs := []byte{0, 1, 0, byte(a.WireFormat)}
		tbs = append(tbs, content.Bytes()...)
		if c.Sender.Type == message.SenderMember || c.Sender.Type == message.SenderNewMemberCommit {
			tbs = append(tbs, wire.Marshal(&group)...)
		}
		var auth wire.Writer
		auth.Opaque(a.Auth.Signature)
		hashed := append([]byte{0, byte(a.WireFormat)}, content.Bytes()...)
		hashed = append(hashed, auth.Bytes()...)
		if c.ContentType == message.ContentTypeCommit {
			auth.Opaque(a.Auth.ConfirmationTag)
		}
		tbm := append(bytes.Clone(tbs), auth.Bytes()...)

		for name, pair := range map[string][2][]byte{
			"TBS":                          {a.TBS(&group), tbs},
			"TBM":                          {a.TBM(&group), tbm},
			"ConfirmedTranscriptHashInput": {slices.Concat(a.ConfirmedTranscriptHashInput()), hashed},
			"encoding":                     {wire.Marshal(&a), append(append([]byte{0, byte(a.WireFormat)}, content.Bytes()...), auth.Bytes()...)},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Fatalf("seed %d, value %d: %s is %x, want %x", seed, i, name, pair[0], pair[1])
			}
		}
		v := a.Verification(s, []byte("a key"), &group)
		if string(v.PublicKey) != "a key" || !bytes.Equal(v.Signature, a.Auth.Signature) || !bytes.Equal(v.Message, signContent("FramedContentTBS", tbs)) {
			t.Fatalf("seed %d, value %d: verification %+v", seed, i, v)
		}
		var key recorder
		if signed, err := a.Sign(t.Context(), s, &key, &group); err != nil || string(a.Auth.Signature) != "signature" || !bytes.Equal(key.signed, v.Message) || !bytes.Equal(signed, v.Message) {
			t.Fatalf("seed %d, value %d: signs %x, %v", seed, i, key.signed, err)
		}
	}
	for sender := message.SenderMember; sender <= message.SenderNewMemberCommit; sender++ {
		if senders[sender] < 10 {
			t.Errorf("sender type %d came %d times only", sender, senders[sender])
		}
	}
}

// LeafNodeTBS has group_id and leaf_index for the sources update and commit
// only (RFC 9420, Section 7.2).
func TestLeafNodeTBS(t *testing.T) {
	s := lookup(t)
	g := newGenerator(21)
	for i := range rounds() {
		n := g.leafNode()
		groupID, leaf := g.bytes(), treemath.LeafIndex(g.Uint32())
		unsigned := n
		unsigned.Signature = nil
		encoded := wire.Marshal(&unsigned)
		tbs := encoded[:len(encoded)-1] // without the empty signature
		if n.Source != message.LeafNodeSourceKeyPackage {
			var w wire.Writer
			w.Opaque(groupID)
			w.Uint32(uint32(leaf))
			tbs = append(tbs, w.Bytes()...)
		}
		v := n.Verification(s, groupID, leaf)
		if !bytes.Equal(v.PublicKey, n.SignatureKey) || !bytes.Equal(v.Signature, n.Signature) || !bytes.Equal(v.Message, signContent("LeafNodeTBS", tbs)) {
			t.Fatalf("seed %d, value %d: verification %x, want %x", seed, i, v.Message, signContent("LeafNodeTBS", tbs))
		}
		var key recorder
		if err := n.Sign(t.Context(), s, &key, groupID, leaf); err != nil || string(n.Signature) != "signature" || !bytes.Equal(key.signed, v.Message) {
			t.Fatalf("seed %d, value %d: signs %x, %v", seed, i, key.signed, err)
		}
	}
}

// KeyPackageTBS and GroupInfoTBS are all but the signature (RFC 9420, Sections
// 10 and 12.4.3).
func TestSignedWhole(t *testing.T) {
	s := lookup(t)
	g := newGenerator(22)
	for i := range rounds() / 4 {
		kp, info := g.keyPackage(), g.groupInfo()
		unsignedKP, unsignedInfo := kp, info
		unsignedKP.Signature, unsignedInfo.Signature = nil, nil
		tbs := wire.Marshal(&unsignedKP)
		want := signContent("KeyPackageTBS", tbs[:len(tbs)-1])
		v := kp.Verification(s)
		if !bytes.Equal(v.Message, want) || !bytes.Equal(v.PublicKey, kp.LeafNode.SignatureKey) || !bytes.Equal(v.Signature, kp.Signature) {
			t.Fatalf("seed %d, key package %d: verification %+v", seed, i, v)
		}
		var key recorder
		if err := kp.Sign(t.Context(), s, &key); err != nil || !bytes.Equal(key.signed, want) || string(kp.Signature) != "signature" {
			t.Fatalf("seed %d, key package %d: signs %x, %v", seed, i, key.signed, err)
		}

		tbs = wire.Marshal(&unsignedInfo)
		want = signContent("GroupInfoTBS", tbs[:len(tbs)-1])
		v = info.Verification(s, []byte("signer"))
		if !bytes.Equal(v.Message, want) || string(v.PublicKey) != "signer" || !bytes.Equal(v.Signature, info.Signature) {
			t.Fatalf("seed %d, group info %d: verification %+v", seed, i, v)
		}
		if err := info.Sign(t.Context(), s, &key); err != nil || !bytes.Equal(key.signed, want) || string(info.Signature) != "signature" {
			t.Fatalf("seed %d, group info %d: signs %x, %v", seed, i, key.signed, err)
		}
	}
}

// A key that fails leaves the signature as it was.
func TestSignFails(t *testing.T) {
	s := lookup(t)
	g := newGenerator(23)
	key := &recorder{err: errors.New("no key")}
	a, n, kp, info, group := g.authenticatedContent(), g.leafNode(), g.keyPackage(), g.groupInfo(), g.groupContext()
	for name, sign := range map[string]func() (error, []byte, []byte){
		"AuthenticatedContent": func() (error, []byte, []byte) {
			before := a.Auth.Signature
			_, err := a.Sign(t.Context(), s, key, &group)
			return err, before, a.Auth.Signature
		},
		"LeafNode": func() (error, []byte, []byte) {
			before := n.Signature
			return n.Sign(t.Context(), s, key, nil, 0), before, n.Signature
		},
		"KeyPackage": func() (error, []byte, []byte) {
			before := kp.Signature
			return kp.Sign(t.Context(), s, key), before, kp.Signature
		},
		"GroupInfo": func() (error, []byte, []byte) {
			before := info.Signature
			return info.Sign(t.Context(), s, key), before, info.Signature
		},
	} {
		if err, before, after := sign(); err != key.err || !bytes.Equal(before, after) {
			t.Errorf("%s: %v, signature %x, then %x", name, err, before, after)
		}
	}
}

// What the two AEADs of a PrivateMessage cover (RFC 9420, Sections 6.3.1 and 6.3.2).
func TestPrivateMessageAAD(t *testing.T) {
	g := newGenerator(24)
	for range rounds() / 4 {
		m := g.privateMessage()
		var header, content, senderData wire.Writer
		header.Opaque(m.GroupID)
		header.Uint64(m.Epoch)
		header.Uint8(uint8(m.ContentType))
		m.MarshalSenderDataAAD(&senderData)
		m.MarshalContentAAD(&content)
		if !bytes.Equal(senderData.Bytes(), header.Bytes()) {
			t.Fatalf("SenderDataAAD is %x", senderData.Bytes())
		}
		header.Opaque(m.AuthenticatedData)
		if !bytes.Equal(content.Bytes(), header.Bytes()) {
			t.Fatalf("PrivateContentAAD is %x", content.Bytes())
		}
	}
}

// A PublicMessage and what is signed of it are the same content.
func TestAuthenticated(t *testing.T) {
	g := newGenerator(25)
	for range rounds() / 4 {
		m := g.publicMessage()
		a := m.Authenticated()
		want := message.AuthenticatedContent{WireFormat: message.WireFormatPublicMessage, Content: m.Content, Auth: m.Auth}
		if !bytes.Equal(wire.Marshal(a), wire.Marshal(&want)) {
			t.Fatalf("%+v", a)
		}
	}
}

func TestKeyPackageRef(t *testing.T) {
	s := lookup(t)
	g := newGenerator(26)
	kp := g.keyPackage()
	var w wire.Writer
	w.Opaque([]byte("MLS 1.0 KeyPackage Reference"))
	w.Opaque(wire.Marshal(&kp))
	if ref := kp.Ref(s); !bytes.Equal(ref, s.Hash(w.Bytes())) || len(ref) != s.HashSize() {
		t.Errorf("reference %x", ref)
	}
	other := kp
	other.Signature = append(bytes.Clone(kp.Signature), 0)
	if bytes.Equal(kp.Ref(s), other.Ref(s)) {
		t.Error("two key packages have one reference")
	}
}

func TestCredentialEqual(t *testing.T) {
	g := newGenerator(27)
	var all []message.Credential
	for range 60 {
		all = append(all, g.credential())
	}
	all = append(all,
		message.BasicCredential(nil),
		message.BasicCredential([]byte("ab")),
		message.Credential{Type: message.CredentialX509, Certificates: [][]byte{[]byte("ab")}},
		message.Credential{Type: message.CredentialX509, Certificates: [][]byte{[]byte("a"), []byte("b")}},
		message.Credential{Type: 3, Data: []byte("ab")})
	for i := range all {
		for j := range all {
			want := bytes.Equal(wire.Marshal(&all[i]), wire.Marshal(&all[j]))
			if all[i].Equal(&all[j]) != want {
				t.Errorf("%+v and %+v", all[i], all[j])
			}
			if i != j && want && i >= 60 && j >= 60 {
				t.Errorf("%+v and %+v have one encoding", all[i], all[j])
			}
		}
	}
	// Fields that the type does not use do not count.
	a, b := message.BasicCredential([]byte("x")), message.BasicCredential([]byte("x"))
	b.Data, b.Certificates = []byte("unused"), [][]byte{{1}}
	if !a.Equal(&b) {
		t.Error("unused fields count")
	}
}

func TestPSKKey(t *testing.T) {
	external := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("id"), Nonce: []byte("one")}
	resumption := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: []byte("id"), Epoch: 1, Nonce: []byte("one")}
	for _, id := range []message.PreSharedKeyID{external, resumption} {
		again := id
		again.Nonce = []byte("another")
		if id.Key() != again.Key() {
			t.Errorf("%+v: the nonce counts", id)
		}
		if b := wire.Marshal(&id); !bytes.HasPrefix(b, []byte(id.Key())) {
			t.Errorf("%+v: the key is no part of the encoding", id)
		}
	}
	seen := make(map[string]message.PreSharedKeyID)
	for _, id := range []message.PreSharedKeyID{
		external,
		{Type: message.PSKExternal, ID: []byte("id2")},
		resumption,
		{Type: message.PSKResumption, Usage: message.ResumptionBranch, GroupID: []byte("id"), Epoch: 1},
		{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: []byte("id"), Epoch: 2},
		{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: []byte("id2"), Epoch: 1},
	} {
		if other, ok := seen[id.Key()]; ok {
			t.Errorf("%+v and %+v have one key", id, other)
		}
		seen[id.Key()] = id
	}
}

func TestFind(t *testing.T) {
	list := message.Extensions{{Type: 7, Data: []byte("seven")}, {Type: 8}, message.NewApplicationID([]byte("id"))}
	if data, ok := list.Find(7); !ok || string(data) != "seven" {
		t.Errorf("7: %q, %v", data, ok)
	}
	if data, ok := list.Find(8); !ok || len(data) != 0 {
		t.Errorf("8: %q, %v", data, ok)
	}
	if data, ok := list.Find(9); ok || data != nil {
		t.Errorf("9: %q, %v", data, ok)
	}
	if _, ok := message.Extensions(nil).Find(7); ok {
		t.Error("found in an empty list")
	}
	if id, ok, err := list.ApplicationID(); !ok || err != nil || string(id) != "id" {
		t.Errorf("application_id %q, %v, %v", id, ok, err)
	}
}

// Default types are supported without being listed, credentials are not (RFC
// 9420, Section 7.2); GREASE in what is listed is a type like others (X5).
func TestMeets(t *testing.T) {
	const own, grease = 0xf001, 0x1a1a
	c := message.Capabilities{
		Extensions:  []message.ExtensionType{own, grease},
		Proposals:   []message.ProposalType{own},
		Credentials: []message.CredentialType{message.CredentialBasic, own},
	}
	type required = message.RequiredCapabilities
	for _, test := range []struct {
		name     string
		required *required
		meets    bool
	}{
		{"nothing", nil, true},
		{"an empty list", &required{}, true},
		{"default extensions", &required{Extensions: []message.ExtensionType{1, 2, 3, 4, 5}}, true},
		{"default proposals", &required{Proposals: []message.ProposalType{1, 2, 3, 4, 5, 6, 7}}, true},
		{"what is listed", &required{[]message.ExtensionType{own, grease}, []message.ProposalType{own}, []message.CredentialType{1, own}}, true},
		{"an extension", &required{Extensions: []message.ExtensionType{own, 6}}, false},
		{"extension 0", &required{Extensions: []message.ExtensionType{0}}, false},
		{"a proposal", &required{Proposals: []message.ProposalType{own, 8}}, false},
		{"proposal 0", &required{Proposals: []message.ProposalType{0}}, false},
		{"a grease proposal", &required{Proposals: []message.ProposalType{grease}}, false},
		{"a credential", &required{Credentials: []message.CredentialType{message.CredentialX509}}, false},
		{"one of many", &required{[]message.ExtensionType{own}, []message.ProposalType{own}, []message.CredentialType{own, own + 1}}, false},
	} {
		if got := c.Meets(test.required); got != test.meets {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
