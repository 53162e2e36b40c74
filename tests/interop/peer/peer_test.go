package peer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/tests/interop/peer"
	"webmls/tests/interop/proto"
)

const x25519 = suite.X25519AES128SHA256Ed25519

// TestPeer plays the stories of the official configs, smaller, among our own
// clients. When all are over, every RPC of the protocol was called.
func TestPeer(t *testing.T) {
	t.Run("stories", func(t *testing.T) {
		for name, story := range map[string]func(s *script){
			"welcome join":       welcomeJoin,
			"external join":      externalJoin,
			"application":        application,
			"commit":             commits,
			"external proposals": externalProposals,
			"branch":             branch,
			"reinit":             reinit,
			"random":             random,
		} {
			t.Run(name, func(t *testing.T) { play(t, x25519, story) })
		}
		for _, id := range suite.All()[1:] {
			t.Run("every suite/"+id.String(), func(t *testing.T) { play(t, id, everyKind) })
		}
		t.Run("refusals", refusals)
		t.Run("private keys", privateKeys)
		t.Run("suite numbers", suiteNumbers)
	})
	for _, m := range proto.MLSClient_ServiceDesc.Methods {
		if !called.methods["/"+proto.MLSClient_ServiceDesc.ServiceName+"/"+m.MethodName] {
			t.Errorf("no test calls %s", m.MethodName)
		}
	}
	if n := len(proto.MLSClient_ServiceDesc.Methods); n != 34 {
		t.Errorf("%d RPCs, want 34", n)
	}
}

func welcomeJoin(s *script) {
	s.create("alice")
	for i, c := range []commit{{}, {force: true}, {tree: true}, {force: true, tree: true}} {
		joiner := fmt.Sprint("joiner", i)
		alice := s.actor("alice")
		p := must(s, alice.AddProposal)(&proto.AddProposalRequest{StateId: alice.state, KeyPackage: s.keyPackage(joiner)}).Proposal
		id := s.psk(fmt.Sprint("psk", i), append([]string{joiner}, names(s.members)...)...)
		q := must(s, alice.ExternalPSKProposal)(&proto.ExternalPSKProposalRequest{StateId: alice.state, PskId: id}).Proposal
		c.references, c.joiners = [][]byte{p, q}, []string{joiner}
		s.commit("alice", c)
	}
	s.talk()
}

func names(list []*actor) (names []string) {
	for _, a := range list {
		names = append(names, string(a.name))
	}
	return names
}

func externalJoin(s *script) {
	s.create("alice", "bob")
	join := func(name, by string, tree, again bool, psks ...*proto.PreSharedKey) {
		s.Helper()
		host, a := s.actor(by), s.actor(name)
		info := must(s, host.GroupInfo)(&proto.GroupInfoRequest{StateId: host.state, ExternalTree: tree})
		if tree != (len(info.RatchetTree) > 0) {
			s.Fatal("the tree is where it should not be")
		}
		resp := must(s, a.ExternalJoin)(&proto.ExternalJoinRequest{
			GroupInfo: info.GroupInfo, RatchetTree: info.RatchetTree, EncryptHandshake: s.private, Identity: a.name, RemovePrior: again, Psks: psks,
		})
		for _, m := range s.members {
			if m != a {
				m.state = must(s, m.HandleCommit)(&proto.HandleCommitRequest{StateId: m.state, Commit: resp.Commit}).StateId
			}
		}
		a.state = resp.StateId
		if !again {
			s.members = append(s.members, a)
		}
		s.agree()
	}
	join("charlie", "alice", false, false)
	join("diana", "bob", true, false)
	join("charlie", "bob", false, true)
	id := s.psk("psk", names(s.members)...)
	join("ellen", "charlie", true, false, &proto.PreSharedKey{PskId: id, PskSecret: []byte("secret of psk")})
	s.talk()
}

