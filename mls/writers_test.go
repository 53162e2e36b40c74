package mls_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
)

// second opens another client over the party's own store, as another tab does.
func (p *party) second() *party {
	p.t.Helper()
	q := &party{t: p.t, name: p.name, store: p.store, id: p.id}
	q.client = openWith(p.t, p.store, nil)
	if p.group != nil {
		q.group = must(q.client.Group(ctx, p.group.ID()))
	}
	return q
}

// TestTwoWriters: two clients over one store. Whoever finds its copy stale loads
// again and goes on; no generation is used twice and nothing is lost.
func TestTwoWriters(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	tab1, tab2 := alice, alice.second()
	tab1.info()
	tab2.info()

	// Sending in turns.
	for i := range 6 {
		b := []*party{tab1, tab2}[i%2].send(fmt.Sprint(i))
		if ev := bob.receive(b); string(ev.Content) != fmt.Sprint(i) {
			t.Fatalf("%+v", ev)
		}
		if ev := []*party{tab2, tab1}[i%2].receive(b); i > 0 && ev.Type != mls.EventOwn {
			// The other tab has not sent it and knows it from the store all the same.
			t.Fatalf("%d: %+v", i, ev)
		}
	}
	// Receiving the same message in both.
	b := bob.send("for one of us")
	tab1.receive(b)
	_, err := tab2.group.Receive(ctx, b)
	wantCode(t, err, mlserr.AlreadyProcessed)
	if n := len(must(tab2.group.Inbox(ctx))); n != 1 {
		t.Fatalf("inbox of %d", n)
	}
	// A commit of one, applied by the other.
	r := tab1.commit(mls.CommitOptions{})
	_, err = tab2.group.Commit(ctx, mls.CommitOptions{})
	wantCode(t, err, mlserr.PendingCommit)
	bob.receive(r.Commit)
	tab2.group.Unload()
	tab2.apply()
	_, err = tab1.group.ApplyPendingCommit(ctx)
	wantCode(t, err, mlserr.NoPendingCommit)
	agree(t, tab1, tab2, bob)
	talk(t, tab1, bob)
	talk(t, tab2, bob)
	// Both want to commit: one is first.
	r = bob.commit(mls.CommitOptions{})
	tab1.receive(r.Commit)
	bob.apply()
	_, err = tab2.group.Receive(ctx, r.Commit)
	wantCode(t, err, mlserr.AlreadyProcessed)
	agree(t, tab1, tab2, bob)

	// The client's own scope.
	kp := tab1.keyPackage()
	other := newPartyWith(t, x25519, "other", nil)
	other.create()
	r = other.commit(mls.CommitOptions{Add: [][]byte{kp}})
	other.apply()
	g, err := tab2.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab1.client.Group(ctx, g.ID()); err != nil {
		t.Fatal(err)
	}
	_, err = tab1.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
	if code := mlserr.CodeOf(err); code != mlserr.NoMatchingKeyPackage && code != mlserr.GroupExists {
		t.Fatal(err)
	}
	if _, err := tab2.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte("another"))); err != nil {
		t.Fatal(err)
	}
	tab1.keyPackage()
	tab2.keyPackage()
	if n := must(tab2.client.KeyPackageCount(ctx, alice.id.ID())); n != 2 {
		t.Fatalf("%d key packages", n)
	}
	if err := tab2.client.DeleteGroup(ctx, g.ID()); err != nil {
		t.Fatal(err)
	}
	g1 := must(tab1.client.Group(ctx, bob.group.ID()))
	if !bytes.Equal(g1.ID(), bob.group.ID()) {
		t.Fatal("another group")
	}
}

// TestManyGoroutines: any number of goroutines over two clients of one store
// send and receive at once. Every message arrives once.
func TestManyGoroutines(t *testing.T) {
	t.Run("with locks", func(t *testing.T) {
		testManyGoroutines(t, func(p *party) *party { return p.second() }, func(err error) bool { return false })
	})
	t.Run("without locks", func(t *testing.T) {
		// Two of them may be faster by turns, many times in a row.
		testManyGoroutines(t, func(p *party) *party {
			q := p.second()
			q.client.Close()
			q.client = openWith(t, raceStore{p.store}, nil)
			q.group = must(q.client.Group(ctx, p.group.ID()))
			return q
		}, func(err error) bool { return errors.Is(err, mlserr.Stale) })
	})
}

