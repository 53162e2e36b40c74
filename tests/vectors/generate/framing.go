package main

import (
	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// messageProtection has one message of each kind for each suite.
func messageProtection() any {
	return eachSuite(func(s *suite.Suite) []vectors.MessageProtection {
		sender := newMember(s, "bob")
		group := groupContext(s)
		c := vectors.MessageProtection{
			CipherSuite:             uint16(s.ID()),
			GroupID:                 group.GroupID,
			Epoch:                   group.Epoch,
			TreeHash:                group.TreeHash,
			ConfirmedTranscriptHash: group.ConfirmedTranscriptHash,
			SignaturePriv:           sender.signature.Reference(),
			SignaturePub:            sender.signature.Public(),
			EncryptionSecret:        suite.Random(s.HashSize()),
			SenderDataSecret:        suite.Random(s.HashSize()),
			MembershipKey:           suite.Random(s.HashSize()),
			Application:             []byte("application data"),
		}

		// protect frames a content that leaf 1 of two sends.
		protect := func(format message.WireFormat, content message.FramedContent) vectors.Hex {
			content.GroupID, content.Epoch = group.GroupID, group.Epoch
			content.Sender = message.Sender{Type: message.SenderMember, Leaf: 1}
			content.AuthenticatedData = []byte("authenticated data")
			signed, _, err := framing.Sign(ctx, s, format, content, sender.signature, &group)
			check(err)
			if content.ContentType == message.ContentTypeCommit {
				signed.Auth.ConfirmationTag = suite.Random(s.HashSize())
			}
			m := &message.MLSMessage{WireFormat: format}
			if format == message.WireFormatPublicMessage {
				m.Public = framing.ProtectPublic(s, signed, c.MembershipKey, &group)
			} else {
				draft := schedule.NewSecretTree(s, 2, c.EncryptionSecret).Draft()
				m.Private = must(framing.ProtectPrivate(s, signed, draft, c.SenderDataSecret, 10))
			}
			return wire.Marshal(m)
		}

		proposal := &message.Proposal{Type: message.ProposalRemove, Remove: 0}
		c.Proposal = wire.Marshal(proposal)
		framedProposal := message.FramedContent{ContentType: message.ContentTypeProposal, Proposal: proposal}
		c.ProposalPub = protect(message.WireFormatPublicMessage, framedProposal)
		c.ProposalPriv = protect(message.WireFormatPrivateMessage, framedProposal)

		commit := &message.Commit{Proposals: []message.ProposalOrRef{{Reference: suite.Random(s.HashSize())}}}
		c.Commit = wire.Marshal(commit)
		framedCommit := message.FramedContent{ContentType: message.ContentTypeCommit, Commit: commit}
		c.CommitPub = protect(message.WireFormatPublicMessage, framedCommit)
		c.CommitPriv = protect(message.WireFormatPrivateMessage, framedCommit)

		c.ApplicationPriv = protect(message.WireFormatPrivateMessage,
			message.FramedContent{ContentType: message.ContentTypeApplication, ApplicationData: c.Application})
		return []vectors.MessageProtection{c}
	})
}
