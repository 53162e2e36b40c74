package mls_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// raceStore is a Store that is no Locker.
type raceStore struct{ mls.Store }

// lockStore watches the locks of a MemoryStore and fails them on demand.
type lockStore struct {
	*mls.MemoryStore
	t    testing.TB
	fail error

	mu   sync.Mutex
	held map[mls.Scope]bool
	log  []string
}

func newLockStore(t testing.TB, store *mls.MemoryStore) *lockStore {
	return &lockStore{MemoryStore: store, t: t, held: map[mls.Scope]bool{}}
}

func kindOf(scope mls.Scope) string {
	kind, _, _ := strings.Cut(string(scope), "/")
	return kind
}

func (s *lockStore) Lock(ctx context.Context, scope mls.Scope) (func(), error) {
	s.mu.Lock()
	fail := s.fail
	s.log = append(s.log, "wait "+kindOf(scope))
	s.mu.Unlock()
	if fail != nil {
		return nil, fail
	}
	unlock, err := s.MemoryStore.Lock(ctx, scope)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[scope] = true
	s.log = append(s.log, "lock "+kindOf(scope))
	var once sync.Once
	return func() {
		called := false
		once.Do(func() {
			called = true
			s.mu.Lock()
			s.held[scope] = false
			s.log = append(s.log, "unlock "+kindOf(scope))
			s.mu.Unlock()
			unlock()
		})
		if !called {
			s.t.Errorf("%s was unlocked twice", kindOf(scope))
		}
	}, nil
}

// Commit checks that every scope that is written is locked.
func (s *lockStore) Commit(ctx context.Context, b mls.Batch) error {
	s.mu.Lock()
	for i := range b.Changes {
		if !s.held[b.Changes[i].Scope] {
			s.t.Errorf("%s is written without its lock", kindOf(b.Changes[i].Scope))
		}
	}
	s.mu.Unlock()
	err := s.MemoryStore.Commit(ctx, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, "commit")
	return err
}

// take returns the log since the last call, and checks that no lock is held.
func (s *lockStore) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, held := range s.held {
		if held {
			s.t.Errorf("%s is still held", kindOf(scope))
		}
	}
	log := s.log
	s.log = nil
	return log
}

// tabs returns the party and a second instance over its store, both with the
// group in memory.
func tabs(p *party) (first, second *party) {
	q := p.second()
	p.info()
	q.info()
	return p, q
}

