package mls_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite/suitetest"
	"webmls/mls/treemath"
)

// crasher is a party whose store fails once, before or after the write. Then it
// loses its memory, starts again, and does what an application does that does
// not know whether its last call has happened.
type crasher struct {
	*party
	faulty  *mls.FaultyStore
	groupID []byte
	crashes int
	sent    [][]byte // what was released
	got     []string // what was taken from the inbox
}

func newCrasher(t testing.TB, name string, decide func(n int) mls.Fault) *crasher {
	store := mls.NewMemoryStore()
	c := &crasher{
		party:  &party{t: t, name: name, store: store},
		faulty: &mls.FaultyStore{Store: store, Decide: decide},
	}
	c.start()
	c.do("identity", func() (err error) {
		if list := must(c.client.Identities(ctx)); len(list) > 0 {
			c.id = list[0]
			return nil
		}
		c.id, err = c.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte(name)))
		return err
	})
	return c
}

// start opens the store, as after a crash: nothing of what was in memory is used.
func (c *crasher) start() {
	c.t.Helper()
	c.client = openWith(c.t, c.faulty, nil)
	c.group = nil
	if c.groupID == nil {
		return
	}
	g, err := c.client.Group(ctx, c.groupID)
	if err != nil && !errors.Is(err, mlserr.GroupNotFound) {
		c.t.Fatal(err)
	}
	c.group = g
}

// do runs f, and again after a crash in it. f must find out itself whether it
// has happened.
func (c *crasher) do(what string, f func() error) {
	c.t.Helper()
	err := f()
	if errors.Is(err, mlserr.StoreFailed) {
		c.crashes++
		c.start()
		err = f()
	}
	if err != nil {
		c.t.Fatalf("%s, %s: %v", c.name, what, err)
	}
}

func (c *crasher) keyPackage() (kp []byte) {
	c.t.Helper()
	c.do("key package", func() error {
		list, err := c.client.CreateKeyPackages(ctx, c.id.ID(), 1, mls.KeyPackageOptions{})
		if err == nil {
			kp = list[0]
		}
		return err
	})
	return kp
}

func (c *crasher) join(welcome []byte) {
	c.t.Helper()
	c.do("join", func() error {
		if c.group != nil {
			if info := c.info(); info.Status == mls.StatusActive {
				return nil
			}
		}
		g, err := c.client.JoinGroup(ctx, welcome, mls.JoinOptions{})
		if err == nil {
			c.group = g
		}
		return err
	})
}

func (c *crasher) send(text string) (b []byte) {
	c.t.Helper()
	c.do("send", func() (err error) {
		b, err = c.group.Send(ctx, []byte(text), mls.SendOptions{})
		return err
	})
	c.sent = append(c.sent, b)
	return b
}

func (c *crasher) receive(b []byte) {
	c.t.Helper()
	before := c.crashes
	c.do("receive", func() error {
		_, err := c.group.Receive(ctx, b)
		if c.crashes > before && errors.Is(err, mlserr.AlreadyProcessed) {
			return nil
		}
		return err
	})
}

func (c *crasher) commit(opts mls.CommitOptions) (r *mls.CommitResult) {
	c.t.Helper()
	c.do("commit", func() (err error) {
		if r = must(c.group.PendingCommit(ctx)); r != nil {
			return nil
		}
		r, err = c.group.Commit(ctx, opts)
		return err
	})
	c.sent = append(c.sent, r.Commit)
	return r
}

func (c *crasher) apply() {
	c.t.Helper()
	c.do("apply", func() error {
		if !c.info().HasPendingCommit {
			return nil
		}
		_, err := c.group.ApplyPendingCommit(ctx)
		return err
	})
}

func (c *crasher) clear() {
	c.t.Helper()
	c.do("clear", func() error {
		if !c.info().HasPendingCommit {
			return nil
		}
		return c.group.ClearPendingCommit(ctx)
	})
}

