package mls_test

import (
	"context"
	"slices"
	"testing"

	"webmls/mls"
)

// noting is a store that notes of each batch whether it is relaxed.
type noting struct {
	*mls.MemoryStore
	relaxed []bool
}

func (s *noting) Commit(ctx context.Context, b mls.Batch) error {
	s.relaxed = append(s.relaxed, b.Relaxed)
	return s.MemoryStore.Commit(ctx, b)
}

// TestRelaxed: a batch may be lost with the power of the machine when nothing has
// left the client that rests on it, and no other.
func TestRelaxed(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob := all[0], all[1]
	store := &noting{MemoryStore: bob.store}
	bob.client.Close()
	bob.client = openWith(t, store, nil)
	bob.group = must(bob.client.Group(ctx, alice.group.ID()))
	check := func(what string, want bool, f func()) {
		t.Helper()
		store.relaxed = nil
		f()
		if len(store.relaxed) == 0 || slices.Contains(store.relaxed, !want) {
			t.Errorf("%s: relaxed %v, want %v", what, store.relaxed, want)
		}
	}
	var own *mls.CommitResult
	sent := alice.send("x")
	late := must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))
	proposal := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true}))
	check("receive", true, func() { bob.receive(sent) })
	check("receiveAll", true, func() { must(bob.group.ReceiveAll(ctx, late)) })
	check("acknowledge", true, func() {
		entries := must(bob.group.Inbox(ctx))
		if err := bob.group.Acknowledge(ctx, entries[0].ID); err != nil {
			t.Fatal(err)
		}
	})
	check("send", false, func() { bob.send("y") })
	check("proposal by another", true, func() { bob.receive(proposal.Message) })
	check("propose", false, func() { must(bob.group.Propose(ctx, mls.ProposeOptions{Update: true})) })
	check("commit", false, func() { own = bob.commit(mls.CommitOptions{IgnoreProposals: true}) })
	check("clear", false, func() {
		if err := bob.group.ClearPendingCommit(ctx); err != nil {
			t.Fatal(err)
		}
	})
	other := alice.commit(mls.CommitOptions{})
	check("commit by another", true, func() { bob.receive(other.Commit) })
	alice.apply()
	check("commit", false, func() { own = bob.commit(mls.CommitOptions{}) })
	check("apply", true, func() { bob.apply() })
	alice.receive(own.Commit)
	check("key package", false, func() { bob.keyPackage() })
	check("delete", false, func() {
		if err := bob.client.DeleteGroup(ctx, bob.group.ID()); err != nil {
			t.Fatal(err)
		}
	})

	// What shows that the state is of a backup must be known from then on.
	old := all[2].restored(all[2].store)
	lost := all[2].send("from a former life")
	before := &noting{MemoryStore: old.store}
	old.client.Close()
	old.client = openWith(t, before, nil)
	old.group = must(old.client.Group(ctx, alice.group.ID()))
	if _, err := old.group.Receive(ctx, lost); err == nil || slices.Contains(before.relaxed, true) || len(before.relaxed) != 1 {
		t.Errorf("%v, relaxed %v", err, before.relaxed)
	}
}
