package peer

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/tests/interop/proto"
)

// Becoming a member, and what members do between commits.

func (s *server) CreateGroup(ctx context.Context, req *proto.CreateGroupRequest) (*proto.CreateGroupResponse, error) {
	p, err := newParty(ctx, s.suite(req.CipherSuite), req.Identity)
	if err != nil {
		return nil, err
	}
	g, err := p.client.CreateGroup(ctx, p.identity.ID(), mls.GroupOptions{GroupID: req.GroupId})
	if err != nil {
		return nil, err
	}
	return &proto.CreateGroupResponse{StateId: add(s, s.states, newMember(p, g, req.EncryptHandshake))}, nil
}

func (s *server) CreateKeyPackage(ctx context.Context, req *proto.CreateKeyPackageRequest) (*proto.CreateKeyPackageResponse, error) {
	p, err := newParty(ctx, s.suite(req.CipherSuite), req.Identity)
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
	return &proto.CreateKeyPackageResponse{
		TransactionId:  add(s, s.transactions, j),
		KeyPackage:     kp,
		InitPriv:       private.InitKey,
		EncryptionPriv: private.LeafKey,
		SignaturePriv:  private.SignatureKey,
	}, nil
}

func (s *server) JoinGroup(ctx context.Context, req *proto.JoinGroupRequest) (*proto.JoinGroupResponse, error) {
	j, err := find(s.transactions, req.TransactionId, "transaction")
	if err != nil {
		return nil, err
	}
	g, err := j.client.JoinGroup(ctx, req.Welcome, mls.JoinOptions{RatchetTree: req.RatchetTree})
	if err != nil {
		return nil, err
	}
	delete(s.transactions, req.TransactionId)
	return s.joined(ctx, newMember(j.party, g, req.EncryptHandshake))
}

// joined answers for a member that a Welcome made.
func (s *server) joined(ctx context.Context, m *member) (*proto.JoinGroupResponse, error) {
	authenticator, err := m.authenticator(ctx)
	if err != nil {
		return nil, err
	}
	return &proto.JoinGroupResponse{StateId: add(s, s.states, m), EpochAuthenticator: authenticator}, nil
}

func (s *server) ExternalJoin(ctx context.Context, req *proto.ExternalJoinRequest) (*proto.ExternalJoinResponse, error) {
	info, err := groupInfoOf(req.GroupInfo)
	if err != nil {
		return nil, err
	}
	p, err := newParty(ctx, info.GroupContext.CipherSuite, req.Identity)
	if err != nil {
		return nil, err
	}
	opts := mls.ExternalOptions{RatchetTree: req.RatchetTree, Resync: req.RemovePrior}
	for _, psk := range req.Psks {
		if err := p.client.StorePSK(ctx, psk.PskId, psk.PskSecret); err != nil {
			return nil, err
		}
		opts.PSKs = append(opts.PSKs, message.PreSharedKeyID{Type: message.PSKExternal, ID: psk.PskId})
	}
	g, result, err := p.client.JoinExternal(ctx, p.identity.ID(), req.GroupInfo, opts)
	if err != nil {
		return nil, err
	}
	if _, err := g.ApplyPendingCommit(ctx); err != nil {
		return nil, err
	}
	joined, err := s.joined(ctx, newMember(p, g, req.EncryptHandshake))
	if err != nil {
		return nil, err
	}
	return &proto.ExternalJoinResponse{
		StateId:            joined.StateId,
		Commit:             result.Commit,
		EpochAuthenticator: joined.EpochAuthenticator,
	}, nil
}

func (s *server) GroupInfo(ctx context.Context, req *proto.GroupInfoRequest) (*proto.GroupInfoResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	resp := new(proto.GroupInfoResponse)
	if resp.GroupInfo, err = m.group.GroupInfo(ctx, mls.GroupInfoOptions{NoRatchetTree: req.ExternalTree}); err != nil {
		return nil, err
	}
	if req.ExternalTree {
		resp.RatchetTree, err = m.group.RatchetTree(ctx)
	}
	return resp, err
}

func (s *server) StateAuth(ctx context.Context, req *proto.StateAuthRequest) (*proto.StateAuthResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	authenticator, err := m.authenticator(ctx)
	return &proto.StateAuthResponse{StateAuthSecret: authenticator}, err
}

func (s *server) Export(ctx context.Context, req *proto.ExportRequest) (*proto.ExportResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	secret, err := m.group.Export(ctx, req.Label, req.Context, int(req.KeyLength))
	return &proto.ExportResponse{ExportedSecret: secret}, err
}

func (s *server) Protect(ctx context.Context, req *proto.ProtectRequest) (*proto.ProtectResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	sealed, err := m.group.Send(ctx, req.Plaintext, mls.SendOptions{AuthenticatedData: req.AuthenticatedData})
	return &proto.ProtectResponse{Ciphertext: sealed}, err
}

func (s *server) Unprotect(ctx context.Context, req *proto.UnprotectRequest) (*proto.UnprotectResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	ev, err := m.group.Receive(ctx, req.Ciphertext)
	if err != nil {
		return nil, err
	}
	if ev.Type != mls.EventApplication {
		return nil, status.Errorf(codes.InvalidArgument, "not application data of another member but %s", ev.Type)
	}
	if err := m.group.Acknowledge(ctx, ev.InboxID); err != nil {
		return nil, err
	}
	return &proto.UnprotectResponse{AuthenticatedData: ev.AuthenticatedData, Plaintext: ev.Content}, nil
}

func (s *server) StorePSK(ctx context.Context, req *proto.StorePSKRequest) (*proto.StorePSKResponse, error) {
	var p *party
	if m, ok := s.states[req.StateOrTransactionId]; ok {
		p = m.party
	} else if j, err := find(s.transactions, req.StateOrTransactionId, "state or transaction"); err != nil {
		return nil, err
	} else {
		p = j.party
	}
	return new(proto.StorePSKResponse), p.client.StorePSK(ctx, req.PskId, req.PskSecret)
}
