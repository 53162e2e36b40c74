package main

import (
	"time"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// A member is a client of one cipher suite: its leaf, its key package and
// their private keys.
type member struct {
	suite      *suite.Suite
	signature  suite.SignatureKey
	encryption suite.HPKEKey
	init       suite.HPKEKey
	keyPackage *message.KeyPackage
}

func newMember(s *suite.Suite, name string) *member {
	m := &member{
		suite:      s,
		signature:  must(keys.GenerateSignatureKey(ctx, s.ID())),
		encryption: must(keys.GenerateHPKEKey(ctx, s.ID())),
		init:       must(keys.GenerateHPKEKey(ctx, s.ID())),
	}
	leaf := m.leaf(name, message.LeafNodeSourceKeyPackage)
	check(leaf.Sign(ctx, s, m.signature, nil, 0))
	m.keyPackage = &message.KeyPackage{
		Version:     message.MLS10,
		CipherSuite: s.ID(),
		InitKey:     m.init.Public(),
		LeafNode:    *leaf,
	}
	check(m.keyPackage.Sign(ctx, s, m.signature))
	return m
}

// leaf is the member's leaf node, not signed yet.
func (m *member) leaf(name string, source message.LeafNodeSource) *message.LeafNode {
	leaf := &message.LeafNode{
		EncryptionKey: m.encryption.Public(),
		SignatureKey:  m.signature.Public(),
		Credential:    message.BasicCredential([]byte(name)),
		Capabilities: message.Capabilities{
			Versions:     []message.ProtocolVersion{message.MLS10},
			CipherSuites: suite.All(),
			Credentials:  []message.CredentialType{message.CredentialBasic, message.CredentialX509},
		},
		Source:     source,
		Extensions: message.Extensions{message.NewApplicationID([]byte(name + "@example.com"))},
	}
	switch source {
	case message.LeafNodeSourceKeyPackage:
		now := time.Now()
		leaf.Lifetime = message.Lifetime{NotBefore: uint64(now.Add(-time.Hour).Unix()), NotAfter: uint64(now.AddDate(0, 3, 0).Unix())}
	case message.LeafNodeSourceCommit:
		leaf.ParentHash = suite.Random(m.suite.HashSize())
	}
	return leaf
}

// groupContext is the context of an epoch in the middle of a group's life.
func groupContext(s *suite.Suite) message.GroupContext {
	return message.GroupContext{
		Version:                 message.MLS10,
		CipherSuite:             s.ID(),
		GroupID:                 suite.Random(16),
		Epoch:                   0x0123456789,
		TreeHash:                suite.Random(s.HashSize()),
		ConfirmedTranscriptHash: suite.Random(s.HashSize()),
	}
}

// messages has every struct once for each suite. The signatures, tags and
// ciphertexts have the right size and are otherwise random, as the format allows.
func messages() any {
	return eachSuite(func(s *suite.Suite) []vectors.Messages {
		alice, bob := newMember(s, "alice"), newMember(s, "bob")
		nh := s.HashSize()
		group := groupContext(s)
		group.Extensions = message.Extensions{{
			Type: message.ExtensionRequiredCapabilities,
			Data: wire.Marshal(&message.RequiredCapabilities{
				Extensions:  []message.ExtensionType{message.ExtensionApplicationID},
				Credentials: []message.CredentialType{message.CredentialBasic},
			}),
		}}
		sealed := func(plaintext int) suite.HPKECiphertext {
			return suite.HPKECiphertext{KEMOutput: must(keys.GenerateHPKEKey(ctx, s.ID())).Public(), Ciphertext: suite.Random(plaintext + 16)}
		}

		update := bob.leaf("bob", message.LeafNodeSourceUpdate)
		check(update.Sign(ctx, s, bob.signature, group.GroupID, 1))
		committer := alice.leaf("alice", message.LeafNodeSourceCommit)
		check(committer.Sign(ctx, s, alice.signature, group.GroupID, 0))

		external := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("external psk"), Nonce: suite.Random(nh)}
		resumption := message.PreSharedKeyID{
			Type: message.PSKResumption, Usage: message.ResumptionApplication,
			GroupID: group.GroupID, Epoch: group.Epoch - 1, Nonce: suite.Random(nh),
		}

		proposals := map[message.ProposalType]*message.Proposal{
			message.ProposalAdd:    {Type: message.ProposalAdd, Add: bob.keyPackage},
			message.ProposalUpdate: {Type: message.ProposalUpdate, Update: update},
			message.ProposalRemove: {Type: message.ProposalRemove, Remove: 1},
			message.ProposalPSK:    {Type: message.ProposalPSK, PSK: &resumption},
			message.ProposalReInit: {Type: message.ProposalReInit, ReInit: &message.ReInit{
				GroupID: suite.Random(16), Version: message.MLS10, CipherSuite: s.ID(), Extensions: group.Extensions,
			}},
			message.ProposalExternalInit:           {Type: message.ProposalExternalInit, ExternalInit: sealed(0).KEMOutput},
			message.ProposalGroupContextExtensions: {Type: message.ProposalGroupContextExtensions, Extensions: group.Extensions},
		}
		// The format leaves out the two bytes of the type.
		body := func(kind message.ProposalType) vectors.Hex { return wire.Marshal(proposals[kind])[2:] }

		commit := &message.Commit{
			Proposals: []message.ProposalOrRef{
				{Proposal: proposals[message.ProposalRemove]},
				{Reference: suite.Random(nh)},
				{Proposal: proposals[message.ProposalPSK]},
			},
			Path: &message.UpdatePath{
				LeafNode: *committer,
				Nodes: []message.UpdatePathNode{
					{EncryptionKey: sealed(0).KEMOutput, EncryptedPathSecret: []suite.HPKECiphertext{sealed(nh), sealed(nh)}},
					{EncryptionKey: sealed(0).KEMOutput},
				},
			},
		}

		tree := message.RatchetTree{
			{Leaf: committer},
			{Parent: &message.ParentNode{
				EncryptionKey: sealed(0).KEMOutput, ParentHash: suite.Random(nh), UnmergedLeaves: []treemath.LeafIndex{1},
			}},
			{Leaf: &bob.keyPackage.LeafNode},
			{},
			{Leaf: update},
		}

		info := message.GroupInfo{
			GroupContext: group,
			Extensions: message.Extensions{
				{Type: message.ExtensionRatchetTree, Data: wire.Marshal(tree)},
				message.NewExternalPub(sealed(0).KEMOutput),
			},
			ConfirmationTag: suite.Random(nh),
			Signer:          0,
		}
		check(info.Sign(ctx, s, alice.signature))

		welcome := message.Welcome{
			CipherSuite: s.ID(),
			Secrets: []message.EncryptedGroupSecrets{
				{NewMember: bob.keyPackage.Ref(s), EncryptedGroupSecrets: sealed(2*nh + 10)},
			},
			EncryptedGroupInfo: suite.Random(200),
		}

		// public frames a content that alice sends.
		public := func(content message.FramedContent) vectors.Hex {
			content.GroupID, content.Epoch = group.GroupID, group.Epoch
			content.Sender = message.Sender{Type: message.SenderMember, Leaf: 0}
			content.AuthenticatedData = []byte("authenticated data")
			a := message.AuthenticatedContent{WireFormat: message.WireFormatPublicMessage, Content: content}
			must(a.Sign(ctx, s, alice.signature, &group))
			if content.ContentType == message.ContentTypeCommit {
				a.Auth.ConfirmationTag = suite.Random(nh)
			}
			return wire.Marshal(&message.MLSMessage{
				WireFormat: message.WireFormatPublicMessage,
				Public:     &message.PublicMessage{Content: a.Content, Auth: a.Auth, MembershipTag: suite.Random(nh)},
			})
		}

		return []vectors.Messages{{
			MLSWelcome:    wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: &welcome}),
			MLSGroupInfo:  wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatGroupInfo, GroupInfo: &info}),
			MLSKeyPackage: wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatKeyPackage, KeyPackage: bob.keyPackage}),

			RatchetTree: wire.Marshal(tree),
			GroupSecrets: wire.Marshal(&message.GroupSecrets{
				JoinerSecret: suite.Random(nh), PathSecret: suite.Random(nh),
				PSKs: []message.PreSharedKeyID{external, resumption},
			}),

			AddProposal:                    body(message.ProposalAdd),
			UpdateProposal:                 body(message.ProposalUpdate),
			RemoveProposal:                 body(message.ProposalRemove),
			PreSharedKeyProposal:           body(message.ProposalPSK),
			ReInitProposal:                 body(message.ProposalReInit),
			ExternalInitProposal:           body(message.ProposalExternalInit),
			GroupContextExtensionsProposal: body(message.ProposalGroupContextExtensions),

			Commit: wire.Marshal(commit),

			PublicMessageApplication: public(message.FramedContent{
				ContentType: message.ContentTypeApplication, ApplicationData: []byte("application data"),
			}),
			PublicMessageProposal: public(message.FramedContent{
				ContentType: message.ContentTypeProposal, Proposal: proposals[message.ProposalGroupContextExtensions],
			}),
			PublicMessageCommit: public(message.FramedContent{ContentType: message.ContentTypeCommit, Commit: commit}),
			PrivateMessage: wire.Marshal(&message.MLSMessage{
				WireFormat: message.WireFormatPrivateMessage,
				Private: &message.PrivateMessage{
					GroupID: group.GroupID, Epoch: group.Epoch, ContentType: message.ContentTypeApplication,
					AuthenticatedData:   []byte("authenticated data"),
					EncryptedSenderData: suite.Random(12 + 16), Ciphertext: suite.Random(300),
				},
			}),
		}}
	})
}
