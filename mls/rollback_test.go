package mls_test

import (
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// restored opens the party's store as it was when before was copied.
func (p *party) restored(before *mls.MemoryStore) *party {
	p.t.Helper()
	q := &party{t: p.t, name: p.name, store: before.Clone(), id: p.id}
	q.client = openWith(p.t, q.store, nil)
	q.group = must(q.client.Group(ctx, p.group.ID()))
	return q
}

// TestRolledBack: a message of the own leaf that this client has not sent shows
// that its state was restored from a backup (S12). From then on it sends nothing
// under the keys of before, until a commit of its own with a path.
func TestRolledBack(t *testing.T) {
	for what, former := range map[string]func(alice *party) []byte{
		"application": func(alice *party) []byte { return alice.send("from a former life") },
		"proposal": func(alice *party) []byte {
			return must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true})).Message
		},
		"public proposal": func(alice *party) []byte {
			return must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true, PublicMessage: true})).Message
		},
		"commit":        func(alice *party) []byte { return alice.commit(mls.CommitOptions{}).Commit },
		"public commit": func(alice *party) []byte { return alice.commit(mls.CommitOptions{PublicMessage: true}).Commit },
	} {
		t.Run(what, func(t *testing.T) {
			all := crew(t, x25519, "alice", "bob")
			bob := all[1]
			talk(t, all...)
			alice := all[0].restored(all[0].store)
			lost := former(all[0])
			_, err := alice.group.Receive(ctx, lost)
			wantCode(t, err, mlserr.RolledBack)
			for range 2 {
				if !alice.info().RolledBack {
					t.Fatal("Info says nothing")
				}
				_, err = alice.group.Send(ctx, []byte("x"), mls.SendOptions{})
				wantCode(t, err, mlserr.RolledBack)
				_, err = alice.group.Propose(ctx, mls.ProposeOptions{Update: true})
				wantCode(t, err, mlserr.RolledBack)
				alice.reload() // it is stored
			}
			alice.checkStored()

			// What others send is received, and their commits do not heal it.
			alice.receive(bob.send("hello"))
			r := bob.commit(mls.CommitOptions{})
			bob.apply()
			alice.receive(r.Commit)
			if !alice.info().RolledBack {
				t.Fatal("a commit of another heals it")
			}
			// Nor does one of its own without a path.
			kp := newParty(t, x25519, "carol").keyPackage()
			r = alice.commit(mls.CommitOptions{Add: [][]byte{kp}, NoPath: true})
			bob.receive(r.Commit)
			alice.apply()
			_, err = alice.group.Send(ctx, []byte("x"), mls.SendOptions{})
			wantCode(t, err, mlserr.RolledBack)
			// One with a path does.
			r = alice.commit(mls.CommitOptions{})
			bob.receive(r.Commit)
			alice.apply()
			if alice.info().RolledBack {
				t.Fatal("a commit with a path does not heal it")
			}
			bob.receive(alice.send("healed"))
			alice.checkStored()
		})
	}
}

// TestRolledBackOnce: the message that showed it is not lost: received again it
// is what it is. Late messages of before the healing show nothing any more.
func TestRolledBackOnce(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	bob := all[1]
	alice := all[0].restored(all[0].store)
	first, second, third := all[0].send("first"), all[0].send("second"), all[0].send("third")
	r := bob.commit(mls.CommitOptions{})
	bob.apply()
	alice.receive(r.Commit)
	// Out of an epoch that is past by now.
	_, err := alice.group.Receive(ctx, first)
	wantCode(t, err, mlserr.RolledBack)
	if ev := alice.receive(first); string(ev.Content) != "first" || !ev.Sender.Own {
		t.Fatalf("%+v", ev)
	}
	if ev := alice.receive(second); string(ev.Content) != "second" {
		t.Fatalf("%+v", ev)
	}
	bob.receive(alice.commit(mls.CommitOptions{}).Commit)
	alice.apply()
	if ev := alice.receive(third); string(ev.Content) != "third" || alice.info().RolledBack {
		t.Fatalf("a late message of before the healing: %+v", ev)
	}
	bob.receive(alice.send("still healed"))
}

// TestRolledBackJump: the commit that heals is under a generation that the
// former life has not used.
func TestRolledBackJump(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	bob := all[1]
	alice := all[0].restored(all[0].store)
	for range 5 { // each takes a generation of the handshake ratchet
		bob.receive(must(all[0].group.Propose(ctx, mls.ProposeOptions{Update: true})).Message)
	}
	_, err := alice.group.Receive(ctx, all[0].commit(mls.CommitOptions{}).Commit)
	wantCode(t, err, mlserr.RolledBack)
	// Were its generation used before, bob would take it for a duplicate.
	if ev := bob.receive(alice.commit(mls.CommitOptions{}).Commit); ev.Type != mls.EventGroupUpdate {
		t.Fatalf("%+v", ev)
	}
	alice.apply()
	agree(t, alice, bob)
}

// TestRolledBackResync: a client that has lost the epoch that its former life
// began comes back by an external commit, and may send.
func TestRolledBackResync(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	bob := all[1]
	alice := all[0].restored(all[0].store)
	r := all[0].commit(mls.CommitOptions{})
	bob.receive(r.Commit)
	_, err := alice.group.Receive(ctx, r.Commit)
	wantCode(t, err, mlserr.RolledBack)
	alice.joinExternal(must(bob.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{Resync: true}, bob)
	_, err = alice.group.Send(ctx, []byte("x"), mls.SendOptions{})
	wantCode(t, err, mlserr.RolledBack)
	alice.apply()
	bob.receive(alice.send("back"))
}

// TestNotRolledBack: what this client has sent, cleared or proposed itself shows
// nothing, also when the log of what was sent has forgotten it.
func TestNotRolledBack(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	public := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true, PublicMessage: true}))
	private := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true}))
	for _, p := range []*mls.ProposalResult{public, private} {
		if err := alice.group.DropProposal(ctx, p.Reference); err != nil {
			t.Fatal(err)
		}
	}
	sent := alice.send("sent")
	var cleared [][]byte
	for i := range 70 {
		cleared = append(cleared, alice.commit(mls.CommitOptions{PublicMessage: i%2 == 0}).Commit)
		if err := alice.group.ClearPendingCommit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	alice.group.ForgetSent()
	for _, b := range [][]byte{public.Message, private.Message, sent} {
		_, err := alice.group.Receive(ctx, b)
		wantCode(t, err, mlserr.AlreadyProcessed)
	}
	for _, b := range cleared {
		_, err := alice.group.Receive(ctx, b)
		wantCode(t, err, mlserr.OwnMessageUnknown)
	}
	alice.send("goes on")
}
