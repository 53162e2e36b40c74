package mls_test

import (
	"bytes"
	"fmt"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// invited is a scene in which mallory adds zoe, who is to refuse. Zoe comes to
// leaf 6; her lowest common ancestor with mallory is the root, node 7.
type invited struct {
	*scene
	zoe *party
	kp  *message.KeyPackage
	add message.Proposal
}

const leafZoe = treemath.LeafIndex(6)

func newInvited(t testing.TB) *invited {
	t.Helper()
	in := &invited{scene: newScene(t, suite.X25519AES128SHA256Ed25519)}
	in.zoe = newPartyWith(t, in.suite.ID(), "zoe", nil)
	if err := in.zoe.client.StorePSK(ctx, in.psk.ID, []byte("a secret")); err != nil {
		t.Fatal(err)
	}
	in.kp = parseKeyPackage(in.zoe.keyPackage())
	in.add = message.Proposal{Type: message.ProposalAdd, Add: in.kp}
	return in
}

// build builds mallory's commit with the Welcome for zoe.
func (in *invited) build(c forgedCommit, h forgedWelcome) (*built, []byte) {
	c.proposals = append(value(in.add), c.proposals...)
	b := in.forger.build(c)
	return b, in.forger.welcome(b, in.kp, h)
}

// accepted checks that a twin of zoe joins by the Welcome into the epoch of b.
func (in *invited) accepted(t testing.TB, what string, b *built, welcome, apart []byte) {
	t.Helper()
	zoe := in.zoe.twin()
	g, err := zoe.client.JoinGroup(ctx, welcome, mls.JoinOptions{RatchetTree: apart})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	zoe.group = g
	if info := zoe.info(); !bytes.Equal(info.EpochAuthenticator, b.secrets.EpochAuthenticator) || info.OwnLeaf != leafZoe {
		t.Fatalf("%s: zoe is in another epoch", what)
	}
}

// refuses has zoe refuse a Welcome without a trace.
func (in *invited) refuses(t testing.TB, what string, welcome []byte, want mlserr.Code) {
	t.Helper()
	check := in.zoe.unchanged()
	_, err := in.zoe.client.JoinGroup(ctx, welcome, mls.JoinOptions{})
	if err == nil {
		t.Fatalf("%s: accepted", what)
	}
	if got := mlserr.CodeOf(err); got != want {
		t.Fatalf("%s: %v, want %s", what, err, want)
	}
	check(t, what)
	if groups := must(in.zoe.client.Groups(ctx)); len(groups) != 0 {
		t.Fatalf("%s: zoe holds a group", what)
	}
}

type welcomeRow struct {
	what string
	c    forgedCommit
	w    forgedWelcome
	want mlserr.Code
}

// TestForgedWelcome: every field of Welcome, GroupSecrets, GroupInfo and of the
// nodes of the tree, by a member who encrypts and signs it anew.
func TestForgedWelcome(t *testing.T) {
	sc := newInvited(t)
	s, in := sc.suite, sc.forger.in
	nobody := newStranger(s, "nobody")
	psk := sc.psk
	psk.Nonce = suite.Random(s.HashSize())
	pskWith := func(change func(*message.PreSharedKeyID)) message.PreSharedKeyID {
		id := psk
		change(&id)
		return id
	}

	b, genuine := sc.build(forgedCommit{}, forgedWelcome{})
	sc.accepted(t, "with a path", b, genuine, nil)
	b2, w := sc.build(forgedCommit{noPath: true}, forgedWelcome{})
	sc.accepted(t, "without a path", b2, w, nil)
	b2, w = sc.build(forgedCommit{proposals: value(message.Proposal{Type: message.ProposalPSK, PSK: &psk}), psks: sc.psks}, forgedWelcome{})
	sc.accepted(t, "with a psk", b2, w, nil)
	b2, w = sc.build(forgedCommit{}, forgedWelcome{noTree: true})
	sc.accepted(t, "tree apart", b2, w, wire.Marshal(b2.tree.Export()))
	sc.refuses(t, "tree nowhere", w, mlserr.TreeMissing)

	welcome := func(change func(*message.Welcome)) forgedWelcome { return forgedWelcome{welcome: change} }
	secrets := func(change func(*message.GroupSecrets)) forgedWelcome { return forgedWelcome{secrets: change} }
	info := func(change func(*message.GroupInfo)) forgedWelcome { return forgedWelcome{info: change} }
	extension := func(e message.Extension) forgedWelcome {
		return forgedWelcome{context: func(g *message.GroupContext) { g.Extensions = append(g.Extensions[:1:1], e) }}
	}
	nodes := func(change func(message.RatchetTree)) forgedWelcome {
		return forgedWelcome{nodes: func(n message.RatchetTree) message.RatchetTree { change(n); return n }}
	}
	psks := func(list ...message.PreSharedKeyID) forgedWelcome {
		return secrets(func(g *message.GroupSecrets) { g.PSKs = list })
	}
	leaf := func(change func(*message.LeafNode)) forgedCommit { return forgedCommit{leaf: change} }
	noPath := forgedCommit{noPath: true}
	// Zoe's leaf, signed by zoe herself after a change.
	zoeLeaf := func(change func(*message.LeafNode)) forgedWelcome {
		return nodes(func(n message.RatchetTree) {
			l := n[leafZoe.Node()].Leaf
			change(l)
			if err := l.Sign(ctx, s, sc.zoe.id.SignatureHandle(), in.GroupID, leafZoe); err != nil {
				t.Fatal(err)
			}
		})
	}
	rows := []welcomeRow{
		// Welcome.
		{what: "cipher_suite of another kind", w: welcome(func(w *message.Welcome) { w.CipherSuite = 3 }), want: mlserr.KeyPackageMismatch},
		{what: "cipher_suite unknown", w: welcome(func(w *message.Welcome) { w.CipherSuite = 0xf000 }), want: mlserr.UnknownSuite},
		{what: "no secrets", w: welcome(func(w *message.Welcome) { w.Secrets = nil }), want: mlserr.NoMatchingKeyPackage},
		{what: "new_member", w: welcome(func(w *message.Welcome) { w.Secrets[0].NewMember = flip(w.Secrets[0].NewMember) }), want: mlserr.NoMatchingKeyPackage},
		{what: "new_member empty", w: welcome(func(w *message.Welcome) { w.Secrets[0].NewMember = nil }), want: mlserr.NoMatchingKeyPackage},
		{what: "kem_output", w: welcome(func(w *message.Welcome) {
			ct := &w.Secrets[0].EncryptedGroupSecrets
			ct.KEMOutput = flip(ct.KEMOutput)
		}), want: mlserr.DecryptionFailed},
		{what: "kem_output empty", w: welcome(func(w *message.Welcome) { w.Secrets[0].EncryptedGroupSecrets.KEMOutput = nil }), want: mlserr.DecryptionFailed},
		{what: "kem_output all zero", w: welcome(func(w *message.Welcome) { clear(w.Secrets[0].EncryptedGroupSecrets.KEMOutput) }), want: mlserr.DecryptionFailed},
		{what: "ciphertext", w: welcome(func(w *message.Welcome) {
			ct := &w.Secrets[0].EncryptedGroupSecrets
			ct.Ciphertext = flip(ct.Ciphertext)
		}), want: mlserr.DecryptionFailed},
		{what: "ciphertext empty", w: welcome(func(w *message.Welcome) { w.Secrets[0].EncryptedGroupSecrets.Ciphertext = nil }), want: mlserr.DecryptionFailed},
		{what: "encrypted_group_info", w: welcome(func(w *message.Welcome) { w.EncryptedGroupInfo = flip(w.EncryptedGroupInfo) }), want: mlserr.DecryptionFailed},
		{what: "encrypted_group_info empty", w: welcome(func(w *message.Welcome) { w.EncryptedGroupInfo = nil }), want: mlserr.DecryptionFailed},
		{what: "welcome key", w: forgedWelcome{sealInfo: func(key, _ []byte) { key[0] ^= 1 }}, want: mlserr.DecryptionFailed},
		{what: "welcome nonce", w: forgedWelcome{sealInfo: func(_, nonce []byte) { nonce[0] ^= 1 }}, want: mlserr.DecryptionFailed},

		// GroupSecrets.
		{what: "joiner_secret", w: secrets(func(g *message.GroupSecrets) { g.JoinerSecret = flip(g.JoinerSecret) }), want: mlserr.DecryptionFailed},
		{what: "joiner_secret empty", w: secrets(func(g *message.GroupSecrets) { g.JoinerSecret = nil }), want: mlserr.WelcomeInvalid},
		{what: "joiner_secret short", w: secrets(func(g *message.GroupSecrets) { g.JoinerSecret = g.JoinerSecret[1:] }), want: mlserr.WelcomeInvalid},
		{what: "joiner_secret long", w: secrets(func(g *message.GroupSecrets) { g.JoinerSecret = append(g.JoinerSecret, 0) }), want: mlserr.WelcomeInvalid},
		{what: "path_secret", w: secrets(func(g *message.GroupSecrets) { g.PathSecret = flip(g.PathSecret) }), want: mlserr.PathKeyMismatch},
		{what: "path_secret empty", w: secrets(func(g *message.GroupSecrets) { g.PathSecret = []byte{} }), want: mlserr.PathKeyMismatch},
		{what: "path_secret short", w: secrets(func(g *message.GroupSecrets) { g.PathSecret = g.PathSecret[1:] }), want: mlserr.PathKeyMismatch},
		{what: "path_secret of a commit without a path", c: noPath, w: secrets(func(g *message.GroupSecrets) { g.PathSecret = suite.Random(s.HashSize()) }), want: mlserr.PathKeyMismatch},
		{what: "psk that is not in the commit", w: psks(psk), want: mlserr.DecryptionFailed},
		{what: "psk unknown", w: psks(pskWith(func(id *message.PreSharedKeyID) { id.ID = []byte("unknown") })), want: mlserr.PSKUnknown},
		{what: "psk twice", w: psks(psk, psk), want: mlserr.PSKInvalid},
		{what: "psk nonce empty", w: psks(pskWith(func(id *message.PreSharedKeyID) { id.Nonce = nil })), want: mlserr.PSKInvalid},
		{what: "psk nonce short", w: psks(pskWith(func(id *message.PreSharedKeyID) { id.Nonce = id.Nonce[1:] })), want: mlserr.PSKInvalid},
		{what: "psk left out", c: forgedCommit{proposals: value(message.Proposal{Type: message.ProposalPSK, PSK: &psk}), psks: sc.psks}, w: psks(), want: mlserr.DecryptionFailed},
		{what: "psk with another secret", c: forgedCommit{proposals: value(message.Proposal{Type: message.ProposalPSK, PSK: &psk}), psks: map[string][]byte{psk.Key(): {1}}}, want: mlserr.DecryptionFailed},
		{what: "psk of another group", w: psks(message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: []byte("x"), Nonce: psk.Nonce}), want: mlserr.PSKUnknown},
		{what: "branch of a group that is not held", w: psks(message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionBranch, GroupID: []byte("x"), Nonce: psk.Nonce}), want: mlserr.PSKUnknown},
		{what: "reinit and branch", w: psks(
			message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionBranch, GroupID: []byte("x"), Nonce: psk.Nonce},
			message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionReInit, GroupID: []byte("x"), Nonce: psk.Nonce}), want: mlserr.PSKInvalid},
		{what: "more behind the secrets", w: forgedWelcome{rawSecrets: func(b []byte) []byte { return append(b, 0) }}, want: mlserr.Malformed},

		// GroupInfo: the group context.
		{what: "version", w: info(func(g *message.GroupInfo) { g.GroupContext.Version = 2 }), want: mlserr.UnknownVersion},
		{what: "group info's cipher_suite", w: info(func(g *message.GroupInfo) { g.GroupContext.CipherSuite = 3 }), want: mlserr.GroupInfoInvalid},
		{what: "group_id", w: info(func(g *message.GroupInfo) { g.GroupContext.GroupID = flip(g.GroupContext.GroupID) }), want: mlserr.InvalidSignature},
		{what: "group_id, all else made for it", w: forgedWelcome{context: func(g *message.GroupContext) { g.GroupID = flip(g.GroupID) }}, want: mlserr.InvalidSignature},
		{what: "group_id empty", w: info(func(g *message.GroupInfo) { g.GroupContext.GroupID = nil }), want: mlserr.GroupInfoInvalid},
		{what: "epoch", w: info(func(g *message.GroupInfo) { g.GroupContext.Epoch++ }), want: mlserr.ConfirmationTag},
		{what: "tree_hash", w: info(func(g *message.GroupInfo) { g.GroupContext.TreeHash = flip(g.GroupContext.TreeHash) }), want: mlserr.TreeHashMismatch},
		{what: "tree_hash, all else made for it", w: forgedWelcome{context: func(g *message.GroupContext) { g.TreeHash = flip(g.TreeHash) }}, want: mlserr.TreeHashMismatch},
		{what: "tree_hash empty", w: info(func(g *message.GroupInfo) { g.GroupContext.TreeHash = nil }), want: mlserr.TreeHashMismatch},
		{what: "confirmed_transcript_hash", w: info(func(g *message.GroupInfo) {
			g.GroupContext.ConfirmedTranscriptHash = flip(g.GroupContext.ConfirmedTranscriptHash)
		}), want: mlserr.ConfirmationTag},
		{what: "extensions left out", w: info(func(g *message.GroupInfo) { g.GroupContext.Extensions = nil }), want: mlserr.ConfirmationTag},
		{what: "extension not supported", w: extension(message.Extension{Type: 0xf001}), want: mlserr.CapabilityMissing},
		{what: "extension ratchet_tree", w: extension(message.Extension{Type: message.ExtensionRatchetTree}), want: mlserr.GroupExtensionInvalid},
		{what: "extension twice", w: extension(message.Extension{Type: message.ExtensionExternalSenders}), want: mlserr.DuplicateExtension},
		{what: "required_capabilities malformed", w: extension(message.Extension{Type: message.ExtensionRequiredCapabilities, Data: []byte{1}}), want: mlserr.Malformed},
		{what: "required_capabilities not met", w: extension(message.Extension{Type: message.ExtensionRequiredCapabilities,
			Data: wire.Marshal(&message.RequiredCapabilities{Proposals: []message.ProposalType{0xf001}})}), want: mlserr.CapabilityMissing},
		{what: "external_senders malformed", w: forgedWelcome{context: func(g *message.GroupContext) {
			g.Extensions = message.Extensions{{Type: message.ExtensionExternalSenders, Data: []byte{9}}}
		}}, want: mlserr.Malformed},
		{what: "external sender refused", w: forgedWelcome{context: func(g *message.GroupContext) {
			g.Extensions = message.Extensions{externalSenders(nobody.key.Public(), "refused")}
		}}, want: mlserr.CredentialRejected},

		// The rest of GroupInfo.
		{what: "ratchet_tree left out", w: info(func(g *message.GroupInfo) { g.Extensions = nil }), want: mlserr.TreeMissing},
		{what: "ratchet_tree empty", w: info(func(g *message.GroupInfo) { g.Extensions[0].Data = []byte{0} }), want: mlserr.MalformedTree},
		{what: "ratchet_tree without content", w: info(func(g *message.GroupInfo) { g.Extensions[0].Data = nil }), want: mlserr.Malformed},
		{what: "ratchet_tree cut", w: info(func(g *message.GroupInfo) { g.Extensions[0].Data = g.Extensions[0].Data[:len(g.Extensions[0].Data)-1] }), want: mlserr.Malformed},
		{what: "ratchet_tree with more behind", w: info(func(g *message.GroupInfo) { g.Extensions[0].Data = append(g.Extensions[0].Data, 0) }), want: mlserr.Malformed},
		{what: "ratchet_tree twice", w: info(func(g *message.GroupInfo) { g.Extensions = append(g.Extensions, g.Extensions[0]) }), want: mlserr.DuplicateExtension},
		{what: "confirmation_tag", w: info(func(g *message.GroupInfo) { g.ConfirmationTag = flip(g.ConfirmationTag) }), want: mlserr.ConfirmationTag},
		{what: "signer blank", w: info(func(g *message.GroupInfo) { g.Signer = 7 }), want: mlserr.InvalidSender},
		{what: "signer past the tree", w: info(func(g *message.GroupInfo) { g.Signer = 8 }), want: mlserr.InvalidSender},
		{what: "signer 2^31", w: info(func(g *message.GroupInfo) { g.Signer = 1 << 31 }), want: mlserr.InvalidSender},
		{what: "signer 2^32-1", w: info(func(g *message.GroupInfo) { g.Signer = 1<<32 - 1 }), want: mlserr.InvalidSender},
		{what: "signer another member", w: info(func(g *message.GroupInfo) { g.Signer = leafBob }), want: mlserr.InvalidSignature},
		{what: "signer the joiner", w: info(func(g *message.GroupInfo) { g.Signer = leafZoe }), want: mlserr.InvalidSignature},
		{what: "signed by nobody", w: forgedWelcome{signer: nobody.key}, want: mlserr.InvalidSignature},
		{what: "signature", w: forgedWelcome{signed: func(g *message.GroupInfo) { g.Signature = flip(g.Signature) }}, want: mlserr.InvalidSignature},
		{what: "signature empty", w: forgedWelcome{signed: func(g *message.GroupInfo) { g.Signature = nil }}, want: mlserr.InvalidSignature},
		{what: "not the signed epoch", w: forgedWelcome{signed: func(g *message.GroupInfo) { g.GroupContext.Epoch++ }}, want: mlserr.InvalidSignature},
		{what: "not the signed extensions", w: forgedWelcome{signed: func(g *message.GroupInfo) {
			g.Extensions = append(g.Extensions, message.Extension{Type: 0xf001})
		}}, want: mlserr.InvalidSignature},
		{what: "more behind the group info", w: forgedWelcome{rawInfo: func(b []byte) []byte { return append(b, 0) }}, want: mlserr.Malformed},

		// The nodes of the tree, over which the tree hash is made anew: leaves.
		{what: "leaf: another member's key", w: nodes(func(n message.RatchetTree) {
			n[leafBob.Node()].Leaf.EncryptionKey = nobody.leaf(nil).EncryptionKey
		}), want: mlserr.ParentHashInvalid},
		{what: "leaf: another member's signature", w: nodes(func(n message.RatchetTree) {
			l := n[leafBob.Node()].Leaf
			l.Signature = flip(l.Signature)
		}), want: mlserr.ParentHashInvalid},
		{what: "leaf: blanked", w: nodes(func(n message.RatchetTree) { n[leafBob.Node()] = message.Node{} }), want: mlserr.ParentHashInvalid},
		{what: "leaf: one more", w: forgedWelcome{nodes: func(n message.RatchetTree) message.RatchetTree {
			l := nobody.leaf(nil)
			return append(n, message.Node{}, message.Node{Leaf: &l})
		}}, want: mlserr.ParentHashInvalid},
		{what: "leaf: the committer's signature", c: forgedCommit{signedLeaf: func(l *message.LeafNode) { l.Signature = flip(l.Signature) }}, want: mlserr.InvalidSignature},
		{what: "leaf: the committer's, signed by nobody", c: forgedCommit{leafSigner: nobody.key}, want: mlserr.InvalidSignature},
		{what: "leaf: signature_key", c: leaf(func(l *message.LeafNode) { l.SignatureKey = nobody.key.Public() }), want: mlserr.InvalidSignature},
		{what: "leaf: signature_key of another", c: leaf(func(l *message.LeafNode) { l.SignatureKey = in.Tree.Leaf(leafBob).SignatureKey }), want: mlserr.InvalidSignature},
		{what: "leaf: a new member with the signature_key of another", c: noPath, w: nodes(func(n message.RatchetTree) {
			n[leafZoe.Node()].Leaf.SignatureKey = in.Tree.Leaf(leafBob).SignatureKey
		}), want: mlserr.SignatureKeyNotUnique},
		{what: "leaf: encryption_key of another", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Leaf(leafBob).EncryptionKey }), want: mlserr.EncryptionKeyNotUnique},
		{what: "leaf: encryption_key not valid", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = []byte{1} }), want: mlserr.InvalidPublicKey},
		{what: "leaf: credential refused", c: leaf(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("refused")) }), want: mlserr.CredentialRejected},
		{what: "leaf: credential type not listed", c: leaf(func(l *message.LeafNode) { l.Credential = message.Credential{Type: 0xf000} }), want: mlserr.CapabilityMissing},
		{what: "leaf: versions", c: leaf(func(l *message.LeafNode) { l.Capabilities.Versions = nil }), want: mlserr.CapabilityMissing},
		{what: "leaf: default type listed", c: leaf(func(l *message.LeafNode) { l.Capabilities.Extensions = []message.ExtensionType{1} }), want: mlserr.DefaultTypeListed},
		{what: "leaf: lacks what the group requires", c: leaf(func(l *message.LeafNode) { l.Capabilities.Credentials = nil }), want: mlserr.CapabilityMissing},
		{what: "leaf: source update", c: leaf(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceUpdate }), want: mlserr.ParentHashInvalid},
		{what: "leaf: parent_hash", c: leaf(func(l *message.LeafNode) { l.ParentHash = flip(l.ParentHash) }), want: mlserr.ParentHashInvalid},
		{what: "leaf: extension not listed", c: leaf(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: 0xf001}} }), want: mlserr.ExtensionNotListed},
		{what: "leaf: signed for another leaf", c: forgedCommit{leafIndex: new(treemath.LeafIndex)}, want: mlserr.InvalidSignature},
		{what: "leaf: signed for another group", c: forgedCommit{leafGroup: []byte("x")}, want: mlserr.InvalidSignature},
		// Zoe's own leaf. Without a path she is unmerged at the root, so that no
		// parent hash covers her leaf.
		{what: "own leaf: encryption_key", c: noPath, w: zoeLeaf(func(l *message.LeafNode) { l.EncryptionKey = nobody.leaf(nil).EncryptionKey }), want: mlserr.LeafMismatch},
		{what: "own leaf: capabilities", c: noPath, w: zoeLeaf(func(l *message.LeafNode) { l.Capabilities.Proposals = []message.ProposalType{0xf001} }), want: mlserr.LeafMismatch},
		{what: "own leaf: lifetime", c: noPath, w: zoeLeaf(func(l *message.LeafNode) { l.Lifetime.NotAfter++ }), want: mlserr.LeafMismatch},
		{what: "own leaf: credential", c: noPath, w: zoeLeaf(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("bob")) }), want: mlserr.LeafMismatch},
		{what: "own leaf: somebody else's", c: noPath, w: nodes(func(n message.RatchetTree) {
			l := nobody.leaf(nil)
			n[leafZoe.Node()] = message.Node{Leaf: &l}
		}), want: mlserr.LeafMismatch},
		{what: "own leaf: signature", c: noPath, w: nodes(func(n message.RatchetTree) {
			l := n[leafZoe.Node()].Leaf
			l.Signature = flip(l.Signature)
		}), want: mlserr.InvalidSignature},
		// Parents.
		{what: "parent: blanked", w: nodes(func(n message.RatchetTree) { n[3] = message.Node{} }), want: mlserr.ParentHashInvalid},
		{what: "parent: one more", w: nodes(func(n message.RatchetTree) {
			n[11] = message.Node{Parent: &message.ParentNode{EncryptionKey: nobody.leaf(nil).EncryptionKey}}
		}), want: mlserr.ParentHashInvalid},
		{what: "parent: unmerged leaf that lower nodes do not list", w: nodes(func(n message.RatchetTree) { n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{leafAlice} }), want: mlserr.UnmergedLeaves},
		{what: "parent: unmerged leaf that is blank", w: nodes(func(n message.RatchetTree) { n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{7} }), want: mlserr.UnmergedLeaves},
		{what: "parent: unmerged leaf not below", w: nodes(func(n message.RatchetTree) { n[3].Parent.UnmergedLeaves = []treemath.LeafIndex{leafBob} }), want: mlserr.UnmergedLeaves},
		{what: "parent: unmerged leaf 2^31", w: nodes(func(n message.RatchetTree) { n[3].Parent.UnmergedLeaves = []treemath.LeafIndex{1 << 31} }), want: mlserr.UnmergedLeaves},
		{what: "parent: unmerged leaf twice", c: noPath, w: nodes(func(n message.RatchetTree) {
			n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{leafCarol, leafCarol, leafZoe}
		}), want: mlserr.UnmergedLeaves},
		{what: "parent: unmerged leaves not sorted", c: noPath, w: nodes(func(n message.RatchetTree) {
			n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{leafZoe, leafCarol}
		}), want: mlserr.UnmergedLeaves},
		{what: "parent: unmerged leaf left out", c: noPath, w: nodes(func(n message.RatchetTree) { n[7].Parent.UnmergedLeaves = []treemath.LeafIndex{leafZoe} }), want: mlserr.ParentHashInvalid},
		{what: "parent: unmerged leaf left out below", c: noPath, w: nodes(func(n message.RatchetTree) { n[3].Parent.UnmergedLeaves = nil }), want: mlserr.UnmergedLeaves},
		{what: "parent: all unmerged leaves left out", c: noPath, w: nodes(func(n message.RatchetTree) { n[7].Parent.UnmergedLeaves = nil }), want: mlserr.ParentHashInvalid},
		{what: "parent: key not valid", c: forgedCommit{pathKeys: func(public [][]byte) { public[0] = []byte{1} }}, want: mlserr.InvalidPublicKey},
		{what: "parent: the root's key", c: forgedCommit{pathKeys: func(public [][]byte) { public[2] = nobody.leaf(nil).EncryptionKey }}, want: mlserr.PathKeyMismatch},
		// The array.
		{what: "tree: a leaf at a parent's place", w: nodes(func(n message.RatchetTree) { n[1] = n[0] }), want: mlserr.MalformedTree},
		{what: "tree: a parent at a leaf's place", w: nodes(func(n message.RatchetTree) { n[0] = n[3] }), want: mlserr.MalformedTree},
		{what: "tree: even number of nodes", w: forgedWelcome{nodes: func(n message.RatchetTree) message.RatchetTree { return n[:len(n)-1] }}, want: mlserr.MalformedTree},
		{what: "tree: blank nodes at the end", w: forgedWelcome{nodes: func(n message.RatchetTree) message.RatchetTree { return append(n, message.Node{}, message.Node{}) }}, want: mlserr.MalformedTree},
		{what: "tree: the right half left out", w: forgedWelcome{nodes: func(n message.RatchetTree) message.RatchetTree { return n[:7] }}, want: mlserr.LeafMismatch},
		{what: "tree: one leaf", w: forgedWelcome{nodes: func(n message.RatchetTree) message.RatchetTree { return n[:1] }}, want: mlserr.InvalidSender},
	}
	for what, tag := range badLengths(b.tag) {
		rows = append(rows, welcomeRow{what: "confirmation_tag, " + what, w: info(func(g *message.GroupInfo) { g.ConfirmationTag = tag }), want: mlserr.ConfirmationTag})
	}
	for _, x := range []treemath.NodeIndex{3, 5, 7, 9} {
		node := fmt.Sprintf("parent %d: ", x)
		rows = append(rows,
			welcomeRow{what: node + "encryption_key", w: nodes(func(n message.RatchetTree) { n[x].Parent.EncryptionKey = nobody.leaf(nil).EncryptionKey }), want: mlserr.ParentHashInvalid},
			welcomeRow{what: node + "encryption_key of a leaf", w: nodes(func(n message.RatchetTree) { n[x].Parent.EncryptionKey = n[0].Leaf.EncryptionKey }), want: mlserr.EncryptionKeyNotUnique},
			welcomeRow{what: node + "parent_hash", w: nodes(func(n message.RatchetTree) { n[x].Parent.ParentHash = flip(n[x].Parent.ParentHash) }), want: mlserr.ParentHashInvalid},
		)
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			_, welcome := sc.build(row.c, row.w)
			sc.refuses(t, row.what, welcome, row.want)
		})
	}
	sc.accepted(t, "genuine", b, genuine, nil)
	g := must(sc.zoe.client.JoinGroup(ctx, genuine, mls.JoinOptions{}))
	if id := g.ID(); !bytes.Equal(id, in.GroupID) {
		t.Fatal("another group")
	}
	// The key package is spent.
	_, err := sc.zoe.client.JoinGroup(ctx, genuine, mls.JoinOptions{})
	wantCode(t, err, mlserr.NoMatchingKeyPackage)
}

