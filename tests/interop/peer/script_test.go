package peer_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"webmls/mls/suite"
	"webmls/tests/interop/peer"
	"webmls/tests/interop/proto"
)

// called has the methods that any test has called.
var called struct {
	sync.Mutex
	methods map[string]bool
}

// serve starts a server on the loopback interface and connects to it.
func serve(t *testing.T, opts peer.Options) proto.MLSClientClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := peer.NewServer(opts)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:"+listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			called.Lock()
			if called.methods == nil {
				called.methods = make(map[string]bool)
			}
			called.methods[method] = true
			called.Unlock()
			return invoker(ctx, method, req, reply, cc, opts...)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return proto.NewMLSClientClient(conn)
}

// script plays one story in one group: its actors are spread over servers.
type script struct {
	*testing.T
	suite   uint32
	private bool
	servers []proto.MLSClientClient
	actors  map[string]*actor
	members []*actor
	groupID []byte
}

type actor struct {
	proto.MLSClientClient
	name        []byte
	state       uint32
	transaction uint32
	signer      uint32
}

// play runs a story with handshake messages in public and in private.
func play(t *testing.T, id suite.ID, story func(s *script)) {
	for _, private := range []bool{false, true} {
		name := "public"
		if private {
			name = "private"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{T: t, suite: uint32(id), private: private, actors: make(map[string]*actor)}
			for range 3 {
				s.servers = append(s.servers, serve(t, peer.Options{}))
			}
			story(s)
			for _, a := range s.members {
				must(s, a.Free)(&proto.FreeRequest{StateId: a.state})
			}
		})
	}
}

// must makes a call of an RPC fail the test instead of returning an error.
func must[Req, Resp any](s *script, rpc func(context.Context, Req, ...grpc.CallOption) (Resp, error)) func(Req) Resp {
	return func(req Req) Resp {
		s.Helper()
		resp, err := rpc(s.Context(), req)
		if err != nil {
			s.Fatalf("%T: %v", req, err)
		}
		return resp
	}
}

// actor returns an actor by name. Servers take turns.
func (s *script) actor(name string) *actor {
	a := s.actors[name]
	if a == nil {
		a = &actor{MLSClientClient: s.servers[len(s.actors)%len(s.servers)], name: []byte(name)}
		s.actors[name] = a
	}
	return a
}

// create makes a group and adds members to it.
func (s *script) create(creator string, members ...string) {
	s.Helper()
	a := s.actor(creator)
	s.groupID = []byte("group of " + s.Name())
	a.state = must(s, a.CreateGroup)(&proto.CreateGroupRequest{
		GroupId: s.groupID, CipherSuite: s.suite, EncryptHandshake: s.private, Identity: a.name,
	}).StateId
	s.members = []*actor{a}
	if len(members) > 0 {
		var values []*proto.ProposalDescription
		for _, name := range members {
			values = append(values, add(s.keyPackage(name)))
		}
		s.commit(creator, commit{values: values, joiners: members})
	}
}

// keyPackage makes a key package of an actor.
func (s *script) keyPackage(name string) []byte {
	s.Helper()
	a := s.actor(name)
	resp := must(s, a.CreateKeyPackage)(&proto.CreateKeyPackageRequest{CipherSuite: s.suite, Identity: a.name})
	a.transaction = resp.TransactionId
	return resp.KeyPackage
}

// psk gives actors a pre-shared key.
func (s *script) psk(id string, names ...string) []byte {
	s.Helper()
	for _, name := range names {
		a := s.actor(name)
		to := a.state
		if to == 0 {
			to = a.transaction
		}
		must(s, a.StorePSK)(&proto.StorePSKRequest{StateOrTransactionId: to, PskId: []byte(id), PskSecret: []byte("secret of " + id)})
	}
	return []byte(id)
}

// commit is what a commit does, and who comes and goes with it.
type commit struct {
	references [][]byte
	values     []*proto.ProposalDescription
	joiners    []string
	leavers    []string
	force      bool
	tree       bool
}

