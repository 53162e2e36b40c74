package mls_test

import (
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"

	"webmls/mls"
	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// reframer is a member who puts what another has signed into messages of its
// own making: it has the ratchets of all, and the membership key.
type reframer struct {
	*forger
	of treemath.LeafIndex
}

func newReframer(t testing.TB, p *party, of treemath.LeafIndex) *reframer {
	f := newForger(t, p)
	in := *f.in
	in.Self = of // whose ratchets it seals with
	return &reframer{&forger{t, &in}, of}
}

// open returns what is in a message. It consumes nothing.
func (f *reframer) open(b []byte) *message.AuthenticatedContent {
	f.t.Helper()
	in := f.in
	m := must(message.Parse(b))
	u, err := (*framing.Unverified)(nil), error(nil)
	if m.WireFormat == message.WireFormatPublicMessage {
		u, err = framing.UnprotectPublic(in.Suite, m.Public, in.Secrets.MembershipKey, in.Context)
	} else {
		u, err = framing.UnprotectPrivate(in.Suite, m.Private, in.Ratchets.Draft(), in.Secrets.SenderDataSecret, func(treemath.LeafIndex) bool { return true })
	}
	if err != nil {
		f.t.Fatal(err)
	}
	v, err := u.Verify(ctx, kitKeys, in.Suite, in.Tree.Leaf(f.of).SignatureKey, in.Context)
	if err != nil {
		f.t.Fatal(err)
	}
	return v.Content()
}

// next is the generation that the one whose content it is has not used yet.
func (f *reframer) next(p *party, t message.ContentType) uint32 {
	ratchet := schedule.Handshake
	if t == message.ContentTypeApplication {
		ratchet = schedule.Application
	}
	p.info()
	return uint32(must(p.group.Inside().Ratchets.Draft().Position(f.of, ratchet)))
}

// frame puts content into a message: a PrivateMessage under the generation.
func (f *reframer) frame(c *message.AuthenticatedContent, generation uint32) []byte {
	in := f.in
	m := &message.MLSMessage{WireFormat: c.WireFormat}
	if c.WireFormat == message.WireFormatPublicMessage {
		m.Public = &message.PublicMessage{Content: c.Content, Auth: c.Auth, MembershipTag: in.Suite.MAC(in.Secrets.MembershipKey, c.TBM(in.Context))}
	} else {
		m.Private = f.seal(c, sealHooks{generation: &generation})
	}
	return wire.Marshal(m)
}

// resigned returns the content with the other signature of P-256 that s has.
func resigned(t testing.TB, c *message.AuthenticatedContent) *message.AuthenticatedContent {
	t.Helper()
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(c.Auth.Signature, &signature); err != nil {
		t.Fatal(err)
	}
	signature.S.Sub(elliptic.P256().Params().N, signature.S)
	again := *c
	again.Auth.Signature = must(asn1.Marshal(signature))
	return &again
}

// retagged returns the content of a commit with another confirmation tag, which
// the signature does not cover.
func retagged(c *message.AuthenticatedContent) *message.AuthenticatedContent {
	again := *c
	again.Auth.ConfirmationTag = flip(c.Auth.ConfirmationTag)
	return &again
}

// variants returns messages that hold the content of b as it was signed, none of
// which is b.
func (f *reframer) variants(p *party, b []byte) map[string][]byte {
	c := f.open(b)
	contents := map[string]*message.AuthenticatedContent{}
	if c.WireFormat == message.WireFormatPrivateMessage {
		contents["as it was"] = c // where it is public, that is b again
	}
	if c.Content.ContentType == message.ContentTypeCommit {
		contents["another tag"] = retagged(c)
	}
	if f.in.Suite.ID() == suite.P256AES128SHA256P256 && c.Content.ContentType != message.ContentTypeProposal {
		contents["another signature"] = resigned(f.t, c)
	}
	next := f.next(p, c.Content.ContentType)
	list := make(map[string][]byte)
	for what, c := range contents {
		list[what+", the next generation"] = f.frame(c, next)
		if c.WireFormat == message.WireFormatPrivateMessage {
			list[what+", a later generation"] = f.frame(c, next+7)
		}
	}
	return list
}

// TestReframed: content of one's own in a message that another member has made
// of it, under a generation that is free, with another ECDSA signature or another
// confirmation tag, is known (S12): it is no proof that the state was restored, and
// is not said twice. It is refused without a trace, in a batch too.
func TestReframed(t *testing.T) {
	for _, id := range []suite.ID{x25519, suite.P256AES128SHA256P256} {
		all := crew(t, id, "alice", "bob")
		alice, bob := all[0], all[1]
		propose := func(public bool) []byte {
			p := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true, PublicMessage: public}))
			if err := alice.group.DropProposal(ctx, p.Reference); err != nil {
				t.Fatal(err)
			}
			return p.Message
		}
		commit := func(public bool) []byte {
			b := alice.commit(mls.CommitOptions{PublicMessage: public}).Commit
			if err := alice.group.ClearPendingCommit(ctx); err != nil {
				t.Fatal(err)
			}
			return b
		}
		refused := 0
		for what, b := range map[string][]byte{
			"application":     alice.send("once"),
			"proposal":        propose(false),
			"public proposal": propose(true),
			"commit":          commit(false),
			"public commit":   commit(true),
		} {
			f := newReframer(t, bob, alice.info().OwnLeaf)
			want := mlserr.AlreadyProcessed
			if f.open(b).Content.ContentType == message.ContentTypeCommit {
				want = mlserr.OwnMessageUnknown
			}
			for how, forged := range f.variants(alice, b) {
				alice.refuses(t, what+", "+how, forged, want)
				check := alice.unchanged()
				for _, r := range must(alice.group.ReceiveAll(ctx, [][]byte{forged, forged})) {
					wantCode(t, r.Err, want)
				}
				check(t, what+", "+how+", twice in a batch")
				refused++
				alice.reload() // it is known from the store too
			}
		}
		if want := map[suite.ID]int{x25519: 2 + 2 + 4 + 1, suite.P256AES128SHA256P256: 4 + 2 + 6 + 2}[id]; refused != want {
			t.Errorf("suite %d: %d messages, want %d", id, refused, want)
		}
		bob.receive(alice.send("nothing has happened"))
	}
}