func application(s *script) {
	s.create("alice", "bob")
	alice, bob := s.actor("alice"), s.actor("bob")
	var sealed [][]byte
	for i := range 6 {
		if i == 3 {
			s.commit("alice", commit{})
		}
		sealed = append(sealed, s.protect(alice, fmt.Sprint("message ", i)))
	}
	for _, i := range []int{5, 3, 4, 2, 0, 1} {
		s.unprotect(bob, sealed[i], fmt.Sprint("message ", i))
	}
	if _, err := bob.Unprotect(s.Context(), &proto.UnprotectRequest{StateId: bob.state, Ciphertext: sealed[1]}); err == nil {
		s.Error("a message opens twice")
	}
	if _, err := alice.Unprotect(s.Context(), &proto.UnprotectRequest{StateId: alice.state, Ciphertext: sealed[5]}); status.Code(err) != codes.InvalidArgument {
		s.Errorf("one's own message: %v", err)
	}
}

// commits is a commit of each kind of proposal, by reference of the committer,
// by reference of another, and by value.
func commits(s *script) {
	s.create("alice", "bob")
	alice, bob := s.actor("alice"), s.actor("bob")
	s.commit("bob", commit{})

	s.commit("alice", commit{
		references: [][]byte{
			must(s, alice.AddProposal)(&proto.AddProposalRequest{StateId: alice.state, KeyPackage: s.keyPackage("charlie1")}).Proposal,
			must(s, bob.AddProposal)(&proto.AddProposalRequest{StateId: bob.state, KeyPackage: s.keyPackage("charlie2")}).Proposal,
		},
		values:  []*proto.ProposalDescription{add(s.keyPackage("charlie3"))},
		joiners: []string{"charlie1", "charlie2", "charlie3"},
	})
	s.commit("alice", commit{
		references: [][]byte{
			must(s, alice.RemoveProposal)(&proto.RemoveProposalRequest{StateId: alice.state, RemovedId: []byte("charlie1")}).Proposal,
			must(s, bob.RemoveProposal)(&proto.RemoveProposalRequest{StateId: bob.state, RemovedId: []byte("charlie2")}).Proposal,
		},
		values:  []*proto.ProposalDescription{remove("charlie3")},
		leavers: []string{"charlie1", "charlie2", "charlie3"},
	})
	s.commit("alice", commit{
		references: [][]byte{must(s, bob.UpdateProposal)(&proto.UpdateProposalRequest{StateId: bob.state}).Proposal},
	})

	psk1, psk2, psk3 := s.psk("1", "alice", "bob"), s.psk("2", "alice", "bob"), s.psk("3", "alice", "bob")
	for _, force := range []bool{true, false} {
		s.commit("alice", commit{
			references: [][]byte{
				must(s, alice.ExternalPSKProposal)(&proto.ExternalPSKProposalRequest{StateId: alice.state, PskId: psk1}).Proposal,
				must(s, bob.ResumptionPSKProposal)(&proto.ResumptionPSKProposalRequest{StateId: bob.state, EpochId: 2}).Proposal,
			},
			values: []*proto.ProposalDescription{externalPSK(psk2), externalPSK(psk3), resumptionPSK(3)},
			force:  force,
		})
	}
	s.commit("alice", commit{references: [][]byte{
		must(s, bob.GroupContextExtensionsProposal)(&proto.GroupContextExtensionsProposalRequest{
			StateId: bob.state, Extensions: []*proto.Extension{nothingRequired, nobodyOutside},
		}).Proposal,
	}})
	s.commit("bob", commit{values: []*proto.ProposalDescription{extend()}})

	// A proposal that the runner does not list stays out of the commit.
	must(s, alice.RemoveProposal)(&proto.RemoveProposalRequest{StateId: alice.state, RemovedId: []byte("bob")})
	s.commit("alice", commit{values: []*proto.ProposalDescription{add(s.keyPackage("diana"))}, joiners: []string{"diana"}})
	s.talk()
}

