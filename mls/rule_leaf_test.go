package mls_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"regexp"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// The tests in the files rule_*_test.go each break one rule by a message that is
// perfect otherwise, and see that the error names that rule. What they leave
// out, the forge_*_test.go have.

// ruleRow is a message that breaks the rule id.
type ruleRow struct {
	what, id string
	b        []byte
	want     mlserr.Code
}

// names checks the code of an error and that it names the rule.
func names(t testing.TB, what string, err error, want mlserr.Code, id string) {
	t.Helper()
	if mlserr.CodeOf(err) != want || !regexp.MustCompile(`\b`+id+`\b`).MatchString(err.Error()) {
		t.Fatalf("%s: %v, want %s by %s", what, err, want, id)
	}
}

// refusesBy has the party refuse messages, each by its rule and without a trace.
func (p *party) refusesBy(t *testing.T, rows []ruleRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			p.refuses(t, row.what, row.b, row.want)
			_, err := p.group.Receive(ctx, row.b)
			names(t, row.what, err, row.want, row.id)
		})
	}
}

// TestRuleGroupNeeds: the leaf of whatever message lacks a capability that the
// group requires (L3), or an extension of the group context (L10).
func TestRuleGroupNeeds(t *testing.T) {
	const held, required = message.ExtensionType(0xf010), message.ExtensionType(0xf011)
	named := func(name string) *party {
		return newPartyWith(t, x25519, name, func(c *mls.Config) { c.Supported.Extensions = []message.ExtensionType{held, required} })
	}
	alice, mallory, bob := named("alice"), named("mallory"), named("bob")
	alice.group = must(alice.client.CreateGroup(ctx, alice.id.ID(), mls.GroupOptions{Extensions: message.Extensions{
		requiredCapabilities(message.RequiredCapabilities{Extensions: []message.ExtensionType{required}}),
		{Type: held, Data: []byte("content")},
	}}))
	r := alice.commit(mls.CommitOptions{Add: [][]byte{mallory.keyPackage(), bob.keyPackage()}})
	alice.apply()
	mallory.join(r.Welcome)
	bob.join(r.Welcome)
	f := newForger(t, mallory)
	sc := &scene{alice: alice, mallory: mallory, bob: bob, forger: f, suite: f.in.Suite}
	zoe, yan := newStranger(sc.suite, "zoe"), newStranger(sc.suite, "yan")
	has := func(list ...message.ExtensionType) func(*message.LeafNode) {
		return func(l *message.LeafNode) { l.Capabilities.Extensions = list }
	}
	init := message.Proposal{Type: message.ProposalExternalInit}
	path := func(list ...message.ExtensionType) *built { return f.build(forgedCommit{leaf: has(list...)}) }
	add := func(list ...message.ExtensionType) *built {
		return f.build(forgedCommit{noPath: true, proposals: value(zoe.add(has(list...), nil))})
	}
	external := func(list ...message.ExtensionType) *built {
		return f.build(forgedCommit{external: &joiner{key: yan.key, leaf: yan.leaf(has(list...))}, proposals: value(init)})
	}
	update := func(list ...message.ExtensionType) []byte {
		b, _ := f.frame(forgedContent{proposal: sc.update(t, has(list...))})
		return b
	}
	alice.refusesBy(t, []ruleRow{
		{"L3: path", "L3", path(held).message, mlserr.CapabilityMissing},
		{"L3: add", "L3", add(held).message, mlserr.CapabilityMissing},
		{"L3: update", "L3", update(held), mlserr.CapabilityMissing},
		{"L3: external path", "L3", external(held).message, mlserr.CapabilityMissing},
		{"L10: path", "L10", path(required).message, mlserr.CapabilityMissing},
		{"L10: add", "L10", add(required).message, mlserr.CapabilityMissing},
		{"L10: update", "L10", update(required), mlserr.CapabilityMissing},
		{"L10: external path", "L10", external(required).message, mlserr.CapabilityMissing},
	})
	sc.accepted(t, "path", path(required, held))
	sc.accepted(t, "add", add(required, held))
	sc.accepted(t, "external path", external(required, held))
	if ev := alice.receive(update(required, held)); ev.Type != mls.EventProposal {
		t.Fatalf("%+v", ev)
	}
}

