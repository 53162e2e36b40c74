package mls_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/treemath"
)

// acceptAll is an Authenticator that accepts everything.
type acceptAll struct{}

func (acceptAll) Authenticate(context.Context, []mls.Claim) error      { return nil }
func (acceptAll) Succeeds(context.Context, mls.Claim, mls.Claim) error { return nil }

// party is a client with one identity and, mostly, one group.
type party struct {
	t      testing.TB
	name   string
	store  *mls.MemoryStore
	client *mls.Client
	id     *mls.Identity
	group  *mls.Group
}

var ctx = context.Background()

func newParty(t testing.TB, id suite.ID, name string) *party {
	t.Helper()
	p := &party{t: t, name: name, store: mls.NewMemoryStore()}
	p.open(p.store)
	identity, err := p.client.CreateIdentity(ctx, id, message.BasicCredential([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	p.id = identity
	return p
}

func (p *party) open(store mls.Store) {
	p.t.Helper()
	c, err := mls.Open(ctx, mls.Config{Keys: softkeys.New(), Store: store, Authenticator: acceptAll{}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.client = c
}

// reload opens the store again, as after a restart.
func (p *party) reload() {
	p.t.Helper()
	id := p.group.ID()
	p.client.Close()
	p.open(p.store)
	g, err := p.client.Group(ctx, id)
	if err != nil {
		p.t.Fatal(err)
	}
	p.group = g
}

func (p *party) keyPackage() []byte {
	p.t.Helper()
	list, err := p.client.CreateKeyPackages(ctx, p.id.ID(), 1, mls.KeyPackageOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return list[0]
}

func (p *party) create() {
	p.t.Helper()
	g, err := p.client.CreateGroup(ctx, p.id.ID(), mls.GroupOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.group = g
}

func (p *party) commit(opts mls.CommitOptions) *mls.CommitResult {
	p.t.Helper()
	r, err := p.group.Commit(ctx, opts)
	if err != nil {
		p.t.Fatalf("%s commits: %v", p.name, err)
	}
	return r
}

func (p *party) apply() *mls.Event {
	p.t.Helper()
	ev, err := p.group.ApplyPendingCommit(ctx)
	if err != nil {
		p.t.Fatalf("%s applies: %v", p.name, err)
	}
	return ev
}

func (p *party) join(welcome []byte) {
	p.t.Helper()
	g, err := p.client.JoinGroup(ctx, welcome, mls.JoinOptions{})
	if err != nil {
		p.t.Fatalf("%s joins: %v", p.name, err)
	}
	p.group = g
}

func (p *party) receive(b []byte) *mls.Event {
	p.t.Helper()
	ev, err := p.group.Receive(ctx, b)
	if err != nil {
		p.t.Fatalf("%s receives: %v", p.name, err)
	}
	return ev
}

func (p *party) send(text string) []byte {
	p.t.Helper()
	b, err := p.group.Send(ctx, []byte(text), mls.SendOptions{})
	if err != nil {
		p.t.Fatalf("%s sends: %v", p.name, err)
	}
	return b
}

func (p *party) info() mls.Info {
	p.t.Helper()
	info, err := p.group.Info(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return info
}

func wantCode(t testing.TB, err error, code mlserr.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want %s", err, code)
	}
}

// agree checks that all parties are in one and the same epoch.
func agree(t testing.TB, parties ...*party) {
	t.Helper()
	first := parties[0].info()
	for _, p := range parties[1:] {
		if info := p.info(); info.Epoch != first.Epoch || !bytes.Equal(info.EpochAuthenticator, first.EpochAuthenticator) || !bytes.Equal(info.TreeHash, first.TreeHash) {
			t.Fatalf("%s is in epoch %d and %s in epoch %d, or they differ", p.name, info.Epoch, parties[0].name, first.Epoch)
		}
	}
}

// talk has every party send and every other receive.
func talk(t testing.TB, parties ...*party) {
	t.Helper()
	for _, from := range parties {
		b := from.send("hello from " + from.name)
		for _, to := range parties {
			ev := to.receive(b)
			if to == from {
				if ev.Type != mls.EventOwn {
					t.Fatalf("own message is %s", ev.Type)
				}
				continue
			}
			if ev.Type != mls.EventApplication || string(ev.Content) != "hello from "+from.name || string(ev.Sender.Credential.Identity) != from.name {
				t.Fatalf("%s got %+v", to.name, ev)
			}
		}
	}
}

func TestConversation(t *testing.T) {
	for _, id := range suite.All() {
		t.Run(id.String(), func(t *testing.T) {
			t.Parallel()
			alice, bob, carol := newParty(t, id, "alice"), newParty(t, id, "bob"), newParty(t, id, "carol")
			alice.create()
			r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
			alice.apply()
			bob.join(r.Welcome)
			agree(t, alice, bob)
			talk(t, alice, bob)

			r = bob.commit(mls.CommitOptions{Add: [][]byte{carol.keyPackage()}})
			if ev := alice.receive(r.Commit); ev.Type != mls.EventGroupUpdate || len(ev.Update.Added) != 1 {
				t.Fatalf("got %+v", ev)
			}
			if ev := bob.receive(r.Commit); ev.Type != mls.EventGroupUpdate || !ev.Update.Own {
				t.Fatalf("got %+v", ev)
			}
			carol.join(r.Welcome)
			agree(t, alice, bob, carol)
			talk(t, alice, bob, carol)
			for _, p := range []*party{alice, bob, carol} {
				p.reload()
			}
			talk(t, alice, bob, carol)

			r = carol.commit(mls.CommitOptions{})
			alice.receive(r.Commit)
			bob.receive(r.Commit)
			carol.apply()
			agree(t, alice, bob, carol)

			r = alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}})
			if ev := bob.receive(r.Commit); ev.Type != mls.EventRemoved {
				t.Fatalf("bob got %+v", ev)
			}
			carol.receive(r.Commit)
			alice.apply()
			agree(t, alice, carol)
			talk(t, alice, carol)
			if _, err := bob.group.Send(ctx, []byte("x"), mls.SendOptions{}); !errors.Is(err, mlserr.NotMember) {
				t.Fatalf("removed member sends: %v", err)
			}

			// Back again, by a Welcome.
			r = carol.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
			alice.receive(r.Commit)
			carol.apply()
			bob.join(r.Welcome)
			agree(t, alice, bob, carol)
			talk(t, alice, bob, carol)

			// By an external commit, instead of the former leaf.
			info, err := alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})
			if err != nil {
				t.Fatal(err)
			}
			g, ext, err := bob.client.JoinExternal(ctx, bob.id.ID(), info, mls.ExternalOptions{Resync: true})
			if err != nil {
				t.Fatal(err)
			}
			bob.group = g
			alice.receive(ext.Commit)
			carol.receive(ext.Commit)
			bob.apply()
			agree(t, alice, bob, carol)
			talk(t, alice, bob, carol)
		})
	}
}