func (c *crasher) propose(opts mls.ProposeOptions) (b []byte) {
	c.t.Helper()
	c.do("propose", func() error {
		for _, p := range must(c.group.Proposals(ctx)) {
			if p.Message != nil && !slices.ContainsFunc(c.sent, func(b []byte) bool { return bytes.Equal(b, p.Message) }) {
				b = p.Message
				return nil
			}
		}
		r, err := c.group.Propose(ctx, opts)
		if err == nil {
			b = r.Message
		}
		return err
	})
	c.sent = append(c.sent, b)
	return b
}

func (c *crasher) resync(info []byte) (r *mls.CommitResult) {
	c.t.Helper()
	c.do("resync", func() (err error) {
		if r = must(c.group.PendingCommit(ctx)); r != nil {
			return nil
		}
		c.group, r, err = c.client.JoinExternal(ctx, c.id.ID(), info, mls.ExternalOptions{Resync: true})
		return err
	})
	return r
}

// drain takes all from the inbox.
func (c *crasher) drain() {
	c.t.Helper()
	taken := map[uint64]bool{} // of this call
	c.do("acknowledge", func() error {
		var ids []uint64
		for _, e := range must(c.group.Inbox(ctx)) {
			if !taken[e.ID] {
				c.got = append(c.got, string(e.Event.Content))
				taken[e.ID] = true
			}
			ids = append(ids, e.ID)
		}
		return c.group.Acknowledge(ctx, ids...)
	})
}