// TestRuleKeyForms: keys have the one form that RFC 9420, Section 5.1.1, gives
// them (L12): points of the NIST curves are uncompressed.
func TestRuleKeyForms(t *testing.T) {
	sc := newScene(t, suite.P256AES128SHA256P256)
	f := sc.forger
	compressed := func(key []byte) []byte {
		return append([]byte{2 + key[64]&1}, key[1:33]...)
	}
	leaf := func(change func(*message.LeafNode)) []byte { return f.build(forgedCommit{leaf: change}).message }
	zoe := newStranger(sc.suite, "zoe")
	add := func(changeLeaf func(*message.LeafNode), change func(*message.KeyPackage)) []byte {
		return f.build(forgedCommit{proposals: value(zoe.add(changeLeaf, change))}).message
	}
	for _, row := range []struct {
		what string
		b    []byte
		want mlserr.Code
	}{
		{"signature_key compressed", leaf(func(l *message.LeafNode) { l.SignatureKey = compressed(l.SignatureKey) }), mlserr.InvalidSignature},
		{"signature_key not on the curve", leaf(func(l *message.LeafNode) { l.SignatureKey = flip(l.SignatureKey) }), mlserr.InvalidSignature},
		{"encryption_key compressed", leaf(func(l *message.LeafNode) { l.EncryptionKey = compressed(l.EncryptionKey) }), mlserr.InvalidPublicKey},
		{"encryption_key not on the curve", leaf(func(l *message.LeafNode) { l.EncryptionKey = flip(l.EncryptionKey) }), mlserr.InvalidPublicKey},
		{"add: signature_key compressed", add(func(l *message.LeafNode) { l.SignatureKey = compressed(l.SignatureKey) }, nil), mlserr.InvalidSignature},
		{"add: encryption_key compressed", add(func(l *message.LeafNode) { l.EncryptionKey = compressed(l.EncryptionKey) }, nil), mlserr.InvalidPublicKey},
		{"add: init_key compressed", add(nil, func(kp *message.KeyPackage) { kp.InitKey = compressed(kp.InitKey) }), mlserr.InvalidPublicKey},
	} {
		sc.alice.refuses(t, row.what, row.b, row.want)
	}
	sc.accepted(t, "add", f.build(forgedCommit{proposals: value(zoe.add(nil, nil))}))
}

// certificate returns a self-signed certificate for an Ed25519 key.
func certificate(t testing.TB, public []byte) []byte {
	t.Helper()
	_, issuer, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	return must(x509.CreateCertificate(rand.Reader, template, template, ed25519.PublicKey(public), issuer))
}

// TestRuleCertificateKey: an X.509 credential is for the leaf's signature key
// (L13, S8), whatever the Authenticator says; the one here does not look at keys.
func TestRuleCertificateKey(t *testing.T) {
	sc := newScene(t, x25519)
	f := sc.forger
	zoe, nobody := newStranger(sc.suite, "zoe"), newStranger(sc.suite, "nobody")
	own, other := certificate(t, zoe.key.Public()), certificate(t, nobody.key.Public())
	with := func(chain ...[]byte) func(*message.LeafNode) {
		return func(l *message.LeafNode) {
			l.Credential = message.Credential{Type: message.CredentialX509, Certificates: chain}
		}
	}
	add := func(chain ...[]byte) *built {
		return f.build(forgedCommit{proposals: value(zoe.add(with(chain...), nil))})
	}
	proposed := zoe.add(with(other), nil)
	proposal, _ := f.frame(forgedContent{proposal: &proposed})
	update, _ := f.frame(forgedContent{proposal: sc.update(t, with(other))})
	init := value(message.Proposal{Type: message.ProposalExternalInit})
	sc.alice.refusesBy(t, []ruleRow{
		{"certificate of another key", "L13", add(other).message, mlserr.CredentialRejected},
		{"own certificate not the first", "L13", add(other, own).message, mlserr.CredentialRejected},
		{"no certificate", "L13", add().message, mlserr.CredentialRejected},
		{"certificate empty", "L13", add(nil).message, mlserr.CredentialRejected},
		{"certificate cut", "L13", add(own[:len(own)-1]).message, mlserr.CredentialRejected},
		{"certificate with more behind", "L13", add(append(bytes.Clone(own), 0)).message, mlserr.CredentialRejected},
		{"another key, in a path", "L13", f.build(forgedCommit{leaf: with(other)}).message, mlserr.CredentialRejected},
		{"another key, in a proposed add", "L13", proposal, mlserr.CredentialRejected},
		{"another key, in an update", "L13", update, mlserr.CredentialRejected},
		{"another key, in an external path", "L13", f.build(forgedCommit{external: &joiner{key: zoe.key, leaf: zoe.leaf(with(other))}, proposals: init}).message, mlserr.CredentialRejected},
	})
	sc.accepted(t, "the own certificate", add(own, other))

	// In a tree that is joined, too.
	in := newInvited(t)
	_, welcome := in.build(forgedCommit{leaf: with(other)}, forgedWelcome{})
	in.refuses(t, "another key, in a joined tree", welcome, mlserr.CredentialRejected)
}