// TestStaleCopy: what an instance does on a copy that another made old, it does
// on what is stored.
func TestStaleCopy(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	bob := all[1]
	one, two := tabs(all[0])

	// The other has gone an epoch ahead: a message of it is read.
	r := bob.commit(mls.CommitOptions{})
	bob.apply()
	one.receive(r.Commit)
	if ev := two.receive(bob.send("in the new epoch")); ev.Type != mls.EventApplication || ev.Epoch != r.Epoch {
		t.Fatalf("%+v", ev)
	}
	// What the other had made pending is applied, cleared, or in the way.
	r = one.commit(mls.CommitOptions{})
	_, err := two.group.Commit(ctx, mls.CommitOptions{})
	wantCode(t, err, mlserr.PendingCommit)
	bob.receive(r.Commit)
	two.apply()
	r = two.commit(mls.CommitOptions{})
	if err := one.group.ClearPendingCommit(ctx); err != nil {
		t.Fatal(err)
	}
	// An entry that the other got into the inbox is acknowledged, not ignored.
	ev := two.receive(bob.send("for the inbox"))
	if err := one.group.Acknowledge(ctx, ev.InboxID); err != nil {
		t.Fatal(err)
	}
	if list := must(all[0].second().group.Inbox(ctx)); len(list) != 1 { // the first of the test
		t.Fatalf("%d in the inbox", len(list))
	}
	// A proposal that the other got is dropped.
	p := must(bob.group.Propose(ctx, mls.ProposeOptions{Update: true}))
	one.receive(p.Message)
	if err := two.group.DropProposal(ctx, p.Reference); err != nil {
		t.Fatal(err)
	}
	// A group that the other has joined, made or deleted is there, or is not.
	g := must(one.client.CreateGroup(ctx, one.id.ID(), mls.GroupOptions{}))
	other := must(two.client.Group(ctx, g.ID()))
	if _, err := other.Info(ctx); err != nil {
		t.Fatal(err)
	}
	if err := two.client.DeleteGroup(ctx, g.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.client.CreateGroup(ctx, one.id.ID(), mls.GroupOptions{GroupID: g.ID()}); err != nil {
		t.Fatalf("in the place of the deleted group: %v", err)
	}
	if _, err := other.Info(ctx); err != nil {
		t.Fatal(err)
	}
	// A PSK that the other has stored.
	if err := one.client.StorePSK(ctx, []byte("psk"), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	id := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	two.commit(mls.CommitOptions{PSKs: []message.PreSharedKeyID{id}, IgnoreProposals: true})
	two.apply()
}

// TestChanged: the word of another instance makes the next call load again,
// and costs nothing where the copy is as new.
func TestChanged(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	one, two := tabs(all[0])
	scope := mls.GroupScope(one.group.ID())
	revision := func(scope mls.Scope) mls.Rev { return must(one.store.Revision(ctx, scope)) }

	one.commit(mls.CommitOptions{})
	one.apply()
	if two.info().Epoch == one.info().Epoch {
		t.Fatal("the copy is not old: the test shows nothing")
	}
	two.client.Changed(scope, revision(scope))
	if two.group.LiveState() != nil {
		t.Error("the old copy is still in memory")
	}
	if got, want := two.info().Epoch, one.info().Epoch; got != want {
		t.Errorf("epoch %d, want %d", got, want)
	}
	// Word of what is known already.
	two.client.Changed(scope, revision(scope))
	two.client.Changed(scope, 1)
	if two.group.LiveState() == nil {
		t.Error("a copy that is not old was dropped")
	}
	// While a step is under way the word waits for nobody.
	one.propose(mls.ProposeOptions{Update: true}, nil)
	two.group.Busy(func() { two.client.Changed(scope, revision(scope)) })
	if n := len(must(two.group.Proposals(ctx))); n != 1 {
		t.Errorf("%d proposals", n)
	}
	// A store from a backup has older revisions than were heard of. Its word counts.
	two.client.Changed(scope, revision(scope)+1000)
	two.info()
	if two.group.LiveState() == nil {
		t.Error("a copy of what is stored was dropped")
	}
	two.info()

	// The client's own scope.
	identity := must(one.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte("another"))))
	if n := len(must(two.client.Identities(ctx))); n != 1 {
		t.Fatalf("%d identities: the test shows nothing", n)
	}
	two.client.Changed(mls.ClientScope, revision(mls.ClientScope))
	if n := len(must(two.client.Identities(ctx))); n != 2 {
		t.Errorf("%d identities", n)
	}
	if n := must(two.client.KeyPackageCount(ctx, identity.ID())); n != 0 {
		t.Errorf("%d key packages", n)
	}
	// Scopes that nobody has.
	two.client.Changed("", 1)
	two.client.Changed("no such kind", 1)
	two.client.Changed(mls.GroupScope([]byte("not held")), 1)
	two.client.Close()
	two.client.Changed(scope, 1_000_000)
}

