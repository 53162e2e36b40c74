package mls_test

import (
	"bytes"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

const x25519 = suite.X25519AES128SHA256Ed25519

// trio is a group of three.
func trio(t testing.TB, id suite.ID) (alice, bob, carol *party) {
	t.Helper()
	alice, bob, carol = newParty(t, id, "alice"), newParty(t, id, "bob"), newParty(t, id, "carol")
	alice.create()
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage(), carol.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)
	carol.join(r.Welcome)
	return alice, bob, carol
}

func TestReInit(t *testing.T) {
	alice, bob, carol := trio(t, x25519)
	old := alice.group
	r := bob.commit(mls.CommitOptions{ReInit: &message.ReInit{
		GroupID:     []byte("the next group"),
		Version:     message.MLS10,
		CipherSuite: suite.P256AES128SHA256P256,
	}})
	for _, p := range []*party{alice, carol} {
		if ev := p.receive(r.Commit); ev.Update.ReInit == nil {
			t.Fatal("no re_init in the event")
		}
	}
	bob.apply()
	if _, err := alice.group.Send(ctx, nil, mls.SendOptions{}); err == nil {
		t.Fatal("a reinitialized group sends")
	} else {
		wantCode(t, err, mlserr.GroupReadOnly)
	}
	if _, err := alice.group.Commit(ctx, mls.CommitOptions{}); err == nil {
		t.Fatal("a reinitialized group commits")
	} else {
		wantCode(t, err, mlserr.GroupReadOnly)
	}
	alice.reload()

	// New identities, for another cipher suite.
	for _, p := range []*party{alice, bob, carol} {
		id, err := p.client.CreateIdentity(ctx, suite.P256AES128SHA256P256, message.BasicCredential([]byte(p.name)))
		if err != nil {
			t.Fatal(err)
		}
		p.id = id
	}
	// Carol left out: everybody must come along.
	_, _, err := alice.group.ReInit(ctx, [][]byte{bob.keyPackage()}, mls.SuccessorOptions{Identity: alice.id.ID()})
	wantCode(t, err, mlserr.ReInitInvalid)
	g, result, err := alice.group.ReInit(ctx, [][]byte{bob.keyPackage(), carol.keyPackage()}, mls.SuccessorOptions{Identity: alice.id.ID()})
	if err != nil {
		t.Fatal(err)
	}
	alice.group = g
	alice.apply()
	bob.join(result.Welcome)
	carol.join(result.Welcome)
	agree(t, alice, bob, carol)
	talk(t, alice, bob, carol)
	if info := alice.info(); info.Epoch != 1 || string(info.GroupID) != "the next group" {
		t.Fatalf("new group: %+v", info)
	}
	_ = old
}

