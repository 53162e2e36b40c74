package mls_test

import (
	"bytes"
	"strings"
	"testing"

	"webmls/mls"
	"webmls/mls/treemath"
)

// spends runs a step of p and checks that what the step took out of memory is
// not in the store either (RFC 9420, Section 9.2), and that some of it has the
// names that are wanted. Every other secret must still be there.
func (p *party) spends(t testing.TB, what string, step func(), wanted ...string) {
	t.Helper()
	before := p.group.LiveSecretsLoaded(ctx)
	for _, s := range before {
		if _, ok := p.store.Contains(s.Bytes); !ok {
			t.Fatalf("%s: before, %s is in memory and not in the store", what, s.Name)
		}
	}
	step()
	held := map[string]bool{}
	if p.info().Status != mls.StatusRemoved {
		for _, s := range p.group.LiveSecretsLoaded(ctx) {
			held[string(s.Bytes)] = true
			if _, ok := p.store.Contains(s.Bytes); !ok {
				t.Errorf("%s: %s is in memory and not in the store", what, s.Name)
			}
		}
	}
	p.gone(t, before, func(s mls.Secret) bool { return !held[string(s.Bytes)] })
	for _, want := range wanted {
		found := false
		for _, s := range before {
			found = found || !held[string(s.Bytes)] && strings.Contains(s.Name, want)
		}
		if !found {
			t.Errorf("%s: %s is not spent", what, want)
		}
	}
}

// TestDeletionSchedule: each step deletes what it consumes, at once.
func TestDeletionSchedule(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol", "dave")
	alice, bob, carol, dave := all[0], all[1], all[2], all[3]
	var first, second, third []byte
	alice.spends(t, "first message sent", func() { first = alice.send("1") }, "secret of node 3")
	alice.spends(t, "second message sent", func() { second = alice.send("2") }, "application ratchet of leaf 0, generation 1")
	third = alice.send("3")
	bob.spends(t, "first message received", func() { bob.receive(first) }, "secret of node 3")
	bob.spends(t, "a message overtakes", func() { bob.receive(third) }, "application ratchet of leaf 0, generation 1")
	bob.spends(t, "the overtaken message", func() { bob.receive(second) }, "application ratchet of leaf 0, generation 1 skipped")
	reply := bob.send("reply")
	alice.spends(t, "reply", func() { alice.receive(reply) }, "secret of node 2")

	// A commit: the epoch's secrets, but what late messages and resumption need.
	ended := []string{"init_secret", "exporter_secret", "external_secret", "confirmation_key", "membership_key", "epoch_authenticator"}
	var r *mls.CommitResult
	alice.spends(t, "a commit made", func() { r = alice.commit(mls.CommitOptions{}) })
	old := bob.group.Inside()
	slices := [][]byte{old.Secrets.InitSecret, old.Secrets.MembershipKey, old.Secrets.ExporterSecret, old.Secrets.ConfirmationKey, old.Secrets.ExternalSecret, old.Secrets.EpochAuthenticator}
	bob.spends(t, "a commit received", func() { bob.receive(r.Commit) }, append(ended, "private key of node")...)
	for i, b := range slices {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("secret %d of the old epoch is still in memory", i)
		}
	}
	alice.spends(t, "one's own commit applied", func() { alice.apply() }, append(ended, "leaf private key", "private key of node")...)
	carol.receive(r.Commit)
	dave.receive(r.Commit)

	// An Update of one's own, committed by another.
	p := carol.propose(mls.ProposeOptions{Update: true}, all)
	_ = p
	r = alice.commit(mls.CommitOptions{})
	carol.spends(t, "one's own update", func() { carol.receive(r.Commit) }, "leaf private key", "init_secret")
	bob.receive(r.Commit)
	dave.receive(r.Commit)
	alice.apply()

	// Lost and cleared commits.
	alice.commit(mls.CommitOptions{})
	alice.spends(t, "cleared", func() {
		if err := alice.group.ClearPendingCommit(ctx); err != nil {
			t.Fatal(err)
		}
	}, "pending: init_secret", "pending: leaf private key", "pending: secret of node")
	alice.commit(mls.CommitOptions{})
	r = bob.commit(mls.CommitOptions{})
	alice.spends(t, "lost", func() { alice.receive(r.Commit) }, "pending: init_secret", "pending: leaf private key", "init_secret")
	carol.receive(r.Commit)
	dave.receive(r.Commit)
	bob.apply()

	// Past epochs, as they fall out of the list.
	late := dave.send("late")
	for i := range 6 {
		var want []string
		if i == 5 {
			want = []string{"sender_data_secret", "ratchet of leaf 3"}
		}
		r := alice.commit(mls.CommitOptions{})
		for _, p := range []*party{bob, dave} {
			p.receive(r.Commit)
		}
		if i == 3 {
			carol.receive(late)
		}
		carol.spends(t, "past epochs", func() { carol.receive(r.Commit) }, want...)
		alice.apply()
	}

	// A resync.
	bob.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{Resync: true}, alice, carol, dave)
	bob.spends(t, "resync", func() { bob.apply() }, "init_secret", "leaf private key", "sender_data_secret", "resumption_psk")

	// Removal takes all.
	r = alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{2}})
	carol.spends(t, "removed", func() { carol.receive(r.Commit) }, append(ended, "leaf private key", "sender_data_secret", "secret of node", "resumption_psk")...)
	dave.receive(r.Commit)
	bob.receive(r.Commit)
	alice.apply()
	for _, name := range carol.store.RecordNames(mls.GroupScope(carol.group.ID())) {
		if name != "format" && name != "state" && !strings.HasPrefix(name, "inbox/") && !strings.HasPrefix(name, "sent/") {
			t.Errorf("a removed member still has the record %q", name)
		}
	}

	// The key package, with its init key, is gone after joining; the leaf key
	// has become the group's.
	for _, lastResort := range []bool{false, true} {
		zoe := newPartyWith(t, x25519, "zoe", nil)
		kp := must(zoe.client.CreateKeyPackages(ctx, zoe.id.ID(), 1, mls.KeyPackageOptions{LastResort: lastResort}))
		secrets := zoe.client.KeyPackageSecrets()
		r = alice.commit(mls.CommitOptions{Add: kp})
		zoe.join(r.Welcome)
		spread(alice, r, []*party{alice, bob, dave})
		for _, s := range secrets {
			if _, ok := zoe.store.Contains(s.Bytes); ok != (lastResort || s.Name == "leaf key") {
				t.Errorf("last resort %v: %s stored: %v", lastResort, s.Name, ok)
			}
		}
	}

	// A deleted group leaves nothing.
	secrets := dave.group.LiveSecretsLoaded(ctx)
	if err := dave.client.DeleteGroup(ctx, dave.group.ID()); err != nil {
		t.Fatal(err)
	}
	dave.gone(t, secrets, func(mls.Secret) bool { return true })
}
