package mls_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/treemath"
)

// clock is a time that passes when it is told to.
type clock struct {
	now time.Time
	due []*time.Time // when something waits for; nil where it was stopped
	do  []func()
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) configure(config *mls.Config) {
	config.Now = func() time.Time { return c.now }
	config.After = func(d time.Duration, f func()) func() {
		at := c.now.Add(d)
		c.due, c.do = append(c.due, &at), append(c.do, f)
		i := len(c.due) - 1
		return func() { c.due[i] = nil }
	}
}

func (c *clock) pass(d time.Duration) {
	c.now = c.now.Add(d)
	for i := range c.due {
		if at := c.due[i]; at != nil && !at.After(c.now) {
			c.due[i] = nil
			c.do[i]()
		}
	}
}

// timed opens the party's client anew, over a store that counts and fails on
// demand, with a time of its own.
func (p *party) timed(decide func(n int) mls.Fault) (*mls.FaultyStore, *clock) {
	p.t.Helper()
	store, c := &mls.FaultyStore{Store: p.store, Decide: decide}, newClock()
	p.client.Close()
	p.client = openWith(p.t, store, c.configure)
	p.group = must(p.client.Group(ctx, p.group.ID()))
	p.info()
	return store, c
}

// useReserve sends what is reserved, and ends the tenure.
func (p *party) useReserve() {
	p.t.Helper()
	p.info()
	for n, _ := p.group.Reserved(); n > 0; n-- {
		p.send("reserved")
	}
	p.group.Settle()
}

// TestReserve: the more sends follow one another, the fewer of them are stored;
// all generations are used, in order, and at the end all is stored.
func TestReserve(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	store, clock := alice.timed(nil)
	var stored []int
	var last []byte
	for i := range 100 {
		before := store.Commits()
		last = alice.send("x")
		bob.receive(last)
		if store.Commits() != before {
			stored = append(stored, i)
		}
		clock.pass(time.Millisecond)
	}
	if want := []int{0, 1, 5, 21, 53, 85}; !slices.Equal(stored, want) {
		t.Errorf("stored with the sends %d, want %d", stored, want)
	}
	own := must(bob.group.Snapshot(ctx)).Senders[0]
	if own.Application != (mls.RatchetSnapshot{Next: 100}) {
		t.Errorf("bob has skipped some: %+v", own.Application)
	}
	if own := must(alice.group.Snapshot(ctx)).Senders[0]; own.Application.Next != 100 {
		t.Errorf("alice shows %+v", own.Application)
	}
	if n, tenure := alice.group.Reserved(); n != 17 || !tenure {
		t.Errorf("%d are reserved, tenure %v", n, tenure)
	}
	before := store.Commits()
	clock.pass(time.Second)
	if n, tenure := alice.group.Reserved(); n != 17 || tenure || store.Commits() != before+1 {
		t.Errorf("after a while %d are reserved, tenure %v, %d commits", n, tenure, store.Commits()-before)
	}
	alice.checkStored()
	if ev := alice.restored(alice.store).receive(last); ev.Type != mls.EventOwn {
		t.Errorf("the log lacks the last message: %+v", ev)
	}
	// What is left is used by sends that are stored each, for none follows soon.
	for range 17 {
		before := store.Commits()
		bob.receive(alice.send("x"))
		clock.pass(time.Second)
		if store.Commits() != before+1 {
			t.Errorf("%d commits for a message by itself", store.Commits()-before)
		}
	}
	bob.receive(alice.send("x"))
	if n, _ := alice.group.Reserved(); n != 0 {
		t.Errorf("%d are reserved for a message by itself", n)
	}
	if own := must(bob.group.Snapshot(ctx)).Senders[0]; own.Application != (mls.RatchetSnapshot{Next: 118}) {
		t.Errorf("bob has skipped some: %+v", own.Application)
	}
	alice.checkStored()
}

// TestReserveNone: neither without locks nor where it is not wanted.
func TestReserveNone(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	for what, open := range map[string]func() *mls.Client{
		"no locks": func() *mls.Client { return openWith(t, raceStore{alice.store}, nil) },
		"none wanted": func() *mls.Client {
			return openWith(t, alice.store, func(c *mls.Config) { c.Limits.MaxReserved = -1 })
		},
	} {
		alice.client.Close()
		alice.client = open()
		alice.group = must(alice.client.Group(ctx, alice.group.ID()))
		scope := mls.GroupScope(alice.group.ID())
		for range 5 {
			before := must(alice.store.Revision(ctx, scope))
			all[1].receive(alice.send("x"))
			if must(alice.store.Revision(ctx, scope)) == before {
				t.Errorf("%s: a send is not stored", what)
			}
			if n, tenure := alice.group.Reserved(); n != 0 || tenure {
				t.Errorf("%s: %d reserved, tenure %v", what, n, tenure)
			}
		}
	}
}

