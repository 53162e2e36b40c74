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

// TestRuleReadOnly: in a group that a ReInit was committed in, nothing is
// changed any more, whoever tries (C12).
func TestRuleReadOnly(t *testing.T) {
	sc := newScene(t, x25519)
	spread(sc.bob, sc.bob.commit(mls.CommitOptions{ReInit: &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: x25519}}), sc.all())
	if s := sc.alice.info().Status; s != mls.StatusReadOnly {
		t.Fatal(s)
	}
	f := newForger(t, sc.mallory)
	zoe := newStranger(sc.suite, "zoe")
	remove := &message.Proposal{Type: message.ProposalRemove, Remove: leafDave}
	private, _ := f.frame(forgedContent{proposal: remove})
	public, _ := f.frame(forgedContent{proposal: remove, public: true})
	newMember, _ := f.frame(forgedContent{proposal: ptr(zoe.add(nil, nil)), sender: &message.Sender{Type: message.SenderNewMemberProposal}, signer: zoe.key})
	sc.alice.refusesBy(t, []ruleRow{
		{"commit", "C12", f.build(forgedCommit{}).message, mlserr.GroupReadOnly},
		{"commit, public", "C12", f.build(forgedCommit{public: true}).message, mlserr.GroupReadOnly},
		{"proposal", "C12", private, mlserr.GroupReadOnly},
		{"proposal, public", "C12", public, mlserr.GroupReadOnly},
		{"proposal of a new member", "C12", newMember, mlserr.GroupReadOnly},
		{"external commit", "C12", f.build(forgedCommit{external: &joiner{key: zoe.key, leaf: zoe.leaf(nil)},
			proposals: value(message.Proposal{Type: message.ProposalExternalInit})}).message, mlserr.GroupReadOnly},
	})
}

// TestRuleOwnCommit: a commit by this member that this client has cleared is not
// processed (C15): its secrets are gone. One that this client has not made at all
// shows first of all that its state was restored (S12).
func TestRuleOwnCommit(t *testing.T) {
	sc := newScene(t, x25519)
	twin := sc.alice.twin()
	make := func(p *party, public bool) []byte {
		b := p.commit(mls.CommitOptions{PublicMessage: public}).Commit
		if err := p.group.ClearPendingCommit(ctx); err != nil {
			t.Fatal(err)
		}
		return b
	}
	sc.alice.refusesBy(t, []ruleRow{
		{"private", "C15", make(sc.alice, false), mlserr.OwnMessageUnknown},
		{"public", "C15", make(sc.alice, true), mlserr.OwnMessageUnknown},
	})
	private, public := make(twin, false), twin.commit(mls.CommitOptions{PublicMessage: true}).Commit
	_, err := sc.alice.group.Receive(ctx, public)
	wantCode(t, err, mlserr.RolledBack)
	sc.alice.refuses(t, "public, of a twin", public, mlserr.OwnMessageUnknown)
	if ev := sc.bob.twin().receive(private); ev.Type != mls.EventGroupUpdate {
		t.Fatalf("%+v", ev)
	}
	sc.bob.receive(public)
	twin.apply()
	agree(t, twin, sc.bob)
}

// TestRuleCommitIsStaged: a commit that is created changes nothing of the epoch
// (C16): not its context, tree or secrets; the group goes on in it until the
// commit is applied, and as if nothing had been when it is cleared.
func TestRuleCommitIsStaged(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	zoe := newPartyWith(t, x25519, "zoe", nil)
	epoch := func() string {
		in := newForger(t, alice).in
		s := in.Secrets
		var w wire.Writer
		in.Context.Marshal(&w)
		in.Tree.Export().Marshal(&w)
		for _, b := range [][]byte{in.Interim, in.ConfirmationTag, in.Tree.Hash(), s.SenderDataSecret, s.ExporterSecret, s.ExternalSecret,
			s.ConfirmationKey, s.MembershipKey, s.ResumptionPSK, s.EpochAuthenticator, s.InitSecret} {
			w.Opaque(b)
		}
		in.Ratchets.Records(func(name string, record []byte) { w.Opaque([]byte(name)); w.Opaque(record) })
		return string(w.Bytes())
	}
	before := epoch()
	external := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	r := alice.commit(mls.CommitOptions{Add: [][]byte{zoe.keyPackage()}, Remove: []treemath.LeafIndex{1}, PSKs: []message.PreSharedKeyID{external},
		Extensions: new(message.Extensions), PublicMessage: true})
	if r.Welcome == nil || epoch() != before {
		t.Fatal("the epoch has changed")
	}
	alice.reloadWith(nil)
	if epoch() != before {
		t.Fatal("the epoch has changed in the store")
	}
	if n := len(must(alice.group.Members(ctx))); n != 3 {
		t.Fatalf("%d members", n)
	}
	if err := alice.group.ClearPendingCommit(ctx); err != nil {
		t.Fatal(err)
	}
	if epoch() != before {
		t.Fatal("the epoch has changed by clearing")
	}
	talk(t, all...)
	spread(bob, bob.commit(mls.CommitOptions{}), all)
	alice.commit(mls.CommitOptions{})
	talk(t, all...)
	alice.apply()
	if carol.info().Epoch+1 != alice.info().Epoch {
		t.Fatal("applied to another epoch")
	}
}