func externalProposals(s *script) {
	s.create("alice", "bob")
	alice := s.actor("alice")
	info := func() *proto.GroupInfoResponse {
		s.Helper()
		return must(s, alice.GroupInfo)(&proto.GroupInfoRequest{StateId: alice.state, ExternalTree: true})
	}
	carol := s.actor("carol")
	joining := must(s, carol.NewMemberAddProposal)(&proto.NewMemberAddProposalRequest{GroupInfo: info().GroupInfo, Identity: carol.name})
	carol.transaction = joining.TransactionId
	s.commit("alice", commit{references: [][]byte{joining.Proposal}, joiners: []string{"carol"}})

	for _, name := range []string{"ds1", "ds2"} {
		ds := s.actor(name)
		signer := must(s, ds.CreateExternalSigner)(&proto.CreateExternalSignerRequest{CipherSuite: s.suite, Identity: ds.name})
		ds.signer = signer.SignerId
		p := must(s, alice.AddExternalSigner)(&proto.AddExternalSignerRequest{StateId: alice.state, ExternalSender: signer.ExternalSender}).Proposal
		s.commit("alice", commit{references: [][]byte{p}})
	}
	from := func(name string, d *proto.ProposalDescription) []byte {
		s.Helper()
		ds, group := s.actor(name), info()
		return must(s, ds.ExternalSignerProposal)(&proto.ExternalSignerProposalRequest{
			SignerId: ds.signer, GroupInfo: group.GroupInfo, RatchetTree: group.RatchetTree, Description: d,
		}).Proposal
	}
	psk := s.psk("psk", "alice", "bob", "carol")
	s.commit("bob", commit{references: [][]byte{from("ds1", externalPSK(psk)), from("ds2", resumptionPSK(3))}})
	s.commit("carol", commit{references: [][]byte{from("ds2", add(s.keyPackage("dave")))}, joiners: []string{"dave"}})
	s.commit("dave", commit{references: [][]byte{from("ds1", remove("bob"))}, leavers: []string{"bob"}})
	s.commit("alice", commit{references: [][]byte{from("ds1", extend(nothingRequired))}})
	s.talk()
}

func branch(s *script) {
	s.create("alice", "bob", "charlie", "diana")
	for i, tree := range []bool{false, true} {
		alice := s.actor("alice")
		guests := []*actor{s.actor("bob"), s.actor("diana")}
		req := &proto.CreateBranchRequest{
			StateId: alice.state, GroupId: fmt.Appendf(nil, "branch %d of %s", i, s.Name()), ExternalTree: tree,
			Extensions: []*proto.Extension{nothingRequired},
		}
		for _, a := range guests {
			req.KeyPackages = append(req.KeyPackages, s.keyPackage(string(a.name)))
		}
		made := must(s, alice.CreateBranch)(req)
		// The group that was branched off lives on.
		s.commit("charlie", commit{})
		var old []uint32
		for _, a := range guests {
			old = append(old, a.state)
			a.state = must(s, a.HandleBranch)(&proto.HandleBranchRequest{
				StateId: a.state, TransactionId: a.transaction, Welcome: made.Welcome, RatchetTree: made.RatchetTree,
			}).StateId
		}
		before := alice.state
		alice.state = made.StateId
		sub := *s
		sub.members = []*actor{alice, guests[0], guests[1]}
		sub.agree()
		sub.talk()
		sub.commit("bob", commit{})
		for _, a := range sub.members {
			must(s, a.Free)(&proto.FreeRequest{StateId: a.state})
		}
		alice.state, guests[0].state, guests[1].state = before, old[0], old[1]
	}
	s.agree()
	s.talk()
}

