package mls

import (
	"bytes"
	"context"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// ExternalProposer is a party outside a group that the group's
// external_senders extension lists (RFC 9420, Section 12.1.8.1): a service that
// proposes to add and remove members, say. It holds no state of the group.
type ExternalProposer struct {
	// Index of the sender in the external_senders extension.
	Index uint32
	// Identity whose signature key the extension lists.
	Identity []byte
}

// ProposeExternally makes a proposal from outside, for the epoch of a
// GroupInfo: an MLSMessage with a PublicMessage. Only add, remove, psk, re_init
// and group_context_extensions are possible (F9). Codes: INVALID_SENDER when
// the extension does not list the key at the index, SENDER_NOT_ALLOWED,
// INVALID_ARGUMENT.
func (c *Client) ProposeExternally(ctx context.Context, groupInfo []byte, from ExternalProposer, opts ProposeOptions) (sealed []byte, err error) {
	defer atOp(&err, "proposeExternally")
	identity, err := c.Identity(ctx, from.Identity)
	if err != nil {
		return nil, err
	}
	info, err := c.parseGroupInfo(groupInfo)
	if err != nil {
		return nil, err
	}
	group := &info.GroupContext
	if group.CipherSuite != identity.suite.ID() {
		return nil, mlserr.New(mlserr.InvalidArgument, "identity of another cipher suite")
	}
	senders, err := group.Extensions.ExternalSenders()
	if err != nil {
		return nil, err
	}
	if uint64(from.Index) >= uint64(len(senders)) || !bytes.Equal(senders[from.Index].SignatureKey, identity.key.Public()) {
		return nil, mlserr.New(mlserr.InvalidSender, "F9: not in external_senders")
	}
	if opts.Update {
		return nil, mlserr.New(mlserr.SenderNotAllowed, "F9: update")
	}
	s := &state{suite: identity.suite, groupID: group.GroupID}
	p, err := s.newProposal(ctx, c, &opts)
	if err != nil {
		return nil, err
	}
	return publicProposal(ctx, identity, group, message.Sender{Type: message.SenderExternal, Index: from.Index}, p.proposal, opts.AuthenticatedData)
}

// ProposeToJoin makes an Add proposal for one of this client's own key
// packages, signed by it, for the epoch of a GroupInfo (RFC 9420, Section
// 12.1.8; sender type new_member_proposal): an MLSMessage with a
// PublicMessage. When a member commits it, the Welcome is for that key package.
// Codes: INVALID_ARGUMENT when the key package is not of this client.
func (c *Client) ProposeToJoin(ctx context.Context, groupInfo, keyPackage, authenticatedData []byte) (sealed []byte, err error) {
	defer atOp(&err, "proposeToJoin")
	info, err := c.parseGroupInfo(groupInfo)
	if err != nil {
		return nil, err
	}
	kp, err := parseKeyPackage(keyPackage)
	if err != nil {
		return nil, err
	}
	s, err := c.suite(kp.CipherSuite)
	if err != nil {
		return nil, err
	}
	if info.GroupContext.CipherSuite != s.ID() {
		return nil, mlserr.New(mlserr.KeyPackageMismatch, "K1")
	}
	var identityID []byte
	err = c.view(ctx, func(st *clientState) error {
		own := st.keyPackages[string(kp.Ref(s))]
		if own == nil {
			return mlserr.New(mlserr.InvalidArgument, "not a key package of this client")
		}
		identityID = own.identity
		return nil
	})
	if err != nil {
		return nil, err
	}
	identity, err := c.Identity(ctx, identityID)
	if err != nil {
		return nil, err
	}
	p := &message.Proposal{Type: message.ProposalAdd, Add: kp}
	return publicProposal(ctx, identity, &info.GroupContext, message.Sender{Type: message.SenderNewMemberProposal}, p, authenticatedData)
}

// publicProposal signs and frames a proposal of a party that is no member.
func publicProposal(ctx context.Context, identity *Identity, group *message.GroupContext, sender message.Sender, p *message.Proposal, authenticatedData []byte) ([]byte, error) {
	content, _, err := framing.Sign(ctx, identity.suite, message.WireFormatPublicMessage, message.FramedContent{
		GroupID:           group.GroupID,
		Epoch:             group.Epoch,
		Sender:            sender,
		AuthenticatedData: authenticatedData,
		ContentType:       message.ContentTypeProposal,
		Proposal:          p,
	}, identity.key, group)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&message.MLSMessage{
		WireFormat: message.WireFormatPublicMessage,
		Public:     framing.ProtectPublic(identity.suite, content, nil, group),
	}), nil
}

// parseGroupInfo decodes an MLSMessage that must hold a GroupInfo. The result
// does not alias b.
func (c *Client) parseGroupInfo(b []byte) (*message.GroupInfo, error) {
	if len(b) > c.limits.MaxMessage {
		return nil, mlserr.New(mlserr.TooLarge, "group info")
	}
	m, err := message.Parse(bytes.Clone(b))
	if err != nil {
		return nil, err
	}
	if m.WireFormat != message.WireFormatGroupInfo {
		return nil, mlserr.New(mlserr.WrongWireFormat, "not a group info")
	}
	return m.GroupInfo, nil
}
