package mls_test

import (
	"bytes"
	_ "embed"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// The frozen group: stores and messages of one group, made once and kept in
// testdata. Its keys are the same in every process, so that an input which
// fuzzing has found, an encrypted one too, is the same input the next time; and
// what an older version has stored must still load.
//
//	go test ./mls -run TestFrozen -freeze
//
// makes it anew, which only a new format of the records is a reason for.
var freeze = flag.Bool("freeze", false, "make testdata/frozen.bin anew")

const frozenFile = "testdata/frozen.bin"

//go:embed testdata/frozen.bin
var frozenBytes []byte

// frozenNow is the time in the frozen group, which goes on for ever.
var frozenNow = time.Unix(1_800_000_000, 0)

func atFrozenNow(c *mls.Config) { c.Now = func() time.Time { return frozenNow } }

const frozenSuite = x25519

// frozen is the frozen group, in its third epoch:
//
//	leaf 0 alice   1 bob   2 carol   3 erin, unmerged
//
// Alice is who forges: her client has also the identities of the external sender
// "watcher" and of a stranger. Bob is who receives; he holds a past epoch, a
// message in his inbox, an Update proposal of carol's and one of his own. "pending"
// is bob with a commit of his own pending. Dave is outside, with a key package.
type frozen struct {
	stores map[string]*mls.MemoryStore
	blobs  map[string][]byte
}

// frozenID is the id of the frozen group.
var frozenID = []byte("a frozen group")

// marshal writes all that is frozen, in a fixed order.
func (fz *frozen) marshal() []byte {
	var w wire.Writer
	w.Vector(func(w *wire.Writer) {
		for _, name := range sortedNames(fz.stores) {
			w.Opaque([]byte(name))
			w.Vector(func(w *wire.Writer) {
				for _, scope := range []mls.Scope{mls.ClientScope, mls.GroupScope(frozenID)} {
					records, _, err := fz.stores[name].Load(ctx, scope)
					if err != nil {
						panic(err)
					}
					w.Opaque([]byte(scope))
					w.Vector(func(w *wire.Writer) {
						for _, record := range sortedNames(records) {
							w.Opaque([]byte(record))
							w.Opaque(records[record])
						}
					})
				}
			})
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, name := range sortedNames(fz.blobs) {
			w.Opaque([]byte(name))
			w.Opaque(fz.blobs[name])
		}
	})
	return w.Bytes()
}

func sortedNames[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func unmarshalFrozen(b []byte) (*frozen, error) {
	fz := &frozen{stores: make(map[string]*mls.MemoryStore), blobs: make(map[string][]byte)}
	r := wire.NewReader(b)
	r.Vector(func(r *wire.Reader) {
		store := mls.NewMemoryStore()
		fz.stores[string(r.Opaque())] = store
		r.Vector(func(r *wire.Reader) {
			change := mls.Change{Scope: mls.Scope(r.Opaque()), Put: mls.Records{}}
			r.Vector(func(r *wire.Reader) {
				name := string(r.Opaque())
				change.Put[name] = r.Opaque()
			})
			if len(change.Put) == 0 {
				return
			}
			if err := store.Commit(ctx, mls.Batch{Changes: []mls.Change{change}}); err != nil {
				r.Fail(err)
			}
		})
	})
	r.Vector(func(r *wire.Reader) {
		name := string(r.Opaque())
		fz.blobs[name] = r.Opaque()
	})
	return fz, r.Finish()
}

// loadFrozen returns the frozen group, whose stores are the caller's.
func loadFrozen(t testing.TB) *frozen {
	t.Helper()
	fz, err := unmarshalFrozen(bytes.Clone(frozenBytes))
	if err != nil {
		t.Fatal(err)
	}
	return fz
}

// open opens a copy of a store.
func (fz *frozen) open(t testing.TB, name string) *party {
	t.Helper()
	p := &party{t: t, name: name, store: fz.stores[name].Clone()}
	p.client = openWith(t, p.store, atFrozenNow)
	for _, identity := range must(p.client.Identities(ctx)) {
		if base := string(identity.Credential().Identity); base == name || name == "pending" {
			p.id = identity
		}
	}
	if name != "dave" {
		p.group = must(p.client.Group(ctx, frozenID))
		p.info()
	}
	return p
}

// identity returns another identity of the party.
func (p *party) identity(name string) *mls.Identity {
	for _, identity := range must(p.client.Identities(ctx)) {
		if string(identity.Credential().Identity) == name {
			return identity
		}
	}
	panic("no identity " + name)
}

// stranger is the one outside whose identity the client holds.
func (p *party) stranger(name string) *stranger {
	id := p.identity(name)
	return &stranger{must(suite.Lookup(id.Suite())), id.SignatureHandle(), name}
}

// makeFrozen makes the frozen group.
func makeFrozen(t testing.TB) *frozen {
	fz := &frozen{stores: make(map[string]*mls.MemoryStore), blobs: make(map[string][]byte)}
	named := func(name string) *party {
		p := newPartyWith(t, frozenSuite, name, atFrozenNow)
		if err := p.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
			t.Fatal(err)
		}
		return p
	}
	copied := func(p *party) *party {
		q := &party{t: t, name: p.name, store: p.store.Clone(), id: p.id}
		q.client = openWith(t, q.store, atFrozenNow)
		if p.group != nil {
			q.group = must(q.client.Group(ctx, frozenID))
		}
		return q
	}
	alice, bob, carol, dave, erin := named("alice"), named("bob"), named("carol"), named("dave"), named("erin")
	watcher := must(alice.client.CreateIdentity(ctx, frozenSuite, message.BasicCredential([]byte("watcher"))))
	must(alice.client.CreateIdentity(ctx, frozenSuite, message.BasicCredential([]byte("stranger"))))
	senders := message.ExternalSenderList{{SignatureKey: watcher.SignatureKey(), Credential: watcher.Credential()}}
	alice.group = must(alice.client.CreateGroup(ctx, alice.id.ID(), mls.GroupOptions{GroupID: frozenID, Extensions: message.Extensions{
		{Type: message.ExtensionExternalSenders, Data: wire.Marshal(senders)},
		{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialBasic}})},
	}}))
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage(), carol.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)
	carol.join(r.Welcome)
	late := carol.send("late")
	spread(carol, carol.commit(mls.CommitOptions{}), []*party{alice, bob, carol})
	r = bob.commit(mls.CommitOptions{Add: [][]byte{erin.keyPackage()}, NoPath: true})
	spread(bob, r, []*party{alice, bob, carol})
	erin.join(r.Welcome)

	bob.receive(carol.send("not acknowledged"))
	for _, p := range []*party{bob, carol} {
		b := must(p.group.Propose(ctx, mls.ProposeOptions{Update: true})).Message
		for _, q := range []*party{alice, bob, carol} {
			if q != p {
				q.receive(b)
			}
		}
	}
	kp := dave.keyPackage()
	pending := copied(bob)
	pending.commit(mls.CommitOptions{Add: [][]byte{kp}, WithGroupInfo: true})
	for name, p := range map[string]*party{"alice": alice, "bob": bob, "pending": pending, "dave": dave} {
		fz.stores[name] = p.store.Clone()
	}

	fz.blobs["key package"] = kp
	fz.blobs["late"] = late
	fz.blobs["group info"] = must(copied(alice).group.GroupInfo(ctx, mls.GroupInfoOptions{}))
	// Carol's proposal holds up application messages of hers, not of erin's.
	fz.blobs["application"] = copied(erin).send("hello")
	remove := treemath.LeafIndex(2)
	fz.blobs["add"] = must(copied(alice).group.Propose(ctx, mls.ProposeOptions{Add: kp})).Message
	fz.blobs["remove"] = must(copied(alice).group.Propose(ctx, mls.ProposeOptions{Remove: &remove, PublicMessage: true})).Message
	fz.blobs["external remove"] = must(copied(alice).client.ProposeExternally(ctx, fz.blobs["group info"], mls.ExternalProposer{Identity: watcher.ID()}, mls.ProposeOptions{Remove: &remove}))
	fz.blobs["external add"] = must(copied(dave).client.ProposeToJoin(ctx, fz.blobs["group info"], kp, nil))
	psk := []message.PreSharedKeyID{{Type: message.PSKExternal, ID: []byte("psk")}}
	r = copied(alice).commit(mls.CommitOptions{Add: [][]byte{kp}, PSKs: psk, WithGroupInfo: true})
	fz.blobs["commit"], fz.blobs["welcome"] = r.Commit, r.Welcome
	fz.blobs["public commit"] = copied(alice).commit(mls.CommitOptions{Remove: []treemath.LeafIndex{2}, PublicMessage: true}).Commit
	fz.blobs["removal of bob"] = copied(alice).commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}}).Commit
	_, external, err := copied(dave).client.JoinExternal(ctx, dave.id.ID(), fz.blobs["group info"], mls.ExternalOptions{PSKs: psk})
	if err != nil {
		t.Fatal(err)
	}
	fz.blobs["external commit"] = external.Commit

	// What is inside of a Welcome for dave.
	f := newForger(t, alice)
	b := f.build(forgedCommit{proposals: value(message.Proposal{Type: message.ProposalAdd, Add: parseKeyPackage(kp)})})
	f.welcome(b, parseKeyPackage(kp), forgedWelcome{
		rawSecrets: func(b []byte) []byte { fz.blobs["group secrets"] = b; return b },
		rawInfo:    func(b []byte) []byte { fz.blobs["welcome's group info"] = b; return b },
	})
	return fz
}