// TestReserveList: lists take what is reserved, and more where it is not enough.
func TestReserveList(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	store, _ := alice.timed(nil)
	for _, step := range []struct{ n, commits, reserved int }{{3, 1, 0}, {2, 1, 3}, {2, 0, 1}, {4, 1, 15}, {15, 0, 0}, {1, 1, 31}, {100, 1, 31}} {
		before := store.Commits()
		for _, b := range must(alice.group.SendAll(ctx, texts(step.n), mls.SendOptions{})) {
			bob.receive(b)
		}
		if n, _ := alice.group.Reserved(); n != step.reserved || store.Commits()-before != step.commits {
			t.Errorf("%+v: %d reserved, %d commits", step, n, store.Commits()-before)
		}
	}
	if own := must(bob.group.Snapshot(ctx)).Senders[0]; own.Application != (mls.RatchetSnapshot{Next: 127}) {
		t.Errorf("bob has skipped some: %+v", own.Application)
	}
	alice.checkStored()
}

// reserves has alice in a tenure, with messages sent from memory.
func reserves(t *testing.T, all []*party) (store *mls.FaultyStore, clock *clock, sent [][]byte) {
	t.Helper()
	alice := all[0]
	store, clock = alice.timed(nil)
	for range 9 {
		sent = append(sent, alice.send(string(rune('a'+len(sent)))))
	}
	if n, tenure := alice.group.Reserved(); n != 12 || !tenure {
		t.Fatalf("%d reserved, tenure %v: the test shows nothing", n, tenure)
	}
	return store, clock, sent
}

// TestReserveEnds: all that is stored ends a tenure, and a new epoch the reserve,
// whose keys are wiped. What only failed or looked ends nothing.
func TestReserveEnds(t *testing.T) {
	for what, step := range map[string]struct {
		f        func(alice, bob *party)
		reserved int
		tenure   bool
	}{
		"look":            {f: func(alice, bob *party) { alice.info(); must(alice.group.Members(ctx)) }, reserved: 12, tenure: true},
		"receive":         {f: func(alice, bob *party) { alice.receive(bob.send("x")) }, reserved: 12},
		"propose":         {f: func(alice, bob *party) { alice.propose(mls.ProposeOptions{Update: true}, nil) }, reserved: 12},
		"commit":          {f: func(alice, bob *party) { alice.commit(mls.CommitOptions{}) }, reserved: 12},
		"a fault":         {f: func(alice, bob *party) { alice.group.Receive(ctx, []byte("x")); alice.group.Acknowledge(ctx, 5) }, reserved: 12, tenure: true},
		"an epoch":        {f: func(alice, bob *party) { alice.commit(mls.CommitOptions{}); alice.apply() }},
		"another's epoch": {f: func(alice, bob *party) { alice.receive(bob.commit(mls.CommitOptions{}).Commit) }},
		"removal": {f: func(alice, bob *party) {
			alice.receive(bob.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{alice.info().OwnLeaf}}).Commit)
		}},
		"unload": {f: func(alice, bob *party) { alice.group.Unload(); alice.info() }},
		"close":  {f: func(alice, bob *party) { alice.reload(); alice.info() }},
		"word":   {f: func(alice, bob *party) { alice.client.Wanted(mls.GroupScope(alice.group.ID())) }, reserved: 12},
		"word of another group": {f: func(alice, bob *party) {
			for _, scope := range []mls.Scope{mls.ClientScope, mls.GroupScope(nil), mls.Scope(alice.group.ID()), ""} {
				alice.client.Wanted(scope)
			}
		}, reserved: 12, tenure: true},
		"a wrong word": {f: func(alice, bob *party) { alice.client.Changed(mls.GroupScope(alice.group.ID()), 1<<40); alice.info() }},
	} {
		all := crew(t, x25519, "alice", "bob")
		alice, bob := all[0], all[1]
		_, _, sent := reserves(t, all)
		keys := alice.group.ReservedKeys()
		step.f(alice, bob)
		if n, tenure := alice.group.Reserved(); n != step.reserved || tenure != step.tenure {
			t.Errorf("%s: %d reserved, tenure %v", what, n, tenure)
		}
		for _, key := range keys {
			if wiped := bytes.Equal(key, make([]byte, len(key))); wiped != (step.reserved == 0) {
				t.Errorf("%s: a key is wiped: %v", what, wiped)
				break
			}
		}
		if !step.tenure {
			again := alice.restored(alice.store)
			for _, b := range sent {
				if ev := again.receive(b); ev.Type != mls.EventOwn {
					t.Errorf("%s: the stored log lacks a message: %+v", what, ev)
				}
			}
		}
		for _, b := range sent {
			if ev := alice.receive(b); ev.Type != mls.EventOwn {
				t.Errorf("%s: not known: %+v", what, ev)
			}
		}
		alice.checkStored()
	}
}

