// Package peer is WebMLS as a party of the interop protocol of
// mlswg/mls-implementations (package proto): it does what a test runner asks
// for with the public surface of package mls.
//
// It owns the ids that the runner knows: states, transactions, signers and
// reinits, drawn from one counter. One process plays many actors; each has a
// client and a store of its own, so that actors share nothing but the process.
// It must not know what a test expects, and nothing of the protocol beyond what
// package mls offers to any application: a case that needs more shows what an
// application would lack.
package peer

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/tests/interop/proto"
)

// maxMessage is the largest request or response in bytes: a Welcome with the tree
// of a large group is far above the 4 MiB that gRPC allows by default.
const maxMessage = 256 << 20

// Options are what a server is like.
type Options struct {
	// Suites maps numbers that the runner uses for cipher suites to ours,
	// beyond those that are the same on both sides: suites without a number in
	// RFC 9420, which each implementation counts for itself.
	Suites map[uint32]suite.ID
}

// NewServer returns a server of the protocol, to be given a listener. Requests
// are done one at a time: a runner waits for each answer anyway.
func NewServer(opts Options) *grpc.Server {
	s := &server{
		suites:       opts.Suites,
		states:       make(map[uint32]*member),
		transactions: make(map[uint32]*joiner),
		signers:      make(map[uint32]*party),
		reinits:      make(map[uint32]*reinitialized),
	}
	var mu sync.Mutex
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			resp, err := handler(ctx, req)
			return resp, statusOf(err)
		}))
	proto.RegisterMLSClientServer(g, s)
	return g
}

// server implements the protocol. UnimplementedMLSClientServer is not embedded, so that the
// compiler finds an RPC that is missing.
type server struct {
	proto.UnsafeMLSClientServer
	suites map[uint32]suite.ID

	lastID       uint32
	states       map[uint32]*member
	transactions map[uint32]*joiner
	signers      map[uint32]*party
	reinits      map[uint32]*reinitialized
}

// add gives an element of one of the maps its id. All share one counter:
// StorePSK names a state or a transaction without saying which.
func add[T any](s *server, to map[uint32]T, v T) uint32 {
	s.lastID++
	to[s.lastID] = v
	return s.lastID
}

// find returns the element that a request names.
func find[T any](in map[uint32]T, id uint32, what string) (T, error) {
	v, ok := in[id]
	if !ok {
		return v, status.Errorf(codes.NotFound, "no %s %d", what, id)
	}
	return v, nil
}

// statusOf turns an error of package mls into one of gRPC.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Internal
	if e := (*mlserr.Error)(nil); errors.As(err, &e) {
		switch e.Code.Info().Class {
		case mlserr.ClassMalformed, mlserr.ClassRejected:
			code = codes.InvalidArgument
		case mlserr.ClassEpoch, mlserr.ClassState:
			code = codes.FailedPrecondition
		case mlserr.ClassUnsupported:
			code = codes.Unimplemented
		}
	}
	return status.Error(code, err.Error())
}

// suite returns our number of a cipher suite.
func (s *server) suite(number uint32) suite.ID {
	if id, ok := s.suites[number]; ok {
		return id
	}
	if number > 0xffff {
		return 0 // of no suite: refused where it is used
	}
	return suite.ID(number)
}

func (s *server) Name(context.Context, *proto.NameRequest) (*proto.NameResponse, error) {
	return &proto.NameResponse{Name: "WebMLS"}, nil
}

func (s *server) SupportedCiphersuites(context.Context, *proto.SupportedCiphersuitesRequest) (*proto.SupportedCiphersuitesResponse, error) {
	resp := new(proto.SupportedCiphersuitesResponse)
	for _, id := range suite.All() {
		if newKeys().Supports(id) {
			resp.Ciphersuites = append(resp.Ciphersuites, uint32(id))
		}
	}
	for number := range s.suites {
		resp.Ciphersuites = append(resp.Ciphersuites, number)
	}
	return resp, nil
}

// Free forgets a state. The client that it was of goes with its last state.
func (s *server) Free(ctx context.Context, req *proto.FreeRequest) (*proto.FreeResponse, error) {
	m, err := find(s.states, req.StateId, "state")
	if err != nil {
		return nil, err
	}
	delete(s.states, req.StateId)
	if err := m.client.DeleteGroup(ctx, m.group.ID()); err != nil && !errors.Is(err, mlserr.GroupNotFound) {
		return nil, err
	}
	return new(proto.FreeResponse), nil
}