// TestForgedWelcomeBytes: what an attacker does to a Welcome who has no secret,
// and what a member does who encrypts anything in the place of the structs.
func TestForgedWelcomeBytes(t *testing.T) {
	sc := newInvited(t)
	b := sc.forger.build(forgedCommit{proposals: value(sc.add)})
	genuine := sc.forger.welcome(b, sc.kp, forgedWelcome{})
	check := sc.zoe.unchanged()
	for n := range genuine {
		if _, err := sc.zoe.client.JoinGroup(ctx, genuine[:n:n], mls.JoinOptions{}); mlserr.CodeOf(err) != mlserr.Malformed {
			t.Fatalf("%d of %d bytes: %v", n, len(genuine), err)
		}
	}
	_, err := sc.zoe.client.JoinGroup(ctx, append(bytes.Clone(genuine), 0), mls.JoinOptions{})
	wantCode(t, err, mlserr.Malformed)
	for i := range genuine {
		forged := bytes.Clone(genuine)
		forged[i] ^= 1 << (i % 8)
		_, err := sc.zoe.client.JoinGroup(ctx, forged, mls.JoinOptions{})
		switch mlserr.CodeOf(err) {
		case mlserr.Malformed, mlserr.UnknownVersion, mlserr.UnknownWireFormat, mlserr.WrongWireFormat, mlserr.UnknownSuite,
			mlserr.KeyPackageMismatch, mlserr.NoMatchingKeyPackage, mlserr.DecryptionFailed:
		default:
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	check(t, "bytes changed")
	var secrets, info []byte
	sc.forger.welcome(b, sc.kp, forgedWelcome{
		rawSecrets: func(b []byte) []byte { secrets = bytes.Clone(b); return b },
		rawInfo:    func(b []byte) []byte { info = bytes.Clone(b); return b },
	})
	for n := range secrets {
		forged := sc.forger.welcome(b, sc.kp, forgedWelcome{rawSecrets: func(b []byte) []byte { return b[:n] }})
		if _, err := sc.zoe.client.JoinGroup(ctx, forged, mls.JoinOptions{}); mlserr.CodeOf(err) != mlserr.Malformed {
			t.Fatalf("%d of %d bytes of the group secrets: %v", n, len(secrets), err)
		}
	}
	for n := range info {
		forged := sc.forger.welcome(b, sc.kp, forgedWelcome{rawInfo: func([]byte) []byte { return info[:n] }})
		if _, err := sc.zoe.client.JoinGroup(ctx, forged, mls.JoinOptions{}); mlserr.CodeOf(err) != mlserr.Malformed {
			t.Fatalf("%d of %d bytes of the group info: %v", n, len(info), err)
		}
	}
	check(t, "structs cut")
	sc.accepted(t, "genuine", b, genuine, nil)
}

// TestForgedGroupInfo: a GroupInfo that is changed on its way to a client that
// joins by an external commit.
func TestForgedGroupInfo(t *testing.T) {
	sc := newInvited(t)
	genuine := must(sc.mallory.group.GroupInfo(ctx, mls.GroupInfoOptions{}))
	join := func(b []byte) error {
		_, _, err := sc.zoe.client.JoinExternal(ctx, sc.zoe.id.ID(), b, mls.ExternalOptions{})
		return err
	}
	check := sc.zoe.unchanged()
	for n := range genuine {
		wantCode(t, join(genuine[:n:n]), mlserr.Malformed)
	}
	wantCode(t, join(append(bytes.Clone(genuine), 0)), mlserr.Malformed)
	for i := range genuine {
		forged := bytes.Clone(genuine)
		forged[i] ^= 1 << (i % 8)
		err := join(forged)
		if class := mlserr.CodeOf(err).Info().Class; class != mlserr.ClassMalformed && class != mlserr.ClassRejected && class != mlserr.ClassUnsupported && mlserr.CodeOf(err) != mlserr.TreeMissing {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	check(t, "bytes changed")

	// Signed anew by mallory.
	nobody := newStranger(sc.suite, "nobody")
	for _, row := range []struct {
		what   string
		change func(*message.GroupInfo)
		want   mlserr.Code
	}{
		{"version", func(g *message.GroupInfo) { g.GroupContext.Version = 2 }, mlserr.UnknownVersion},
		{"cipher_suite", func(g *message.GroupInfo) { g.GroupContext.CipherSuite = 2 }, mlserr.GroupInfoInvalid},
		{"group_id", func(g *message.GroupInfo) { g.GroupContext.GroupID = []byte("x") }, mlserr.InvalidSignature},
		{"group_id empty", func(g *message.GroupInfo) { g.GroupContext.GroupID = nil }, mlserr.GroupInfoInvalid},
		{"tree_hash", func(g *message.GroupInfo) { g.GroupContext.TreeHash = flip(g.GroupContext.TreeHash) }, mlserr.TreeHashMismatch},
		{"extension not supported", func(g *message.GroupInfo) { g.GroupContext.Extensions = message.Extensions{{Type: 0xf001}} }, mlserr.CapabilityMissing},
		{"external_pub left out", func(g *message.GroupInfo) { g.Extensions = g.Extensions[1:] }, mlserr.GroupInfoInvalid},
		{"external_pub not valid", func(g *message.GroupInfo) { g.Extensions[0] = message.NewExternalPub([]byte{1}) }, mlserr.InvalidPublicKey},
		{"external_pub all zero", func(g *message.GroupInfo) { g.Extensions[0] = message.NewExternalPub(make([]byte, 32)) }, mlserr.InvalidPublicKey},
		{"external_pub malformed", func(g *message.GroupInfo) { g.Extensions[0].Data = nil }, mlserr.Malformed},
		{"ratchet_tree left out", func(g *message.GroupInfo) { g.Extensions = g.Extensions[:1] }, mlserr.TreeMissing},
		{"signer blank", func(g *message.GroupInfo) { g.Signer = leafBlank }, mlserr.InvalidSender},
		{"signer another", func(g *message.GroupInfo) { g.Signer = leafBob }, mlserr.InvalidSignature},
		{"external sender refused", func(g *message.GroupInfo) {
			g.GroupContext.Extensions = message.Extensions{externalSenders(nobody.key.Public(), "refused")}
		}, mlserr.CredentialRejected},
	} {
		m := must(message.Parse(bytes.Clone(genuine)))
		row.change(m.GroupInfo)
		if err := m.GroupInfo.Sign(ctx, sc.suite, sc.forger.in.Key); err != nil {
			t.Fatal(err)
		}
		if err := join(wire.Marshal(m)); mlserr.CodeOf(err) != row.want {
			t.Fatalf("%s: %v, want %s", row.what, err, row.want)
		}
		check(t, row.what)
	}
	_, r, err := sc.zoe.client.JoinExternal(ctx, sc.zoe.id.ID(), genuine, mls.ExternalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ev := sc.alice.receive(r.Commit); ev.Type != mls.EventGroupUpdate {
		t.Fatalf("%+v", ev)
	}
}
