package mls_test

import (
	"bytes"
	"fmt"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// scene is a group in which mallory forges and alice is to refuse:
//
//	leaf 0 alice   1 carol   2 mallory   3 erin   4 bob   5 dave   6, 7 blank
//
// Carol came last, without a path: she is unmerged at nodes 3 and 7. So alice
// has no key of node 1 and gets a path secret of mallory's for her leaf; two
// recipients share that node.
type scene struct {
	alice, carol, mallory, erin, bob, dave *party
	watcher                                *stranger // an external sender
	forger                                 *forger
	suite                                  *suite.Suite
	psk                                    message.PreSharedKeyID // held by all
	psks                                   map[string][]byte
}

const (
	leafAlice, leafCarol, leafMallory, leafErin = treemath.LeafIndex(0), treemath.LeafIndex(1), treemath.LeafIndex(2), treemath.LeafIndex(3)
	leafBob, leafDave, leafBlank                = treemath.LeafIndex(4), treemath.LeafIndex(5), treemath.LeafIndex(6)
)

func newScene(t testing.TB, id suite.ID) *scene {
	t.Helper()
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	sc := &scene{suite: s, watcher: newStranger(s, "watcher"), psk: message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}}
	sc.psks = map[string][]byte{sc.psk.Key(): []byte("a secret")}
	named := func(name string) *party {
		p := newPartyWith(t, id, name, nil)
		if err := p.client.StorePSK(ctx, sc.psk.ID, []byte("a secret")); err != nil {
			t.Fatal(err)
		}
		return p
	}
	sc.alice, sc.carol, sc.mallory = named("alice"), named("carol"), named("mallory")
	sc.erin, sc.bob, sc.dave = named("erin"), named("bob"), named("dave")
	gone := named("gone")
	var w wire.Writer
	message.ExternalSenderList{{SignatureKey: sc.watcher.key.Public(), Credential: message.BasicCredential([]byte("watcher"))}}.Marshal(&w)
	sc.alice.group = must(sc.alice.client.CreateGroup(ctx, sc.alice.id.ID(), mls.GroupOptions{Extensions: message.Extensions{
		{Type: message.ExtensionExternalSenders, Data: w.Bytes()},
		{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialBasic}})},
	}}))
	first := []*party{gone, sc.mallory, sc.erin, sc.bob, sc.dave}
	var kps [][]byte
	for _, p := range first {
		kps = append(kps, p.keyPackage())
	}
	r := sc.alice.commit(mls.CommitOptions{Add: kps})
	sc.alice.apply()
	for _, p := range first {
		p.join(r.Welcome)
	}
	all := append([]*party{sc.alice}, first...)
	for _, p := range all {
		spread(p, p.commit(mls.CommitOptions{}), all)
	}
	all = append([]*party{sc.alice}, first[1:]...)
	spread(sc.alice, sc.alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{leafCarol}}), all)
	r = sc.bob.commit(mls.CommitOptions{Add: [][]byte{sc.carol.keyPackage()}, NoPath: true})
	spread(sc.bob, r, all)
	sc.carol.join(r.Welcome)
	agree(t, sc.all()...)
	sc.forger = newForger(t, sc.mallory)
	return sc
}

func (sc *scene) all() []*party {
	return []*party{sc.alice, sc.carol, sc.mallory, sc.erin, sc.bob, sc.dave}
}

// spread has the committer apply a commit and all others receive it.
func spread(from *party, r *mls.CommitResult, all []*party) {
	from.t.Helper()
	for _, p := range all {
		if p == from {
			p.apply()
		} else {
			p.receive(r.Commit)
		}
	}
}

// accepted checks that the messages are accepted in this order by a twin of
// alice, and that the last of them, a commit, leads to the epoch that b has.
func (sc *scene) accepted(t testing.TB, what string, b *built, before ...[]byte) {
	t.Helper()
	alice := sc.alice.twin()
	alice.t = t
	for _, m := range before {
		alice.receive(m)
	}
	if ev, err := alice.group.Receive(ctx, b.message); err != nil || ev.Type != mls.EventGroupUpdate {
		t.Fatalf("%s: %+v, %v", what, ev, err)
	}
	if info := alice.info(); !bytes.Equal(info.EpochAuthenticator, b.secrets.EpochAuthenticator) || info.Epoch != b.context.Epoch {
		t.Fatalf("%s: alice is in another epoch", what)
	}
}

// TestKitCommits shows that what the kit builds, when nothing is forged, is
// accepted, so that the refusals below are for what is forged.
func TestKitCommits(t *testing.T) {
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.P384AES256SHA384P384} {
		sc := newScene(t, id)
		f := sc.forger
		zoe := newStranger(sc.suite, "zoe")
		remove, psk := leafDave, sc.psk
		psk.Nonce = suite.Random(sc.suite.HashSize())
		for _, public := range []bool{false, true} {
			sc.accepted(t, "empty", f.build(forgedCommit{public: public}))
			sc.accepted(t, "add without a path", f.build(forgedCommit{public: public, noPath: true, proposals: value(zoe.add(nil, nil))}))
			sc.accepted(t, "all by value", f.build(forgedCommit{public: public, psks: sc.psks, proposals: value(
				message.Proposal{Type: message.ProposalGroupContextExtensions},
				message.Proposal{Type: message.ProposalRemove, Remove: remove},
				zoe.add(nil, nil),
				message.Proposal{Type: message.ProposalPSK, PSK: &psk},
			)}))
		}
		yan := newStranger(sc.suite, "yan")
		for _, remove := range []bool{false, true} {
			list := value(message.Proposal{Type: message.ProposalExternalInit})
			j := &joiner{key: yan.key, leaf: yan.leaf(nil)}
			if remove {
				leaf := yan.leaf(func(leaf *message.LeafNode) { leaf.Credential = message.BasicCredential([]byte("dave+2")) })
				j.leaf = leaf
				list = append(list, value(message.Proposal{Type: message.ProposalRemove, Remove: leafDave})...)
			}
			sc.accepted(t, "external", f.build(forgedCommit{external: j, proposals: list}))
		}
		b, _ := f.frame(forgedContent{application: []byte("hi")})
		if ev := sc.alice.twin().receive(b); string(ev.Content) != "hi" || ev.Sender.Leaf != leafMallory {
			t.Fatalf("%+v", ev)
		}
	}
}

// commitRow is a commit with one thing wrong.
type commitRow struct {
	what string
	c    forgedCommit
	want mlserr.Code
	// public and private say in which wire formats the row makes sense; both by default.
	publicOnly, privateOnly bool
}

// run builds each row in both wire formats and has alice refuse it. After each
// refusal a twin, as after a crash, accepts the genuine commit; at the end
// alice herself does.
func (sc *scene) run(t *testing.T, rows []commitRow) {
	f := sc.forger
	genuine := f.build(forgedCommit{})
	for _, row := range rows {
		for _, public := range []bool{true, false} {
			if public && row.privateOnly || !public && (row.publicOnly || row.c.external != nil) {
				continue
			}
			c := row.c
			c.public = public
			if c.proposals != nil {
				// The rows share nothing that is written to.
				c.proposals = copyProposals(c.proposals)
			}
			what := row.what
			if public {
				what += ", public"
			} else {
				what += ", private"
			}
			if !t.Run(what, func(t *testing.T) {
				sc.alice.refuses(t, what, f.build(c).message, row.want)
				sc.accepted(t, what+", then the genuine one", genuine)
			}) && sc.alice.info().Epoch != f.in.Context.Epoch {
				t.FailNow() // accepted: nothing that follows would mean anything
			}
		}
	}
	sc.accepted(t, "genuine", genuine)
}

func copyProposals(list []message.ProposalOrRef) (out []message.ProposalOrRef) {
	for _, p := range list {
		if p.Proposal != nil {
			q := *p.Proposal
			p.Proposal = &q
		}
		out = append(out, p)
	}
	return out
}