// TestReframedLate: the same in an epoch that is past, also once its own commit
// has given this client fresh keys, after which messages of its own that it does not
// know show nothing.
func TestReframedLate(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	f := newReframer(t, bob, alice.info().OwnLeaf)
	forged := f.variants(alice, alice.send("once"))
	for _, who := range []*party{bob, alice} {
		spread(who, who.commit(mls.CommitOptions{}), all)
		for how, b := range forged {
			alice.refuses(t, how, b, mlserr.AlreadyProcessed)
		}
	}
	bob.receive(alice.send("nothing has happened"))
}

// TestReframedPending: the pending commit in another message leads the others to
// the epoch that is pending, and is applied. With another signature or tag it leads
// elsewhere.
func TestReframedPending(t *testing.T) {
	for _, id := range []suite.ID{x25519, suite.P256AES128SHA256P256} {
		all := crew(t, id, "alice", "bob", "carol")
		alice, bob, carol := all[0], all[1], all[2]
		f := newReframer(t, bob, alice.info().OwnLeaf)
		r := alice.commit(mls.CommitOptions{})
		list := f.variants(alice, r.Commit)
		for how, b := range list {
			if how != "as it was, the next generation" && how != "as it was, a later generation" {
				alice.refuses(t, how, b, mlserr.OwnMessageUnknown)
			}
		}
		b := list["as it was, a later generation"]
		for _, p := range []*party{alice, carol} {
			if ev := p.receive(b); ev.Type != mls.EventGroupUpdate || ev.Update.Own != (p == alice) {
				t.Fatalf("%+v", ev)
			}
		}
		bob.receive(r.Commit)
		agree(t, all...)
		alice.checkStored()
		alice.refuses(t, "the message itself, after", r.Commit, mlserr.AlreadyProcessed)
		alice.refuses(t, "the other again", b, mlserr.EpochBehind)
		talk(t, all...)
	}
}

// TestReframedProposal: a proposal of one's own with another ECDSA signature has a
// reference of its own, by which others may commit it.
func TestReframedProposal(t *testing.T) {
	for _, public := range []bool{false, true} {
		all := crew(t, suite.P256AES128SHA256P256, "alice", "bob", "carol")
		alice, bob, carol := all[0], all[1], all[2]
		f := newReframer(t, bob, alice.info().OwnLeaf)
		before := alice.group.Inside().Tree.Leaf(f.of).EncryptionKey
		sent := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true, PublicMessage: public})).Message
		forged := f.frame(resigned(t, f.open(sent)), f.next(alice, message.ContentTypeProposal))
		for _, p := range []*party{alice, carol, bob} {
			if ev := p.receive(forged); ev.Type != mls.EventProposal || ev.Sender.Own != (p == alice) {
				t.Fatalf("%+v", ev)
			}
		}
		if alice.info().RolledBack {
			t.Fatal("it shows that the state was restored")
		}
		alice.checkStored()
		alice.reload()
		spread(bob, bob.commit(mls.CommitOptions{}), all) // by the reference that bob has
		agree(t, all...)
		if string(alice.group.Inside().Tree.Leaf(f.of).EncryptionKey) == string(before) {
			t.Fatal("the update is not in the commit")
		}
		talk(t, all...)
	}
}

