package mls_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// TestJoinByWelcome: with the tree inside and apart, with and without a path,
// many at once, with PSKs.
func TestJoinByWelcome(t *testing.T) {
	testSuites(t, func(t *testing.T, id suite.ID) {
		for i, opts := range []mls.CommitOptions{
			{}, {NoPath: true}, {NoRatchetTree: true}, {NoPath: true, NoRatchetTree: true},
			{PSKs: []message.PreSharedKeyID{{Type: message.PSKExternal, ID: []byte("psk")}}},
			{PublicMessage: true, WithGroupInfo: true},
		} {
			if id != x25519 && i%2 == 1 {
				continue
			}
			all := crew(t, id, "alice", "bob", "carol")
			var joiners []*party
			for _, name := range []string{"x", "y", "z"} {
				p := newPartyWith(t, id, name, nil)
				if err := p.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
					t.Fatal(err)
				}
				joiners = append(joiners, p)
				opts.Add = append(opts.Add, p.keyPackage())
			}
			r := all[1].commit(opts)
			// A Welcome goes out when the commit was accepted, but it does not hurt earlier.
			spread(all[1], r, all)
			if opts.WithGroupInfo != (r.GroupInfo != nil) {
				t.Fatal("group info")
			}
			nodes := must(all[0].group.RatchetTree(ctx))
			for _, p := range joiners {
				if opts.NoRatchetTree {
					check := p.unchanged()
					_, err := p.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
					wantCode(t, err, mlserr.TreeMissing)
					other := crew(t, id, "a", "b")
					_, err = p.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{RatchetTree: must(other[0].group.RatchetTree(ctx))})
					wantCode(t, err, mlserr.TreeHashMismatch)
					_, err = p.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{RatchetTree: nodes[:len(nodes)-1]})
					wantCode(t, err, mlserr.Malformed)
					check(t, "tree missing")
				}
				p.group = must(p.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{RatchetTree: nodes}))
				p.checkStored()
			}
			all = append(all, joiners...)
			agree(t, all...)
			talk(t, all...)
			for _, p := range all {
				spread(p, p.commit(mls.CommitOptions{}), all)
			}
			agree(t, all...)
		}
	})
}

// TestGroupExists: a Welcome into a group that is held changes nothing (W5,
// S11), and the key package is not spent.
func TestGroupExists(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	// Another group with the same id, made by mallory.
	mallory := newPartyWith(t, x25519, "mallory", nil)
	mallory.group = must(mallory.client.CreateGroup(ctx, mallory.id.ID(), mls.GroupOptions{GroupID: alice.group.ID()}))
	r := mallory.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	mallory.apply()
	check := bob.unchanged()
	_, err := bob.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
	wantCode(t, err, mlserr.GroupExists)
	_, _, err = bob.client.JoinExternal(ctx, bob.id.ID(), must(mallory.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{})
	if code := mlserr.CodeOf(err); code != mlserr.GroupExists && code != mlserr.SignatureKeyNotUnique {
		t.Fatal(err)
	}
	_, err = bob.client.CreateGroup(ctx, bob.id.ID(), mls.GroupOptions{GroupID: alice.group.ID()})
	wantCode(t, err, mlserr.GroupExists)
	check(t, "another group with the id")
	talk(t, alice, bob)
	// After bob has left the one, he may join the other, and keeps his inbox.
	inbox := len(must(bob.group.Inbox(ctx)))
	if inbox == 0 {
		t.Fatal("no inbox to keep")
	}
	spread := alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}})
	bob.receive(spread.Commit)
	bob.join(r.Welcome)
	agree(t, mallory, bob)
	if n := len(must(bob.group.Inbox(ctx))); n != inbox {
		t.Fatalf("inbox of %d, was %d", n, inbox)
	}
	bob.checkStored()
	bob.reloadWith(nil)
	talk(t, mallory, bob)
}