// TestForgedCommitContent: every field of the framing of a commit by a member
// who signs, tags and encrypts it anew.
func TestForgedCommitContent(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	nobody := newStranger(sc.suite, "nobody")
	sender := func(s message.Sender) func(*message.FramedContent) {
		return func(c *message.FramedContent) { c.Sender = s }
	}
	member := func(i treemath.LeafIndex) func(*message.FramedContent) {
		return sender(message.Sender{Type: message.SenderMember, Leaf: i})
	}
	claimed := func(i treemath.LeafIndex) sealHooks {
		return sealHooks{data: func(d *message.SenderData) { d.Leaf = i }}
	}
	rows := []commitRow{
		{what: "group_id", c: forgedCommit{content: func(c *message.FramedContent) { c.GroupID = flip(c.GroupID) }}, want: mlserr.WrongGroup},
		{what: "group_id empty", c: forgedCommit{content: func(c *message.FramedContent) { c.GroupID = nil }}, want: mlserr.WrongGroup},
		{what: "epoch + 1", c: forgedCommit{content: func(c *message.FramedContent) { c.Epoch++ }}, want: mlserr.EpochAhead},
		{what: "epoch 2^64-1", c: forgedCommit{content: func(c *message.FramedContent) { c.Epoch = 1<<64 - 1 }}, want: mlserr.EpochAhead},
		{what: "epoch - 1", c: forgedCommit{content: func(c *message.FramedContent) { c.Epoch-- }}, want: mlserr.EpochBehind},
		{what: "epoch 0", c: forgedCommit{content: func(c *message.FramedContent) { c.Epoch = 0 }}, want: mlserr.EpochBehind},

		{what: "sender external", c: forgedCommit{content: sender(message.Sender{Type: message.SenderExternal})}, want: mlserr.SenderNotAllowed, publicOnly: true},
		{what: "sender new_member_proposal", c: forgedCommit{content: sender(message.Sender{Type: message.SenderNewMemberProposal})}, want: mlserr.SenderNotAllowed, publicOnly: true},
		{what: "sender new_member_commit", c: forgedCommit{content: sender(message.Sender{Type: message.SenderNewMemberCommit})}, want: mlserr.ExternalCommitInvalid, publicOnly: true},
		{what: "sender type 0", c: forgedCommit{content: sender(message.Sender{})}, want: mlserr.Malformed, publicOnly: true},
		{what: "sender type 5", c: forgedCommit{content: sender(message.Sender{Type: 5})}, want: mlserr.Malformed, publicOnly: true},
		{what: "sender is a blank leaf", c: forgedCommit{content: member(leafBlank)}, want: mlserr.InvalidSender, publicOnly: true},
		{what: "sender is past the tree", c: forgedCommit{content: member(8)}, want: mlserr.InvalidSender, publicOnly: true},
		{what: "sender is leaf 2^31", c: forgedCommit{content: member(1 << 31)}, want: mlserr.InvalidSender, publicOnly: true},
		{what: "sender is leaf 2^32-1", c: forgedCommit{content: member(1<<32 - 1)}, want: mlserr.InvalidSender, publicOnly: true},
		{what: "sender is another member", c: forgedCommit{content: member(leafBob)}, want: mlserr.InvalidSignature, publicOnly: true},
		{what: "sender is the receiver", c: forgedCommit{content: member(leafAlice)}, want: mlserr.InvalidSignature, publicOnly: true},

		{what: "claimed sender is a blank leaf", c: forgedCommit{private: claimed(leafBlank)}, want: mlserr.InvalidSender, privateOnly: true},
		{what: "claimed sender is past the tree", c: forgedCommit{private: claimed(8)}, want: mlserr.InvalidSender, privateOnly: true},
		{what: "claimed sender is leaf 2^31", c: forgedCommit{private: claimed(1 << 31)}, want: mlserr.InvalidSender, privateOnly: true},
		{what: "claimed sender is another member", c: forgedCommit{private: claimed(leafBob)}, want: mlserr.DecryptionFailed, privateOnly: true},

		{what: "authenticated_data not the signed", c: forgedCommit{signed: func(c *message.AuthenticatedContent) { c.Content.AuthenticatedData = []byte("other") }}, want: mlserr.InvalidSignature},
		{what: "proposals not the signed", c: forgedCommit{signed: func(c *message.AuthenticatedContent) {
			c.Content.Commit.Proposals = value(message.Proposal{Type: message.ProposalRemove, Remove: leafBob})
		}}, want: mlserr.InvalidSignature},
		{what: "path not the signed", c: forgedCommit{signed: func(c *message.AuthenticatedContent) {
			path := *c.Content.Commit.Path
			path.Nodes = append([]message.UpdatePathNode(nil), path.Nodes...)
			path.Nodes[0].EncryptionKey = flip(path.Nodes[0].EncryptionKey)
			c.Content.Commit = &message.Commit{Path: &path}
		}}, want: mlserr.InvalidSignature},

		{what: "signed by another key", c: forgedCommit{signer: nobody.key}, want: mlserr.InvalidSignature},
		{what: "signed in another group", c: forgedCommit{signCtx: func(c *message.GroupContext) { c.GroupID = []byte("x") }}, want: mlserr.InvalidSignature},
		{what: "signed in another epoch", c: forgedCommit{signCtx: func(c *message.GroupContext) { c.Epoch++ }}, want: mlserr.InvalidSignature},
		{what: "signed with another tree hash", c: forgedCommit{signCtx: func(c *message.GroupContext) { c.TreeHash = flip(c.TreeHash) }}, want: mlserr.InvalidSignature},
		{what: "signed with another transcript", c: forgedCommit{signCtx: func(c *message.GroupContext) { c.ConfirmedTranscriptHash = flip(c.ConfirmedTranscriptHash) }}, want: mlserr.InvalidSignature},
		{what: "signed with other extensions", c: forgedCommit{signCtx: func(c *message.GroupContext) { c.Extensions = nil }}, want: mlserr.InvalidSignature},
		{what: "signed as a PrivateMessage", c: forgedCommit{format: message.WireFormatPrivateMessage}, want: mlserr.InvalidSignature, publicOnly: true},
		{what: "signed as a PublicMessage", c: forgedCommit{format: message.WireFormatPublicMessage}, want: mlserr.InvalidSignature, privateOnly: true},

		{what: "confirmation_tag", c: forgedCommit{tag: flip}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag of the epoch before", c: forgedCommit{tag: func([]byte) []byte { return sc.forger.in.ConfirmationTag }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over another init_secret", c: forgedCommit{secrets: func(i, c []byte) ([]byte, []byte) { return flip(i), c }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over another commit_secret", c: forgedCommit{secrets: func(i, c []byte) ([]byte, []byte) { return i, flip(c) }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over a zero commit_secret", c: forgedCommit{secrets: func(i, c []byte) ([]byte, []byte) { return i, make([]byte, len(c)) }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over another tree hash", c: forgedCommit{newCtx: func(c *message.GroupContext) { c.TreeHash = flip(c.TreeHash) }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over another epoch", c: forgedCommit{newCtx: func(c *message.GroupContext) { c.Epoch++ }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over other extensions", c: forgedCommit{newCtx: func(c *message.GroupContext) { c.Extensions = nil }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over another transcript", c: forgedCommit{newCtx: func(c *message.GroupContext) { c.ConfirmedTranscriptHash = flip(c.ConfirmedTranscriptHash) }}, want: mlserr.ConfirmationTag},
		{what: "confirmation_tag over another group", c: forgedCommit{newCtx: func(c *message.GroupContext) { c.GroupID = flip(c.GroupID) }}, want: mlserr.ConfirmationTag},

		{what: "membership_tag", c: forgedCommit{publicMsg: func(m *message.PublicMessage) { m.MembershipTag = flip(m.MembershipTag) }}, want: mlserr.MembershipTag, publicOnly: true},
		{what: "content type application", c: forgedCommit{content: func(c *message.FramedContent) {
			*c = message.FramedContent{GroupID: c.GroupID, Epoch: c.Epoch, Sender: c.Sender, ContentType: message.ContentTypeApplication, ApplicationData: []byte("x")}
		}}, want: mlserr.WrongWireFormat, publicOnly: true},
		{what: "the header says application", c: forgedCommit{private: sealHooks{header: func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeApplication }}}, want: mlserr.DecryptionFailed, privateOnly: true},
		{what: "the header says proposal", c: forgedCommit{private: sealHooks{header: func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeProposal }}}, want: mlserr.UnknownVersion, privateOnly: true},
		{what: "the header says 0", c: forgedCommit{private: sealHooks{header: func(m *message.PrivateMessage) { m.ContentType = 0 }}}, want: mlserr.Malformed, privateOnly: true},
		{what: "the header has other authenticated data", c: forgedCommit{private: sealHooks{header: func(m *message.PrivateMessage) { m.AuthenticatedData = nil }}}, want: mlserr.InvalidSignature, privateOnly: true},
		{what: "nothing after the content", c: forgedCommit{private: sealHooks{plaintext: func(b []byte) []byte { return nil }}}, want: mlserr.Malformed, privateOnly: true},
		{what: "padding not zero", c: forgedCommit{private: sealHooks{plaintext: func(b []byte) []byte { return append(b, 0, 0, 1) }}}, want: mlserr.PaddingNotZero, privateOnly: true},
	}
	generations := map[uint32]mlserr.Code{1: mlserr.DecryptionFailed, 1 << 20: mlserr.GenerationTooFar, 1<<31 - 1: mlserr.GenerationTooFar, 1<<32 - 1: mlserr.GenerationTooFar}
	for g, want := range generations {
		rows = append(rows, commitRow{what: fmt.Sprint("claimed generation ", g), privateOnly: true, want: want,
			c: forgedCommit{private: sealHooks{data: func(d *message.SenderData) { d.Generation = g }}}})
	}
	sample := sc.forger.build(forgedCommit{public: true})
	parsed := must(message.Parse(sample.message)).Public
	for what, b := range badLengths(sample.tag) {
		rows = append(rows, commitRow{what: "confirmation_tag, " + what, c: forgedCommit{tag: func([]byte) []byte { return b }}, want: mlserr.ConfirmationTag})
	}
	for what, b := range badLengths(parsed.MembershipTag) {
		rows = append(rows, commitRow{what: "membership_tag, " + what, publicOnly: true, want: mlserr.MembershipTag,
			c: forgedCommit{publicMsg: func(m *message.PublicMessage) { m.MembershipTag = b }}})
	}
	for what, b := range badLengths(parsed.Auth.Signature) {
		rows = append(rows, commitRow{what: "signature, " + what, c: forgedCommit{signed: func(c *message.AuthenticatedContent) { c.Auth.Signature = b }}, want: mlserr.InvalidSignature})
	}
	rows = append(rows, commitRow{what: "signature", c: forgedCommit{signed: func(c *message.AuthenticatedContent) { c.Auth.Signature = flip(c.Auth.Signature) }}, want: mlserr.InvalidSignature})
	sc.run(t, rows)
}

// TestForgedCommitPath: every field of the path of a commit, by a member who
// signs, tags and encrypts it anew.
func TestForgedCommitPath(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	f, s := sc.forger, sc.suite
	in := f.in
	nobody := newStranger(s, "nobody")
	leaf := func(change func(*message.LeafNode)) forgedCommit { return forgedCommit{leaf: change} }
	path := func(change func(*message.UpdatePath)) forgedCommit { return forgedCommit{path: change} }
	otherLeaf := leafErin
	const other = 0xf111 // a proposal type that no leaf lists
	rows := []commitRow{
		{what: "leaf: encryption_key as before", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Leaf(leafMallory).EncryptionKey }), want: mlserr.EncryptionKeyReused},
		{what: "leaf: encryption_key of another leaf", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Leaf(leafBob).EncryptionKey }), want: mlserr.EncryptionKeyNotUnique},
		{what: "leaf: encryption_key of a parent", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Parent(9).EncryptionKey }), want: mlserr.EncryptionKeyNotUnique},
		{what: "leaf: encryption_key empty", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = nil }), want: mlserr.InvalidPublicKey},
		{what: "leaf: encryption_key short", c: leaf(func(l *message.LeafNode) { l.EncryptionKey = l.EncryptionKey[1:] }), want: mlserr.InvalidPublicKey},
		{what: "leaf: signature_key not the signer's", c: leaf(func(l *message.LeafNode) { l.SignatureKey = nobody.key.Public() }), want: mlserr.InvalidSignature},
		{what: "leaf: signature_key of another member", c: leaf(func(l *message.LeafNode) { l.SignatureKey = in.Tree.Leaf(leafBob).SignatureKey }), want: mlserr.SignatureKeyNotUnique},
		{what: "leaf: signature_key of the receiver", c: leaf(func(l *message.LeafNode) { l.SignatureKey = in.Tree.Leaf(leafAlice).SignatureKey }), want: mlserr.SignatureKeyNotUnique},
		{what: "leaf: signature_key empty", c: leaf(func(l *message.LeafNode) { l.SignatureKey = nil }), want: mlserr.InvalidSignature},
		{what: "leaf: credential of another person", c: leaf(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("bob")) }), want: mlserr.SuccessorRejected},
		{what: "leaf: credential refused", c: leaf(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("refused")) }), want: mlserr.CredentialRejected},
		{what: "leaf: credential of a type not listed", c: leaf(func(l *message.LeafNode) { l.Credential = message.Credential{Type: 0xf000} }), want: mlserr.CapabilityMissing},
		{what: "leaf: credential of a type that others do not support", c: leaf(func(l *message.LeafNode) {
			l.Credential = message.Credential{Type: 0xf000, Data: []byte("mallory")}
			l.Capabilities.Credentials = append([]message.CredentialType{0xf000}, l.Capabilities.Credentials...)
		}), want: mlserr.SuccessorRejected},
		{what: "leaf: versions", c: leaf(func(l *message.LeafNode) { l.Capabilities.Versions = []message.ProtocolVersion{2} }), want: mlserr.CapabilityMissing},
		{what: "leaf: default extension listed", c: leaf(func(l *message.LeafNode) { l.Capabilities.Extensions = []message.ExtensionType{3} }), want: mlserr.DefaultTypeListed},
		{what: "leaf: default proposal listed", c: leaf(func(l *message.LeafNode) { l.Capabilities.Proposals = []message.ProposalType{1} }), want: mlserr.DefaultTypeListed},
		{what: "leaf: basic credentials not supported", c: leaf(func(l *message.LeafNode) {
			l.Capabilities.Credentials = []message.CredentialType{message.CredentialX509}
		}), want: mlserr.CapabilityMissing},
		{what: "leaf: no credentials supported", c: leaf(func(l *message.LeafNode) { l.Capabilities.Credentials = nil }), want: mlserr.CapabilityMissing},
		{what: "leaf: source key_package", c: leaf(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceKeyPackage }), want: mlserr.LeafNodeSource},
		{what: "leaf: source update", c: leaf(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceUpdate }), want: mlserr.LeafNodeSource},
		{what: "leaf: source 0", c: leaf(func(l *message.LeafNode) { l.Source = 0 }), want: mlserr.Malformed},
		{what: "leaf: parent_hash", c: leaf(func(l *message.LeafNode) { l.ParentHash = flip(l.ParentHash) }), want: mlserr.ParentHashInvalid},
		{what: "leaf: extension not listed", c: leaf(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: 0xf001}} }), want: mlserr.ExtensionNotListed},
		{what: "leaf: ratchet_tree extension", c: leaf(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: message.ExtensionRatchetTree}} }), want: mlserr.ExtensionNotListed},
		{what: "leaf: extension twice", c: leaf(func(l *message.LeafNode) {
			l.Capabilities.Extensions = []message.ExtensionType{0xf001}
			l.Extensions = message.Extensions{{Type: 0xf001}, {Type: 0xf001}}
		}), want: mlserr.DuplicateExtension},
		{what: "leaf: signature", c: forgedCommit{signedLeaf: func(l *message.LeafNode) { l.Signature = flip(l.Signature) }}, want: mlserr.InvalidSignature},
		{what: "leaf: signature empty", c: forgedCommit{signedLeaf: func(l *message.LeafNode) { l.Signature = nil }}, want: mlserr.InvalidSignature},
		{what: "leaf: signed by another key", c: forgedCommit{leafSigner: nobody.key}, want: mlserr.InvalidSignature},
		{what: "leaf: signed for another group", c: forgedCommit{leafGroup: []byte("other")}, want: mlserr.InvalidSignature},
		{what: "leaf: signed for another leaf", c: forgedCommit{leafIndex: &otherLeaf}, want: mlserr.InvalidSignature},
		{what: "leaf: not the signed capabilities", c: forgedCommit{signedLeaf: func(l *message.LeafNode) { l.Capabilities.Proposals = []message.ProposalType{other} }}, want: mlserr.InvalidSignature},
		{what: "leaf: not the one of the tree", c: path(func(p *message.UpdatePath) {
			p.LeafNode.Capabilities.Proposals = []message.ProposalType{other}
			if err := p.LeafNode.Sign(ctx, s, in.Key, in.GroupID, leafMallory); err != nil {
				t.Fatal(err)
			}
		}), want: mlserr.DecryptionFailed},

		{what: "no path", c: forgedCommit{noPath: true}, want: mlserr.PathMissing},
		{what: "no nodes", c: path(func(p *message.UpdatePath) { p.Nodes = nil }), want: mlserr.PathInvalid},
		{what: "a node less", c: path(func(p *message.UpdatePath) { p.Nodes = p.Nodes[:len(p.Nodes)-1] }), want: mlserr.PathInvalid},
		{what: "a node more", c: path(func(p *message.UpdatePath) { p.Nodes = append(p.Nodes, p.Nodes[0]) }), want: mlserr.PathInvalid},
		{what: "nodes in another order", c: path(func(p *message.UpdatePath) { p.Nodes[1], p.Nodes[2] = p.Nodes[2], p.Nodes[1] }), want: mlserr.PathInvalid},
	}
	sample := f.build(forgedCommit{})
	for what, b := range badLengths(sample.tree.Leaf(leafMallory).ParentHash) {
		rows = append(rows, commitRow{what: "leaf: parent_hash " + what, c: leaf(func(l *message.LeafNode) { l.ParentHash = b }), want: mlserr.ParentHashInvalid})
	}
	fresh := func() []byte { return must(kitKeys.GenerateHPKEKey(ctx, s.ID())).Public() }
	for i := range sample.steps {
		node := fmt.Sprintf("node %d: ", i)
		// A key that the parent hashes cover and the path secret does not give.
		// Below the common ancestor with the receiver nobody but the member there
		// can tell.
		if i > 0 {
			rows = append(rows, commitRow{what: node + "another key", want: mlserr.PathKeyMismatch,
				c: forgedCommit{pathKeys: func(public [][]byte) { public[i] = fresh() }}})
		}
		rows = append(rows,
			commitRow{what: node + "another key than the parent hash is for", want: mlserr.ParentHashInvalid,
				c: path(func(p *message.UpdatePath) { p.Nodes[i].EncryptionKey = fresh() })},
			commitRow{what: node + "key empty", want: mlserr.InvalidPublicKey, c: path(func(p *message.UpdatePath) { p.Nodes[i].EncryptionKey = nil })},
			commitRow{what: node + "key of a leaf", want: mlserr.EncryptionKeyNotUnique,
				c: forgedCommit{pathKeys: func(public [][]byte) { public[i] = in.Tree.Leaf(leafBob).EncryptionKey }}},
			commitRow{what: node + "key of a parent", want: mlserr.EncryptionKeyNotUnique,
				c: forgedCommit{pathKeys: func(public [][]byte) { public[i] = in.Tree.Parent(9).EncryptionKey }}},
			commitRow{what: node + "key as before", want: mlserr.EncryptionKeyNotUnique,
				c: forgedCommit{pathKeys: func(public [][]byte) { public[i] = in.Tree.Parent(7).EncryptionKey }}},
			commitRow{what: node + "key of the next node", want: mlserr.EncryptionKeyNotUnique,
				c: forgedCommit{pathKeys: func(public [][]byte) { public[i] = public[(i+1)%len(public)] }}},
			commitRow{what: node + "a ciphertext less", want: mlserr.PathInvalid,
				c: path(func(p *message.UpdatePath) {
					list := p.Nodes[i].EncryptedPathSecret
					p.Nodes[i].EncryptedPathSecret = list[:len(list)-1]
				})},
			commitRow{what: node + "a ciphertext more", want: mlserr.PathInvalid,
				c: path(func(p *message.UpdatePath) {
					list := p.Nodes[i].EncryptedPathSecret
					p.Nodes[i].EncryptedPathSecret = append(list, list[0])
				})},
		)
	}
	// Node 1 of the path is the lowest above alice; she opens the first of two
	// ciphertexts.
	mine := func(change func(ct *suite.HPKECiphertext)) forgedCommit {
		return path(func(p *message.UpdatePath) { change(&p.Nodes[1].EncryptedPathSecret[0]) })
	}
	pathCtx := func(change func(*message.GroupContext)) forgedCommit { return forgedCommit{pathCtx: change} }
	rows = append(rows, []commitRow{
		{what: "ciphertext", c: mine(func(ct *suite.HPKECiphertext) { ct.Ciphertext = flip(ct.Ciphertext) }), want: mlserr.DecryptionFailed},
		{what: "ciphertext empty", c: mine(func(ct *suite.HPKECiphertext) { ct.Ciphertext = nil }), want: mlserr.DecryptionFailed},
		{what: "kem_output", c: mine(func(ct *suite.HPKECiphertext) { ct.KEMOutput = flip(ct.KEMOutput) }), want: mlserr.DecryptionFailed},
		{what: "kem_output empty", c: mine(func(ct *suite.HPKECiphertext) { ct.KEMOutput = nil }), want: mlserr.DecryptionFailed},
		{what: "kem_output all zero", c: mine(func(ct *suite.HPKECiphertext) { clear(ct.KEMOutput) }), want: mlserr.DecryptionFailed},
		{what: "ciphertext of another recipient", c: path(func(p *message.UpdatePath) {
			list := p.Nodes[1].EncryptedPathSecret
			list[0], list[1] = list[1], list[0]
		}), want: mlserr.DecryptionFailed},
		{what: "path secret of another node", c: forgedCommit{pathSecret: func(i int, secret []byte) []byte { return s.DeriveSecret(secret, "path") }}, want: mlserr.PathKeyMismatch},
		{what: "path secret short", c: forgedCommit{pathSecret: func(i int, secret []byte) []byte { return secret[1:] }}, want: mlserr.PathKeyMismatch},
		{what: "path secret long", c: forgedCommit{pathSecret: func(i int, secret []byte) []byte { return append(secret, 0) }}, want: mlserr.PathKeyMismatch},
		{what: "path secret empty", c: forgedCommit{pathSecret: func(int, []byte) []byte { return nil }}, want: mlserr.PathKeyMismatch},
		{what: "encrypted in the old epoch", c: pathCtx(func(c *message.GroupContext) { c.Epoch-- }), want: mlserr.DecryptionFailed},
		{what: "encrypted with the old tree hash", c: pathCtx(func(c *message.GroupContext) { c.TreeHash = in.Context.TreeHash }), want: mlserr.DecryptionFailed},
		{what: "encrypted with another transcript", c: pathCtx(func(c *message.GroupContext) { c.ConfirmedTranscriptHash = flip(c.ConfirmedTranscriptHash) }), want: mlserr.DecryptionFailed},
		{what: "encrypted with other extensions", c: pathCtx(func(c *message.GroupContext) { c.Extensions = nil }), want: mlserr.DecryptionFailed},
		{what: "encrypted for another group", c: pathCtx(func(c *message.GroupContext) { c.GroupID = nil }), want: mlserr.DecryptionFailed},
	}...)
	sc.run(t, rows)
}

