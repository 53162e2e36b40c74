package mls_test

import (
	"bytes"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// TestLostProposal: a client crashes after its proposal was stored and before it
// was sent. The proposal is in its next commit, and the others, who have never
// received it, can process that commit.
func TestLostProposal(t *testing.T) {
	alice, bob, carol := newParty(t, suite.X25519AES128SHA256Ed25519, "alice"), newParty(t, suite.X25519AES128SHA256Ed25519, "bob"), newParty(t, suite.X25519AES128SHA256Ed25519, "carol")
	alice.create()
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)

	faulty := &mls.FaultyStore{Store: alice.store, Decide: func(int) mls.Fault { return mls.FaultAfter }}
	alice.client.Close()
	alice.open(faulty)
	g, err := alice.client.Group(ctx, alice.group.ID())
	if err != nil {
		t.Fatal(err)
	}
	alice.group = g
	if p, err := g.Propose(ctx, mls.ProposeOptions{Add: carol.keyPackage()}); err == nil {
		t.Fatalf("released a proposal that may not be stored: %+v", p)
	}
	alice.reload()

	sent, err := bob.group.Propose(ctx, mls.ProposeOptions{Update: true})
	if err != nil {
		t.Fatal(err)
	}
	alice.receive(sent.Message)
	if n := alice.info().PendingProposals; n != 2 {
		t.Fatalf("%d proposals wait, want the lost one and bob's", n)
	}
	r = alice.commit(mls.CommitOptions{PublicMessage: true})
	m, err := message.Parse(r.Commit)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Public.Content.Commit.Proposals {
		// One's own by value, all others by reference.
		if own := p.Proposal != nil && p.Proposal.Type == message.ProposalAdd; own == (p.Reference != nil) {
			t.Errorf("proposal %+v", p)
		}
	}
	bob.receive(r.Commit)
	alice.apply()
	carol.join(r.Welcome)
	agree(t, alice, bob, carol)
	talk(t, alice, bob, carol)
}

// TestProposedTwice: the same proposal made twice, in bytes that may be the
// same, is one proposal, and a commit has it once.
func TestProposedTwice(t *testing.T) {
	const custom message.ProposalType = 0xf0a2
	configure := func(c *mls.Config) { c.Supported.Proposals = []message.ProposalType{custom} }
	for _, public := range []bool{true, false} {
		alice, bob := newPartyWith(t, suite.X25519AES128SHA256Ed25519, "alice", configure), newPartyWith(t, suite.X25519AES128SHA256Ed25519, "bob", configure)
		alice.create()
		r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
		alice.apply()
		bob.join(r.Welcome)
		propose := func() *mls.ProposalResult {
			t.Helper()
			p, err := alice.group.Propose(ctx, mls.ProposeOptions{
				Custom: &message.Proposal{Type: custom, Custom: []byte("again")}, PublicMessage: public,
			})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		first, second := propose(), propose()
		if !bytes.Equal(first.Reference, second.Reference) {
			t.Fatal("Ed25519 has become random: this test needs another case")
		}
		bob.receive(first.Message)
		_, err := bob.group.Receive(ctx, second.Message)
		wantCode(t, err, mlserr.AlreadyProcessed)
		for _, p := range []*party{alice, bob} {
			if n := p.info().PendingProposals; n != 1 {
				t.Errorf("%s has %d proposals, want 1", p.name, n)
			}
		}

		// Set aside and proposed again, it is to be committed.
		if err := alice.group.DropProposal(ctx, first.Reference); err != nil {
			t.Fatal(err)
		}
		propose()
		if n := alice.info().PendingProposals; n != 1 {
			t.Errorf("alice has %d proposals after she proposed again, want 1", n)
		}
		alice.group.Unload()
		r = alice.commit(mls.CommitOptions{})
		for _, p := range []*party{alice, bob} {
			if ev := p.receive(r.Commit); len(ev.Update.Custom) != 1 {
				t.Errorf("%s: the commit has %d proposals, want 1", p.name, len(ev.Update.Custom))
			}
		}
		agree(t, alice, bob)
	}
}