// TestRuleResyncEverywhere: a client without state comes back to each place of
// the tree, the last of a half included. Its former leaf is gone for all (S7), who
// is there learns it, and the joiner is at the leftmost leaf that is blank by then (E7).
func TestRuleResyncEverywhere(t *testing.T) {
	people := []string{"alice", "bob", "carol", "dave", "erin"}
	all := crew(t, x25519, people...)
	for i, name := range people {
		helper := all[(i+1)%len(all)]
		old := all[i]
		formerKey := old.id.SignatureKey()
		fresh := newPartyWith(t, x25519, name, nil)
		g, r, err := fresh.client.JoinExternal(ctx, fresh.id.ID(), must(helper.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{Resync: true})
		if err != nil {
			t.Fatal(err)
		}
		fresh.group = g
		fresh.apply()
		for k, p := range all {
			ev := p.receive(r.Commit)
			if k == i {
				if ev.Type != mls.EventRemoved || p.info().Status != mls.StatusRemoved {
					t.Fatalf("leaf %d: it got %+v and is %s", i, ev, p.info().Status)
				}
				continue
			}
			if ev.Type != mls.EventGroupUpdate || len(ev.Update.Removed) != 1 || int(ev.Update.Removed[0].Leaf) != i || len(ev.Update.Added) != 1 || int(ev.Update.Added[0].Leaf) != i {
				t.Fatalf("leaf %d: %s got %+v", i, p.name, ev.Update)
			}
		}
		all[i] = fresh
		agree(t, all...)
		for _, p := range all {
			found := 0
			members := must(p.group.Members(ctx))
			for _, m := range members {
				if bytes.Equal(m.SignatureKey, formerKey) {
					t.Fatalf("leaf %d: still there for %s", i, p.name)
				}
				if string(m.Credential.Identity) == name {
					found++
				}
			}
			if found != 1 || len(members) != len(people) {
				t.Fatalf("leaf %d: %s is there %d times among %d for %s", i, name, found, len(members), p.name)
			}
			p.checkStored()
		}
		_, err = old.group.Receive(ctx, helper.send("without the old one"))
		wantCode(t, err, mlserr.NotMember)
		for _, p := range all {
			spread(p, p.commit(mls.CommitOptions{}), all)
		}
		agree(t, all...)
	}
}

// TestRuleLateInTheOpen: application data of a past epoch is in a PrivateMessage,
// or refused (F4).
func TestRuleLateInTheOpen(t *testing.T) {
	sc := newScene(t, x25519)
	public, _ := sc.forger.frame(forgedContent{public: true, application: []byte("late")})
	private, _ := sc.forger.frame(forgedContent{application: []byte("late")})
	spread(sc.bob, sc.bob.commit(mls.CommitOptions{}), sc.all())
	sc.alice.refusesBy(t, []ruleRow{{"public", "F4", public, mlserr.WrongWireFormat}})
	if ev := sc.alice.receive(private); string(ev.Content) != "late" {
		t.Fatalf("%+v", ev)
	}
}

// TestRuleEpochIsAHint: anyone can write any epoch into a message. The error says
// so by its class, nothing changes, however many there are, and the group goes on (S21).
func TestRuleEpochIsAHint(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	now := alice.info().Epoch
	check := alice.unchanged()
	for _, epoch := range []uint64{0, 1, now - 1, now + 1, now + 2, 1 << 32, 1 << 63, 1<<64 - 1} {
		for contentType := message.ContentTypeApplication; contentType <= message.ContentTypeCommit; contentType++ {
			if contentType == message.ContentTypeApplication && epoch < now && epoch+5 >= now {
				continue // of an epoch that is retained: it does not open
			}
			b := wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatPrivateMessage, Private: &message.PrivateMessage{
				GroupID: alice.group.ID(), Epoch: epoch, ContentType: contentType,
				EncryptedSenderData: suite.Random(28), Ciphertext: suite.Random(100),
			}})
			want := mlserr.EpochBehind
			if epoch > now {
				want = mlserr.EpochAhead
			}
			for range 3 {
				_, err := alice.group.Receive(ctx, b)
				names(t, "a stranger's", err, want, "F2")
				if class := mlserr.CodeOf(err).Info().Class; class != mlserr.ClassEpoch {
					t.Fatalf("epoch %d: of the class %v", epoch, class)
				}
			}
		}
	}
	check(t, "epochs that nobody has authenticated")
	talk(t, alice, bob)
	spread(bob, bob.commit(mls.CommitOptions{}), all)
	agree(t, all...)
}
