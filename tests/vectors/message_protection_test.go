package vectors_test

import (
	"errors"
	"testing"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestMessageProtection(t *testing.T) {
	run(t, "message-protection", 7, checkMessageProtection)
}

// protection is what sender and receiver share in a case. The sender is leaf 1 of two.
type protection struct {
	suite *suite.Suite
	group *message.GroupContext
	c     vectors.MessageProtection
	key   suite.SignatureKey
}

func checkMessageProtection(t *testing.T, c vectors.MessageProtection) {
	s := lookup(t, c.CipherSuite)
	p := &protection{
		suite: s,
		group: &message.GroupContext{
			Version:                 message.MLS10,
			CipherSuite:             s.ID(),
			GroupID:                 c.GroupID,
			Epoch:                   c.Epoch,
			TreeHash:                c.TreeHash,
			ConfirmedTranscriptHash: c.ConfirmedTranscriptHash,
		},
		c:   c,
		key: signatureKey(t, s, c.SignaturePriv, c.SignaturePub),
	}

	proposal := message.FramedContent{ContentType: message.ContentTypeProposal, Proposal: new(message.Proposal)}
	encodesAgain(t, "proposal", c.Proposal, proposal.Proposal)
	commit := message.FramedContent{ContentType: message.ContentTypeCommit, Commit: new(message.Commit)}
	encodesAgain(t, "commit", c.Commit, commit.Commit)
	application := message.FramedContent{ContentType: message.ContentTypeApplication, ApplicationData: c.Application}

	// The vector's messages.
	p.isRaw(t, "proposal_pub", c.Proposal, p.unprotect(t, "proposal_pub", c.ProposalPub))
	p.isRaw(t, "commit_pub", c.Commit, p.unprotect(t, "commit_pub", c.CommitPub))
	p.isRaw(t, "proposal_priv", c.Proposal, p.unprotect(t, "proposal_priv", c.ProposalPriv))
	p.isRaw(t, "commit_priv", c.Commit, p.unprotect(t, "commit_priv", c.CommitPriv))
	p.isRaw(t, "application_priv", c.Application, p.unprotect(t, "application_priv", c.ApplicationPriv))

	// Our own of the same contents.
	for _, format := range []message.WireFormat{message.WireFormatPublicMessage, message.WireFormatPrivateMessage} {
		p.isRaw(t, "proposal again", c.Proposal, p.unprotect(t, "proposal again", p.protect(t, format, proposal)))
		p.isRaw(t, "commit again", c.Commit, p.unprotect(t, "commit again", p.protect(t, format, commit)))
	}
	p.isRaw(t, "application again", c.Application,
		p.unprotect(t, "application again", p.protect(t, message.WireFormatPrivateMessage, application)))

	// Application data may not be a PublicMessage.
	_, _, err := framing.Sign(t.Context(), s, message.WireFormatPublicMessage, p.framed(application), p.key, p.group)
	if !errors.Is(err, mlserr.WrongWireFormat) {
		t.Errorf("application data in a PublicMessage: %v", err)
	}
}

// framed adds who sends the content where.
func (p *protection) framed(content message.FramedContent) message.FramedContent {
	content.GroupID, content.Epoch = p.group.GroupID, p.group.Epoch
	content.Sender = message.Sender{Type: message.SenderMember, Leaf: 1}
	return content
}

// protect signs and protects a content, and returns the encoded MLSMessage.
func (p *protection) protect(t *testing.T, format message.WireFormat, content message.FramedContent) []byte {
	t.Helper()
	signed, _, err := framing.Sign(t.Context(), p.suite, format, p.framed(content), p.key, p.group)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	if content.ContentType == message.ContentTypeCommit {
		signed.Auth.ConfirmationTag = suite.Random(p.suite.HashSize())
	}
	if format == message.WireFormatPublicMessage {
		public := framing.ProtectPublic(p.suite, signed, p.c.MembershipKey, p.group)
		return wire.Marshal(&message.MLSMessage{WireFormat: format, Public: public})
	}
	draft := schedule.NewSecretTree(p.suite, 2, p.c.EncryptionSecret).Draft()
	private, err := framing.ProtectPrivate(p.suite, signed, draft, p.c.SenderDataSecret, 100)
	if err != nil {
		t.Fatalf("ProtectPrivate: %v", err)
	}
	return wire.Marshal(&message.MLSMessage{WireFormat: format, Private: private})
}

// unprotect opens and verifies an encoded MLSMessage with a secret tree of its own.
func (p *protection) unprotect(t *testing.T, what string, data []byte) *message.AuthenticatedContent {
	t.Helper()
	m, err := message.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var unverified *framing.Unverified
	switch m.WireFormat {
	case message.WireFormatPublicMessage:
		unverified, err = framing.UnprotectPublic(p.suite, m.Public, p.c.MembershipKey, p.group)
	case message.WireFormatPrivateMessage:
		draft := schedule.NewSecretTree(p.suite, 2, p.c.EncryptionSecret).Draft()
		notBlank := func(leaf treemath.LeafIndex) bool { return leaf < 2 }
		unverified, err = framing.UnprotectPrivate(p.suite, m.Private, draft, p.c.SenderDataSecret, notBlank)
	default:
		t.Fatalf("%s: wire format %d", what, m.WireFormat)
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if sender := unverified.Sender(); sender != (message.Sender{Type: message.SenderMember, Leaf: 1}) {
		t.Errorf("%s: sender %v", what, sender)
	}
	verified, err := unverified.Verify(t.Context(), keys, p.suite, p.c.SignaturePub, p.group)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return verified.Content()
}

// isRaw checks that a content is the one in the vector.
func (p *protection) isRaw(t *testing.T, what string, raw []byte, content *message.AuthenticatedContent) {
	t.Helper()
	var got []byte
	switch content.Content.ContentType {
	case message.ContentTypeApplication:
		got = content.Content.ApplicationData
	case message.ContentTypeProposal:
		got = wire.Marshal(content.Content.Proposal)
	case message.ContentTypeCommit:
		got = wire.Marshal(content.Content.Commit)
	}
	equal(t, what, got, raw)
}