// reinit reinitializes again and again: with another id, with the same, by
// value, and by who is no member; and at last for another cipher suite.
func reinit(s *script) {
	s.create("alice", "bob", "charlie")
	for i, c := range []struct {
		id         string
		tree       bool
		suite      suite.ID
		extensions []*proto.Extension
	}{
		{id: "another"},
		{tree: true},
		{extensions: []*proto.Extension{nothingRequired, nobodyOutside}},
		{suite: suite.P256AES128SHA256P256},
		{id: "the last", suite: suite.X25519ChaCha20SHA256Ed25519},
	} {
		s.groupID = append(s.groupID, c.id...)
		if c.suite != 0 {
			s.suite = uint32(c.suite)
		}
		proposer, committer, welcomer := s.members[i%3], s.members[(i+1)%3], s.members[(i+2)%3]
		proposal := must(s, proposer.ReInitProposal)(&proto.ReInitProposalRequest{
			StateId: proposer.state, CipherSuite: s.suite, GroupId: s.groupID, Extensions: c.extensions,
		}).Proposal
		last := must(s, committer.ReInitCommit)(&proto.CommitRequest{StateId: committer.state, ByReference: [][]byte{proposal}}).Commit
		done := make(map[*actor]*proto.HandleReInitCommitResponse)
		done[committer] = must(s, committer.HandlePendingReInitCommit)(&proto.HandlePendingCommitRequest{StateId: committer.state})
		var keyPackages [][]byte
		for _, m := range s.members {
			if m != committer {
				done[m] = must(s, m.HandleReInitCommit)(&proto.HandleCommitRequest{StateId: m.state, Proposal: [][]byte{proposal}, Commit: last})
			}
			if !bytes.Equal(done[m].EpochAuthenticator, done[committer].EpochAuthenticator) {
				s.Fatalf("%s disagrees on the last epoch", m.name)
			}
			if m != welcomer {
				keyPackages = append(keyPackages, done[m].KeyPackage)
			}
		}
		made := must(s, welcomer.ReInitWelcome)(&proto.ReInitWelcomeRequest{ReinitId: done[welcomer].ReinitId, KeyPackage: keyPackages, ExternalTree: c.tree})
		welcomer.state = made.StateId
		for _, m := range s.members {
			if m != welcomer {
				m.state = must(s, m.HandleReInitWelcome)(&proto.HandleReInitWelcomeRequest{
					ReinitId: done[m].ReinitId, Welcome: made.Welcome, RatchetTree: made.RatchetTree,
				}).StateId
			}
		}
		s.agree()
		s.talk()
		s.commit("bob", commit{force: i%2 == 0})
	}
}

// random is a history of commits that each do a few things at once.
func random(s *script) {
	r := rand.New(rand.NewPCG(20, 9420))
	s.create("actor0", "actor1", "actor2")
	next := 3
	for range 25 {
		var c commit
		by := s.members[r.IntN(len(s.members))]
		leaving := make(map[*actor]bool)
		for range r.IntN(4) {
			a := s.members[r.IntN(len(s.members))]
			switch {
			case r.IntN(3) == 0 && a != by && !leaving[a] && len(s.members)-len(leaving) > 3:
				leaving[a] = true
				c.leavers = append(c.leavers, string(a.name))
				p := must(s, by.RemoveProposal)(&proto.RemoveProposalRequest{StateId: by.state, RemovedId: a.name}).Proposal
				c.references = append(c.references, p)
			case r.IntN(2) == 0 && len(s.members) < 12:
				name := fmt.Sprint("actor", next)
				next++
				c.joiners = append(c.joiners, name)
				if r.IntN(2) == 0 {
					c.values = append(c.values, add(s.keyPackage(name)))
				} else {
					p := must(s, a.AddProposal)(&proto.AddProposalRequest{StateId: a.state, KeyPackage: s.keyPackage(name)}).Proposal
					c.references = append(c.references, p)
				}
			}
		}
		for _, a := range s.members {
			if a != by && !leaving[a] && r.IntN(3) == 0 {
				c.references = append(c.references, must(s, a.UpdateProposal)(&proto.UpdateProposalRequest{StateId: a.state}).Proposal)
			}
		}
		c.force, c.tree = r.IntN(2) == 0, r.IntN(2) == 0
		r.Shuffle(len(c.references), func(i, j int) { c.references[i], c.references[j] = c.references[j], c.references[i] })
		s.commit(string(by.name), c)
	}
	s.talk()
}