// TestForgedProposals: every proposal of a commit, by value, against every rule
// of Section 12.1 and 12.2.
func TestForgedProposals(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	f, s := sc.forger, sc.suite
	in := f.in
	zoe, yan := newStranger(s, "zoe"), newStranger(s, "yan")
	remove := func(i treemath.LeafIndex) message.Proposal {
		return message.Proposal{Type: message.ProposalRemove, Remove: i}
	}
	psk := func(change func(*message.PreSharedKeyID)) message.Proposal {
		id := sc.psk
		id.Nonce = suite.Random(s.HashSize())
		if change != nil {
			change(&id)
		}
		return message.Proposal{Type: message.ProposalPSK, PSK: &id}
	}
	resumption := func(usage message.ResumptionPSKUsage, epoch uint64) message.Proposal {
		return psk(func(id *message.PreSharedKeyID) {
			*id = message.PreSharedKeyID{Type: message.PSKResumption, Usage: usage, GroupID: in.GroupID, Epoch: epoch, Nonce: id.Nonce}
		})
	}
	extensions := func(list ...message.Extension) message.Proposal {
		return message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: list}
	}
	required := func(r message.RequiredCapabilities) message.Extension {
		return message.Extension{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&r)}
	}
	reInit := message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: s.ID()}}
	ownUpdate := func() message.Proposal {
		leaf := *in.Tree.Leaf(leafMallory)
		leaf.Source, leaf.ParentHash = message.LeafNodeSourceUpdate, nil
		leaf.EncryptionKey = must(kitKeys.GenerateHPKEKey(ctx, s.ID())).Public()
		if err := leaf.Sign(ctx, s, in.Key, in.GroupID, leafMallory); err != nil {
			t.Fatal(err)
		}
		return message.Proposal{Type: message.ProposalUpdate, Update: &leaf}
	}
	add := func(changeLeaf func(*message.LeafNode), change func(*message.KeyPackage)) forgedCommit {
		return forgedCommit{proposals: value(zoe.add(changeLeaf, change))}
	}
	of := func(list ...message.Proposal) forgedCommit {
		return forgedCommit{proposals: value(list...), psks: sc.psks}
	}
	unsigned := func(change func(*message.KeyPackage)) forgedCommit {
		p := zoe.add(nil, nil)
		change(p.Add)
		return of(p)
	}
	initKey := zoe.keyPackage(nil, nil).InitKey
	leafKey := zoe.leaf(nil).EncryptionKey

	sc.run(t, []commitRow{
		// Adds: the key package.
		{what: "add: version", c: unsigned(func(kp *message.KeyPackage) { kp.Version = 2 }), want: mlserr.UnknownVersion},
		{what: "add: cipher suite", c: add(nil, func(kp *message.KeyPackage) { kp.CipherSuite = 3 }), want: mlserr.KeyPackageMismatch},
		{what: "add: init_key is the encryption_key", c: add(nil, func(kp *message.KeyPackage) { kp.InitKey = kp.LeafNode.EncryptionKey }), want: mlserr.InitKeyReused},
		{what: "add: init_key not valid", c: add(nil, func(kp *message.KeyPackage) { kp.InitKey = kp.InitKey[1:] }), want: mlserr.InvalidPublicKey},
		{what: "add: init_key not the signed", c: unsigned(func(kp *message.KeyPackage) { kp.InitKey = initKey }), want: mlserr.InvalidSignature},
		{what: "add: extensions not the signed", c: unsigned(func(kp *message.KeyPackage) { kp.Extensions = message.Extensions{{Type: 0xf001}} }), want: mlserr.InvalidSignature},
		{what: "add: extension twice", c: add(nil, func(kp *message.KeyPackage) { kp.Extensions = message.Extensions{{Type: 0xf001}, {Type: 0xf001}} }), want: mlserr.DuplicateExtension},
		{what: "add: signature", c: unsigned(func(kp *message.KeyPackage) { kp.Signature = flip(kp.Signature) }), want: mlserr.InvalidSignature},
		{what: "add: signature empty", c: unsigned(func(kp *message.KeyPackage) { kp.Signature = nil }), want: mlserr.InvalidSignature},
		// Its leaf.
		{what: "add leaf: encryption_key of a member", c: add(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Leaf(leafBob).EncryptionKey }, nil), want: mlserr.EncryptionKeyNotUnique},
		{what: "add leaf: encryption_key of a parent", c: add(func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Parent(9).EncryptionKey }, nil), want: mlserr.EncryptionKeyNotUnique},
		{what: "add leaf: encryption_key not valid", c: add(func(l *message.LeafNode) { l.EncryptionKey = nil }, nil), want: mlserr.InvalidPublicKey},
		{what: "add leaf: signature_key of a member", c: add(func(l *message.LeafNode) { l.SignatureKey = in.Tree.Leaf(leafBob).SignatureKey }, nil), want: mlserr.SignatureKeyNotUnique},
		{what: "add leaf: signature_key of nobody", c: add(func(l *message.LeafNode) { l.SignatureKey = yan.key.Public() }, nil), want: mlserr.InvalidSignature},
		{what: "add leaf: credential refused", c: add(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte("refused")) }, nil), want: mlserr.CredentialRejected},
		{what: "add leaf: credential type not listed", c: add(func(l *message.LeafNode) { l.Credential = message.Credential{Type: 0xf000} }, nil), want: mlserr.CapabilityMissing},
		{what: "add leaf: credential type of nobody else", c: add(func(l *message.LeafNode) {
			l.Credential = message.Credential{Type: 0xf000}
			l.Capabilities.Credentials = append(l.Capabilities.Credentials, 0xf000)
		}, nil), want: mlserr.CapabilityMissing},
		{what: "add leaf: does not support basic credentials", c: add(func(l *message.LeafNode) {
			l.Credential = message.Credential{Type: 0xf000}
			l.Capabilities.Credentials = []message.CredentialType{0xf000}
		}, nil), want: mlserr.CapabilityMissing},
		{what: "add leaf: versions", c: add(func(l *message.LeafNode) { l.Capabilities.Versions = nil }, nil), want: mlserr.CapabilityMissing},
		{what: "add leaf: default extension listed", c: add(func(l *message.LeafNode) { l.Capabilities.Extensions = []message.ExtensionType{5} }, nil), want: mlserr.DefaultTypeListed},
		{what: "add leaf: default proposal listed", c: add(func(l *message.LeafNode) { l.Capabilities.Proposals = []message.ProposalType{7} }, nil), want: mlserr.DefaultTypeListed},
		{what: "add leaf: source update", c: add(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceUpdate }, nil), want: mlserr.LeafNodeSource},
		{what: "add leaf: source commit", c: add(func(l *message.LeafNode) { l.Source = message.LeafNodeSourceCommit }, nil), want: mlserr.LeafNodeSource},
		{what: "add leaf: lifetime over", c: add(func(l *message.LeafNode) { l.Lifetime.NotAfter = l.Lifetime.NotBefore + 1 }, nil), want: mlserr.LifetimeInvalid},
		{what: "add leaf: lifetime not begun", c: add(func(l *message.LeafNode) { l.Lifetime.NotBefore += 30 * 86400; l.Lifetime.NotAfter += 30 * 86400 }, nil), want: mlserr.LifetimeInvalid},
		{what: "add leaf: lifetime too long", c: add(func(l *message.LeafNode) { l.Lifetime.NotAfter += 1000 * 86400 }, nil), want: mlserr.LifetimeInvalid},
		{what: "add leaf: lifetime for ever", c: add(func(l *message.LeafNode) { l.Lifetime = message.Lifetime{NotAfter: 1<<64 - 1} }, nil), want: mlserr.LifetimeInvalid},
		{what: "add leaf: lifetime ends before it begins", c: add(func(l *message.LeafNode) {
			l.Lifetime.NotBefore, l.Lifetime.NotAfter = l.Lifetime.NotAfter, l.Lifetime.NotBefore
		}, nil), want: mlserr.LifetimeInvalid},
		{what: "add leaf: extension not listed", c: add(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: 0xf001}} }, nil), want: mlserr.ExtensionNotListed},
		{what: "add leaf: external_pub extension", c: add(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: message.ExtensionExternalPub}} }, nil), want: mlserr.ExtensionNotListed},
		{what: "add leaf: extension twice", c: add(func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: 1}, {Type: 1}} }, nil), want: mlserr.DuplicateExtension},
		{what: "add leaf: signature", c: add(nil, func(kp *message.KeyPackage) { kp.LeafNode.Signature = flip(kp.LeafNode.Signature) }), want: mlserr.InvalidSignature},
		// Adds among each other.
		{what: "add of a member", c: of(sc.member(t, sc.bob, nil)), want: mlserr.SignatureKeyNotUnique},
		{what: "add of the committer", c: of(sc.member(t, sc.mallory, nil)), want: mlserr.SignatureKeyNotUnique},
		{what: "two adds of one client", c: of(zoe.add(nil, nil), zoe.add(nil, nil)), want: mlserr.SignatureKeyNotUnique},
		{what: "two adds with one init_key", c: of(zoe.add(nil, func(kp *message.KeyPackage) { kp.InitKey = initKey }), yan.add(nil, func(kp *message.KeyPackage) { kp.InitKey = initKey })), want: mlserr.InitKeyReused},
		{what: "two adds with one encryption_key", c: of(zoe.add(func(l *message.LeafNode) { l.EncryptionKey = leafKey }, nil), yan.add(func(l *message.LeafNode) { l.EncryptionKey = leafKey }, nil)), want: mlserr.EncryptionKeyNotUnique},

		// Updates and removes.
		{what: "update by value", c: of(ownUpdate()), want: mlserr.ProposalListInvalid},
		{what: "remove of the committer", c: of(remove(leafMallory)), want: mlserr.ProposalListInvalid},
		{what: "remove of a blank leaf", c: of(remove(leafBlank)), want: mlserr.RemoveTargetBlank},
		{what: "remove past the tree", c: of(remove(8)), want: mlserr.RemoveTargetBlank},
		{what: "remove of leaf 2^31", c: of(remove(1 << 31)), want: mlserr.RemoveTargetBlank},
		{what: "remove of leaf 2^32-1", c: of(remove(1<<32 - 1)), want: mlserr.RemoveTargetBlank},
		{what: "remove twice", c: of(remove(leafBob), remove(leafBob)), want: mlserr.ProposalListInvalid},
		{what: "remove of the receiver twice", c: of(remove(leafAlice), remove(leafAlice)), want: mlserr.ProposalListInvalid},
		{what: "remove without a path", c: forgedCommit{noPath: true, proposals: value(remove(leafBob))}, want: mlserr.PathMissing},
		{what: "remove of the receiver without a path", c: forgedCommit{noPath: true, proposals: value(remove(leafAlice))}, want: mlserr.PathMissing},
		{what: "remove of the receiver and of nobody", c: of(remove(leafAlice), remove(leafBlank)), want: mlserr.RemoveTargetBlank},

		// PSKs.
		{what: "psk: unknown", c: of(psk(func(id *message.PreSharedKeyID) { id.ID = []byte("unknown") })), want: mlserr.PSKUnknown},
		{what: "psk: nonce empty", c: of(psk(func(id *message.PreSharedKeyID) { id.Nonce = nil })), want: mlserr.PSKInvalid},
		{what: "psk: nonce short", c: of(psk(func(id *message.PreSharedKeyID) { id.Nonce = id.Nonce[1:] })), want: mlserr.PSKInvalid},
		{what: "psk: nonce long", c: of(psk(func(id *message.PreSharedKeyID) { id.Nonce = append(id.Nonce, 0) })), want: mlserr.PSKInvalid},
		{what: "psk: type 0", c: of(psk(func(id *message.PreSharedKeyID) { id.Type = 0 })), want: mlserr.Malformed},
		{what: "psk: usage 0", c: of(resumption(0, in.Context.Epoch)), want: mlserr.Malformed},
		{what: "psk: usage reinit", c: of(resumption(message.ResumptionReInit, in.Context.Epoch)), want: mlserr.PSKInvalid},
		{what: "psk: usage branch", c: of(resumption(message.ResumptionBranch, in.Context.Epoch)), want: mlserr.PSKInvalid},
		{what: "psk: of a future epoch", c: of(resumption(message.ResumptionApplication, in.Context.Epoch+1)), want: mlserr.PSKUnknown},
		{what: "psk: of another group", c: of(psk(func(id *message.PreSharedKeyID) {
			*id = message.PreSharedKeyID{Type: message.PSKResumption, Usage: 1, GroupID: []byte("other"), Nonce: id.Nonce}
		})), want: mlserr.PSKUnknown},
		{what: "psk: twice", c: of(psk(nil), psk(nil)), want: mlserr.ProposalListInvalid},
		{what: "psk: another secret", c: forgedCommit{proposals: value(psk(nil)), psks: map[string][]byte{sc.psk.Key(): []byte("wrong")}}, want: mlserr.ConfirmationTag},

		// The rest.
		{what: "reinit with another", c: of(reInit, remove(leafBob)), want: mlserr.ProposalListInvalid},
		{what: "reinit twice", c: of(reInit, reInit), want: mlserr.ProposalListInvalid},
		{what: "reinit: version", c: of(message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{Version: 0, CipherSuite: s.ID()}}), want: mlserr.ReInitInvalid},
		{what: "external_init by a member", c: of(message.Proposal{Type: message.ProposalExternalInit, ExternalInit: suite.Random(32)}), want: mlserr.ProposalListInvalid},
		{what: "extensions twice", c: of(extensions(), extensions()), want: mlserr.ProposalListInvalid},
		{what: "extensions without a path", c: forgedCommit{noPath: true, proposals: value(extensions())}, want: mlserr.PathMissing},
		{what: "extensions: one type twice", c: of(extensions(required(message.RequiredCapabilities{}), required(message.RequiredCapabilities{}))), want: mlserr.DuplicateExtension},
		{what: "extensions: not supported", c: of(extensions(message.Extension{Type: 0xf001})), want: mlserr.CapabilityMissing},
		{what: "extensions: ratchet_tree", c: of(extensions(message.Extension{Type: message.ExtensionRatchetTree})), want: mlserr.GroupExtensionInvalid},
		{what: "extensions: external_pub", c: of(extensions(message.Extension{Type: message.ExtensionExternalPub})), want: mlserr.GroupExtensionInvalid},
		{what: "extensions: application_id", c: of(extensions(message.Extension{Type: message.ExtensionApplicationID})), want: mlserr.GroupExtensionInvalid},
		{what: "extensions: required extension", c: of(extensions(required(message.RequiredCapabilities{Extensions: []message.ExtensionType{0xf001}}))), want: mlserr.CapabilityMissing},
		{what: "extensions: required proposal", c: of(extensions(required(message.RequiredCapabilities{Proposals: []message.ProposalType{0xf001}}))), want: mlserr.CapabilityMissing},
		{what: "extensions: required credential", c: of(extensions(required(message.RequiredCapabilities{Credentials: []message.CredentialType{0xf001}}))), want: mlserr.CapabilityMissing},
		{what: "extensions: required_capabilities malformed", c: of(extensions(message.Extension{Type: message.ExtensionRequiredCapabilities, Data: []byte{0, 0}})), want: mlserr.Malformed},
		{what: "extensions: required_capabilities with more behind", c: of(extensions(message.Extension{Type: message.ExtensionRequiredCapabilities, Data: []byte{0, 0, 0, 0}})), want: mlserr.Malformed},
		{what: "extensions: external_senders malformed", c: of(extensions(message.Extension{Type: message.ExtensionExternalSenders, Data: []byte{9}})), want: mlserr.Malformed},
		{what: "extensions: external sender refused", c: of(extensions(externalSenders(zoe.key.Public(), "refused"))), want: mlserr.CredentialRejected},
		{what: "extensions require what an add lacks", c: of(extensions(required(message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialX509}})),
			zoe.add(func(l *message.LeafNode) {
				l.Capabilities.Credentials = []message.CredentialType{message.CredentialBasic}
			}, nil)), want: mlserr.CapabilityMissing},
		{what: "custom: not supported", c: of(message.Proposal{Type: 0xf001}), want: mlserr.ProposalUnsupported},
		{what: "custom: type 0", c: of(message.Proposal{}), want: mlserr.Malformed},
		{what: "reference to nothing", c: forgedCommit{proposals: []message.ProposalOrRef{{Reference: suite.Random(s.HashSize())}}}, want: mlserr.ProposalUnknown},
		{what: "reference empty", c: forgedCommit{proposals: []message.ProposalOrRef{{}}}, want: mlserr.ProposalUnknown},
		{what: "the path's leaf has the key of an add", c: forgedCommit{proposals: value(zoe.add(func(l *message.LeafNode) { l.EncryptionKey = leafKey }, nil)),
			leaf: func(l *message.LeafNode) { l.EncryptionKey = leafKey }}, want: mlserr.EncryptionKeyNotUnique},
		{what: "the path's leaf has the signature key of an add", c: forgedCommit{proposals: value(zoe.add(nil, nil)),
			leaf: func(l *message.LeafNode) { l.SignatureKey = zoe.key.Public() }, leafSigner: zoe.key}, want: mlserr.SignatureKeyNotUnique},
	})
}