// commit has one member commit, all others follow, and the joiners join.
func (s *script) commit(by string, c commit) {
	s.Helper()
	a := s.actor(by)
	resp := must(s, a.Commit)(&proto.CommitRequest{
		StateId: a.state, ByReference: c.references, ByValue: c.values, ForcePath: c.force, ExternalTree: c.tree,
	})
	if c.tree != (len(resp.RatchetTree) > 0) {
		s.Fatalf("a tree of %d bytes, external tree is %v", len(resp.RatchetTree), c.tree)
	}
	a.state = must(s, a.HandlePendingCommit)(&proto.HandlePendingCommitRequest{StateId: a.state}).StateId
	for _, name := range c.leavers {
		gone := s.actor(name)
		for i, m := range s.members {
			if m == gone {
				s.members = append(s.members[:i:i], s.members[i+1:]...)
				break
			}
		}
	}
	for _, m := range s.members {
		if m != a {
			m.state = must(s, m.HandleCommit)(&proto.HandleCommitRequest{StateId: m.state, Proposal: c.references, Commit: resp.Commit}).StateId
		}
	}
	for _, name := range c.joiners {
		j := s.actor(name)
		j.state = must(s, j.JoinGroup)(&proto.JoinGroupRequest{
			TransactionId: j.transaction, Welcome: resp.Welcome, EncryptHandshake: s.private, Identity: j.name, RatchetTree: resp.RatchetTree,
		}).StateId
		s.members = append(s.members, j)
	}
	s.agree()
}

// agree checks that all members have the same epoch authenticator and exporter.
func (s *script) agree() {
	s.Helper()
	var authenticator, exported []byte
	for i, m := range s.members {
		auth := must(s, m.StateAuth)(&proto.StateAuthRequest{StateId: m.state}).StateAuthSecret
		export := must(s, m.Export)(&proto.ExportRequest{StateId: m.state, Label: "label", Context: []byte("context"), KeyLength: 50}).ExportedSecret
		if len(auth) == 0 || len(export) != 50 {
			s.Fatalf("%s: authenticator of %d bytes, exporter of %d", m.name, len(auth), len(export))
		}
		if i == 0 {
			authenticator, exported = auth, export
		} else if !bytes.Equal(auth, authenticator) || !bytes.Equal(export, exported) {
			s.Fatalf("%s disagrees with %s", m.name, s.members[0].name)
		}
	}
}

// talk has every member send and every other receive.
func (s *script) talk() {
	s.Helper()
	for _, from := range s.members {
		sealed := s.protect(from, "hello from "+string(from.name))
		for _, to := range s.members {
			if to != from {
				s.unprotect(to, sealed, "hello from "+string(from.name))
			}
		}
	}
}

func (s *script) protect(a *actor, text string) []byte {
	s.Helper()
	return must(s, a.Protect)(&proto.ProtectRequest{StateId: a.state, AuthenticatedData: []byte("about " + text), Plaintext: []byte(text)}).Ciphertext
}

func (s *script) unprotect(a *actor, sealed []byte, text string) {
	s.Helper()
	resp := must(s, a.Unprotect)(&proto.UnprotectRequest{StateId: a.state, Ciphertext: sealed})
	if string(resp.Plaintext) != text || string(resp.AuthenticatedData) != "about "+text {
		s.Fatalf("%s reads %q with %q, want %q", a.name, resp.Plaintext, resp.AuthenticatedData, text)
	}
}

// Proposals by value.

func add(keyPackage []byte) *proto.ProposalDescription {
	return &proto.ProposalDescription{ProposalType: []byte("add"), KeyPackage: keyPackage}
}

func remove(name string) *proto.ProposalDescription {
	return &proto.ProposalDescription{ProposalType: []byte("remove"), RemovedId: []byte(name)}
}

func externalPSK(id []byte) *proto.ProposalDescription {
	return &proto.ProposalDescription{ProposalType: []byte("externalPSK"), PskId: id}
}

func resumptionPSK(epoch uint64) *proto.ProposalDescription {
	return &proto.ProposalDescription{ProposalType: []byte("resumptionPSK"), EpochId: epoch}
}

func extend(extensions ...*proto.Extension) *proto.ProposalDescription {
	return &proto.ProposalDescription{ProposalType: []byte("groupContextExtensions"), Extensions: extensions}
}

// Two extensions that hold nothing: required_capabilities, external_senders.
var (
	nothingRequired = &proto.Extension{ExtensionType: 3, ExtensionData: []byte{0, 0, 0}}
	nobodyOutside   = &proto.Extension{ExtensionType: 5, ExtensionData: []byte{0}}
)
