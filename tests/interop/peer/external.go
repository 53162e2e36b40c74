package peer

import (
	"bytes"
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/interop/proto"
)

// Proposals of parties that are no members.

func (s *server) NewMemberAddProposal(ctx context.Context, req *proto.NewMemberAddProposalRequest) (*proto.NewMemberAddProposalResponse, error) {
	info, err := groupInfoOf(req.GroupInfo)
	if err != nil {
		return nil, err
	}
	p, err := newParty(ctx, info.GroupContext.CipherSuite, req.Identity)
	if err != nil {
		return nil, err
	}
	kp, err := p.keyPackage(ctx, p.identity)
	if err != nil {
		return nil, err
	}
	j := &joiner{party: p, keyPackage: kp}
	private, err := j.privateKeys()
	if err != nil {
		return nil, err
	}
	proposal, err := p.client.ProposeToJoin(ctx, req.GroupInfo, kp, nil)
	if err != nil {
		return nil, err
	}
	return &proto.NewMemberAddProposalResponse{
		TransactionId:  add(s, s.transactions, j),
		Proposal:       proposal,
		InitPriv:       private.InitKey,
		EncryptionPriv: private.LeafKey,
		SignaturePriv:  private.SignatureKey,
	}, nil
}

func (s *server) CreateExternalSigner(ctx context.Context, req *proto.CreateExternalSignerRequest) (*proto.CreateExternalSignerResponse, error) {
	p, err := newParty(ctx, s.suite(req.CipherSuite), req.Identity)
	if err != nil {
		return nil, err
	}
	// The runner wants one element of the list, without the length before it.
	var w wire.Writer
	w.Opaque(p.identity.SignatureKey())
	credential := p.identity.Credential()
	credential.Marshal(&w)
	return &proto.CreateExternalSignerResponse{SignerId: add(s, s.signers, p), ExternalSender: w.Bytes()}, nil
}

// AddExternalSigner proposes the group's extensions with one more external sender.
func (s *server) AddExternalSigner(ctx context.Context, req *proto.AddExternalSignerRequest) (*proto.ProposalResponse, error) {
	return s.propose(ctx, req.StateId, func(m *member) (opts mls.ProposeOptions, err error) {
		var sender message.ExternalSender
		r := wire.NewReader(req.ExternalSender)
		sender.SignatureKey = r.Opaque()
		sender.Credential.Unmarshal(r)
		if err := r.Finish(); err != nil {
			return opts, err
		}
		info, err := m.group.Info(ctx)
		if err != nil {
			return opts, err
		}
		senders, err := info.Extensions.ExternalSenders()
		if err != nil {
			return opts, err
		}
		extensions := slices.DeleteFunc(slices.Clone(info.Extensions), func(e message.Extension) bool {
			return e.Type == message.ExtensionExternalSenders
		})
		extensions = append(extensions, message.Extension{
			Type: message.ExtensionExternalSenders,
			Data: wire.Marshal(append(senders, sender)),
		})
		opts.Extensions = &extensions
		return opts, nil
	})
}

// ExternalSignerProposal finds the signer's place in external_senders by its key: the
// runner leaves signer_index at 0 also for the second signer of a group.
func (s *server) ExternalSignerProposal(ctx context.Context, req *proto.ExternalSignerProposalRequest) (*proto.ProposalResponse, error) {
	signer, err := find(s.signers, req.SignerId, "signer")
	if err != nil {
		return nil, err
	}
	info, err := groupInfoOf(req.GroupInfo)
	if err != nil {
		return nil, err
	}
	senders, err := info.GroupContext.Extensions.ExternalSenders()
	if err != nil {
		return nil, err
	}
	index := slices.IndexFunc(senders, func(e message.ExternalSender) bool {
		return bytes.Equal(e.SignatureKey, signer.identity.SignatureKey())
	})
	if index < 0 {
		return nil, status.Error(codes.FailedPrecondition, "the group does not list the signer")
	}
	opts, err := s.described(req.Description, info.GroupContext.GroupID, func(identity []byte) (treemath.LeafIndex, error) {
		nodes, err := treeOf(info, req.RatchetTree)
		if err != nil {
			return 0, err
		}
		return leafIn(nodes, identity)
	})
	if err != nil {
		return nil, err
	}
	from := mls.ExternalProposer{Index: uint32(index), Identity: signer.identity.ID()}
	proposal, err := signer.client.ProposeExternally(ctx, req.GroupInfo, from, opts)
	return &proto.ProposalResponse{Proposal: proposal}, err
}
