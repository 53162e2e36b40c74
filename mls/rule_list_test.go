package mls_test

import (
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/treemath"
)

// TestRuleReferences: lists that are against Section 12.2 by proposals that were
// received apart from the commit, each of them valid alone.
func TestRuleReferences(t *testing.T) {
	sc := newScene(t, x25519)
	alice, mallory, bob, erin := sc.alice, sc.mallory, sc.bob, sc.erin
	past := bob.propose(mls.ProposeOptions{Remove: ptr(leafDave)}, []*party{bob, alice, mallory})
	r := alice.commit(mls.CommitOptions{IgnoreProposals: true})
	spread(alice, r, sc.all())

	zoe := newPartyWith(t, x25519, "zoe", nil)
	zoeKP, zoeKP2 := zoe.keyPackage(), parseKeyPackage(zoe.keyPackage())
	propose := func(p *party, opts mls.ProposeOptions) []byte {
		return p.propose(opts, []*party{p, alice, mallory}).Reference
	}
	update, again := propose(bob, mls.ProposeOptions{Update: true}), propose(bob, mls.ProposeOptions{Update: true})
	removeBob := propose(erin, mls.ProposeOptions{Remove: ptr(leafBob)})
	removeMallory := propose(erin, mls.ProposeOptions{Remove: ptr(leafMallory)})
	addZoe := propose(erin, mls.ProposeOptions{Add: zoeKP})
	psk := propose(erin, mls.ProposeOptions{PSK: &sc.psk})
	extensions := propose(erin, mls.ProposeOptions{Extensions: new(message.Extensions)})
	reInit := propose(erin, mls.ProposeOptions{ReInit: &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: x25519}})
	// What an honest client does not propose: an Update with the encryption key of
	// a member. In the open, so that it costs erin no generation.
	dishonest := &scene{forger: newForger(t, erin), suite: sc.suite}
	b, stolen := dishonest.forger.frame(forgedContent{public: true, proposal: dishonest.update(t, func(l *message.LeafNode) {
		l.EncryptionKey = dishonest.forger.in.Tree.Leaf(leafBob).EncryptionKey
	})})
	alice.receive(b)
	mallory.receive(b)

	f := newForger(t, mallory)
	sc.forger = f
	ownUpdate := sc.update(t, nil)
	b, own := f.frame(forgedContent{public: true, proposal: ownUpdate})
	alice.receive(b)
	f.in.Proposals[string(own)] = mls.CachedProposal{Proposal: ownUpdate, Sender: message.Sender{Type: message.SenderMember, Leaf: leafMallory}}

	of := func(refs [][]byte, byValue ...message.Proposal) forgedCommit {
		c := forgedCommit{psks: sc.psks}
		for _, ref := range refs {
			c.proposals = append(c.proposals, message.ProposalOrRef{Reference: ref})
		}
		c.proposals = append(c.proposals, value(byValue...)...)
		return c
	}
	refs := func(list ...[]byte) [][]byte { return list }
	build := func(c forgedCommit) []byte { return f.build(c).message }
	noPath := of(refs(update))
	noPath.noPath = true
	pskAgain := sc.psk
	pskAgain.Nonce = make([]byte, sc.suite.HashSize())
	remove := func(i treemath.LeafIndex) message.Proposal {
		return message.Proposal{Type: message.ProposalRemove, Remove: i}
	}
	invalid := mlserr.ProposalListInvalid
	alice.refusesBy(t, []ruleRow{
		{"P2: the committer's update", "P2", build(of(refs(own))), invalid},
		{"P3: remove of the committer", "P3", build(of(refs(removeMallory))), invalid},
		{"P4: two updates of one leaf", "P4", build(of(refs(update, again))), invalid},
		{"P4: update and remove of one leaf", "P4", build(of(refs(update, removeBob))), invalid},
		{"P4: update by reference, remove by value", "P4", build(of(refs(update), remove(leafBob))), invalid},
		{"P5: an add by value and one by reference", "P5", build(of(refs(addZoe), message.Proposal{Type: message.ProposalAdd, Add: zoeKP2})), mlserr.SignatureKeyNotUnique},
		{"P7: a psk by value and by reference", "P7", build(of(refs(psk), message.Proposal{Type: message.ProposalPSK, PSK: &pskAgain})), invalid},
		{"P8: extensions by value and by reference", "P8", build(of(refs(extensions), message.Proposal{Type: message.ProposalGroupContextExtensions})), invalid},
		{"P9: reinit with a reference", "P9", build(of(refs(reInit, psk))), invalid},
		{"P19: proposal of the epoch before", "P19", build(of(refs(past.Reference))), mlserr.ProposalUnknown},
		{"L9: update with the encryption key of a member", "L9", build(of(refs(stolen))), mlserr.EncryptionKeyNotUnique},
		{"C2: update without a path", "C2", build(noPath), mlserr.PathMissing},
	})
	sc.accepted(t, "references", f.build(of(refs(update, addZoe, psk, extensions))))
	sc.accepted(t, "a remove", f.build(of(refs(removeBob))))
	sc.accepted(t, "a reinit", f.build(of(refs(reInit))))
	sc.accepted(t, "a member removed and added again", f.build(of(nil, remove(leafDave), sc.member(t, sc.dave, nil))))
}