// frozenMessages are the messages that bob accepts, each as it is.
var frozenMessages = []string{"application", "late", "add", "remove", "external remove", "external add", "commit", "public commit", "removal of bob", "external commit"}

// TestFrozen opens the frozen group and uses it.
func TestFrozen(t *testing.T) {
	if *freeze {
		if err := os.WriteFile(frozenFile, makeFrozen(t).marshal(), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("made anew; run the test again")
	}
	fz := loadFrozen(t)
	if b := fz.marshal(); !bytes.Equal(b, frozenBytes) {
		t.Error("what is frozen is not encoded again as it was")
	}
	for _, name := range frozenMessages {
		bob := fz.open(t, "bob")
		ev, err := bob.group.Receive(ctx, fz.blobs[name])
		if err != nil {
			t.Fatalf("bob cannot receive %q: %v\nHas the format of the records changed? See the head of frozen_test.go.", name, err)
		}
		if (ev.Type == mls.EventRemoved) != (name == "removal of bob") {
			t.Errorf("%q: %+v", name, ev)
		}
		bob.checkStored()
	}
	// Format 1, which it is frozen in, becomes the format of today by a write.
	old := fz.open(t, "bob")
	old.commit(mls.CommitOptions{})
	if err := old.client.StorePSK(ctx, []byte("another"), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for _, scope := range []mls.Scope{mls.ClientScope, mls.GroupScope(frozenID)} {
		if was, is := fz.stores["bob"].Record(scope, "format"), old.store.Record(scope, "format"); was[0] != 1 || is[0] != 4 {
			t.Errorf("%s: format %d became %d", scope, was, is)
		}
		old.store.SetRecord(scope, "format", []byte{5})
	}
	_, err := mls.Open(ctx, mls.Config{Keys: kitKeys, Store: old.store, Authenticator: policy{}})
	wantCode(t, err, mlserr.StateVersion)
	alice, bob, pending, dave := fz.open(t, "alice"), fz.open(t, "bob"), fz.open(t, "pending"), fz.open(t, "dave")
	agree(t, alice, bob, pending)
	if pending.apply().Update == nil || len(must(bob.group.Inbox(ctx))) != 1 || len(must(bob.group.Proposals(ctx))) != 2 {
		t.Error("the pending commit, the inbox or the proposals are gone")
	}
	dave.join(fz.blobs["welcome"])
	alice.receive(must(bob.group.Commit(ctx, mls.CommitOptions{})).Commit)
	bob.apply()
	agree(t, alice, bob)
	wantCode(t, func() error { _, err := bob.group.Receive(ctx, fz.blobs["commit"]); return err }(), mlserr.EpochBehind)
}
