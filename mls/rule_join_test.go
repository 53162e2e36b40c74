package mls_test

import (
	"bytes"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// refusesJoin has the party refuse a Welcome by the rule, without a trace.
func (p *party) refusesJoin(t testing.TB, what string, welcome []byte, want mlserr.Code, id string) {
	t.Helper()
	check := p.unchanged()
	groups := len(must(p.client.Groups(ctx)))
	_, err := p.client.JoinGroup(ctx, welcome, mls.JoinOptions{})
	names(t, what, err, want, id)
	check(t, what)
	if n := len(must(p.client.Groups(ctx))); n != groups {
		t.Fatalf("%s: %d groups, were %d", what, n, groups)
	}
}

// successor is a group that mallory makes in the name of an old one: Welcomes
// by the kit, in which one thing is wrong.
type successor struct {
	t          testing.TB
	mallory    *party
	zoe        *party // who is to refuse
	zoeKP      *message.KeyPackage
	id         []byte // of the new group
	psks       []message.PreSharedKeyID
	secrets    map[string][]byte
	others     []message.Proposal // who else is added
	extensions message.Extensions
}

// welcome creates the group in a copy of mallory's store and adds zoe and the others.
func (s successor) welcome(identity *mls.Identity, context func(*message.GroupContext)) []byte {
	s.t.Helper()
	m := s.mallory.twin()
	m.group = must(m.client.CreateGroup(ctx, identity.ID(), mls.GroupOptions{GroupID: s.id, Extensions: s.extensions}))
	f := newForger(s.t, m)
	list := append(value(message.Proposal{Type: message.ProposalAdd, Add: s.zoeKP}), value(s.others...)...)
	return f.welcome(f.build(forgedCommit{proposals: list}), s.zoeKP, forgedWelcome{
		psks:    s.secrets,
		secrets: func(g *message.GroupSecrets) { g.PSKs = s.psks },
		context: context,
	})
}

// accepted checks that a copy of zoe joins by the Welcome.
func (s successor) accepted(what string, welcome []byte) {
	s.t.Helper()
	zoe := s.zoe.twin()
	g, err := zoe.client.JoinGroup(ctx, welcome, mls.JoinOptions{})
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if info := must(g.Info(ctx)); info.Epoch != 1 || !bytes.Equal(info.GroupID, s.id) {
		s.t.Fatalf("%s: %+v", what, info)
	}
}

// TestRuleSuccession: Welcomes into groups that say to follow from another, by a
// member of it who has the resumption PSK (W16), and W2.
func TestRuleSuccession(t *testing.T) {
	all := crew(t, x25519, "alice", "mallory", "zoe")
	alice, mallory, zoe := all[0], all[1], all[2]
	old := newForger(t, mallory).in
	before := bytes.Clone(old.Secrets.ResumptionPSK)
	resumption := func(usage message.ResumptionPSKUsage, epoch uint64) message.PreSharedKeyID {
		return message.PreSharedKeyID{Type: message.PSKResumption, Usage: usage, GroupID: old.GroupID, Epoch: epoch, Nonce: suite.Random(old.Suite.HashSize())}
	}
	branch := resumption(message.ResumptionBranch, old.Context.Epoch)
	reInit := resumption(message.ResumptionReInit, old.Context.Epoch)
	base := successor{
		t: t, mallory: mallory, zoe: zoe, zoeKP: parseKeyPackage(zoe.keyPackage()), id: []byte("next"),
		psks:    []message.PreSharedKeyID{branch},
		secrets: map[string][]byte{branch.Key(): before, reInit.Key(): before},
	}
	with := func(change func(*successor)) successor {
		s := base
		change(&s)
		return s
	}
	epoch2 := func(g *message.GroupContext) { g.Epoch = 2 }
	stranger := newStranger(old.Suite, "stranger")
	refuse := func(what string, s successor, context func(*message.GroupContext), want mlserr.Code, id string) {
		t.Helper()
		t.Run(what, func(t *testing.T) { zoe.refusesJoin(t, what, s.welcome(mallory.id, context), want, id) })
	}
	base.accepted("branch", base.welcome(mallory.id, nil))
	refuse("W16: branch at another epoch", base, epoch2, mlserr.WelcomeInvalid, "W16")
	refuse("W16: branch with a stranger", with(func(s *successor) { s.others = []message.Proposal{stranger.add(nil, nil)} }), nil, mlserr.WelcomeInvalid, "W16")
	refuse("W16: reinit of a group that has no ReInit", with(func(s *successor) { s.psks = []message.PreSharedKeyID{reInit} }), nil, mlserr.ReInitInvalid, "W16")
	refuse("W2: reinit and branch", with(func(s *successor) { s.psks = []message.PreSharedKeyID{reInit, branch} }), nil, mlserr.PSKInvalid, "W2")
	refuse("W2: branch twice", with(func(s *successor) { s.psks = []message.PreSharedKeyID{branch, branch} }), nil, mlserr.PSKInvalid, "P7")

	// A branch has the cipher suite of its origin.
	const p256 = suite.P256AES128SHA256P256
	malloryP256 := must(mallory.client.CreateIdentity(ctx, p256, message.BasicCredential([]byte("mallory"))))
	zoeP256 := must(zoe.client.CreateIdentity(ctx, p256, message.BasicCredential([]byte("zoe"))))
	kpP256 := parseKeyPackage(must(zoe.client.CreateKeyPackages(ctx, zoeP256.ID(), 1, mls.KeyPackageOptions{}))[0])
	zoe.refusesJoin(t, "W16: branch of another suite", with(func(s *successor) { s.zoeKP = kpP256 }).welcome(malloryP256, nil), mlserr.WelcomeInvalid, "W16")

	// Now there is a ReInit, which the new group must be as proposed.
	proposed := message.Extensions{requiredCapabilities(message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialBasic}})}
	spread(alice, alice.commit(mls.CommitOptions{ReInit: &message.ReInit{
		GroupID: []byte("next"), Version: message.MLS10, CipherSuite: x25519, Extensions: proposed,
	}}), all)
	old = newForger(t, mallory).in
	last := resumption(message.ResumptionReInit, old.Context.Epoch)
	first := resumption(message.ResumptionReInit, old.Context.Epoch-1)
	base.zoeKP = parseKeyPackage(zoe.keyPackage())
	base.psks = []message.PreSharedKeyID{last}
	base.secrets = map[string][]byte{last.Key(): old.Secrets.ResumptionPSK, first.Key(): before}
	base.extensions = proposed
	base.others = []message.Proposal{{Type: message.ProposalAdd, Add: parseKeyPackage(alice.keyPackage())}}
	base.accepted("reinit", base.welcome(mallory.id, nil))
	refuse("W16: reinit at another epoch", base, epoch2, mlserr.WelcomeInvalid, "W16")
	refuse("W16: reinit with another id", with(func(s *successor) { s.id = []byte("another") }), nil, mlserr.ReInitInvalid, "W16")
	refuse("W16: reinit with other extensions", with(func(s *successor) { s.extensions = nil }), nil, mlserr.ReInitInvalid, "W16")
	refuse("W16: reinit without a member", with(func(s *successor) { s.others = nil }), nil, mlserr.ReInitInvalid, "W16")
	refuse("W16: reinit with the PSK of the epoch before", with(func(s *successor) { s.psks = []message.PreSharedKeyID{first} }), nil, mlserr.ReInitInvalid, "W16")
	zoe.refusesJoin(t, "W16: reinit of another suite", with(func(s *successor) {
		s.zoeKP, s.others = kpP256, nil
	}).welcome(malloryP256, nil), mlserr.ReInitInvalid, "W16")
	base.accepted("reinit, after all", base.welcome(mallory.id, nil))
}
