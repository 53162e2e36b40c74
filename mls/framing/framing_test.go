package framing

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

var keys = softkeys.New()

const (
	public  = message.WireFormatPublicMessage
	private = message.WireFormatPrivateMessage
)

// group is what the members of a group share in an epoch. The sender is leaf 1;
// leaf 2 is blank.
type group struct {
	suite            *suite.Suite
	key              suite.SignatureKey
	context          *message.GroupContext
	membershipKey    []byte
	senderDataSecret []byte
	encryptionSecret []byte
	leafCount        uint32
}

func newGroup(t testing.TB, id suite.ID, leafCount uint32) *group {
	t.Helper()
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.GenerateSignatureKey(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return &group{
		suite: s,
		key:   key,
		context: &message.GroupContext{
			Version:                 message.MLS10,
			CipherSuite:             id,
			GroupID:                 []byte("group"),
			Epoch:                   7,
			TreeHash:                suite.Random(s.HashSize()),
			ConfirmedTranscriptHash: suite.Random(s.HashSize()),
		},
		membershipKey:    suite.Random(s.HashSize()),
		senderDataSecret: suite.Random(s.HashSize()),
		encryptionSecret: suite.Random(s.HashSize()),
		leafCount:        leafCount,
	}
}

// tree returns a member's own secret tree.
func (g *group) tree() *schedule.SecretTree {
	return schedule.NewSecretTree(g.suite, g.leafCount, g.encryptionSecret)
}

func notBlank(leaf treemath.LeafIndex) bool { return leaf != 2 }

// The contents that are sent. Leaf nodes and key packages are as empty as
// their encoding allows: what is in them is not judged here.

func (g *group) leafNode() message.LeafNode {
	return message.LeafNode{
		SignatureKey: g.key.Public(),
		Credential:   message.Credential{Type: message.CredentialBasic, Identity: []byte("new")},
		Source:       message.LeafNodeSourceCommit,
		ParentHash:   []byte{},
	}
}

func (g *group) application() message.FramedContent {
	return message.FramedContent{ContentType: message.ContentTypeApplication, ApplicationData: []byte("hello")}
}

func (g *group) commit() message.FramedContent {
	return message.FramedContent{ContentType: message.ContentTypeCommit, Commit: &message.Commit{
		Proposals: []message.ProposalOrRef{{Reference: bytes.Repeat([]byte{9}, g.suite.HashSize())}},
		Path:      &message.UpdatePath{LeafNode: g.leafNode()},
	}}
}

func (g *group) proposal(t message.ProposalType) message.FramedContent {
	p := &message.Proposal{Type: t}
	switch t {
	case message.ProposalAdd:
		p.Add = &message.KeyPackage{Version: message.MLS10, CipherSuite: g.suite.ID(), LeafNode: g.leafNode()}
		p.Add.LeafNode.Source = message.LeafNodeSourceKeyPackage
	case message.ProposalUpdate:
		leaf := g.leafNode()
		leaf.Source = message.LeafNodeSourceUpdate
		p.Update = &leaf
	case message.ProposalPSK:
		p.PSK = &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	case message.ProposalReInit:
		p.ReInit = &message.ReInit{Version: message.MLS10, CipherSuite: g.suite.ID()}
	}
	return message.FramedContent{ContentType: message.ContentTypeProposal, Proposal: p}
}

// sign frames a content of the sender, a member unless told otherwise.
func (g *group) sign(t testing.TB, format message.WireFormat, content message.FramedContent) (*message.AuthenticatedContent, error) {
	t.Helper()
	content.GroupID, content.Epoch = g.context.GroupID, g.context.Epoch
	if content.Sender.Type == 0 {
		content.Sender = message.Sender{Type: message.SenderMember, Leaf: 1}
	}
	content.AuthenticatedData = []byte("authenticated data")
	c, signed, err := Sign(t.Context(), g.suite, format, content, g.key, g.context)
	if err == nil && !bytes.Equal(signed, c.Verification(g.suite, nil, g.context).Message) {
		t.Errorf("suite %d: said to be signed is %x", g.suite.ID(), signed)
	}
	if err == nil && content.ContentType == message.ContentTypeCommit {
		c.Auth.ConfirmationTag = bytes.Repeat([]byte{3}, g.suite.HashSize())
	}
	return c, err
}

func (g *group) mustSign(t testing.TB, format message.WireFormat, content message.FramedContent) *message.AuthenticatedContent {
	t.Helper()
	c, err := g.sign(t, format, content)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (g *group) protectPublic(t testing.TB, content message.FramedContent) *message.PublicMessage {
	t.Helper()
	return ProtectPublic(g.suite, g.mustSign(t, public, content), g.membershipKey, g.context)
}

func (g *group) unprotectPublic(m *message.PublicMessage) (*Unverified, error) {
	return UnprotectPublic(g.suite, m, g.membershipKey, g.context)
}

func (g *group) protectPrivate(t testing.TB, content message.FramedContent, padding int) *message.PrivateMessage {
	t.Helper()
	m, err := ProtectPrivate(g.suite, g.mustSign(t, private, content), g.tree().Draft(), g.senderDataSecret, padding)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unprotectPrivate opens m with a draft that is dropped, and checks that this
// leaves the tree as it was.
func (g *group) unprotectPrivate(t testing.TB, tree *schedule.SecretTree, m *message.PrivateMessage) (*Unverified, error) {
	t.Helper()
	before := recordsOf(tree)
	u, err := UnprotectPrivate(g.suite, m, tree.Draft(), g.senderDataSecret, func(leaf treemath.LeafIndex) bool {
		if uint32(leaf) >= g.leafCount {
			t.Errorf("asked for leaf %d of %d", leaf, g.leafCount)
		}
		return notBlank(leaf)
	})
	if !maps.EqualFunc(before, recordsOf(tree), bytes.Equal) {
		t.Error("the secret tree changed")
	}
	return u, err
}

func (g *group) verify(t testing.TB, u *Unverified) (*Verified, error) {
	return u.Verify(t.Context(), keys, g.suite, g.key.Public(), g.context)
}

func recordsOf(tree *schedule.SecretTree) map[string][]byte {
	records := map[string][]byte{}
	tree.Records(func(name string, record []byte) { records[name] = record })
	return records
}

func wantCode(t testing.TB, what string, err error, want mlserr.Code) {
	t.Helper()
	if mlserr.CodeOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// throughWire encodes a message and decodes it again.
func throughWire(t testing.TB, m *message.MLSMessage) *message.MLSMessage {
	t.Helper()
	again, err := message.Parse(wire.Marshal(m))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestRoundTrip(t *testing.T) {
	for _, id := range suite.All() {
		g := newGroup(t, id, 4)
		for _, content := range []message.FramedContent{g.application(), g.commit(), g.proposal(message.ProposalAdd), g.proposal(message.ProposalRemove)} {
			if content.ContentType != message.ContentTypeApplication {
				signed := g.mustSign(t, public, content)
				m := ProtectPublic(g.suite, signed, g.membershipKey, g.context)
				m = throughWire(t, &message.MLSMessage{WireFormat: public, Public: m}).Public
				u, err := g.unprotectPublic(m)
				checkOpened(t, g, signed, u, err)
			}
			for _, padding := range []int{0, 1, 1000} {
				signed := g.mustSign(t, private, content)
				tree := g.tree()
				m, err := ProtectPrivate(g.suite, signed, tree.Draft(), g.senderDataSecret, padding)
				if err != nil {
					t.Fatal(err)
				}
				m = throughWire(t, &message.MLSMessage{WireFormat: private, Private: m}).Private
				u, err := g.unprotectPrivate(t, tree, m)
				checkOpened(t, g, signed, u, err)
			}
		}
	}
}

func checkOpened(t *testing.T, g *group, signed *message.AuthenticatedContent, u *Unverified, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("suite %d: %v", g.suite.ID(), err)
	}
	if u.Sender() != signed.Content.Sender || u.Epoch() != 7 || string(u.GroupID()) != "group" || u.ContentType() != signed.Content.ContentType {
		t.Errorf("suite %d: wrong header", g.suite.ID())
	}
	v, err := g.verify(t, u)
	if err != nil {
		t.Fatalf("suite %d: %v", g.suite.ID(), err)
	}
	if !bytes.Equal(wire.Marshal(v.Content()), wire.Marshal(signed)) {
		t.Errorf("suite %d: the content is another", g.suite.ID())
	}
	if !bytes.Equal(v.Signed(), signed.Verification(g.suite, nil, g.context).Message) {
		t.Errorf("suite %d: signed is %x", g.suite.ID(), v.Signed())
	}
}

// Who may send what in which wire format (F4, F9-F13).
func TestSenderMatrix(t *testing.T) {
	g := newGroup(t, 1, 4)
	senders := []message.Sender{
		{Type: message.SenderMember, Leaf: 1},
		{Type: message.SenderExternal, Index: 3},
		{Type: message.SenderNewMemberProposal},
		{Type: message.SenderNewMemberCommit},
	}
	const (
		ok       mlserr.Code = ""
		format               = mlserr.WrongWireFormat
		notBySet             = mlserr.SenderNotAllowed
	)
	for _, c := range []struct {
		what    string
		content message.FramedContent
		public  [4]mlserr.Code // by the senders above
	}{
		{"application", g.application(), [4]mlserr.Code{format, format, format, format}},
		{"commit", g.commit(), [4]mlserr.Code{ok, notBySet, notBySet, ok}},
		{"add", g.proposal(message.ProposalAdd), [4]mlserr.Code{ok, ok, ok, notBySet}},
		{"update", g.proposal(message.ProposalUpdate), [4]mlserr.Code{ok, notBySet, notBySet, notBySet}},
		{"remove", g.proposal(message.ProposalRemove), [4]mlserr.Code{ok, ok, notBySet, notBySet}},
		{"psk", g.proposal(message.ProposalPSK), [4]mlserr.Code{ok, ok, notBySet, notBySet}},
		{"reinit", g.proposal(message.ProposalReInit), [4]mlserr.Code{ok, ok, notBySet, notBySet}},
		{"external_init", g.proposal(message.ProposalExternalInit), [4]mlserr.Code{ok, notBySet, notBySet, notBySet}},
		{"group_context_extensions", g.proposal(message.ProposalGroupContextExtensions), [4]mlserr.Code{ok, ok, notBySet, notBySet}},
		{"custom", g.proposal(0xf042), [4]mlserr.Code{ok, notBySet, notBySet, notBySet}},
	} {
		for i, sender := range senders {
			what := fmt.Sprintf("%s by sender type %d", c.what, sender.Type)
			content := c.content
			content.Sender = sender

			// Sending.
			_, err := g.sign(t, public, content)
			wantCode(t, "sign public "+what, err, c.public[i])
			signed, err := g.sign(t, private, content)
			if sender.Type == message.SenderMember {
				wantCode(t, "sign private "+what, err, ok)
				if _, err = ProtectPrivate(g.suite, signed, g.tree().Draft(), g.senderDataSecret, 0); err != nil {
					t.Error(err)
				}
			} else {
				wantCode(t, "sign private "+what, err, mlserr.WrongWireFormat)
			}

			// Receiving what a member that keeps to no rule has signed.
			c2 := &message.AuthenticatedContent{WireFormat: public, Content: content}
			c2.Content.GroupID, c2.Content.Epoch = g.context.GroupID, g.context.Epoch
			if content.ContentType == message.ContentTypeCommit {
				c2.Auth.ConfirmationTag = make([]byte, g.suite.HashSize())
			}
			if _, err := c2.Sign(t.Context(), g.suite, g.key, g.context); err != nil {
				t.Fatal(err)
			}
			u, err := g.unprotectPublic(ProtectPublic(g.suite, c2, g.membershipKey, g.context))
			wantCode(t, "unprotect "+what, err, c.public[i])
			if c.public[i] == ok {
				_, err := g.verify(t, u)
				wantCode(t, "verify "+what, err, ok)
			}
			// The same as a PrivateMessage cannot be said by others than members.
			c2.WireFormat = private
			_, err = ProtectPrivate(g.suite, c2, g.tree().Draft(), g.senderDataSecret, 0)
			if sender.Type != message.SenderMember {
				wantCode(t, "protect private "+what, err, mlserr.WrongWireFormat)
			}
		}
	}
}

func TestEmbeddedLeaf(t *testing.T) {
	g := newGroup(t, 1, 4)
	for _, c := range []struct {
		content message.FramedContent
		sender  message.SenderType
		found   bool
	}{
		{g.commit(), message.SenderNewMemberCommit, true},
		{message.FramedContent{ContentType: message.ContentTypeCommit, Commit: new(message.Commit)}, message.SenderNewMemberCommit, false},
		{g.proposal(message.ProposalAdd), message.SenderNewMemberProposal, true},
		{g.proposal(message.ProposalAdd), message.SenderExternal, false},
		{g.commit(), message.SenderMember, false},
	} {
		c.content.Sender.Type = c.sender
		u, err := g.unprotectPublic(g.protectPublic(t, c.content))
		if err != nil {
			t.Fatal(err)
		}
		leaf := u.EmbeddedLeaf()
		if (leaf != nil) != c.found {
			t.Errorf("sender type %d: leaf %v", c.sender, leaf)
		}
		if leaf != nil {
			if _, err := u.Verify(t.Context(), keys, g.suite, leaf.SignatureKey, g.context); err != nil {
				t.Error(err)
			}
		}
	}
}

// Every field of a PublicMessage, changed by one who has no keys.
func TestForgedPublicMessage(t *testing.T) {
	g := newGroup(t, 1, 4)
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)-1] ^= 1
		return b
	}
	type forge struct {
		what    string
		content message.FramedContent
		change  func(m *message.PublicMessage)
		want    mlserr.Code // of UnprotectPublic, or where empty
		verify  mlserr.Code // of Verify
	}
	commit, external := g.commit(), g.proposal(message.ProposalAdd)
	external.Sender = message.Sender{Type: message.SenderExternal, Index: 1}
	tag := mlserr.MembershipTag
	forges := []forge{
		{"group_id", commit, func(m *message.PublicMessage) { m.Content.GroupID = flip(m.Content.GroupID) }, tag, ""},
		{"epoch", commit, func(m *message.PublicMessage) { m.Content.Epoch++ }, tag, ""},
		{"leaf_index", commit, func(m *message.PublicMessage) { m.Content.Sender.Leaf ^= 1 }, tag, ""},
		{"leaf_index 2^31", commit, func(m *message.PublicMessage) { m.Content.Sender.Leaf |= 1 << 31 }, tag, ""},
		{"sender_type", commit, func(m *message.PublicMessage) { m.Content.Sender.Type = message.SenderNewMemberCommit }, tag, ""},
		{"sender_type 0", commit, func(m *message.PublicMessage) { m.Content.Sender.Type = 0 }, mlserr.SenderNotAllowed, ""},
		{"authenticated_data", commit, func(m *message.PublicMessage) { m.Content.AuthenticatedData = nil }, tag, ""},
		{"content_type 0", commit, func(m *message.PublicMessage) { m.Content.ContentType = 0 }, mlserr.ContentTypeInvalid, ""},
		{"content_type", commit, func(m *message.PublicMessage) {
			m.Content.ContentType, m.Content.Proposal = message.ContentTypeProposal, external.Proposal
		}, mlserr.ConfirmationTag, ""},
		{"commit", commit, func(m *message.PublicMessage) { m.Content.Commit = &message.Commit{Path: m.Content.Commit.Path} }, tag, ""},
		{"signature", commit, func(m *message.PublicMessage) { m.Auth.Signature = flip(m.Auth.Signature) }, tag, ""},
		{"confirmation_tag", commit, func(m *message.PublicMessage) { m.Auth.ConfirmationTag = flip(m.Auth.ConfirmationTag) }, tag, ""},
		{"confirmation_tag missing", commit, func(m *message.PublicMessage) { m.Auth.ConfirmationTag = nil }, mlserr.ConfirmationTag, ""},
		{"confirmation_tag short", commit, func(m *message.PublicMessage) { m.Auth.ConfirmationTag = m.Auth.ConfirmationTag[1:] }, mlserr.ConfirmationTag, ""},
		{"confirmation_tag long", commit, func(m *message.PublicMessage) { m.Auth.ConfirmationTag = append(flip(m.Auth.ConfirmationTag), 0) }, mlserr.ConfirmationTag, ""},
		{"membership_tag", commit, func(m *message.PublicMessage) { m.MembershipTag = flip(m.MembershipTag) }, tag, ""},
		{"membership_tag empty", commit, func(m *message.PublicMessage) { m.MembershipTag = []byte{} }, tag, ""},
		{"membership_tag missing", commit, func(m *message.PublicMessage) { m.MembershipTag = nil }, tag, ""},
		{"membership_tag short", commit, func(m *message.PublicMessage) { m.MembershipTag = m.MembershipTag[:31] }, tag, ""},
		{"membership_tag long", commit, func(m *message.PublicMessage) { m.MembershipTag = append(bytes.Clone(m.MembershipTag), 0) }, tag, ""},

		// An external sender has no membership tag: the signature alone holds.
		{"external group_id", external, func(m *message.PublicMessage) { m.Content.GroupID = flip(m.Content.GroupID) }, "", mlserr.InvalidSignature},
		{"external epoch", external, func(m *message.PublicMessage) { m.Content.Epoch-- }, "", mlserr.InvalidSignature},
		{"external sender_index", external, func(m *message.PublicMessage) { m.Content.Sender.Index++ }, "", mlserr.InvalidSignature},
		{"external sender_type", external, func(m *message.PublicMessage) { m.Content.Sender.Type = message.SenderNewMemberProposal }, "", mlserr.InvalidSignature},
		{"external as member", external, func(m *message.PublicMessage) { m.Content.Sender.Type = message.SenderMember }, tag, ""},
		{"external authenticated_data", external, func(m *message.PublicMessage) { m.Content.AuthenticatedData = []byte("x") }, "", mlserr.InvalidSignature},
		{"external proposal", external, func(m *message.PublicMessage) {
			m.Content.Proposal = &message.Proposal{Type: message.ProposalRemove, Remove: 1}
		}, "", mlserr.InvalidSignature},
		{"external signature", external, func(m *message.PublicMessage) { m.Auth.Signature = flip(m.Auth.Signature) }, "", mlserr.InvalidSignature},
		{"external signature empty", external, func(m *message.PublicMessage) { m.Auth.Signature = nil }, "", mlserr.InvalidSignature},
		{"external confirmation_tag", external, func(m *message.PublicMessage) { m.Auth.ConfirmationTag = []byte{1} }, mlserr.ConfirmationTag, ""},
		{"external membership_tag", external, func(m *message.PublicMessage) { m.MembershipTag = bytes.Repeat([]byte{1}, 32) }, tag, ""},
	}
	for _, f := range forges {
		m := g.protectPublic(t, f.content)
		if u, err := g.unprotectPublic(m); err != nil {
			t.Fatal(err)
		} else if _, err := g.verify(t, u); err != nil {
			t.Fatal(err)
		}
		f.change(m)
		u, err := g.unprotectPublic(m)
		wantCode(t, f.what, err, f.want)
		if f.want == "" {
			_, err = g.verify(t, u)
			wantCode(t, "verify "+f.what, err, f.verify)
		}
	}

	// A member forges another's message: the tag is right, the signature is not.
	m := g.protectPublic(t, commit)
	m.Content.Sender.Leaf = 0
	m.MembershipTag = g.suite.MAC(g.membershipKey, m.Authenticated().TBM(g.context))
	u, err := g.unprotectPublic(m)
	wantCode(t, "another member's", err, "")
	_, err = g.verify(t, u)
	wantCode(t, "another member's", err, mlserr.InvalidSignature)

	// Another epoch's context, key or suite's worth of tag.
	m = g.protectPublic(t, commit)
	other := *g.context
	other.TreeHash = flip(other.TreeHash)
	_, err = UnprotectPublic(g.suite, m, g.membershipKey, &other)
	wantCode(t, "group context", err, tag)
	_, err = UnprotectPublic(g.suite, m, flip(g.membershipKey), g.context)
	wantCode(t, "membership key", err, tag)
	if u, err = g.unprotectPublic(m); err != nil {
		t.Fatal(err)
	}
	_, err = u.Verify(t.Context(), keys, g.suite, g.key.Public(), &other)
	wantCode(t, "group context under the signature", err, mlserr.InvalidSignature)
	stranger, _ := keys.GenerateSignatureKey(t.Context(), 1)
	for _, key := range [][]byte{stranger.Public(), nil, g.key.Public()[1:]} {
		_, err = u.Verify(t.Context(), keys, g.suite, key, g.context)
		wantCode(t, "signature key", err, mlserr.InvalidSignature)
	}
}

// The wire format is signed: a PublicMessage cannot be made of a
// PrivateMessage's content by a member that opened it.
func TestWireFormatIsSigned(t *testing.T) {
	g := newGroup(t, 1, 4)
	c := g.mustSign(t, private, g.commit())
	m := &message.PublicMessage{Content: c.Content, Auth: c.Auth}
	m.MembershipTag = g.suite.MAC(g.membershipKey, m.Authenticated().TBM(g.context))
	u, err := g.unprotectPublic(m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.verify(t, u)
	wantCode(t, "PublicMessage of a PrivateMessage", err, mlserr.InvalidSignature)

	_, err = ProtectPrivate(g.suite, g.mustSign(t, public, g.commit()), g.tree().Draft(), g.senderDataSecret, 0)
	wantCode(t, "PrivateMessage of a PublicMessage", err, mlserr.WrongWireFormat)
	_, err = g.sign(t, message.WireFormatWelcome, g.commit())
	wantCode(t, "Welcome", err, mlserr.WrongWireFormat)
}

func TestSignRefuses(t *testing.T) {
	g := newGroup(t, 1, 4)
	_, err := g.sign(t, private, message.FramedContent{ContentType: 4})
	wantCode(t, "content type", err, mlserr.ContentTypeInvalid)

	// Natively no page of the slice is ever touched; in wasm there is no such slice.
	if runtime.GOARCH != "wasm" {
		huge := g.application()
		huge.ApplicationData = make([]byte, maxContent)
		_, err = g.sign(t, private, huge)
		wantCode(t, "a gigabyte", err, mlserr.TooLarge)
	}

	d := g.tree().Draft()
	c := g.mustSign(t, private, g.application())
	for padding, want := range map[int]mlserr.Code{-1: mlserr.InvalidArgument, maxContent: mlserr.TooLarge} {
		_, err = ProtectPrivate(g.suite, c, d, g.senderDataSecret, padding)
		wantCode(t, fmt.Sprint("padding ", padding), err, want)
	}
	// Nothing of that used up a generation.
	if generation, _, _, err := d.Next(1, schedule.Application); err != nil || generation != 0 {
		t.Error(generation, err)
	}
}

func TestErrorsOfSigning(t *testing.T) {
	g := newGroup(t, 1, 4)
	refused := errors.New("refused")
	g.key = brokenKey{g.key, refused}
	if _, err := g.sign(t, private, g.application()); !errors.Is(err, refused) {
		t.Error(err)
	}
}