// TestReInitKeepsID: the new group has the id of the old one and takes its place.
func TestReInitKeepsID(t *testing.T) {
	alice, bob, carol := trio(t, x25519)
	parties := []*party{alice, bob, carol}
	unread := alice.send("not acknowledged yet")
	bob.receive(unread)
	carol.receive(unread)
	r := alice.commit(mls.CommitOptions{ReInit: &message.ReInit{
		GroupID:     alice.group.ID(),
		Version:     message.MLS10,
		CipherSuite: x25519,
	}})

	// A group that is not reinitialized yet gives way to nothing.
	stranger := newParty(t, x25519, "stranger")
	var err error
	if stranger.group, err = stranger.client.CreateGroup(ctx, stranger.id.ID(), mls.GroupOptions{GroupID: alice.group.ID()}); err != nil {
		t.Fatal(err)
	}
	foreign := stranger.commit(mls.CommitOptions{Add: [][]byte{carol.keyPackage()}}).Welcome
	_, err = carol.client.JoinGroup(ctx, foreign, mls.JoinOptions{})
	wantCode(t, err, mlserr.GroupExists)

	bob.receive(r.Commit)
	carol.receive(r.Commit)
	alice.apply()
	before := carol.info()

	// One that is gives way to its successor alone.
	_, err = carol.client.JoinGroup(ctx, foreign, mls.JoinOptions{})
	wantCode(t, err, mlserr.GroupExists)
	_, err = carol.client.CreateGroup(ctx, carol.id.ID(), mls.GroupOptions{GroupID: carol.group.ID()})
	wantCode(t, err, mlserr.GroupExists)
	if info := carol.info(); info.Status != mls.StatusReadOnly || !bytes.Equal(info.EpochAuthenticator, before.EpochAuthenticator) {
		t.Fatalf("the old group is now %+v", info)
	}

	g, result, err := bob.group.ReInit(ctx, [][]byte{alice.keyPackage(), carol.keyPackage()}, mls.SuccessorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bob.group = g
	bob.reload()
	bob.apply()
	alice.join(result.Welcome)
	carol.join(result.Welcome)
	for _, p := range parties {
		p.reload()
	}
	agree(t, alice, bob, carol)
	talk(t, alice, bob, carol)
	if info := carol.info(); info.Epoch != 1 || info.Status != mls.StatusActive {
		t.Fatalf("new group: %+v", info)
	}
	inbox, err := carol.group.Inbox(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(inbox) == 0 || string(inbox[0].Event.Content) != "not acknowledged yet" {
		t.Fatalf("inbox: %v", inbox)
	}
}

// TestPendingRatchetTree: the tree goes to the joiner together with the Welcome.
func TestPendingRatchetTree(t *testing.T) {
	alice, bob := newParty(t, x25519, "alice"), newParty(t, x25519, "bob")
	alice.create()
	_, err := alice.group.PendingRatchetTree(ctx)
	wantCode(t, err, mlserr.NoPendingCommit)
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}, NoRatchetTree: true})
	alice.reload()
	nodes, err := alice.group.PendingRatchetTree(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bob.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
	wantCode(t, err, mlserr.TreeMissing)
	if bob.group, err = bob.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{RatchetTree: nodes}); err != nil {
		t.Fatal(err)
	}
	alice.apply()
	agree(t, alice, bob)
	talk(t, alice, bob)
	if now, err := alice.group.RatchetTree(ctx); err != nil || !bytes.Equal(now, nodes) {
		t.Fatalf("the tree after is another: %v", err)
	}
}