// TestRuleGrease: GREASE values are unknown values like others (X5; RFC 9420,
// Section 13.5): accepted where unknown ones are, refused where they are not.
func TestRuleGrease(t *testing.T) {
	in := newInvited(t)
	sc, f := in.scene, in.forger
	zoe := newStranger(sc.suite, "another zoe")
	greased := func(l *message.LeafNode) {
		c := &l.Capabilities
		c.CipherSuites = append(c.CipherSuites, 0x0a0a)
		c.Extensions = []message.ExtensionType{0x1a1a, 0xeaea}
		c.Proposals = []message.ProposalType{0x2a2a}
		c.Credentials = append(c.Credentials, 0x3a3a)
		l.Extensions = message.Extensions{{Type: 0x1a1a, Data: suite.Random(9)}}
	}
	t.Run("capabilities and extensions", func(t *testing.T) {
		add := zoe.add(greased, func(kp *message.KeyPackage) {
			kp.Extensions = message.Extensions{{Type: 0x4a4a, Data: suite.Random(3)}, {Type: 0x0a0a}}
		})
		sc.accepted(t, "add", f.build(forgedCommit{proposals: value(add)}))
		sc.accepted(t, "path", f.build(forgedCommit{leaf: greased}))
		b, welcome := in.build(forgedCommit{leaf: greased}, forgedWelcome{info: func(g *message.GroupInfo) {
			g.Extensions = append(message.Extensions{{Type: 0x5a5a, Data: suite.Random(5)}}, g.Extensions...)
		}})
		in.accepted(t, "welcome", b, welcome, nil)
	})
	lists := func(l *message.LeafNode) { l.Capabilities.Extensions = []message.ExtensionType{0x6a6a} }
	group := message.Extensions{{Type: 0x6a6a}}
	sc.alice.refusesBy(t, []ruleRow{
		{"leaf extension not listed", "L6", f.build(forgedCommit{proposals: value(zoe.add(func(l *message.LeafNode) {
			l.Extensions = message.Extensions{{Type: 0x1a1a}}
		}, nil))}).message, mlserr.ExtensionNotListed},
		{"group context extension", "P17", f.build(forgedCommit{leaf: lists,
			proposals: value(message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: group})}).message, mlserr.GroupExtensionInvalid},
		{"proposal type", "P11", f.build(forgedCommit{proposals: value(message.Proposal{Type: 0x6a6a})}).message, mlserr.ProposalUnsupported},
		{"credential type", "L4", f.build(forgedCommit{proposals: value(zoe.add(func(l *message.LeafNode) {
			l.Credential = message.Credential{Type: 0x7a7a}
			l.Capabilities.Credentials = append(l.Capabilities.Credentials, 0x7a7a)
		}, nil))}).message, mlserr.CapabilityMissing},
	})
	// A client's own leaf lists some, so that others stay used to it.
	own := parseKeyPackage(in.zoe.keyPackage()).LeafNode.Capabilities
	for what, list := range map[string][]uint16{
		"extensions": values(own.Extensions), "proposals": values(own.Proposals),
		"credentials": values(own.Credentials), "cipher suites": values(own.CipherSuites),
	} {
		found := false
		for _, v := range list {
			found = found || v&0x0f0f == 0x0a0a && v>>8 == v&0xff
		}
		if !found {
			t.Errorf("no GREASE value among the %s %x", what, list)
		}
	}
}

func values[T ~uint16](list []T) (out []uint16) {
	for _, v := range list {
		out = append(out, uint16(v))
	}
	return out
}