func testManyGoroutines(t *testing.T, tab func(*party) *party, again func(error) bool) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	tabs := []*party{tab(alice), tab(alice)}
	var mu sync.Mutex
	var sent [][]byte
	var wg sync.WaitGroup
	for i := range 4 {
		for _, tab := range tabs {
			wg.Go(func() {
				for j := range 5 {
					b, err := tab.group.Send(ctx, []byte(fmt.Sprint(i, j)), mls.SendOptions{})
					for again(err) {
						b, err = tab.group.Send(ctx, []byte(fmt.Sprint(i, j)), mls.SendOptions{})
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					sent = append(sent, b)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	readers := []*party{tab(bob), tab(bob)}
	opened := make([]int, len(sent))
	for _, reader := range readers {
		wg.Go(func() {
			for i, b := range sent {
				_, err := reader.group.Receive(ctx, b)
				for again(err) {
					_, err = reader.group.Receive(ctx, b)
				}
				switch {
				case err == nil:
					mu.Lock()
					opened[i]++
					mu.Unlock()
				case !errors.Is(err, mlserr.AlreadyProcessed):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, n := range opened {
		if n != 1 {
			t.Errorf("message %d was opened %d times", i, n)
		}
	}
	readers[0].group.Unload()
	if n := len(must(readers[0].group.Inbox(ctx))); n != len(sent) {
		t.Fatalf("inbox of %d", n)
	}
}

// TestClosed: a closed client does nothing more, and its store is as it was.
func TestClosed(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	store := alice.store.Clone()
	alice.info() // loads it
	secrets := alice.group.Inside().Secrets
	alice.client.Close()
	for _, b := range [][]byte{secrets.InitSecret, secrets.ExporterSecret, secrets.SenderDataSecret} {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Error("a secret is still in memory")
		}
	}
	for what, f := range map[string]func() error{
		"send":    func() error { _, err := alice.group.Send(ctx, nil, mls.SendOptions{}); return err },
		"commit":  func() error { _, err := alice.group.Commit(ctx, mls.CommitOptions{}); return err },
		"receive": func() error { _, err := alice.group.Receive(ctx, all[1].send("x")); return err },
		"info":    func() error { _, err := alice.group.Info(ctx); return err },
		"group":   func() error { _, err := alice.client.Group(ctx, alice.group.ID()); return err },
		"identity": func() error {
			_, err := alice.client.CreateIdentity(ctx, x25519, message.BasicCredential(nil))
			return err
		},
	} {
		if err := f(); mlserr.CodeOf(err) != mlserr.Closed {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !alice.store.Equal(store) {
		t.Error("the store has changed")
	}
	alice.client.Close()
}

// TestCorruptRecords: a store that has lost or changed records is refused, not
// believed, and never a panic.
func TestCorruptRecords(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	talk(t, all...)
	spread(alice, alice.commit(mls.CommitOptions{}), all)
	talk(t, all...)
	carol.propose(mls.ProposeOptions{Update: true}, all)
	bob.propose(mls.ProposeOptions{Update: true}, all)
	bob.commit(mls.CommitOptions{})
	scope := mls.GroupScope(bob.group.ID())
	for _, name := range bob.store.RecordNames(scope) {
		record := bob.store.Record(scope, name)
		for what, damaged := range map[string][]byte{"missing": nil, "empty": {}, "cut": record[:len(record)-1], "longer": append(bytes.Clone(record), 0)} {
			store := bob.store.Clone()
			store.SetRecord(scope, name, damaged)
			client := openWith(t, store, nil)
			g, err := client.Group(ctx, bob.group.ID())
			if err == nil {
				_, err = g.Info(ctx)
			}
			// Entries of lists may be missing: nobody can tell.
			optional := what == "missing" && (bytes.HasPrefix([]byte(name), []byte("inbox/")) || bytes.HasPrefix([]byte(name), []byte("sent/")) ||
				bytes.HasPrefix([]byte(name), []byte("proposal/")) || name == "pending")
			if err == nil && !optional && !bytes.HasPrefix([]byte(name), []byte("sent/")) {
				t.Errorf("%s %s: accepted", name, what)
			}
			if err != nil && mlserr.CodeOf(err).Info().Class != mlserr.ClassStorage && mlserr.CodeOf(err) != mlserr.IdentityNotFound {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
}
