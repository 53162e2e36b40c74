package peer

import (
	"bytes"
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/tests/interop/proto"
)

// Groups that follow from another: reinitialization and branching.

// reinitialized is a member of a group that is read-only, and who it will be in
// the new group.
type reinitialized struct {
	old      *member
	identity *mls.Identity
}

func (s *server) ReInitCommit(ctx context.Context, req *proto.CommitRequest) (*proto.CommitResponse, error) {
	return s.Commit(ctx, req)
}

func (s *server) HandlePendingReInitCommit(ctx context.Context, req *proto.HandlePendingCommitRequest) (*proto.HandleReInitCommitResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	ev, err := m.applyPending(ctx)
	if err != nil {
		return nil, err
	}
	return s.prepareSuccessor(ctx, req.StateId, ev)
}

func (s *server) HandleReInitCommit(ctx context.Context, req *proto.HandleCommitRequest) (*proto.HandleReInitCommitResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	ev, err := m.receiveCommit(ctx, req.Proposal, req.Commit)
	if err != nil {
		return nil, err
	}
	return s.prepareSuccessor(ctx, req.StateId, ev)
}

// prepareSuccessor makes an identity for the new group, of its cipher suite, and a
// key package.
func (s *server) prepareSuccessor(ctx context.Context, stateID uint32, ev *mls.Event) (*proto.HandleReInitCommitResponse, error) {
	m := s.states[stateID]
	if ev.Update.ReInit == nil {
		return nil, status.Error(codes.InvalidArgument, "a commit without a ReInit")
	}
	identity, err := m.client.CreateIdentity(ctx, ev.Update.ReInit.CipherSuite, m.identity.Credential())
	if err != nil {
		return nil, err
	}
	kp, err := m.keyPackage(ctx, identity)
	if err != nil {
		return nil, err
	}
	authenticator, err := m.authenticator(ctx)
	if err != nil {
		return nil, err
	}
	return &proto.HandleReInitCommitResponse{
		ReinitId:           add(s, s.reinits, &reinitialized{old: m, identity: identity}),
		KeyPackage:         kp,
		EpochAuthenticator: authenticator,
	}, nil
}

func (s *server) ReInitWelcome(ctx context.Context, req *proto.ReInitWelcomeRequest) (*proto.CreateSubgroupResponse, error) {
	r, err := find(s.reinits, req.ReinitId, "reinit")
	if err != nil {
		return nil, err
	}
	g, result, err := r.old.group.ReInit(ctx, req.KeyPackage, mls.SuccessorOptions{
		Identity:      r.identity.ID(),
		NoRatchetTree: req.ExternalTree,
	})
	if err != nil {
		return nil, err
	}
	return s.founded(ctx, r.successor(g), result, req.ExternalTree)
}

// successor is the member in the new group.
func (r *reinitialized) successor(g *mls.Group) *member {
	return newMember(&party{client: r.old.client, keys: r.old.keys, identity: r.identity}, g, r.old.private)
}

// founded answers for the member that has created a new group.
func (s *server) founded(ctx context.Context, m *member, result *mls.CommitResult, externalTree bool) (*proto.CreateSubgroupResponse, error) {
	if _, err := m.group.ApplyPendingCommit(ctx); err != nil {
		return nil, err
	}
	joined, err := s.joined(ctx, m)
	if err != nil {
		return nil, err
	}
	resp := &proto.CreateSubgroupResponse{
		StateId:            joined.StateId,
		Welcome:            result.Welcome,
		EpochAuthenticator: joined.EpochAuthenticator,
	}
	if externalTree {
		resp.RatchetTree, err = m.group.RatchetTree(ctx)
	}
	return resp, err
}

// leadsTo checks that a Welcome is for a group that follows from this one: that
// it names a resumption PSK of it (RFC 9420, Section 11.2 and 11.3). Package mls
// checks the rest, but cannot know that this Welcome had to.
func (m *member) leadsTo(ctx context.Context, welcome []byte, usage message.ResumptionPSKUsage) error {
	info, err := m.client.InspectWelcome(ctx, welcome)
	if err != nil {
		return err
	}
	for _, psk := range info.PSKs {
		if psk.Type == message.PSKResumption && psk.Usage == usage && bytes.Equal(psk.GroupID, m.group.ID()) {
			return nil
		}
	}
	return status.Error(codes.InvalidArgument, "the welcome names no resumption PSK of the old group")
}

func (s *server) HandleReInitWelcome(ctx context.Context, req *proto.HandleReInitWelcomeRequest) (*proto.JoinGroupResponse, error) {
	r, err := find(s.reinits, req.ReinitId, "reinit")
	if err != nil {
		return nil, err
	}
	if err := r.old.leadsTo(ctx, req.Welcome, message.ResumptionReInit); err != nil {
		return nil, err
	}
	g, err := r.old.client.JoinGroup(ctx, req.Welcome, mls.JoinOptions{RatchetTree: req.RatchetTree})
	if err != nil {
		return nil, err
	}
	return s.joined(ctx, r.successor(g))
}

func (s *server) CreateBranch(ctx context.Context, req *proto.CreateBranchRequest) (*proto.CreateSubgroupResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	g, result, err := m.group.Branch(ctx, req.KeyPackages, mls.BranchOptions{
		SuccessorOptions: mls.SuccessorOptions{NoRatchetTree: req.ExternalTree},
		GroupID:          req.GroupId,
		Extensions:       extensionsOf(req.Extensions),
	})
	if err != nil {
		return nil, err
	}
	return s.founded(ctx, newMember(m.party, g, m.private), result, req.ExternalTree)
}

// HandleBranch joins with the client that is a member of the old group, which
// knows the resumption PSK: it takes over the key package of the transaction.
func (s *server) HandleBranch(ctx context.Context, req *proto.HandleBranchRequest) (*proto.HandleBranchResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	j, err := find(s.transactions, req.TransactionId, "transaction")
	if err != nil {
		return nil, err
	}
	kp, err := j.privateKeys()
	if err != nil {
		return nil, err
	}
	identity, err := m.client.ImportKeyPackage(ctx, kp)
	if err != nil {
		return nil, err
	}
	if err := m.leadsTo(ctx, req.Welcome, message.ResumptionBranch); err != nil {
		return nil, err
	}
	g, err := m.client.JoinGroup(ctx, req.Welcome, mls.JoinOptions{RatchetTree: req.RatchetTree})
	if err != nil {
		return nil, err
	}
	delete(s.transactions, req.TransactionId)
	joined, err := s.joined(ctx, newMember(&party{client: m.client, keys: m.keys, identity: identity}, g, m.private))
	if err != nil {
		return nil, err
	}
	return &proto.HandleBranchResponse{StateId: joined.StateId, EpochAuthenticator: joined.EpochAuthenticator}, nil
}