// TestRuleGroupExtensions: a member commits extensions that it supports itself
// and others do not (P17); and new extensions judge what the same commit adds
// (P18).
func TestRuleGroupExtensions(t *testing.T) {
	sc := newScene(t, x25519)
	f := sc.forger
	const beyond = 0xf001
	of := func(e message.Extension) []byte {
		return f.build(forgedCommit{
			leaf: func(l *message.LeafNode) {
				c := &l.Capabilities
				c.Extensions = []message.ExtensionType{beyond}
				c.Proposals = []message.ProposalType{beyond}
				c.Credentials = []message.CredentialType{message.CredentialBasic, message.CredentialX509, beyond}
			},
			proposals: value(message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{e}}),
		}).message
	}
	invalid := mlserr.GroupExtensionInvalid
	sc.alice.refusesBy(t, []ruleRow{
		{"P17: extension", "P17", of(message.Extension{Type: beyond}), invalid},
		{"P17: required extension", "P17", of(requiredCapabilities(message.RequiredCapabilities{Extensions: []message.ExtensionType{beyond}})), invalid},
		{"P17: required proposal", "P17", of(requiredCapabilities(message.RequiredCapabilities{Proposals: []message.ProposalType{beyond}})), invalid},
		{"P17: required credential", "P17", of(requiredCapabilities(message.RequiredCapabilities{Credentials: []message.CredentialType{beyond}})), invalid},
	})

	// Adds of two clients are received, of which one does not know certificates.
	without, with := newStranger(sc.suite, "without"), newStranger(sc.suite, "with")
	add := func(x *stranger, list ...message.CredentialType) message.ProposalOrRef {
		p := x.add(func(l *message.LeafNode) { l.Capabilities.Credentials = list }, nil)
		b, ref := newForger(t, sc.erin).frame(forgedContent{public: true, proposal: &p})
		sc.alice.receive(b)
		sc.mallory.receive(b)
		return message.ProposalOrRef{Reference: ref}
	}
	lacks := add(without, message.CredentialBasic)
	has := add(with, message.CredentialBasic, message.CredentialX509)
	f = newForger(t, sc.mallory)
	certificates := message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{
		requiredCapabilities(message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialX509}})}}
	sc.alice.refusesBy(t, []ruleRow{
		{"P18: an add by reference lacks it", "L3", f.build(forgedCommit{proposals: append(value(certificates), lacks)}).message, mlserr.CapabilityMissing},
		{"P18: in whatever order they stand", "L3", f.build(forgedCommit{proposals: append([]message.ProposalOrRef{lacks}, value(certificates)...)}).message, mlserr.CapabilityMissing},
	})
	sc.accepted(t, "without the requirement", f.build(forgedCommit{proposals: []message.ProposalOrRef{lacks, has}}))
	sc.accepted(t, "who has it", f.build(forgedCommit{proposals: append(value(certificates), has)}))
}