// everyKind is a short story for the suites whose cryptography is slow.
func everyKind(s *script) {
	s.create("alice", "bob", "charlie")
	alice, bob := s.actor("alice"), s.actor("bob")
	s.talk()
	s.commit("alice", commit{
		references: [][]byte{must(s, bob.UpdateProposal)(&proto.UpdateProposalRequest{StateId: bob.state}).Proposal},
		values:     []*proto.ProposalDescription{add(s.keyPackage("diana")), remove("charlie")},
		joiners:    []string{"diana"},
		leavers:    []string{"charlie"},
	})
	info := must(s, alice.GroupInfo)(&proto.GroupInfoRequest{StateId: alice.state})
	ellen := s.actor("ellen")
	joined := must(s, ellen.ExternalJoin)(&proto.ExternalJoinRequest{GroupInfo: info.GroupInfo, EncryptHandshake: s.private, Identity: ellen.name})
	for _, m := range s.members {
		must(s, m.HandleCommit)(&proto.HandleCommitRequest{StateId: m.state, Commit: joined.Commit})
	}
	ellen.state = joined.StateId
	s.members = append(s.members, ellen)
	s.agree()
	s.talk()
}

func refusals(t *testing.T) {
	t.Parallel()
	s := &script{T: t, suite: uint32(x25519), servers: []proto.MLSClientClient{serve(t, peer.Options{})}, actors: make(map[string]*actor)}
	s.create("alice", "bob")
	alice, ctx := s.actor("alice"), t.Context()
	want := func(what string, err error, code codes.Code) {
		t.Helper()
		if status.Code(err) != code {
			t.Errorf("%s: %v, want %v", what, err, code)
		}
	}
	_, err := alice.StateAuth(ctx, &proto.StateAuthRequest{StateId: 12345})
	want("a state that is none", err, codes.NotFound)
	_, err = alice.JoinGroup(ctx, &proto.JoinGroupRequest{TransactionId: alice.state})
	want("a transaction that is a state", err, codes.NotFound)
	_, err = alice.StorePSK(ctx, &proto.StorePSKRequest{StateOrTransactionId: 0})
	want("a PSK for nobody", err, codes.NotFound)
	_, err = alice.RemoveProposal(ctx, &proto.RemoveProposalRequest{StateId: alice.state, RemovedId: []byte("nobody")})
	want("a member that is none", err, codes.NotFound)
	_, err = alice.HandlePendingCommit(ctx, &proto.HandlePendingCommitRequest{StateId: alice.state})
	want("no pending commit", err, codes.FailedPrecondition)
	_, err = alice.CreateGroup(ctx, &proto.CreateGroupRequest{CipherSuite: 0xfff0})
	want("a suite that is none", err, codes.Unimplemented)
	_, err = alice.CreateGroup(ctx, &proto.CreateGroupRequest{CipherSuite: 0x10001})
	want("a suite of more than 16 bits", err, codes.Unimplemented)
	_, err = alice.Commit(ctx, &proto.CommitRequest{StateId: alice.state, ByValue: []*proto.ProposalDescription{{ProposalType: []byte("wish")}}})
	want("a proposal type that is none", err, codes.InvalidArgument)
	_, err = alice.Commit(ctx, &proto.CommitRequest{StateId: alice.state, ByValue: []*proto.ProposalDescription{externalPSK([]byte("nobody has it"))}})
	if err == nil {
		t.Error("a commit of a PSK that the committer does not have")
	}
	sealed := s.protect(alice, "text")
	_, err = alice.HandleCommit(ctx, &proto.HandleCommitRequest{StateId: s.actor("bob").state, Commit: sealed})
	want("a commit that is a message", err, codes.FailedPrecondition)
	_, err = alice.Unprotect(ctx, &proto.UnprotectRequest{StateId: alice.state, Ciphertext: sealed[:20]})
	want("half a message", err, codes.InvalidArgument)
	s.commit("bob", commit{})

	// A Welcome of a group that follows from nothing is no branch.
	p := add(s.keyPackage("bob"))
	bob := s.actor("bob")
	stranger := s.actor("stranger")
	stranger.state = must(s, stranger.CreateGroup)(&proto.CreateGroupRequest{CipherSuite: s.suite, Identity: stranger.name}).StateId
	foreign := must(s, stranger.Commit)(&proto.CommitRequest{StateId: stranger.state, ByValue: []*proto.ProposalDescription{p}}).Welcome
	_, err = bob.HandleBranch(ctx, &proto.HandleBranchRequest{StateId: bob.state, TransactionId: bob.transaction, Welcome: foreign})
	want("a branch of nothing", err, codes.InvalidArgument)
	if err != nil && !strings.Contains(err.Error(), "resumption PSK") {
		t.Errorf("a branch of nothing: %v", err)
	}
	_, err = bob.HandlePendingReInitCommit(ctx, &proto.HandlePendingCommitRequest{StateId: bob.state})
	want("no pending ReInit", err, codes.FailedPrecondition)

	must(s, alice.Free)(&proto.FreeRequest{StateId: alice.state})
	_, err = alice.Free(ctx, &proto.FreeRequest{StateId: alice.state})
	want("freed twice", err, codes.NotFound)
}