// member returns an Add of someone who is a member already.
func (sc *scene) member(t testing.TB, p *party, change func(*message.KeyPackage)) message.Proposal {
	kp := parseKeyPackage(p.twin().keyPackage())
	if change != nil {
		change(kp)
	}
	return message.Proposal{Type: message.ProposalAdd, Add: kp}
}

func externalSenders(key []byte, name string) message.Extension {
	var w wire.Writer
	message.ExternalSenderList{{SignatureKey: key, Credential: message.BasicCredential([]byte(name))}}.Marshal(&w)
	return message.Extension{Type: message.ExtensionExternalSenders, Data: w.Bytes()}
}

// TestForgedExternalCommit: the rules of Section 12.4.3.2 and what else a
// joiner may get wrong.
func TestForgedExternalCommit(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	s, in := sc.suite, sc.forger.in
	yan, zoe := newStranger(s, "yan"), newStranger(s, "zoe")
	init := message.Proposal{Type: message.ProposalExternalInit}
	remove := func(i treemath.LeafIndex) message.Proposal {
		return message.Proposal{Type: message.ProposalRemove, Remove: i}
	}
	as := func(name string) *joiner {
		return &joiner{key: yan.key, leaf: yan.leaf(func(l *message.LeafNode) { l.Credential = message.BasicCredential([]byte(name)) })}
	}
	by := func(j *joiner, list ...message.Proposal) forgedCommit {
		return forgedCommit{external: j, proposals: value(list...), psks: sc.psks}
	}
	with := func(change func(*forgedCommit)) forgedCommit {
		c := by(as("yan"), init)
		change(&c)
		return c
	}
	otherLeaf := treemath.LeafIndex(7)
	psk := sc.psk
	psk.Nonce = suite.Random(s.HashSize())
	proposal, ref := newForger(t, sc.mallory).frame(forgedContent{proposal: &message.Proposal{Type: message.ProposalRemove, Remove: leafDave}})
	sc.accepted(t, "joins", sc.forger.build(by(as("yan"), init)))
	sc.accepted(t, "joins with a psk", sc.forger.build(by(as("yan"), init, message.Proposal{Type: message.ProposalPSK, PSK: &psk})))
	sc.run(t, []commitRow{
		{what: "no external_init", c: by(as("yan")), want: mlserr.ExternalCommitInvalid},
		{what: "two external_init", c: by(as("yan"), init, init), want: mlserr.ExternalCommitInvalid},
		{what: "two removes", c: by(as("dave+2"), init, remove(leafDave), remove(leafBob)), want: mlserr.ExternalCommitInvalid},
		{what: "add", c: by(as("yan"), init, zoe.add(nil, nil)), want: mlserr.ExternalCommitInvalid},
		{what: "extensions", c: by(as("yan"), init, message.Proposal{Type: message.ProposalGroupContextExtensions}), want: mlserr.ExternalCommitInvalid},
		{what: "reinit", c: by(as("yan"), init, message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{Version: 1, CipherSuite: 1}}), want: mlserr.ExternalCommitInvalid},
		{what: "custom", c: by(as("yan"), init, message.Proposal{Type: 0xf001}), want: mlserr.ExternalCommitInvalid},
		{what: "reference to nothing", c: with(func(c *forgedCommit) {
			c.proposals = append(c.proposals, message.ProposalOrRef{Reference: ref})
		}), want: mlserr.ExternalCommitInvalid},
		{what: "no path", c: with(func(c *forgedCommit) { c.noPath = true }), want: mlserr.PathMissing},
		{what: "remove of a blank leaf", c: by(as("yan"), init, remove(leafBlank)), want: mlserr.RemoveTargetBlank},
		{what: "remove of another person", c: by(as("yan"), init, remove(leafDave)), want: mlserr.SuccessorRejected},
		{what: "remove of the receiver by another person", c: by(as("yan"), init, remove(leafAlice)), want: mlserr.SuccessorRejected},
		{what: "psk unknown", c: by(as("yan"), init, message.Proposal{Type: message.ProposalPSK, PSK: &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("x"), Nonce: psk.Nonce}}), want: mlserr.PSKUnknown},
		{what: "psk nonce", c: by(as("yan"), init, message.Proposal{Type: message.ProposalPSK, PSK: &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}}), want: mlserr.PSKInvalid},
		{what: "kem_output", c: by(&joiner{key: yan.key, leaf: yan.leaf(nil), kemHook: flip}, init), want: mlserr.ConfirmationTag},
		{what: "kem_output empty", c: by(&joiner{key: yan.key, leaf: yan.leaf(nil), kemHook: func([]byte) []byte { return []byte{} }}, init), want: mlserr.DecryptionFailed},
		{what: "kem_output all zero", c: by(&joiner{key: yan.key, leaf: yan.leaf(nil), kemHook: func(b []byte) []byte { return make([]byte, len(b)) }}, init), want: mlserr.DecryptionFailed},
		{what: "init_secret of the group", c: with(func(c *forgedCommit) {
			c.secrets = func(_, commit []byte) ([]byte, []byte) { return in.Secrets.InitSecret, commit }
		}), want: mlserr.ConfirmationTag},
		{what: "signed by another key than the leaf's", c: with(func(c *forgedCommit) { c.signer = zoe.key }), want: mlserr.InvalidSignature},
		{what: "signed without the group context", c: with(func(c *forgedCommit) { c.signCtx = func(c *message.GroupContext) { *c = message.GroupContext{} } }), want: mlserr.InvalidSignature},
		{what: "confirmation_tag", c: with(func(c *forgedCommit) { c.tag = flip }), want: mlserr.ConfirmationTag},
		{what: "confirmation_tag empty", c: with(func(c *forgedCommit) { c.tag = func([]byte) []byte { return nil } }), want: mlserr.ConfirmationTag},
		{what: "member's identity in another leaf", c: with(func(c *forgedCommit) {
			c.external = &joiner{key: in.Key, leaf: *in.Tree.Leaf(leafMallory)}
		}), want: mlserr.SignatureKeyNotUnique},
		{what: "leaf: credential refused", c: by(as("refused"), init), want: mlserr.CredentialRejected},
		{what: "leaf: source", c: with(func(c *forgedCommit) {
			c.leaf = func(l *message.LeafNode) { l.Source = message.LeafNodeSourceUpdate }
		}), want: mlserr.LeafNodeSource},
		{what: "leaf: encryption_key of a member", c: with(func(c *forgedCommit) {
			c.leaf = func(l *message.LeafNode) { l.EncryptionKey = in.Tree.Leaf(leafBob).EncryptionKey }
		}), want: mlserr.EncryptionKeyNotUnique},
		{what: "leaf: encryption_key not valid", c: with(func(c *forgedCommit) { c.leaf = func(l *message.LeafNode) { l.EncryptionKey = nil } }), want: mlserr.InvalidPublicKey},
		{what: "leaf: parent_hash", c: with(func(c *forgedCommit) { c.leaf = func(l *message.LeafNode) { l.ParentHash = flip(l.ParentHash) } }), want: mlserr.ParentHashInvalid},
		{what: "leaf: capabilities", c: with(func(c *forgedCommit) {
			c.leaf = func(l *message.LeafNode) {
				l.Capabilities.Credentials = []message.CredentialType{message.CredentialX509}
			}
		}), want: mlserr.CapabilityMissing},
		{what: "leaf: extension", c: with(func(c *forgedCommit) {
			c.leaf = func(l *message.LeafNode) { l.Extensions = message.Extensions{{Type: 0xf001}} }
		}), want: mlserr.ExtensionNotListed},
		{what: "leaf: signature", c: with(func(c *forgedCommit) { c.signedLeaf = func(l *message.LeafNode) { l.Signature = flip(l.Signature) } }), want: mlserr.InvalidSignature},
		{what: "leaf: signed for another leaf", c: with(func(c *forgedCommit) { c.leafIndex = &otherLeaf }), want: mlserr.InvalidSignature},
		{what: "a node less", c: with(func(c *forgedCommit) { c.path = func(p *message.UpdatePath) { p.Nodes = p.Nodes[1:] } }), want: mlserr.PathInvalid},
		{what: "a node's key", c: with(func(c *forgedCommit) {
			c.pathKeys = func(public [][]byte) { public[len(public)-1] = yan.leaf(nil).EncryptionKey }
		}), want: mlserr.PathKeyMismatch},
		{what: "path secrets", c: with(func(c *forgedCommit) { c.pathSecret = func(_ int, b []byte) []byte { return flip(b) } }), want: mlserr.PathKeyMismatch},
		{what: "path context", c: with(func(c *forgedCommit) { c.pathCtx = func(c *message.GroupContext) { c.Epoch++ } }), want: mlserr.DecryptionFailed},
	})

	// With a proposal that is known to all, a reference is refused all the same.
	sc.alice.receive(proposal)
	known := with(func(c *forgedCommit) {
		c.proposals = append(c.proposals, message.ProposalOrRef{Reference: ref})
	})
	sc.alice.refuses(t, "known reference", sc.forger.build(known).message, mlserr.ExternalCommitInvalid)
}