// TestReserveKeysWiped: a key is gone from memory with the message that it sealed.
func TestReserveKeysWiped(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	reserves(t, all)
	keys := alice.group.ReservedKeys()
	for i := 0; i < len(keys); i += 2 {
		if bytes.Equal(keys[i], make([]byte, len(keys[i]))) {
			t.Fatal("wiped before it is used")
		}
		alice.send("x")
		for _, b := range keys[i : i+2] {
			if !bytes.Equal(b, make([]byte, len(b))) {
				t.Fatal("not wiped after use")
			}
		}
	}
}

// TestReserveLongest: a tenure ends though sends follow one another for ever, and
// though the word that another waits is lost.
func TestReserveLongest(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	_, clock, _ := reserves(t, all)
	ended := 0
	for range 200 {
		alice.send("x")
		clock.pass(10 * time.Millisecond)
		if _, tenure := alice.group.Reserved(); !tenure {
			ended++
			unlock := must(alice.store.Lock(ctx, mls.GroupScope(alice.group.ID())))
			unlock()
		}
	}
	if ended < 1 || ended > 5 {
		t.Errorf("ended %d times", ended)
	}
}

// TestReserveOther: what another instance does is known to the next send, as it is
// without a reserve: the new epoch, a proposal that waits (C17), the end.
func TestReserveOther(t *testing.T) {
	for what, step := range map[string]struct {
		f    func(other, bob *party)
		want mlserr.Code
	}{
		"epoch":    {f: func(other, bob *party) { r := other.commit(mls.CommitOptions{}); bob.receive(r.Commit); other.apply() }},
		"proposal": {f: func(other, bob *party) { other.propose(mls.ProposeOptions{Update: true}, []*party{bob}) }, want: mlserr.PendingProposals},
		"removal": {f: func(other, bob *party) {
			other.receive(bob.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{other.info().OwnLeaf}}).Commit)
		}, want: mlserr.NotMember},
		"deletion": {f: func(other, bob *party) {
			if err := other.client.DeleteGroup(ctx, other.group.ID()); err != nil {
				t.Fatal(err)
			}
		}, want: mlserr.NotMember},
		"sends": {f: func(other, bob *party) {
			for range 10 {
				bob.receive(other.send("of the other"))
			}
			other.group.Settle()
		}},
	} {
		all := crew(t, x25519, "alice", "bob")
		alice, bob := all[0], all[1]
		_, _, sent := reserves(t, all)
		for _, b := range sent {
			bob.receive(b)
		}
		other := alice.second()
		alice.client.Wanted(mls.GroupScope(alice.group.ID()))
		step.f(other, bob)
		for range 5 {
			b, err := alice.group.Send(ctx, []byte("x"), mls.SendOptions{})
			if mlserr.CodeOf(err) != step.want {
				t.Fatalf("%s: %v, want %q", what, err, step.want)
			}
			if err == nil {
				bob.receive(b)
			}
		}
	}
}

// TestReserveCrash: after a crash in a tenure the ratchet goes on behind what was
// reserved, and messages that the log lost are no proof of another life: not as
// they were sent, and not in messages that another member makes of them. What was
// sent in another life still is one, once there is more of it than was lost.
func TestReserveCrash(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	_, _, sent := reserves(t, all)
	crashed := alice.restored(alice.store)
	f := newReframer(t, bob.twin(), alice.info().OwnLeaf)
	var contents []*message.AuthenticatedContent
	for i, b := range sent {
		bob.receive(b)
		contents = append(contents, f.open(b))
		if i < 6 { // those that the batches of the tenure have stored
			if ev := crashed.receive(b); ev.Type != mls.EventOwn {
				t.Fatalf("message %d: %+v", i, ev)
			}
		} else {
			crashed.refuses(t, "lost", b, mlserr.AlreadyProcessed)
		}
	}
	lost := contents[6:]
	next := f.next(crashed, message.ContentTypeApplication)
	if next != 21 {
		t.Fatalf("it goes on at %d", next)
	}
	for i, c := range contents[:6] {
		crashed.refuses(t, "known", f.frame(c, next+uint32(i)), mlserr.AlreadyProcessed)
	}
	for i, c := range lost {
		for g := range uint32(3) {
			_, err := crashed.group.Receive(ctx, f.frame(c, next+uint32(i)+g))
			want := mlserr.OwnMessageUnknown
			if g > 0 { // it is known by now
				want = mlserr.AlreadyProcessed
			}
			wantCode(t, err, want)
			crashed.checkStored()
			crashed.reload()
		}
	}
	if crashed.info().RolledBack {
		t.Fatal("taken for a backup")
	}
	// It may be the other that is the later life: it goes on, far beyond. As many
	// of its messages as the log may lack beyond those found prove nothing.
	b := crashed.send("behind the block")
	if g := must(bob.group.Snapshot(ctx)).Senders[0].Application.Next; g != 9 {
		t.Fatalf("bob is at %d", g)
	}
	bob.receive(b)
	if own := must(bob.group.Snapshot(ctx)).Senders[0].Application; own != (mls.RatchetSnapshot{Next: 22, Skipped: 12}) {
		t.Fatalf("%+v", own)
	}
	alice.useReserve()
	alice.send("as crashed did") // under the same generation
	for range 15 - len(lost) {
		_, err := crashed.group.Receive(ctx, alice.send(string(unique())))
		wantCode(t, err, mlserr.OwnMessageUnknown)
	}
	_, err := crashed.group.Receive(ctx, alice.send("one more"))
	wantCode(t, err, mlserr.RolledBack)
}