// TestKeyPackages: one use, but for a last resort; a removed one is refused.
func TestKeyPackages(t *testing.T) {
	alice, bob := newPartyWith(t, x25519, "alice", nil), newPartyWith(t, x25519, "bob", nil)
	once := bob.keyPackage()
	last := must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LastResort: true}))[0]
	if n := must(bob.client.KeyPackageCount(ctx, bob.id.ID())); n != 2 {
		t.Fatalf("%d key packages", n)
	}
	welcome := func(kp []byte) []byte {
		alice.create()
		r := alice.commit(mls.CommitOptions{Add: [][]byte{kp}})
		alice.apply()
		return r.Welcome
	}
	first, second := welcome(once), welcome(once)
	bob.join(first)
	_, err := bob.client.JoinGroup(ctx, second, mls.JoinOptions{})
	wantCode(t, err, mlserr.NoMatchingKeyPackage)
	third, fourth := welcome(last), welcome(last)
	bob.join(third)
	bob.reloadWith(nil)
	bob.join(fourth)
	agree(t, alice, bob)
	talk(t, alice, bob)
	if n := must(bob.client.KeyPackageCount(ctx, bob.id.ID())); n != 1 {
		t.Fatalf("%d key packages left", n)
	}
	for _, n := range []int{0, -1, 1001} {
		_, err := bob.client.CreateKeyPackages(ctx, bob.id.ID(), n, mls.KeyPackageOptions{})
		wantCode(t, err, mlserr.InvalidArgument)
	}
}

// joinExternal joins and has the others receive; the joiner applies.
func (p *party) joinExternal(info []byte, opts mls.ExternalOptions, others ...*party) *mls.CommitResult {
	p.t.Helper()
	g, r, err := p.client.JoinExternal(ctx, p.id.ID(), info, opts)
	if err != nil {
		p.t.Fatalf("%s joins: %v", p.name, err)
	}
	p.group = g
	for _, q := range others {
		ev := q.receive(r.Commit)
		if ev.Type != mls.EventGroupUpdate || !ev.Update.External || len(ev.Update.Added) != 1 || string(ev.Update.Added[0].Credential.Identity) != p.name {
			p.t.Fatalf("%s: %+v", q.name, ev)
		}
	}
	return r
}

// TestJoinExternal: a newcomer, with the tree inside and apart, applied by hand
// or when the commit comes back, also after a reload.
func TestJoinExternal(t *testing.T) {
	testSuites(t, func(t *testing.T, id suite.ID) {
		all := crew(t, id, "alice", "bob", "carol")
		for i, name := range []string{"u", "v", "w", "x"} {
			p := newPartyWith(t, id, name, nil)
			if err := p.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
				t.Fatal(err)
			}
			opts := mls.ExternalOptions{AuthenticatedData: []byte("hello")}
			info := must(all[i].group.GroupInfo(ctx, mls.GroupInfoOptions{NoRatchetTree: i == 1}))
			if i == 1 {
				_, _, err := p.client.JoinExternal(ctx, p.id.ID(), info, opts)
				wantCode(t, err, mlserr.TreeMissing)
				opts.RatchetTree = must(all[0].group.RatchetTree(ctx))
			}
			if i == 2 {
				opts.PSKs = []message.PreSharedKeyID{{Type: message.PSKExternal, ID: []byte("psk")}}
			}
			r := p.joinExternal(info, opts, all...)
			if s := p.info().Status; s != mls.StatusJoining {
				t.Fatalf("%s", s)
			}
			_, err := p.group.Send(ctx, nil, mls.SendOptions{})
			wantCode(t, err, mlserr.NotMember)
			p.reloadWith(nil)
			if again := must(p.group.PendingCommit(ctx)); !bytes.Equal(again.Commit, r.Commit) {
				t.Fatal("the pending commit is another after a reload")
			}
			if i%2 == 0 {
				p.apply()
			} else if ev := p.receive(r.Commit); ev.Type != mls.EventGroupUpdate || !ev.Update.Own || !ev.Update.External {
				t.Fatalf("%+v", ev)
			}
			p.checkStored()
			all = append(all, p)
			agree(t, all...)
			talk(t, all...)
		}
		for _, p := range all {
			spread(p, p.commit(mls.CommitOptions{}), all)
		}
		agree(t, all...)
	})
}

