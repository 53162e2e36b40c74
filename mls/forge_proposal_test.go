package mls_test

import (
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// update returns an Update of mallory's, signed after the change.
func (sc *scene) update(t testing.TB, change func(*message.LeafNode)) *message.Proposal {
	in := sc.forger.in
	leaf := *in.Tree.Leaf(in.Self)
	leaf.Source, leaf.ParentHash, leaf.Lifetime = message.LeafNodeSourceUpdate, nil, message.Lifetime{}
	leaf.EncryptionKey = must(kitKeys.GenerateHPKEKey(ctx, sc.suite.ID())).Public()
	if change != nil {
		change(&leaf)
	}
	if err := leaf.Sign(ctx, sc.suite, in.Key, in.GroupID, in.Self); err != nil {
		t.Fatal(err)
	}
	return &message.Proposal{Type: message.ProposalUpdate, Update: &leaf}
}

// TestForgedProposalMessages: proposals apart from a commit are judged at their
// receipt, each alone (Section 12.1), whoever sends them.
func TestForgedProposalMessages(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	f, s := sc.forger, sc.suite
	in := f.in
	zoe, nobody := newStranger(s, "zoe"), newStranger(s, "nobody")
	of := func(p message.Proposal) forgedContent { return forgedContent{proposal: &p} }
	update := func(change func(*message.LeafNode)) forgedContent {
		return forgedContent{proposal: sc.update(t, change)}
	}
	remove := message.Proposal{Type: message.ProposalRemove, Remove: leafDave}
	external := message.Sender{Type: message.SenderExternal}
	newMember := message.Sender{Type: message.SenderNewMemberProposal}
	psk := func(change func(*message.PreSharedKeyID)) forgedContent {
		id := sc.psk
		id.Nonce = suite.Random(s.HashSize())
		change(&id)
		return of(message.Proposal{Type: message.ProposalPSK, PSK: &id})
	}
	resigned := func(sign func(*message.LeafNode) error) forgedContent {
		p := sc.update(t, nil)
		if err := sign(p.Update); err != nil {
			t.Fatal(err)
		}
		return forgedContent{proposal: p}
	}
	rows := []struct {
		what string
		c    forgedContent
		want mlserr.Code
	}{
		{"update: the same key", update(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Leaf(leafMallory).EncryptionKey }), mlserr.EncryptionKeyReused},
		{"update: key not valid", update(func(l *message.LeafNode) { l.EncryptionKey = nil }), mlserr.InvalidPublicKey},
		{"update: signature_key not the signer's", update(func(l *message.LeafNode) { l.SignatureKey = nobody.key.Public() }), mlserr.InvalidSignature},
		{"update: credential of another person", update(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("alice")) }), mlserr.SuccessorRejected},
		{"update: credential refused", update(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("refused")) }), mlserr.CredentialRejected},
		{"update: credential not listed", update(func(l *message.LeafNode) { l.Credential = message.Credential{Type: 0xf000} }), mlserr.CapabilityMissing},
		{"update: capabilities", update(func(l *message.LeafNode) { l.Capabilities.Credentials = nil }), mlserr.CapabilityMissing},
		{"update: default type listed", update(func(l *message.LeafNode) { l.Capabilities.Proposals = []message.ProposalType{3} }), mlserr.DefaultTypeListed},
		{"update: source commit", update(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceCommit }), mlserr.LeafNodeSource},
		{"update: source key_package", update(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceKeyPackage }), mlserr.LeafNodeSource},
		{"update: extension not listed", update(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: 0xf001}} }), mlserr.ExtensionNotListed},
		{"update: signature", resigned(func(l *message.LeafNode) error { l.Signature = flip(l.Signature); return nil }), mlserr.InvalidSignature},
		{"update: signed for another leaf", resigned(func(l *message.LeafNode) error { return l.Sign(ctx, s, in.Key, in.GroupID, leafBob) }), mlserr.InvalidSignature},
		{"update: signed for another group", resigned(func(l *message.LeafNode) error { return l.Sign(ctx, s, in.Key, nil, leafMallory) }), mlserr.InvalidSignature},
		{"add: signature", of(zoe.add(nil, nil)), mlserr.InvalidSignature},
		{"add: cipher suite", of(zoe.add(nil, func(kp *message.KeyPackage) { kp.CipherSuite = 2 })), mlserr.KeyPackageMismatch},
		{"add: lifetime", of(zoe.add(func(l *message.LeafNode) { l.Lifetime = message.Lifetime{} }, nil)), mlserr.LifetimeInvalid},
		{"add: credential refused", of(zoe.add(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("refused")) }, nil)), mlserr.CredentialRejected},
		{"remove: blank", of(message.Proposal{Type: message.ProposalRemove, Remove: leafBlank}), mlserr.RemoveTargetBlank},
		{"remove: past the tree", of(message.Proposal{Type: message.ProposalRemove, Remove: 1 << 31}), mlserr.RemoveTargetBlank},
		{"psk: nonce", psk(func(id *message.PreSharedKeyID) { id.Nonce = id.Nonce[1:] }), mlserr.PSKInvalid},
		{"psk: usage branch", psk(func(id *message.PreSharedKeyID) {
			*id = message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionBranch, GroupID: in.GroupID, Nonce: id.Nonce}
		}), mlserr.PSKInvalid},
		{"reinit: version", of(message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{CipherSuite: 1}}), mlserr.ReInitInvalid},
		{"external_init", of(message.Proposal{Type: message.ProposalExternalInit, ExternalInit: suite.Random(32)}), mlserr.ProposalListInvalid},
		{"extensions: malformed", of(message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{{Type: message.ExtensionExternalSenders, Data: []byte{9}}}}), mlserr.Malformed},
		{"custom", of(message.Proposal{Type: 0xf001}), mlserr.ProposalUnsupported},

		{"signed by another", forgedContent{proposal: &remove, signer: nobody.key}, mlserr.InvalidSignature},
		{"signed in another epoch", forgedContent{proposal: &remove, signCtx: func(c *message.GroupContext) { c.Epoch-- }}, mlserr.InvalidSignature},
		{"in another epoch", forgedContent{proposal: &remove, content: func(c *message.FramedContent) { c.Epoch-- }}, mlserr.EpochBehind},
		{"in another group", forgedContent{proposal: &remove, content: func(c *message.FramedContent) { c.GroupID = []byte("x") }}, mlserr.WrongGroup},
		{"membership_tag", forgedContent{proposal: &remove, public: true, publicMsg: func(m *message.PublicMessage) { m.MembershipTag = flip(m.MembershipTag) }}, mlserr.MembershipTag},
		{"membership_tag empty", forgedContent{proposal: &remove, public: true, publicMsg: func(m *message.PublicMessage) { m.MembershipTag = nil }}, mlserr.MembershipTag},

		{"external: signed by nobody", forgedContent{proposal: &remove, sender: &external, signer: nobody.key}, mlserr.InvalidSignature},
		{"external: signed by a member", forgedContent{proposal: &remove, sender: &external}, mlserr.InvalidSignature},
		{"external: index past the list", forgedContent{proposal: &remove, sender: &message.Sender{Type: message.SenderExternal, Index: 1}, signer: sc.watcher.key}, mlserr.InvalidSender},
		{"external: index 2^32-1", forgedContent{proposal: &remove, sender: &message.Sender{Type: message.SenderExternal, Index: 1<<32 - 1}, signer: sc.watcher.key}, mlserr.InvalidSender},
		{"external: update", forgedContent{proposal: sc.update(t, nil), sender: &external, signer: sc.watcher.key}, mlserr.SenderNotAllowed},
		{"external: external_init", forgedContent{proposal: &message.Proposal{Type: message.ProposalExternalInit}, sender: &external, signer: sc.watcher.key}, mlserr.SenderNotAllowed},
		{"external: custom", forgedContent{proposal: &message.Proposal{Type: 0xf001}, sender: &external, signer: sc.watcher.key}, mlserr.SenderNotAllowed},
		{"external: remove of a blank leaf", forgedContent{proposal: &message.Proposal{Type: message.ProposalRemove, Remove: leafBlank}, sender: &external, signer: sc.watcher.key}, mlserr.RemoveTargetBlank},
		{"new member: remove", forgedContent{proposal: &remove, sender: &newMember, signer: zoe.key}, mlserr.SenderNotAllowed},
		{"new member: signed by another", forgedContent{proposal: ptr(zoe.add(nil, nil)), sender: &newMember, signer: nobody.key}, mlserr.InvalidSignature},
		{"new member: credential refused", forgedContent{proposal: ptr(zoe.add(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("refused")) }, nil)), sender: &newMember, signer: zoe.key}, mlserr.CredentialRejected},
		{"new member commit: proposal", forgedContent{proposal: &remove, sender: &message.Sender{Type: message.SenderNewMemberCommit}, signer: zoe.key}, mlserr.SenderNotAllowed},
	}
	for _, row := range rows {
		if row.what == "add: signature" {
			row.c.proposal.Add.Signature = flip(row.c.proposal.Add.Signature)
		}
		for _, public := range []bool{false, true} {
			if !public && (row.c.sender != nil || row.c.public) {
				continue
			}
			c := row.c
			c.public = public
			b, _ := f.frame(c)
			sc.alice.refuses(t, row.what, b, row.want)
		}
	}
	// And each kind, with nothing wrong, is accepted and can be committed.
	yan := newStranger(s, "yan")
	for what, c := range map[string]forgedContent{
		"update":     update(nil),
		"new name":   update(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("mallory+2")) }),
		"add":        of(zoe.add(nil, nil)),
		"remove":     of(remove),
		"psk":        psk(func(*message.PreSharedKeyID) {}),
		"reinit":     of(message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{Version: message.MLS10, CipherSuite: 1, GroupID: []byte("next")}}),
		"extensions": of(message.Proposal{Type: message.ProposalGroupContextExtensions}),
		"external":   {proposal: &remove, sender: &external, signer: sc.watcher.key},
		"new member": {proposal: ptr(yan.add(nil, nil)), sender: &newMember, signer: yan.key},
	} {
		b, ref := f.frame(c)
		alice, bob := sc.alice.twin(), sc.bob.twin()
		ev := alice.receive(b)
		bob.receive(b)
		if ev.Type != mls.EventProposal || string(ev.Proposal.Reference) != string(ref) {
			t.Fatalf("%s: %+v", what, ev)
		}
		alice.refuses(t, what+" again", b, mlserr.AlreadyProcessed)
		if _, err := alice.group.Send(ctx, []byte("x"), mls.SendOptions{}); mlserr.CodeOf(err) != mlserr.PendingProposals {
			t.Fatalf("%s: sends: %v", what, err)
		}
		r := alice.commit(mls.CommitOptions{})
		alice.apply()
		bob.receive(r.Commit)
		agree(t, alice, bob)
		if n := alice.info().PendingProposals; n != 0 {
			t.Fatalf("%s: %d proposals left", what, n)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// TestSpoilingProposals: proposals that are valid alone and spoil a list hold
// up nobody, and do not keep the honest ones out of the next commit.
func TestSpoilingProposals(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	f, s := sc.forger, sc.suite
	in := f.in
	zoe, yan := newStranger(s, "zoe"), newStranger(s, "yan")
	initKey := zoe.keyPackage(nil, nil).InitKey
	bobKey := in.Tree.Leaf(leafBob).EncryptionKey
	unknown := sc.psk
	unknown.ID = []byte("nobody has it")
	unknown.Nonce = suite.Random(s.HashSize())
	twice := sc.update(t, nil)
	f2 := newForger(t, sc.erin)
	required := requiredCapabilities(message.RequiredCapabilities{Credentials: []message.CredentialType{0xf00f}})
	for what, spoilers := range map[string][]message.Proposal{
		"update with another's encryption key": {*sc.update(t, func(l *message.LeafNode) { l.EncryptionKey = bobKey })},
		"add with another's encryption key":    {zoe.add(func(l *message.LeafNode) { l.EncryptionKey = bobKey }, nil)},
		"add of a member":                      {sc.member(t, sc.bob, nil)},
		"two adds with one init key": {
			zoe.add(nil, func(kp *message.KeyPackage) { kp.InitKey = initKey }),
			yan.add(nil, func(kp *message.KeyPackage) { kp.InitKey = initKey })},
		"psk that nobody has":         {{Type: message.ProposalPSK, PSK: &unknown}},
		"extensions not supported":    {{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{{Type: 0xf001}}}},
		"extensions not allowed":      {{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{{Type: message.ExtensionRatchetTree}}}},
		"extensions require too much": {{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{required}}},
		"two extensions": {
			{Type: message.ProposalGroupContextExtensions},
			{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{requiredCapabilities(message.RequiredCapabilities{})}}},
		"reinit": {{Type: message.ProposalReInit, ReInit: &message.ReInit{Version: message.MLS10, CipherSuite: 1, GroupID: []byte("x")}}},
		"update with the key of an add": {
			*twice,
			zoe.add(func(l *message.LeafNode) { l.EncryptionKey = twice.Update.EncryptionKey }, nil)},
		"add whose credential nobody supports": {zoe.add(func(l *message.LeafNode) {
			l.Credential = message.Credential{Type: 0xf000, Data: []byte("zoe")}
			l.Capabilities.Credentials = append(l.Capabilities.Credentials, 0xf000)
		}, nil)},
		"remove of the committer": {
			{Type: message.ProposalRemove, Remove: leafAlice}},
	} {
		alice, bob, erin := sc.alice.twin(), sc.bob.twin(), sc.erin.twin()
		for _, p := range spoilers {
			b, _ := f.frame(forgedContent{proposal: &p, public: true})
			alice.receive(b)
			bob.receive(b)
			erin.receive(b)
		}
		// The honest one: erin wants mallory out.
		honest, _ := f2.frame(forgedContent{public: true, proposal: &message.Proposal{Type: message.ProposalRemove, Remove: leafMallory}})
		for _, p := range []*party{alice, bob} {
			p.receive(honest)
		}
		r, err := alice.group.Commit(ctx, mls.CommitOptions{})
		if err != nil {
			t.Errorf("%s: no commit: %v", what, err)
			continue
		}
		alice.apply()
		bob.receive(r.Commit)
		agree(t, alice, bob)
		if isMember(t, alice, "mallory") {
			t.Errorf("%s: the honest proposal was left out", what)
		}
	}
}

func isMember(t testing.TB, p *party, name string) bool {
	t.Helper()
	for _, m := range must(p.group.Members(ctx)) {
		if string(m.Credential.Identity) == name {
			return true
		}
	}
	return false
}