func TestBranch(t *testing.T) {
	alice, bob, carol := trio(t, x25519)
	g, r, err := bob.group.Branch(ctx, [][]byte{carol.keyPackage()}, mls.BranchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bob.group = g
	bob.apply()
	carol.join(r.Welcome)
	agree(t, bob, carol)
	talk(t, bob, carol)

	// A stranger cannot come in by a branch.
	dave := newParty(t, x25519, "dave")
	_, _, err = alice.group.Branch(ctx, [][]byte{dave.keyPackage()}, mls.BranchOptions{})
	wantCode(t, err, mlserr.WelcomeInvalid)
}

func TestExternalProposals(t *testing.T) {
	alice, bob, carol := trio(t, x25519)
	service := newParty(t, x25519, "service")
	senders := message.ExternalSenderList{{SignatureKey: service.id.SignatureKey(), Credential: service.id.Credential()}}
	extensions := message.Extensions{{Type: message.ExtensionExternalSenders, Data: wire.Marshal(senders)}}
	r := alice.commit(mls.CommitOptions{Extensions: &extensions, WithGroupInfo: true})
	bob.receive(r.Commit)
	carol.receive(r.Commit)
	alice.apply()
	agree(t, alice, bob, carol)

	victim := treemath.LeafIndex(2)
	from := mls.ExternalProposer{Index: 0, Identity: service.id.ID()}
	remove, err := service.client.ProposeExternally(ctx, r.GroupInfo, from, mls.ProposeOptions{Remove: &victim})
	if err != nil {
		t.Fatal(err)
	}
	_, err = service.client.ProposeExternally(ctx, r.GroupInfo, mls.ExternalProposer{Index: 1, Identity: service.id.ID()}, mls.ProposeOptions{Remove: &victim})
	wantCode(t, err, mlserr.InvalidSender)
	dave := newParty(t, x25519, "dave")
	kp := dave.keyPackage()
	add, err := dave.client.ProposeToJoin(ctx, r.GroupInfo, kp, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*party{alice, bob, carol} {
		for _, b := range [][]byte{remove, add} {
			if ev := p.receive(b); ev.Type != mls.EventProposal || ev.Sender != nil {
				t.Fatalf("got %+v", ev)
			}
			_, err := p.group.Receive(ctx, b)
			wantCode(t, err, mlserr.AlreadyProcessed)
		}
	}
	r = bob.commit(mls.CommitOptions{})
	alice.receive(r.Commit)
	if ev := carol.receive(r.Commit); ev.Type != mls.EventRemoved {
		t.Fatalf("carol got %+v", ev)
	}
	bob.apply()
	info, err := dave.client.InspectWelcome(ctx, r.Welcome)
	if err != nil {
		t.Fatal(err)
	}
	if info.MemberCount != 3 || string(info.Signer.Credential.Identity) != "bob" || string(info.GroupID) != string(bob.group.ID()) {
		t.Fatalf("welcome says %+v", info)
	}
	dave.join(r.Welcome)
	agree(t, alice, bob, dave)
	talk(t, alice, bob, dave)
}

func TestDropProposal(t *testing.T) {
	alice, bob, carol := trio(t, x25519)
	p, err := bob.group.Propose(ctx, mls.ProposeOptions{Update: true})
	if err != nil {
		t.Fatal(err)
	}
	alice.receive(p.Message)
	carol.receive(p.Message)
	if err := alice.group.DropProposal(ctx, p.Reference); err != nil {
		t.Fatal(err)
	}
	wantCode(t, alice.group.DropProposal(ctx, p.Reference), mlserr.ProposalUnknown)
	r := carol.commit(mls.CommitOptions{})
	alice.reload()
	alice.send("is held up by nothing")
	alice.receive(r.Commit)
	bob.receive(r.Commit)
	carol.apply()
	agree(t, alice, bob, carol)
	talk(t, alice, bob, carol)
}

// An identity gets another credential for its key: a key package and a commit
// show it, and the key is still there after a restart.
func TestRenewIdentity(t *testing.T) {
	alice, bob, carol := trio(t, x25519)
	renewed, err := bob.client.RenewIdentity(ctx, bob.id.ID(), message.BasicCredential([]byte("bob+2")))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(renewed.SignatureKey(), bob.id.SignatureKey()) || bytes.Equal(renewed.ID(), bob.id.ID()) {
		t.Fatal("want another identity of the same key")
	}
	_, err = bob.client.RenewIdentity(ctx, []byte("nobody"), message.BasicCredential(nil))
	wantCode(t, err, mlserr.IdentityNotFound)
	_, err = bob.client.RenewIdentity(ctx, bob.id.ID(), message.Credential{Type: message.CredentialX509, Certificates: [][]byte{{1, 2, 3}}})
	wantCode(t, err, mlserr.CredentialRejected)

	bob.reload()
	if list := must(bob.client.Identities(ctx)); len(list) != 2 {
		t.Fatalf("%d identities, want 2", len(list))
	}
	r := bob.commit(mls.CommitOptions{Identity: renewed.ID()})
	alice.receive(r.Commit)
	carol.receive(r.Commit)
	bob.apply()
	agree(t, alice, bob, carol)
	members := must(alice.group.Members(ctx))
	if name := string(members[1].Credential.Identity); name != "bob+2" {
		t.Fatalf("the member is %q, want bob+2", name)
	}
	bob.name = "bob+2"
	talk(t, alice, bob, carol)
}