// TestExternalJoinLoses: a joiner whose commit was not accepted tries again.
func TestExternalJoinLoses(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	zoe := newPartyWith(t, x25519, "zoe", nil)
	zoe.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{})
	winner := alice.commit(mls.CommitOptions{})
	spread(alice, winner, all)
	_, err := zoe.group.Receive(ctx, winner.Commit)
	wantCode(t, err, mlserr.EpochBehind)
	// Either over the one that waits, or after it was cleared.
	zoe.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{})
	if err := zoe.group.ClearPendingCommit(ctx); err != nil {
		t.Fatal(err)
	}
	if groups := must(zoe.client.Groups(ctx)); len(groups) != 0 {
		t.Fatal("a group that was never joined is held")
	}
	_, err = zoe.client.Group(ctx, alice.group.ID())
	wantCode(t, err, mlserr.GroupNotFound)
	zoe.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{}, all...)
	zoe.apply()
	agree(t, alice, all[1], zoe)
	zoe.checkStored()
}

// TestResync: a member comes back by an external commit that removes its former
// leaf: from its state, without it, and from another device; with an inbox and
// with proposals and a commit pending.
func TestResync(t *testing.T) {
	testSuites(t, func(t *testing.T, id suite.ID) {
		all := crew(t, id, "alice", "bob", "carol", "dave")
		alice, bob, carol, dave := all[0], all[1], all[2], all[3]
		info := func() []byte { return must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})) }

		// While the group is held and a commit of one's own is pending.
		talk(t, all...)
		bob.propose(mls.ProposeOptions{Update: true}, all)
		bob.commit(mls.CommitOptions{})
		_, _, err := bob.client.JoinExternal(ctx, bob.id.ID(), info(), mls.ExternalOptions{})
		wantCode(t, err, mlserr.SignatureKeyNotUnique)
		inbox := len(must(bob.group.Inbox(ctx)))
		bob.joinExternal(info(), mls.ExternalOptions{Resync: true}, alice, carol, dave)
		bob.reloadWith(nil)
		if s := bob.info().Status; s != mls.StatusActive {
			t.Fatal(s)
		}
		bob.apply()
		bob.checkStored()
		agree(t, all...)
		bob.reloadWith(nil)
		talk(t, all...)
		if n := len(must(bob.group.Inbox(ctx))); n != inbox+3 {
			t.Fatalf("inbox of %d, was %d", n, inbox)
		}

		// Without any state, by the same identity.
		fresh := &party{t: t, name: "carol", store: mls.NewMemoryStore()}
		fresh.client = openWith(t, fresh.store, nil)
		fresh.id, err = fresh.client.CreateIdentity(ctx, id, message.BasicCredential([]byte("carol")))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = bob.client.JoinExternal(ctx, must(bob.client.CreateIdentity(ctx, id, message.BasicCredential([]byte("nobody")))).ID(), info(), mls.ExternalOptions{Resync: true})
		wantCode(t, err, mlserr.InvalidArgument)
		g, r, err := fresh.client.JoinExternal(ctx, fresh.id.ID(), info(), mls.ExternalOptions{Resync: true})
		if err != nil {
			t.Fatal(err)
		}
		fresh.group = g
		// The other device of carol learns that it was replaced (C13).
		ev := carol.receive(r.Commit)
		if ev.Type != mls.EventRemoved || !ev.Update.External {
			t.Fatalf("%+v", ev)
		}
		carol.checkStored()
		for _, p := range []*party{alice, bob, dave} {
			ev := p.receive(r.Commit)
			if ev.Type != mls.EventGroupUpdate || len(ev.Update.Removed) != 1 || ev.Update.Removed[0].Leaf != 2 {
				t.Fatalf("%+v", ev)
			}
		}
		fresh.apply()
		all = []*party{alice, bob, fresh, dave}
		agree(t, all...)
		talk(t, all...)
		if n := alice.info().MemberCount; n != 4 {
			t.Fatalf("%d members (S7)", n)
		}
		for _, p := range all {
			spread(p, p.commit(mls.CommitOptions{}), all)
		}
		agree(t, all...)
	})
}

// TestResyncFromFork: a client whose state has gone ahead on a branch that the
// others do not know comes back into an epoch number that it has had already.
func TestResyncFromFork(t *testing.T) {
	for ahead := range 4 {
		all := crew(t, x25519, "alice", "bob", "carol")
		alice, bob, carol := all[0], all[1], all[2]
		for range ahead {
			// Bob believes that his commits were accepted.
			bob.commit(mls.CommitOptions{})
			bob.apply()
			bob.send("into the void")
		}
		bob.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{Resync: true}, alice, carol)
		secrets := bob.group.LiveSecrets()
		bob.apply()
		bob.checkStored()
		bob.reloadWith(nil)
		agree(t, all...)
		talk(t, all...)
		bob.checkStored()
		bob.gone(t, secrets, func(s mls.Secret) bool { return !bytes.HasPrefix([]byte(s.Name), []byte("pending: ")) })
	}
}