// crashHistory plays a fixed history of alice, who may crash once, with bob and
// carol, who do not. It returns the number of commits of alice's store.
func crashHistory(t *testing.T, decide func(n int) mls.Fault) (commits, crashes int) {
	recorder, cleanup := suitetest.Record()
	defer cleanup()
	alice := newCrasher(t, "alice", decide)
	bob, carol := newPartyWith(t, x25519, "bob", nil), newPartyWith(t, x25519, "carol", nil)
	bob.create()
	alice.groupID = bob.group.ID()
	r := bob.commit(mls.CommitOptions{Add: [][]byte{carol.keyPackage(), alice.keyPackage()}})
	bob.apply()
	carol.join(r.Welcome)
	alice.join(r.Welcome)

	var want []string // what alice must have got in the end
	n := 0
	text := func() string { n++; return fmt.Sprint("message ", n) }
	to := func(p *party) []byte { s := text(); want = append(want, s); return p.send(s) }
	others := func(b []byte) {
		t.Helper()
		for _, p := range []*party{bob, carol} {
			p.receive(b)
		}
	}
	same := func() {
		t.Helper()
		agree(t, alice.party, bob, carol)
	}
	// Data, out of order.
	m1, m2, m3 := to(bob), to(bob), to(carol)
	alice.receive(m2)
	alice.receive(m3)
	alice.receive(m1)
	others(alice.send(text()))
	others(alice.send(text()))
	alice.drain()
	// A commit of alice's, with a joiner.
	dave := newPartyWith(t, x25519, "dave", nil)
	late := to(bob)
	r = alice.commit(mls.CommitOptions{Add: [][]byte{dave.keyPackage()}, PublicMessage: true})
	others(r.Commit)
	alice.apply()
	dave.join(r.Welcome)
	same()
	agree(t, dave, bob)
	alice.receive(late)
	// A commit of bob's that removes the joiner.
	r = bob.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{dave.info().OwnLeaf}})
	carol.receive(r.Commit)
	alice.receive(r.Commit)
	bob.apply()
	same()
	// Proposals of alice's: an update that bob commits, and two that she commits.
	others(alice.propose(mls.ProposeOptions{Update: true}))
	r = bob.commit(mls.CommitOptions{})
	carol.receive(r.Commit)
	alice.receive(r.Commit)
	bob.apply()
	same()
	psk := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: alice.groupID, Epoch: bob.info().Epoch - 1}
	others(alice.propose(mls.ProposeOptions{PSK: &psk}))
	others(alice.propose(mls.ProposeOptions{Add: dave.keyPackage()}))
	b := must(bob.group.Propose(ctx, mls.ProposeOptions{Update: true})).Message
	carol.receive(b)
	alice.receive(b)
	r = alice.commit(mls.CommitOptions{})
	others(r.Commit)
	alice.receive(r.Commit) // applied as it comes back
	same()
	r = carol.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{3}})
	bob.receive(r.Commit)
	alice.receive(r.Commit)
	carol.apply()
	same()
	// A race that alice loses, and a commit that she clears.
	alice.commit(mls.CommitOptions{})
	r = carol.commit(mls.CommitOptions{})
	bob.receive(r.Commit)
	alice.receive(r.Commit)
	carol.apply()
	same()
	alice.commit(mls.CommitOptions{})
	alice.clear()
	others(alice.send(text()))
	r = alice.commit(mls.CommitOptions{})
	others(r.Commit)
	alice.apply()
	same()
	alice.receive(to(carol))
	// A resync.
	late = to(bob)
	alice.receive(late)
	r = alice.resync(must(bob.group.GroupInfo(ctx, mls.GroupInfoOptions{})))
	others(r.Commit)
	alice.apply()
	same()
	alice.receive(to(carol))
	others(alice.send(text()))
	// Removal, and back by a Welcome.
	r = bob.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{alice.info().OwnLeaf}})
	carol.receive(r.Commit)
	alice.receive(r.Commit)
	bob.apply()
	if s := alice.info().Status; s != mls.StatusRemoved {
		t.Fatal(s)
	}
	r = carol.commit(mls.CommitOptions{Add: [][]byte{alice.keyPackage()}})
	bob.receive(r.Commit)
	carol.apply()
	alice.join(r.Welcome)
	same()
	alice.receive(to(bob))
	others(alice.send(text()))
	r = alice.commit(mls.CommitOptions{})
	others(r.Commit)
	alice.apply()
	same()
	alice.drain()
	alice.checkStored()

	// Nothing is lost, and nothing came twice.
	slices.Sort(want)
	slices.Sort(alice.got)
	if alice.crashes > 0 {
		// What was taken in a call of Acknowledge that crashed is taken again.
		alice.got = slices.Compact(alice.got)
	}
	if !slices.Equal(alice.got, want) {
		t.Fatalf("alice got %v, want %v", alice.got, want)
	}
	// No key has sealed two messages that left.
	keys := map[string]string{}
	for _, s := range recorder.Take() {
		keys[string(s.Ciphertext)] = string(s.Key)
	}
	used := map[string]bool{}
	for i, b := range alice.sent {
		m := must(message.Parse(b))
		if m.Private == nil {
			continue
		}
		key, ok := keys[string(m.Private.Ciphertext)]
		if !ok || used[key] {
			t.Fatalf("message %d of alice's: its key was used before (or never: %v)", i, !ok)
		}
		used[key] = true
	}

	// A group is deleted as a whole.
	alice.do("delete", func() error {
		if alice.group == nil {
			return nil
		}
		return alice.client.DeleteGroup(ctx, alice.groupID)
	})
	if groups := must(alice.client.Groups(ctx)); len(groups) != 0 {
		t.Fatal("the group is still held")
	}
	return alice.faulty.Commits(), alice.crashes
}

// TestCrash crashes at every commit of the store, before and after the write.
func TestCrash(t *testing.T) {
	commits, _ := crashHistory(t, nil)
	if commits < 40 {
		t.Fatalf("only %d commits", commits)
	}
	step := 1
	if quick() {
		step = 5
	}
	for n := 1; n <= commits; n += step {
		for _, fault := range []mls.Fault{mls.FaultBefore, mls.FaultAfter} {
			t.Run(fmt.Sprintf("%d of %d, fault %d", n, commits, fault), func(t *testing.T) {
				_, crashes := crashHistory(t, func(i int) mls.Fault {
					if i == n {
						return fault
					}
					return mls.NoFault
				})
				if crashes != 1 {
					t.Fatalf("%d crashes", crashes)
				}
			})
		}
	}
}
