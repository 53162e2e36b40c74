// Package framing is RFC 9420, Section 6: content is signed, and then
// protected as a PublicMessage or a PrivateMessage; a message is unprotected,
// and then its signature is verified.
//
// It owns which sender may send which content in which wire format, membership
// tags, content and sender data encryption, and the step from Unverified to
// Verified. It must not know the ratchet tree: the caller compares group and
// epoch (F1, F2), finds the sender's key, and checks the confirmation tag once the
// new epoch is derived (C10).
package framing

import (
	"context"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// maxContent bounds the variable parts of what is sent, in bytes, so that
// every vector around them has a length that a header holds.
const maxContent = wire.MaxVector - 1<<20

// Unverified is content whose membership tag or encryption is right and whose
// signature has not been checked. It shows what is needed to choose the
// signature key, and nothing else.
type Unverified struct {
	content *message.AuthenticatedContent
}

// Sender returns who claims to have signed.
func (u *Unverified) Sender() message.Sender { return u.content.Content.Sender }

// GroupID returns the group_id. Do not change it.
func (u *Unverified) GroupID() []byte { return u.content.Content.GroupID }

// Epoch returns the epoch in which the message was sent.
func (u *Unverified) Epoch() uint64 { return u.content.Content.Epoch }

// ContentType returns the content_type.
func (u *Unverified) ContentType() message.ContentType { return u.content.Content.ContentType }

// EmbeddedLeaf returns the leaf node in the content whose signature_key the
// signature is by, where the sender is a new member: that of the Commit's path,
// or of the KeyPackage in the Add (E6, F10; RFC 9420, Section 6.1). It is nil for
// all other senders, and for a Commit without a path (E5).
func (u *Unverified) EmbeddedLeaf() *message.LeafNode {
	c := &u.content.Content
	switch c.Sender.Type {
	case message.SenderNewMemberProposal:
		return &c.Proposal.Add.LeafNode
	case message.SenderNewMemberCommit:
		if c.Commit.Path != nil {
			return &c.Commit.Path.LeafNode
		}
	}
	return nil
}

// Verify checks the signature by publicKey, the SignaturePublicKey that the
// sender's type calls for (F8; RFC 9420, Section 6.1). group is the context of the
// epoch in which the message was sent. Codes: INVALID_SIGNATURE, and those of k.
func (u *Unverified) Verify(ctx context.Context, k suite.Keys, s *suite.Suite, publicKey []byte, group *message.GroupContext) (*Verified, error) {
	list, err := VerifyAll(ctx, k, s, []*Unverified{u}, [][]byte{publicKey}, group)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// VerifyAll is Verify for each of a list, under the key of the same index, with
// one call of k.
func VerifyAll(ctx context.Context, k suite.Keys, s *suite.Suite, contents []*Unverified, publicKeys [][]byte, group *message.GroupContext) ([]*Verified, error) {
	list := make([]suite.Verification, len(contents))
	for i, u := range contents {
		list[i] = u.content.Verification(s, publicKeys[i], group)
	}
	if err := s.Verify(ctx, k, list); err != nil {
		return nil, err
	}
	verified := make([]*Verified, len(contents))
	for i, u := range contents {
		verified[i] = &Verified{u.content, list[i].Message}
	}
	return verified, nil
}

// Verified is content whose signature is right. What it says is not judged yet.
type Verified struct {
	content *message.AuthenticatedContent
	signed  []byte
}

// Content returns the content. Do not change it.
func (v *Verified) Content() *message.AuthenticatedContent { return v.content }

// Signed returns what the signature is over, as Sign did to the sender. Nobody
// but the sender can make another, where the message around it, and some
// signatures, can be made into others by any member. Do not change it.
func (v *Verified) Signed() []byte { return v.signed }

// Sign returns content with its signature, to be protected in the given wire
// format (RFC 9420, Section 6.1), and what the signature is over. group is the
// context of the epoch in which it is sent. The confirmation tag of a Commit,
// which rests on the signature, is the caller's to set. content must not change
// after that. Codes: those of checkSender and of key, TOO_LARGE.
func Sign(ctx context.Context, s *suite.Suite, format message.WireFormat, content message.FramedContent, key suite.SignatureKey, group *message.GroupContext) (c *message.AuthenticatedContent, signed []byte, err error) {
	list, all, err := SignAll(ctx, s, format, []message.FramedContent{content}, key, group)
	if err != nil {
		return nil, nil, err
	}
	return list[0], all[0], nil
}

// SignAll is Sign for each of a list, with one call of key.
func SignAll(ctx context.Context, s *suite.Suite, format message.WireFormat, contents []message.FramedContent, key suite.SignatureKey, group *message.GroupContext) (list []*message.AuthenticatedContent, signed [][]byte, err error) {
	list = make([]*message.AuthenticatedContent, len(contents))
	for i := range contents {
		content := &contents[i]
		if err := checkSender(format, content); err != nil {
			return nil, nil, err
		}
		if len(content.ApplicationData)+len(content.AuthenticatedData) > maxContent {
			return nil, nil, mlserr.New(mlserr.TooLarge, "application data and authenticated data")
		}
		list[i] = &message.AuthenticatedContent{WireFormat: format, Content: *content}
	}
	if signed, err = message.SignAll(ctx, s, list, key, group); err != nil {
		return nil, nil, err
	}
	return list, signed, nil
}

// checkSender checks that this kind of sender may send this content in this
// wire format (F4, F9-F13; RFC 9420, Sections 6, 6.1 and 12.1.8). Codes:
// WRONG_WIRE_FORMAT, SENDER_NOT_ALLOWED, CONTENT_TYPE_INVALID.
func checkSender(format message.WireFormat, c *message.FramedContent) error {
	switch format {
	case message.WireFormatPublicMessage:
		if c.ContentType == message.ContentTypeApplication {
			return mlserr.New(mlserr.WrongWireFormat, "F4: application data in a PublicMessage")
		}
	case message.WireFormatPrivateMessage:
		if c.Sender.Type != message.SenderMember {
			return mlserr.New(mlserr.WrongWireFormat, "F12: PrivateMessage of a sender that is no member")
		}
	default:
		return mlserr.New(mlserr.WrongWireFormat, "neither PublicMessage nor PrivateMessage")
	}
	var proposal message.ProposalType // 0 unless the content is a proposal
	switch c.ContentType {
	case message.ContentTypeApplication, message.ContentTypeCommit:
	case message.ContentTypeProposal:
		proposal = c.Proposal.Type
	default:
		return mlserr.New(mlserr.ContentTypeInvalid, "")
	}
	switch c.Sender.Type {
	case message.SenderMember:
		return nil
	case message.SenderExternal:
		if externalMaySend(proposal) {
			return nil
		}
		return mlserr.New(mlserr.SenderNotAllowed, "F9: content of an external sender")
	case message.SenderNewMemberProposal:
		if proposal == message.ProposalAdd {
			return nil
		}
		return mlserr.New(mlserr.SenderNotAllowed, "F10: new_member_proposal is not an Add")
	case message.SenderNewMemberCommit:
		if c.ContentType == message.ContentTypeCommit {
			return nil
		}
		return mlserr.New(mlserr.SenderNotAllowed, "F11: new_member_commit is not a Commit")
	}
	return mlserr.New(mlserr.SenderNotAllowed, "sender type")
}

// externalMaySend reports whether an external sender may send proposals of a
// type: "Ext" in the registry (F9; RFC 9420, Sections 12.1.8 and 17.4).
func externalMaySend(t message.ProposalType) bool {
	switch t {
	case message.ProposalAdd, message.ProposalRemove, message.ProposalPSK, message.ProposalReInit,
		message.ProposalGroupContextExtensions:
		return true
	}
	return false
}

// checkAuthData checks that a Commit, and nothing else, has a confirmation tag,
// and that of the right length (F7, S1; RFC 9420, Section 6.1). Whether it is right
// shows once the new epoch is derived. Code: CONFIRMATION_TAG_INVALID.
func checkAuthData(s *suite.Suite, c *message.AuthenticatedContent) error {
	want := 0
	if c.Content.ContentType == message.ContentTypeCommit {
		want = s.HashSize()
	}
	if len(c.Auth.ConfirmationTag) != want {
		return mlserr.New(mlserr.ConfirmationTag, "F7: length")
	}
	return nil
}