// TestResyncIntoAnotherSuite: a GroupInfo with the id of a group that is held,
// but of another cipher suite, is not of this group.
func TestResyncIntoAnotherSuite(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	bob := all[1]
	other := newPartyWith(t, suite.P256AES128SHA256P256, "bob", nil)
	other.group = must(other.client.CreateGroup(ctx, other.id.ID(), mls.GroupOptions{GroupID: bob.group.ID()}))
	id := must(bob.client.CreateIdentity(ctx, suite.P256AES128SHA256P256, message.BasicCredential([]byte("bob"))))
	check := bob.unchanged()
	_, _, err := bob.client.JoinExternal(ctx, id.ID(), must(other.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{Resync: true})
	wantCode(t, err, mlserr.GroupExists)
	check(t, "another suite")
	bob.reloadWith(nil)
	talk(t, all...)
}

// refusingLater is an Authenticator that begins to refuse.
type refusingLater struct {
	policy
	refuse bool
	places []mls.Place
}

func (r *refusingLater) Authenticate(ctx context.Context, claims []mls.Claim) error {
	for _, c := range claims {
		r.places = append(r.places, c.Place)
	}
	if r.refuse {
		return errors.New("no")
	}
	return r.policy.Authenticate(ctx, claims)
}

// TestAuthenticatorIsAsked: wherever a leaf comes from, the Authenticator sees
// it, and can refuse (L1, S9).
func TestAuthenticatorIsAsked(t *testing.T) {
	sc := newScene(t, x25519)
	f := sc.forger
	zoe := newStranger(sc.suite, "zoe")
	auth := new(refusingLater)
	alice := sc.alice.twin()
	alice.reloadWith(func(c *mls.Config) { c.Authenticator = auth })
	init := value(message.Proposal{Type: message.ProposalExternalInit})
	add := zoe.add(nil, nil)
	updateMessage, _ := f.frame(forgedContent{proposal: sc.update(t, nil)})
	addMessage, _ := f.frame(forgedContent{proposal: &add})
	senders := message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{externalSenders(zoe.key.Public(), "x")}}
	for place, b := range map[mls.Place][]byte{
		mls.PlaceCommit:         f.build(forgedCommit{}).message,
		mls.PlaceKeyPackage:     f.build(forgedCommit{noPath: true, proposals: value(add)}).message,
		mls.PlaceExternal:       f.build(forgedCommit{external: &joiner{key: zoe.key, leaf: zoe.leaf(nil)}, proposals: init}).message,
		mls.PlaceUpdate:         updateMessage,
		mls.PlaceExternalSender: f.build(forgedCommit{proposals: value(senders)}).message,
		"key_package proposal":  addMessage,
	} {
		auth.refuse, auth.places = true, nil
		alice.refuses(t, string(place), b, mlserr.CredentialRejected)
		if want := mls.Place(bytes.TrimSuffix([]byte(place), []byte(" proposal"))); !contains(auth.places, want) {
			t.Errorf("%s: asked about %v", place, auth.places)
		}
		auth.refuse = false
		twin := alice.twin()
		if _, err := twin.group.Receive(ctx, b); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
	// Every leaf of a tree that is joined, too.
	joiner := newPartyWith(t, x25519, "yan", func(c *mls.Config) { c.Authenticator = auth })
	r := sc.bob.commit(mls.CommitOptions{Add: [][]byte{joiner.keyPackage()}, WithGroupInfo: true})
	auth.refuse, auth.places = true, nil
	_, err := joiner.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
	wantCode(t, err, mlserr.CredentialRejected)
	if n := len(auth.places); n != 8 { // 7 members and the external sender
		t.Errorf("asked about %v", auth.places)
	}
	_, _, err = joiner.client.JoinExternal(ctx, joiner.id.ID(), r.GroupInfo, mls.ExternalOptions{})
	wantCode(t, err, mlserr.CredentialRejected)
}