// TestSentLogFull: once the log of what was sent has lost what was sent in an
// epoch, an unknown message of one's own proves nothing (S12), and may be one that
// was sent: it is refused. In the next epoch it is a proof again.
func TestSentLogFull(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	f := newReframer(t, alice.twin(), alice.info().OwnLeaf)
	proposal := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true}))
	if err := alice.group.DropProposal(ctx, proposal.Reference); err != nil {
		t.Fatal(err)
	}
	first := alice.send("first")
	content := f.open(first)
	const logged = 2048
	must(alice.group.SendAll(ctx, texts(logged-32), mls.SendOptions{}))
	next := f.next(alice, message.ContentTypeApplication)
	own := f.in.Ratchets // of the twin, who may go as far ahead as alice is
	own.Limits.MaxForward = logged * 2
	alice.refuses(t, "the log has it", f.frame(content, next), mlserr.AlreadyProcessed)

	alice.useReserve()
	backup := alice.store.Clone()
	lost := alice.send("lost")
	restored := alice.restored(backup)
	_, err := restored.group.Receive(ctx, lost)
	wantCode(t, err, mlserr.RolledBack)

	must(alice.group.SendAll(ctx, texts(64), mls.SendOptions{}))
	alice.reload()
	next = f.next(alice, message.ContentTypeApplication)
	alice.refuses(t, "the log has lost it", f.frame(content, next), mlserr.OwnMessageUnknown)
	alice.refuses(t, "a proposal, which is known", f.frame(f.open(proposal.Message), f.next(alice, message.ContentTypeProposal)), mlserr.AlreadyProcessed)
	restored = alice.restored(alice.store)
	alice.refuses(t, "of another life, which nothing shows", restored.send("x"), mlserr.OwnMessageUnknown)

	spread(bob, bob.commit(mls.CommitOptions{}), all)
	restored = alice.restored(alice.store)
	_, err = restored.group.Receive(ctx, alice.send("lost"))
	wantCode(t, err, mlserr.RolledBack)
	// Also where nothing was sent before, and where the log was full long ago.
	for range 3 {
		must(alice.group.SendAll(ctx, texts(logged), mls.SendOptions{}))
		spread(bob, bob.commit(mls.CommitOptions{}), all)
		if ev := alice.receive(alice.send("it knows")); ev.Type != mls.EventOwn {
			t.Fatalf("%+v", ev)
		}
		alice.checkStored()
	}
	restored = alice.restored(alice.store)
	_, err = restored.group.Receive(ctx, alice.send("lost"))
	wantCode(t, err, mlserr.RolledBack)
}

// TestSentLogAnew: a resync writes the log of what was sent anew, also where the
// mark of the epoch that it begins has the oldest of a full log dropped.
func TestSentLogAnew(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	must(alice.group.SendAll(ctx, texts(2100), mls.SendOptions{}))
	info := must(bob.group.GroupInfo(ctx, mls.GroupInfoOptions{}))
	records := func(p *party) (n int) {
		for _, name := range p.store.RecordNames(mls.GroupScope(p.group.ID())) {
			if strings.HasPrefix(name, "sent/") {
				n++
			}
		}
		return n
	}
	full := records(alice)
	for range full { // at least as often as a block has digests
		alice.commit(mls.CommitOptions{})
		if err := alice.group.ClearPendingCommit(ctx); err != nil {
			t.Fatal(err)
		}
		again := alice.twin()
		again.joinExternal(info, mls.ExternalOptions{Resync: true})
		again.apply()
		again.checkStored()
		if n := records(again); n != full {
			t.Fatalf("%d blocks of the log, want %d", n, full)
		}
	}
}

// TestUnmarkedLog: a log that an older version has written has no content in it:
// in the epoch that it was in, an unknown message proves nothing.
func TestUnmarkedLog(t *testing.T) {
	fz := loadFrozen(t)
	alice := fz.open(t, "alice")
	bob, former := fz.open(t, "bob"), fz.open(t, "bob")
	bob.refuses(t, "in the epoch that is in the store", must(former.group.Propose(ctx, mls.ProposeOptions{Update: true})).Message, mlserr.OwnMessageUnknown)
	r := alice.commit(mls.CommitOptions{})
	for _, p := range []*party{bob, former} {
		p.receive(r.Commit)
	}
	_, err := bob.group.Receive(ctx, former.send("x"))
	wantCode(t, err, mlserr.RolledBack)
}
