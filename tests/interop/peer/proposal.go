package peer

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/treemath"
	"webmls/tests/interop/proto"
)

// propose makes a proposal of a member, in the framing that its handshake messages have.
func (s *server) propose(ctx context.Context, stateID uint32, build func(m *member) (mls.ProposeOptions, error)) (*proto.ProposalResponse, error) {
	m, err := find(s.states, stateID, "state")
	if err != nil {
		return nil, err
	}
	opts, err := build(m)
	if err != nil {
		return nil, err
	}
	opts.PublicMessage = !m.private
	result, err := m.group.Propose(ctx, opts)
	if err != nil {
		return nil, err
	}
	m.proposals[string(result.Message)] = result.Reference
	return &proto.ProposalResponse{Proposal: result.Message}, nil
}

// proposeDescribed is propose for what ProposalDescription can say.
func (s *server) proposeDescribed(ctx context.Context, stateID uint32, d *proto.ProposalDescription) (*proto.ProposalResponse, error) {
	return s.propose(ctx, stateID, func(m *member) (mls.ProposeOptions, error) { return s.describedBy(ctx, m, d) })
}

func (s *server) AddProposal(ctx context.Context, req *proto.AddProposalRequest) (*proto.ProposalResponse, error) {
	return s.proposeDescribed(ctx, req.StateId, &proto.ProposalDescription{ProposalType: []byte("add"), KeyPackage: req.KeyPackage})
}

func (s *server) UpdateProposal(ctx context.Context, req *proto.UpdateProposalRequest) (*proto.ProposalResponse, error) {
	return s.propose(ctx, req.StateId, func(*member) (mls.ProposeOptions, error) { return mls.ProposeOptions{Update: true}, nil })
}

func (s *server) RemoveProposal(ctx context.Context, req *proto.RemoveProposalRequest) (*proto.ProposalResponse, error) {
	return s.proposeDescribed(ctx, req.StateId, &proto.ProposalDescription{ProposalType: []byte("remove"), RemovedId: req.RemovedId})
}

func (s *server) ExternalPSKProposal(ctx context.Context, req *proto.ExternalPSKProposalRequest) (*proto.ProposalResponse, error) {
	return s.proposeDescribed(ctx, req.StateId, &proto.ProposalDescription{ProposalType: []byte("externalPSK"), PskId: req.PskId})
}

func (s *server) ResumptionPSKProposal(ctx context.Context, req *proto.ResumptionPSKProposalRequest) (*proto.ProposalResponse, error) {
	return s.proposeDescribed(ctx, req.StateId, &proto.ProposalDescription{ProposalType: []byte("resumptionPSK"), EpochId: req.EpochId})
}

func (s *server) GroupContextExtensionsProposal(ctx context.Context, req *proto.GroupContextExtensionsProposalRequest) (*proto.ProposalResponse, error) {
	return s.proposeDescribed(ctx, req.StateId, &proto.ProposalDescription{ProposalType: []byte("groupContextExtensions"), Extensions: req.Extensions})
}

func (s *server) ReInitProposal(ctx context.Context, req *proto.ReInitProposalRequest) (*proto.ProposalResponse, error) {
	return s.proposeDescribed(ctx, req.StateId, &proto.ProposalDescription{
		ProposalType: []byte("reinit"),
		GroupId:      req.GroupId,
		CipherSuite:  req.CipherSuite,
		Extensions:   req.Extensions,
	})
}

// described is what a ProposalDescription asks for, in a group whose members
// leaf finds by name.
func (s *server) described(d *proto.ProposalDescription, groupID []byte, leaf func(identity []byte) (treemath.LeafIndex, error)) (opts mls.ProposeOptions, err error) {
	switch kind := string(d.ProposalType); kind {
	case "add":
		opts.Add = d.KeyPackage
	case "remove":
		var i treemath.LeafIndex
		i, err = leaf(d.RemovedId)
		opts.Remove = &i
	case "externalPSK":
		opts.PSK = &message.PreSharedKeyID{Type: message.PSKExternal, ID: d.PskId}
	case "resumptionPSK":
		opts.PSK = &message.PreSharedKeyID{
			Type:    message.PSKResumption,
			Usage:   message.ResumptionApplication,
			GroupID: groupID,
			Epoch:   d.EpochId,
		}
	case "groupContextExtensions":
		extensions := extensionsOf(d.Extensions)
		opts.Extensions = &extensions
	case "reinit":
		opts.ReInit = &message.ReInit{
			GroupID:     d.GroupId,
			Version:     message.MLS10,
			CipherSuite: s.suite(d.CipherSuite),
			Extensions:  extensionsOf(d.Extensions),
		}
	default:
		err = status.Errorf(codes.InvalidArgument, "proposal type %q", kind)
	}
	return opts, err
}

// describedBy is described in the group of a member.
func (s *server) describedBy(ctx context.Context, m *member, d *proto.ProposalDescription) (mls.ProposeOptions, error) {
	return s.described(d, m.group.ID(), func(identity []byte) (treemath.LeafIndex, error) { return m.leaf(ctx, identity) })
}
