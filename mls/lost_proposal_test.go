package mls_test

import (
	"testing"

	"webmls/mls"
	"webmls/mls/message"
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