// TestForgedApplication: every field of a private application message, by a
// member who encrypts it anew.
func TestForgedApplication(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	f := sc.forger
	nobody := newStranger(sc.suite, "nobody")
	handshake := schedule.Handshake
	generation := func(g uint32) forgedContent {
		return forgedContent{private: sealHooks{data: func(d *message.SenderData) { d.Generation = g }}}
	}
	leaf := func(i treemath.LeafIndex) forgedContent {
		return forgedContent{private: sealHooks{data: func(d *message.SenderData) { d.Leaf = i }}}
	}
	header := func(change func(*message.PrivateMessage)) forgedContent {
		return forgedContent{private: sealHooks{header: change}}
	}
	after := func(change func(*message.PrivateMessage)) forgedContent {
		return forgedContent{private: sealHooks{sealed: change}}
	}
	plain := func(change func([]byte) []byte) forgedContent {
		return forgedContent{private: sealHooks{plaintext: change}}
	}
	rows := []struct {
		what string
		c    forgedContent
		want mlserr.Code
	}{
		// The header, changed before anything covers it.
		{"group_id", header(func(m *message.PrivateMessage) { m.GroupID = flip(m.GroupID) }), mlserr.WrongGroup},
		{"epoch ahead", header(func(m *message.PrivateMessage) { m.Epoch++ }), mlserr.EpochAhead},
		{"epoch behind", header(func(m *message.PrivateMessage) { m.Epoch-- }), mlserr.DecryptionFailed},
		{"epoch far behind", header(func(m *message.PrivateMessage) { m.Epoch = 0 }), mlserr.EpochBehind},
		{"content type commit", header(func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeCommit }), mlserr.DecryptionFailed},
		{"content type proposal", header(func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeProposal }), mlserr.DecryptionFailed},
		{"content type 4", header(func(m *message.PrivateMessage) { m.ContentType = 4 }), mlserr.Malformed},
		{"authenticated_data", header(func(m *message.PrivateMessage) { m.AuthenticatedData = []byte("other") }), mlserr.InvalidSignature},
		// The header, changed after.
		{"epoch behind, after", after(func(m *message.PrivateMessage) { m.Epoch-- }), mlserr.DecryptionFailed},
		{"content type, after", after(func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeProposal }), mlserr.DecryptionFailed},
		{"authenticated_data, after", after(func(m *message.PrivateMessage) { m.AuthenticatedData = nil }), mlserr.DecryptionFailed},
		{"encrypted_sender_data, after", after(func(m *message.PrivateMessage) { m.EncryptedSenderData = flip(m.EncryptedSenderData) }), mlserr.DecryptionFailed},
		{"encrypted_sender_data empty", after(func(m *message.PrivateMessage) { m.EncryptedSenderData = nil }), mlserr.DecryptionFailed},
		{"encrypted_sender_data short", after(func(m *message.PrivateMessage) { m.EncryptedSenderData = m.EncryptedSenderData[1:] }), mlserr.DecryptionFailed},
		{"ciphertext, after", after(func(m *message.PrivateMessage) { m.Ciphertext = flip(m.Ciphertext) }), mlserr.DecryptionFailed},
		{"ciphertext empty, after", after(func(m *message.PrivateMessage) { m.Ciphertext = nil }), mlserr.DecryptionFailed},
		{"ciphertext short, after", after(func(m *message.PrivateMessage) { m.Ciphertext = m.Ciphertext[:len(m.Ciphertext)-1] }), mlserr.DecryptionFailed},
		{"ciphertext, before the sender data", forgedContent{private: sealHooks{ciphertext: flip}}, mlserr.DecryptionFailed},
		{"ciphertext empty, before the sender data", forgedContent{private: sealHooks{ciphertext: func([]byte) []byte { return nil }}}, mlserr.DecryptionFailed},
		// The sender data.
		{"leaf blank", leaf(leafBlank), mlserr.InvalidSender},
		{"leaf past the tree", leaf(8), mlserr.InvalidSender},
		{"leaf 2^31", leaf(1 << 31), mlserr.InvalidSender},
		{"leaf 2^32-1", leaf(1<<32 - 1), mlserr.InvalidSender},
		{"leaf of another", leaf(leafBob), mlserr.DecryptionFailed},
		{"leaf of the receiver", leaf(leafAlice), mlserr.DecryptionFailed},
		{"generation 1", generation(1), mlserr.DecryptionFailed},
		{"generation 1000", generation(1000), mlserr.DecryptionFailed},
		{"generation 1001", generation(1001), mlserr.GenerationTooFar},
		{"generation 2^31-1", generation(1<<31 - 1), mlserr.GenerationTooFar},
		{"generation 2^32-1", generation(1<<32 - 1), mlserr.GenerationTooFar},
		{"reuse guard not used", forgedContent{private: sealHooks{nonce: func(n []byte) { n[0] ^= 1 }}}, mlserr.DecryptionFailed},
		{"sender data short", forgedContent{private: sealHooks{rawData: make([]byte, 11)}}, mlserr.Malformed},
		{"sender data long", forgedContent{private: sealHooks{rawData: make([]byte, 13)}}, mlserr.Malformed},
		{"sender data key", forgedContent{private: sealHooks{dataKey: func(key, _ []byte) { key[0] ^= 1 }}}, mlserr.DecryptionFailed},
		{"sender data nonce", forgedContent{private: sealHooks{dataKey: func(_, nonce []byte) { nonce[0] ^= 1 }}}, mlserr.DecryptionFailed},
		// The content.
		{"key", forgedContent{private: sealHooks{key: func(k []byte) { k[0] ^= 1 }}}, mlserr.DecryptionFailed},
		{"handshake ratchet", forgedContent{private: sealHooks{ratchet: &handshake}}, mlserr.DecryptionFailed},
		{"nothing inside", plain(func([]byte) []byte { return nil }), mlserr.Malformed},
		{"content cut", plain(func(b []byte) []byte { return b[:len(b)-1] }), mlserr.Malformed},
		{"padding not zero", plain(func(b []byte) []byte { return append(b, 0, 1) }), mlserr.PaddingNotZero},
		{"signature", forgedContent{signed: func(c *message.AuthenticatedContent) { c.Auth.Signature = flip(c.Auth.Signature) }}, mlserr.InvalidSignature},
		{"signature empty", forgedContent{signed: func(c *message.AuthenticatedContent) { c.Auth.Signature = nil }}, mlserr.InvalidSignature},
		{"signature by another", forgedContent{signer: nobody.key}, mlserr.InvalidSignature},
		{"data not the signed", forgedContent{signed: func(c *message.AuthenticatedContent) { c.Content.ApplicationData = []byte("other") }}, mlserr.InvalidSignature},
		{"signed as another leaf", forgedContent{content: func(c *message.FramedContent) { c.Sender.Leaf = leafBob }}, mlserr.InvalidSignature},
		{"signed in another epoch", forgedContent{signCtx: func(c *message.GroupContext) { c.Epoch++ }}, mlserr.InvalidSignature},
		{"signed as a PublicMessage", forgedContent{format: message.WireFormatPublicMessage}, mlserr.InvalidSignature},
		{"sent as a PublicMessage", forgedContent{public: true}, mlserr.WrongWireFormat},
		{"sent by an external sender", forgedContent{sender: &message.Sender{Type: message.SenderExternal}, signer: sc.watcher.key}, mlserr.SenderNotAllowed},
		{"sent by a new member", forgedContent{sender: &message.Sender{Type: message.SenderNewMemberProposal}}, mlserr.SenderNotAllowed},
		{"sent as a new member's commit", forgedContent{sender: &message.Sender{Type: message.SenderNewMemberCommit}}, mlserr.SenderNotAllowed},
	}
	genuine, _ := f.frame(forgedContent{application: []byte("genuine")})
	for _, row := range rows {
		if row.c.application == nil {
			row.c.application = []byte("forged")
		}
		b, _ := f.frame(row.c)
		if row.what == "sent as a PublicMessage" || row.c.sender != nil {
			sc.alice.refuses(t, row.what, b, mlserr.WrongWireFormat)
		} else {
			sc.alice.refuses(t, row.what, b, row.want)
		}
		if ev := sc.alice.twin().receive(genuine); string(ev.Content) != "genuine" {
			t.Fatalf("%s: then %+v", row.what, ev)
		}
	}
	if ev := sc.alice.receive(genuine); string(ev.Content) != "genuine" || ev.Sender.Leaf != leafMallory {
		t.Fatalf("%+v", ev)
	}
	sc.alice.refuses(t, "again", genuine, mlserr.AlreadyProcessed)
}