// privateKeys: what CreateKeyPackage and NewMemberAddProposal hand out are the
// private keys of the key package.
func privateKeys(t *testing.T) {
	t.Parallel()
	s := &script{T: t, servers: []proto.MLSClientClient{serve(t, peer.Options{})}, actors: make(map[string]*actor)}
	for _, id := range suite.All() {
		s.suite = uint32(id)
		check := func(kp *message.KeyPackage, initPriv, encryptionPriv, signaturePriv []byte) {
			t.Helper()
			initKey, err1 := softkeys.NewHPKEKey(id, initPriv)
			leafKey, err2 := softkeys.NewHPKEKey(id, encryptionPriv)
			signatureKey, err3 := softkeys.NewSignatureKey(id, signaturePriv)
			if err1 != nil || err2 != nil || err3 != nil {
				t.Fatalf("%s: %v, %v, %v", id, err1, err2, err3)
			}
			if !bytes.Equal(initKey.Public(), kp.InitKey) || !bytes.Equal(leafKey.Public(), kp.LeafNode.EncryptionKey) ||
				!bytes.Equal(signatureKey.Public(), kp.LeafNode.SignatureKey) {
				t.Errorf("%s: private keys of another key package", id)
			}
		}
		parse := func(b []byte) *message.MLSMessage {
			t.Helper()
			m, err := message.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		bob := s.actor("bob")
		made := must(s, bob.CreateKeyPackage)(&proto.CreateKeyPackageRequest{CipherSuite: s.suite, Identity: bob.name})
		check(parse(made.KeyPackage).KeyPackage, made.InitPriv, made.EncryptionPriv, made.SignaturePriv)

		s.create("alice " + id.String())
		info := must(s, bob.GroupInfo)(&proto.GroupInfoRequest{StateId: s.members[0].state}).GroupInfo
		joining := must(s, bob.NewMemberAddProposal)(&proto.NewMemberAddProposalRequest{GroupInfo: info, Identity: bob.name})
		check(parse(joining.Proposal).Public.Content.Proposal.Add, joining.InitPriv, joining.EncryptionPriv, joining.SignaturePriv)
	}
}

// suiteNumbers: a suite under another number is the same suite on the wire.
func suiteNumbers(t *testing.T) {
	t.Parallel()
	rpc := serve(t, peer.Options{Suites: map[uint32]suite.ID{0xf123: suite.P384AES256SHA384P384}})
	s := &script{T: t, suite: 0xf123, servers: []proto.MLSClientClient{rpc}, actors: make(map[string]*actor)}
	if name := must(s, rpc.Name)(&proto.NameRequest{}).Name; !strings.Contains(name, "WebMLS") {
		t.Errorf("name %q", name)
	}
	list := must(s, rpc.SupportedCiphersuites)(&proto.SupportedCiphersuitesRequest{}).Ciphersuites
	for _, number := range []uint32{1, 2, 3, 4, 5, 6, 7, 0xf123} {
		if !slices.Contains(list, number) {
			t.Errorf("suite %d is not in %v", number, list)
		}
	}
	m, err := message.Parse(s.keyPackage("alice"))
	if err != nil || m.KeyPackage.CipherSuite != suite.P384AES256SHA384P384 {
		t.Errorf("%v, %v", m, err)
	}
	s.create("alice", "bob")
	s.talk()
}
