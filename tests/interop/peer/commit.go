package peer

import (
	"bytes"
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/tests/interop/proto"
)

// receiveProposals hands a member the proposals that a request brings, its own
// among them, and returns their references. What it has seen already it does
// not get again: a PrivateMessage opens once.
func (m *member) receiveProposals(ctx context.Context, list [][]byte) (references [][]byte, err error) {
	for _, b := range list {
		reference, seen := m.proposals[string(b)]
		if !seen {
			ev, err := m.group.Receive(ctx, b)
			if err != nil {
				return nil, err
			}
			if ev.Type != mls.EventProposal {
				return nil, status.Errorf(codes.InvalidArgument, "not a proposal but %s", ev.Type)
			}
			reference = ev.Proposal.Reference
			m.proposals[string(b)] = reference
		}
		references = append(references, reference)
	}
	return references, nil
}

// Commit commits the listed proposals by reference, those and no others, and
// the described ones by value.
func (s *server) Commit(ctx context.Context, req *proto.CommitRequest) (*proto.CommitResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	references, err := m.receiveProposals(ctx, req.ByReference)
	if err != nil {
		return nil, err
	}
	asked := new(mls.UpdateInfo)
	cached, err := m.group.Proposals(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range cached {
		listed := slices.ContainsFunc(references, func(r []byte) bool { return bytes.Equal(r, p.Reference) })
		if listed {
			countProposal(asked, p.Proposal)
		} else if err := m.group.DropProposal(ctx, p.Reference); err != nil {
			return nil, err
		}
	}
	opts := mls.CommitOptions{
		NoPath:        !req.ForcePath,
		PublicMessage: !m.private,
		NoRatchetTree: req.ExternalTree,
	}
	for _, d := range req.ByValue {
		if err := s.addByValue(ctx, m, d, &opts, asked); err != nil {
			return nil, err
		}
	}
	result, err := m.group.Commit(ctx, opts)
	if err != nil {
		return nil, err
	}
	m.committed = asked
	resp := &proto.CommitResponse{Commit: result.Commit, Welcome: result.Welcome}
	if req.ExternalTree {
		resp.RatchetTree, err = m.group.PendingRatchetTree(ctx)
	}
	return resp, err
}

// addByValue puts what a description asks for into the options of a commit.
func (s *server) addByValue(ctx context.Context, m *member, d *proto.ProposalDescription, opts *mls.CommitOptions, asked *mls.UpdateInfo) error {
	p, err := s.describedBy(ctx, m, d)
	switch {
	case err != nil:
		return err
	case p.Add != nil:
		opts.Add = append(opts.Add, p.Add)
		asked.Added = append(asked.Added, mls.Member{})
	case p.Remove != nil:
		opts.Remove = append(opts.Remove, *p.Remove)
		asked.Removed = append(asked.Removed, mls.Member{})
	case p.PSK != nil:
		opts.PSKs = append(opts.PSKs, *p.PSK)
		asked.PSKs++
	case p.Extensions != nil:
		if opts.Extensions != nil {
			return status.Error(codes.InvalidArgument, "group context extensions twice")
		}
		opts.Extensions = p.Extensions
		asked.ExtensionsChanged = true
	case p.ReInit != nil:
		opts.ReInit = p.ReInit
		asked.ReInit = p.ReInit
	}
	return nil
}

// countProposal counts a proposal by reference among what a commit is asked to do.
func countProposal(asked *mls.UpdateInfo, p *message.Proposal) {
	switch p.Type {
	case message.ProposalAdd:
		asked.Added = append(asked.Added, mls.Member{})
	case message.ProposalUpdate:
		asked.Updated = append(asked.Updated, mls.Member{})
	case message.ProposalRemove:
		asked.Removed = append(asked.Removed, mls.Member{})
	case message.ProposalPSK:
		asked.PSKs++
	case message.ProposalGroupContextExtensions:
		asked.ExtensionsChanged = true
	case message.ProposalReInit:
		asked.ReInit = p.ReInit
	}
}

// applyPending applies the own commit and checks that it did what was asked:
// package mls leaves proposals out that would spoil the commit, a script never
// asks for that.
func (m *member) applyPending(ctx context.Context) (*mls.Event, error) {
	ev, err := m.group.ApplyPendingCommit(ctx)
	if err != nil {
		return nil, err
	}
	clear(m.proposals)
	asked, did := m.committed, ev.Update
	m.committed = nil
	if len(asked.Added) != len(did.Added) || len(asked.Removed) != len(did.Removed) || len(asked.Updated) != len(did.Updated) ||
		asked.PSKs != did.PSKs || asked.ExtensionsChanged != did.ExtensionsChanged || (asked.ReInit == nil) != (did.ReInit == nil) {
		return nil, status.Errorf(codes.Internal, "the commit did not do what was asked: %d of %d adds, %d of %d removes, %d of %d updates, %d of %d PSKs",
			len(did.Added), len(asked.Added), len(did.Removed), len(asked.Removed), len(did.Updated), len(asked.Updated), did.PSKs, asked.PSKs)
	}
	return ev, nil
}

// receiveCommit processes a commit of another.
func (m *member) receiveCommit(ctx context.Context, proposals [][]byte, commit []byte) (*mls.Event, error) {
	if _, err := m.receiveProposals(ctx, proposals); err != nil {
		return nil, err
	}
	ev, err := m.group.Receive(ctx, commit)
	if err != nil {
		return nil, err
	}
	if ev.Type != mls.EventGroupUpdate {
		return nil, status.Errorf(codes.FailedPrecondition, "the commit leads to no epoch of this member: %s", ev.Type)
	}
	clear(m.proposals)
	m.committed = nil
	return ev, nil
}

func (s *server) HandleCommit(ctx context.Context, req *proto.HandleCommitRequest) (*proto.HandleCommitResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	if _, err := m.receiveCommit(ctx, req.Proposal, req.Commit); err != nil {
		return nil, err
	}
	authenticator, err := m.authenticator(ctx)
	return &proto.HandleCommitResponse{StateId: req.StateId, EpochAuthenticator: authenticator}, err
}

func (s *server) HandlePendingCommit(ctx context.Context, req *proto.HandlePendingCommitRequest) (*proto.HandleCommitResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	if _, err := m.applyPending(ctx); err != nil {
		return nil, err
	}
	authenticator, err := m.authenticator(ctx)
	return &proto.HandleCommitResponse{StateId: req.StateId, EpochAuthenticator: authenticator}, err
}