// TestForgedOutside: an attacker who has no secret changes the encoding of a
// message of each kind: every proper prefix, a byte more, and one bit of every
// byte.
func TestForgedOutside(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	f := sc.forger
	zoe, yan := newStranger(sc.suite, "zoe"), newStranger(sc.suite, "yan")
	psk := sc.psk
	psk.Nonce = suite.Random(sc.suite.HashSize())
	proposals := value(message.Proposal{Type: message.ProposalRemove, Remove: leafDave}, zoe.add(nil, nil), message.Proposal{Type: message.ProposalPSK, PSK: &psk})
	application, _ := f.frame(forgedContent{application: []byte("hello")})
	proposal, _ := f.frame(forgedContent{proposal: proposals[0].Proposal})
	publicProposal, _ := f.frame(forgedContent{proposal: proposals[0].Proposal, public: true})
	external, _ := f.frame(forgedContent{proposal: proposals[0].Proposal, sender: &message.Sender{Type: message.SenderExternal}, signer: sc.watcher.key})
	newMember, _ := f.frame(forgedContent{proposal: proposals[1].Proposal, sender: &message.Sender{Type: message.SenderNewMemberProposal}, signer: zoe.key})
	for what, b := range map[string][]byte{
		"private commit":      f.build(forgedCommit{proposals: proposals, psks: sc.psks}).message,
		"public commit":       f.build(forgedCommit{proposals: proposals, psks: sc.psks, public: true}).message,
		"external commit":     f.build(forgedCommit{external: &joiner{key: yan.key, leaf: yan.leaf(nil)}, proposals: value(message.Proposal{Type: message.ProposalExternalInit})}).message,
		"private proposal":    proposal,
		"public proposal":     publicProposal,
		"external proposal":   external,
		"new member proposal": newMember,
		"application":         application,
	} {
		check := sc.alice.unchanged()
		for n := range b {
			if _, err := sc.alice.group.Receive(ctx, b[:n:n]); mlserr.CodeOf(err) != mlserr.Malformed {
				t.Fatalf("%s: %d of %d bytes: %v", what, n, len(b), err)
			}
		}
		check(t, what+", prefixes")
		_, err := sc.alice.group.Receive(ctx, append(bytes.Clone(b), 0))
		wantCode(t, err, mlserr.Malformed)
		for i := range b {
			forged := bytes.Clone(b)
			forged[i] ^= 1 << (i % 8)
			ev, err := sc.alice.group.Receive(ctx, forged)
			if err == nil {
				t.Fatalf("%s: byte %d changed: accepted: %+v", what, i, ev)
			}
			if class := mlserr.CodeOf(err).Info().Class; class != mlserr.ClassMalformed && class != mlserr.ClassRejected && class != mlserr.ClassEpoch && mlserr.CodeOf(err) != mlserr.UnknownSuite {
				t.Fatalf("%s: byte %d changed: %v", what, i, err)
			}
			if i%64 == 0 {
				check(t, fmt.Sprintf("%s, byte %d changed", what, i))
			}
		}
		check(t, what+", bits changed")
		if _, err := sc.alice.twin().group.Receive(ctx, b); err != nil {
			t.Fatalf("%s: genuine: %v", what, err)
		}
	}
}