// TestLocks: each step holds the lock of what it writes, first the group's and
// then the client's, and gives it back; looking takes none.
func TestLocks(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	store := newLockStore(t, alice.store)
	alice.client.Close()
	alice.client = openWith(t, store, nil)
	id := alice.group.ID()
	alice.group = must(alice.client.Group(ctx, id))
	store.take()
	const group, client = "wait group,lock group,commit,unlock group", "wait client,lock client,commit,unlock client"
	const both = "wait group,lock group,wait client,lock client,commit,unlock client,unlock group"
	for _, step := range []struct {
		what, want string
		f          func()
	}{
		{"info", "", func() { alice.info() }},
		{"members", "", func() { must(alice.group.Members(ctx)) }},
		{"inbox", "", func() { must(alice.group.Inbox(ctx)) }},
		{"identities", "", func() { must(alice.client.Identities(ctx)) }},
		{"send", group, func() { alice.send("x") }},
		{"receive", group, func() { alice.receive(bob.send("x")) }},
		{"commit", group, func() { alice.commit(mls.CommitOptions{}) }},
		{"clear", group, func() {
			if err := alice.group.ClearPendingCommit(ctx); err != nil {
				t.Fatal(err)
			}
		}},
		{"a step that fails", "wait group,lock group,unlock group", func() {
			_, err := alice.group.ApplyPendingCommit(ctx)
			wantCode(t, err, mlserr.NoPendingCommit)
		}},
		{"a step with nothing to do", "wait group,lock group,unlock group", func() {
			if err := alice.group.Acknowledge(ctx, 12345); err != nil {
				t.Fatal(err)
			}
		}},
		{"key packages", client, func() { alice.keyPackage() }},
		{"create", both, func() { alice.create() }},
		{"delete", both, func() {
			if err := alice.client.DeleteGroup(ctx, alice.group.ID()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		step.f()
		if got := strings.Join(store.take(), ","); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
}

// TestLocksTogether: two instances do everything at once, on their groups and
// on their client's scope, and nobody waits for ever or finds a copy stale that
// it holds the lock of.
func TestLocksTogether(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	store := newLockStore(t, alice.store)
	clients := []*mls.Client{openWith(t, store, nil), openWith(t, store, nil)}
	var wg sync.WaitGroup
	rounds := 6
	if quick() {
		rounds = 2
	}
	for _, c := range clients {
		g := must(c.Group(ctx, alice.group.ID()))
		for _, f := range []func() error{
			func() error { _, err := g.Send(ctx, []byte("x"), mls.SendOptions{}); return err },
			func() error { _, err := g.Info(ctx); return err },
			func() error {
				_, err := c.CreateKeyPackages(ctx, alice.id.ID(), 2, mls.KeyPackageOptions{})
				return err
			},
			func() error { return c.StorePSK(ctx, suite.Random(4), []byte("secret")) },
			func() error {
				g, err := c.CreateGroup(ctx, alice.id.ID(), mls.GroupOptions{})
				if err != nil {
					return err
				}
				return clients[0].DeleteGroup(ctx, g.ID())
			},
			func() error {
				_, err := g.Commit(ctx, mls.CommitOptions{})
				if errors.Is(err, mlserr.PendingCommit) {
					return nil
				}
				if err != nil {
					return err
				}
				return g.ClearPendingCommit(ctx)
			},
		} {
			wg.Go(func() {
				for range rounds {
					if err := f(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, c := range clients {
		must(c.Group(ctx, alice.group.ID())).Settle()
	}
	if !slices.Contains(store.take(), "commit") {
		t.Error("nothing was committed: the test shows nothing")
	}
}

// askedPolicy says when it is asked.
type askedPolicy struct {
	policy
	asked chan struct{}
}

func (p askedPolicy) Authenticate(ctx context.Context, claims []mls.Claim) error {
	p.asked <- struct{}{}
	return p.policy.Authenticate(ctx, claims)
}

// TestStepBeforeLock: a step does not wait for the lock of its scope. What another
// instance has written when it comes, the step is run again on; and where it came
// to nothing without the lock, that does not count either.
func TestStepBeforeLock(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	id := alice.group.ID()
	store := newLockStore(t, alice.store)
	asked := make(chan struct{}, 10)
	client := openWith(t, store, func(c *mls.Config) { c.Authenticator = askedPolicy{asked: asked} })
	group := must(client.Group(ctx, id))
	must(group.Info(ctx))
	other := must(openWith(t, raceStore{alice.store}, nil).Group(ctx, id)) // which writes in the lock of the test

	// The same commit is received twice: the second to have the lock is too late.
	first := bob.commit(mls.CommitOptions{Add: [][]byte{newParty(t, x25519, "carol").keyPackage()}}).Commit
	bob.apply()
	unlock := must(store.Lock(ctx, mls.GroupScope(id)))
	done := make(chan error, 1)
	go func() {
		_, err := group.Receive(ctx, first)
		done <- err
	}()
	<-asked // the step is under way
	must(other.Receive(ctx, first))
	unlock()
	wantCode(t, <-done, mlserr.AlreadyProcessed)

	// What comes too early without the lock is in time under it.
	second := bob.commit(mls.CommitOptions{}).Commit
	bob.apply()
	third := bob.commit(mls.CommitOptions{}).Commit
	bob.apply()
	unlock = must(store.Lock(ctx, mls.GroupScope(id)))
	go func() {
		_, err := group.Receive(ctx, third)
		done <- err
	}()
	must(other.Receive(ctx, second))
	unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, want := must(group.Info(ctx)).Epoch, bob.info().Epoch; got != want {
		t.Fatalf("epoch %d, want %d", got, want)
	}
	store.take()
}

// TestLockFails: a lock that cannot be had is a typed error, nothing has
// changed, and the next call has its turn.
func TestLockFails(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	store := newLockStore(t, alice.store)
	alice.client.Close()
	alice.client = openWith(t, store, nil)
	alice.group = must(alice.client.Group(ctx, alice.group.ID()))
	alice.info()
	check := alice.unchanged()

	store.fail = errors.New("no locks here")
	calls := map[string]func(ctx context.Context) error{
		"send": func(ctx context.Context) error {
			_, err := alice.group.Send(ctx, nil, mls.SendOptions{})
			return err
		},
		"create": func(ctx context.Context) error {
			_, err := alice.client.CreateGroup(ctx, alice.id.ID(), mls.GroupOptions{})
			return err
		},
		"key package": func(ctx context.Context) error {
			_, err := alice.client.CreateKeyPackages(ctx, alice.id.ID(), 1, mls.KeyPackageOptions{})
			return err
		},
	}
	for what, f := range calls {
		err := f(ctx)
		if mlserr.CodeOf(err) != mlserr.StoreFailed || !errors.Is(err, store.fail) {
			t.Errorf("%s: %v", what, err)
		}
		check(t, what)
	}
	store.fail = mlserr.New(mlserr.StoreUnavailable, "locks")
	_, err := alice.group.Send(ctx, nil, mls.SendOptions{})
	wantCode(t, err, mlserr.StoreUnavailable)
	store.fail = nil

	// Another instance holds the lock, and the caller has no more time.
	for _, scope := range []mls.Scope{mls.GroupScope(alice.group.ID()), mls.ClientScope} {
		unlock := must(store.Lock(ctx, scope))
		short, cancel := context.WithCancel(ctx)
		done := make(chan error)
		go func() {
			if scope == mls.ClientScope {
				done <- calls["key package"](short)
			} else {
				done <- calls["send"](short)
			}
		}()
		cancel()
		wantCode(t, <-done, mlserr.Cancelled)
		unlock()
		check(t, kindOf(scope))
	}
	store.take()
	alice.send("x")
	alice.keyPackage()
}

// TestKeyPackageConsumedOnce: two instances join different groups by Welcomes
// for one key package. One of them is too late (K7).
func TestKeyPackageConsumedOnce(t *testing.T) {
	for what, open := range map[string]func(*mls.MemoryStore) mls.Store{
		"with locks":    func(s *mls.MemoryStore) mls.Store { return s },
		"without locks": func(s *mls.MemoryStore) mls.Store { return raceStore{s} },
	} {
		alice := newParty(t, x25519, "alice")
		kp := alice.keyPackage()
		tabs := []*mls.Client{openWith(t, open(alice.store), nil), openWith(t, open(alice.store), nil)}
		for i, name := range []string{"bob", "carol"} {
			other := newParty(t, x25519, name)
			other.create()
			r := other.commit(mls.CommitOptions{Add: [][]byte{kp}})
			_, err := tabs[i].JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
			if i == 0 && err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if i == 1 && mlserr.CodeOf(err) != mlserr.NoMatchingKeyPackage {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
}