// unique gives each message another content.
var unique = func() func() []byte {
	n := 0
	return func() []byte { n++; return []byte{byte(n >> 8), byte(n)} }
}()

// TestReserveCrashHandshake: what a crash may have cost the log are messages with
// application data alone: a commit is as good a proof as ever, and so is all in the
// next epoch.
func TestReserveCrashHandshake(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	reserves(t, all)
	crashed := alice.restored(alice.store)
	_, err := crashed.group.Receive(ctx, alice.commit(mls.CommitOptions{}).Commit)
	wantCode(t, err, mlserr.RolledBack)

	all = crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	_, _, sent := reserves(t, all)
	crashed = alice.restored(alice.store)
	r := bob.commit(mls.CommitOptions{})
	for _, p := range []*party{alice, bob, crashed} {
		p.receive(r.Commit)
	}
	crashed.refuses(t, "a late one that was lost", sent[8], mlserr.AlreadyProcessed)
	_, err = crashed.group.Receive(ctx, alice.send("of another life"))
	wantCode(t, err, mlserr.RolledBack)
}

// TestReserveAtRest: a backup of a group at rest is caught by the first message
// under a generation that was not reserved in it.
func TestReserveAtRest(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	_, clock, _ := reserves(t, all)
	clock.pass(time.Second)
	restored := alice.restored(alice.store)
	for range 12 { // generations that the restored one does not use
		restored.refuses(t, "reserved", alice.send("x"), mlserr.AlreadyProcessed)
	}
	_, err := restored.group.Receive(ctx, alice.send("x"))
	wantCode(t, err, mlserr.RolledBack)
}

// TestReserveFails: a batch that fails in a tenure, before or after the write,
// costs no generation twice, whichever it is; and one at its end is a crash.
func TestReserveFails(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for _, fault := range []mls.Fault{mls.FaultBefore, mls.FaultAfter} {
			all := crew(t, x25519, "alice", "bob")
			alice, bob := all[0], all[1]
			failed := 0
			store, clock := alice.timed(func(k int) mls.Fault {
				if k == n {
					return fault
				}
				return mls.NoFault
			})
			var sent [][]byte
			for len(sent) < 60 {
				b, err := alice.group.Send(ctx, unique(), mls.SendOptions{})
				if err != nil {
					wantCode(t, err, mlserr.StoreFailed)
					failed++
					continue
				}
				bob.receive(b) // a generation that was used before is refused
				sent = append(sent, b)
			}
			clock.pass(time.Second)
			if store.Commits() < 6 || failed != 1 && n < 6 {
				t.Fatalf("%d commits, %d failed", store.Commits(), failed)
			}
			if _, tenure := alice.group.Reserved(); tenure {
				t.Fatal("the lock is still held")
			}
			for _, p := range []*party{alice, alice.restored(alice.store)} {
				for _, b := range sent {
					ev, err := p.group.Receive(ctx, b)
					if err != nil {
						wantCode(t, err, mlserr.AlreadyProcessed)
					} else if ev.Type != mls.EventOwn {
						t.Fatalf("%+v", ev)
					}
				}
				bob.twin().receive(p.send("goes on")) // each as if the other were not
				if p.info().RolledBack {
					t.Fatal("taken for a backup")
				}
				p.group.Settle()
			}
		}
	}
}

// TestReserveLogFull: the end of a block of the log does not keep what was said at
// it while a tenure lasted.
func TestReserveLogFull(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	_, clock := alice.timed(nil)
	for i := range 140 {
		alice.send("x")
		if i%7 == 0 {
			alice.group.Settle()
			backup := alice.restored(alice.store)
			alice.useReserve()
			_, err := backup.group.Receive(ctx, alice.send(string(unique())))
			wantCode(t, err, mlserr.RolledBack)
			alice.checkStored()
		}
		clock.pass(time.Millisecond)
	}
}
