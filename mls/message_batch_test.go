package mls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// batched opens the party's store again, so that its commits are counted and can
// be made to fail.
func (p *party) batched(decide func(n int) mls.Fault) *mls.FaultyStore {
	p.t.Helper()
	store := &mls.FaultyStore{Store: p.store, Decide: decide}
	p.client.Close()
	p.client = openWith(p.t, store, nil)
	p.group = must(p.client.Group(ctx, p.group.ID()))
	return store
}

func texts(n int) (list [][]byte) {
	for i := range n {
		list = append(list, fmt.Appendf(nil, "text %d", i))
	}
	return list
}

// TestSendAll: many messages in one commit of the store, in order; all or none.
func TestSendAll(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	store := alice.batched(nil)
	want := texts(100) // more than a block of the log of what was sent
	sealed := must(alice.group.SendAll(ctx, want, mls.SendOptions{AuthenticatedData: []byte("aad")}))
	if n := store.Commits(); n != 1 {
		t.Errorf("%d commits of the store", n)
	}
	alice.checkStored()
	for i, b := range sealed {
		if ev := bob.receive(b); string(ev.Content) != string(want[i]) || string(ev.AuthenticatedData) != "aad" {
			t.Fatalf("%d: %+v", i, ev)
		}
	}
	alice.reload()
	for i, b := range append(sealed, alice.send("one more")) {
		if ev := alice.receive(b); ev.Type != mls.EventOwn {
			t.Fatalf("%d comes back as %+v", i, ev)
		}
	}
	if list := must(alice.group.SendAll(ctx, nil, mls.SendOptions{})); len(list) != 0 {
		t.Error("something of nothing")
	}

	// The third of four cannot be signed: none has left, and no generation is used.
	keys := &failingKeys{Keys: kitKeys, left: 1 << 30}
	alice.reloadWith(func(c *mls.Config) { c.Keys = keys })
	check := alice.unchanged()
	keys.left = 2
	_, err := alice.group.SendAll(ctx, texts(4), mls.SendOptions{})
	wantCode(t, err, mlserr.KeyNotFound)
	check(t, "the third cannot be signed")
	keys.left = 1 << 30
	p := must(bob.group.Propose(ctx, mls.ProposeOptions{Update: true}))
	alice.receive(p.Message)
	_, err = alice.group.SendAll(ctx, texts(2), mls.SendOptions{})
	wantCode(t, err, mlserr.PendingProposals)
}

// TestSendEach: each content is sent or refused for itself, in order, and what is
// refused uses no generation.
func TestSendEach(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	store := alice.batched(nil)
	for i, s := range alice.group.SendEach(ctx, texts(3), mls.SendOptions{}) {
		if ev := bob.receive(s.Sealed); s.Err != nil || string(ev.Content) != string(texts(3)[i]) {
			t.Fatalf("%d: %v, %+v", i, s.Err, ev)
		}
	}
	if n := store.Commits(); n != 1 {
		t.Errorf("%d commits of the store", n)
	}
	keys := &failingKeys{Keys: kitKeys, left: 1 << 30, refused: []byte("text 2")}
	alice.reloadWith(func(c *mls.Config) { c.Keys = keys })
	for i, s := range alice.group.SendEach(ctx, texts(4), mls.SendOptions{}) {
		if i == 2 {
			wantCode(t, s.Err, mlserr.InvalidArgument)
		} else if ev := bob.receive(s.Sealed); s.Err != nil || string(ev.Content) != string(texts(4)[i]) {
			t.Fatalf("%d: %v, %+v", i, s.Err, ev)
		}
	}
	if own := must(bob.group.Snapshot(ctx)).Senders[0]; own.Application != (mls.RatchetSnapshot{Next: 6}) {
		t.Errorf("bob has skipped some: %+v", own.Application)
	}
	if list := alice.group.SendEach(ctx, nil, mls.SendOptions{}); len(list) != 0 {
		t.Error("something of nothing")
	}
	// Where the store fails, nobody knows what it did: nothing is tried again.
	alice.batched(func(n int) mls.Fault { return mls.FaultBefore })
	for _, s := range alice.group.SendEach(ctx, texts(2), mls.SendOptions{}) {
		wantCode(t, s.Err, mlserr.StoreFailed)
	}
}

// failingKeys sign as often as they are let, and nothing that has something
// refused in it.
type failingKeys struct {
	suite.Keys
	left    int
	refused []byte
}

func (k *failingKeys) SignatureKey(ctx context.Context, id suite.ID, reference []byte) (suite.SignatureKey, error) {
	key, err := k.Keys.SignatureKey(ctx, id, reference)
	return &failingKey{key, k}, err
}

type failingKey struct {
	suite.SignatureKey
	keys *failingKeys
}

func (k *failingKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if k.keys.refused != nil && bytes.Contains(message, k.keys.refused) {
		return nil, mlserr.New(mlserr.InvalidArgument, "on demand")
	}
	if k.keys.left--; k.keys.left < 0 {
		return nil, mlserr.New(mlserr.KeyNotFound, "on demand")
	}
	return k.SignatureKey.Sign(ctx, message)
}

func (k *failingKey) SignAll(ctx context.Context, messages [][]byte) (list [][]byte, err error) {
	for _, b := range messages {
		signature, err := k.Sign(ctx, b)
		if err != nil {
			return nil, err
		}
		list = append(list, signature)
	}
	return list, nil
}

// TestSendPadding: the padding of a message is what its options say, or else
// what the limits do.
func TestSendPadding(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	size := func(n, block int) int {
		b := must(all[0].group.Send(ctx, make([]byte, n), mls.SendOptions{PaddingBlock: block}))
		if ev := all[1].receive(b); len(ev.Content) != n {
			t.Fatalf("%d bytes arrive as %d", n, len(ev.Content))
		}
		return len(b)
	}
	if size(1, 0) != size(200, 0)-1 { // the length of the content takes a byte more
		t.Error("the default does not pad to 256 bytes")
	}
	if size(100, -1)-size(70, -1) != 30 {
		t.Error("padded all the same")
	}
	if size(100, 1024) != size(1000, 1024) || size(1000, 1024) == size(1025, 1024) {
		t.Error("not padded to 1024 bytes")
	}
}

// TestReceiveAll: what comes of each message is what Receive would have made of
// it, in few commits of the store.
func TestReceiveAll(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	var in [][]byte
	add := func(b ...[]byte) { in = append(in, b...) }
	damaged := func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)-1] ^= 1
		return b
	}
	own := bob.send("own")
	a, c := must(alice.group.SendAll(ctx, texts(5), mls.SendOptions{})), must(carol.group.SendAll(ctx, texts(5), mls.SendOptions{}))
	add(damaged(a[0]), a[0], c[2], damaged(c[0]), a[3], c[0], a[0], own, []byte("no message"), a[2], bob.group.ID())
	other := newParty(t, x25519, "other")
	other.create()
	add(other.send("for another group"), c[4])
	proposal := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true})).Message
	add(proposal, a[1], proposal, c[1])
	carol.receive(proposal)
	r := carol.commit(mls.CommitOptions{})
	alice.receive(r.Commit)
	carol.apply()
	add(alice.send("early"), r.Commit, r.Commit, c[3], a[4], damaged(a[4]))
	more := must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))
	add(more...)
	add(more[1])

	twin := bob.twin()
	store := bob.batched(nil)
	list := must(bob.group.ReceiveAll(ctx, in))
	if len(list) != len(in) {
		t.Fatalf("%d results of %d messages", len(list), len(in))
	}
	for i, b := range in {
		ev, err := twin.group.Receive(ctx, b)
		if got := list[i]; mlserr.CodeOf(got.Err) != mlserr.CodeOf(err) || (got.Event == nil) != (ev == nil) {
			t.Fatalf("message %d: %+v, %v, want %+v, %v", i, got.Event, got.Err, ev, err)
		} else if ev != nil && (got.Event.Type != ev.Type || string(got.Event.Content) != string(ev.Content) || got.Event.Epoch != ev.Epoch) {
			t.Fatalf("message %d: %+v, want %+v", i, got.Event, ev)
		}
	}
	// Up to the proposal, the proposal, up to its duplicate, up to the commit, the
	// commit, the rest.
	if n := store.Commits(); n != 6 {
		t.Errorf("%d commits of the store", n)
	}
	bob.checkStored()
	agree(t, alice, bob, twin)
	inbox := func(p *party) (texts []string, ids []uint64) {
		p.reload()
		for _, entry := range must(p.group.Inbox(ctx)) {
			texts, ids = append(texts, string(entry.Event.Content)), append(ids, entry.ID)
		}
		return texts, ids
	}
	one, ids := inbox(bob)
	two, _ := inbox(twin)
	if !slices.Equal(one, two) {
		t.Errorf("inbox %q, want %q", one, two)
	}
	if err := bob.group.Acknowledge(ctx, ids[1:]...); err != nil {
		t.Fatal(err)
	}
	if rest, _ := inbox(bob); len(rest) != 1 || rest[0] != one[0] {
		t.Errorf("acknowledged the wrong ones: %q", rest)
	}
	talk(t, alice, bob, carol)
}

// TestBatchCrash: the store fails at each place, before the write or after it.
// What was released is stored, and each message is in the inbox once.
func TestBatchCrash(t *testing.T) {
	for _, fault := range []mls.Fault{mls.FaultBefore, mls.FaultAfter} {
		all := crew(t, x25519, "alice", "bob")
		alice, bob := all[0], all[1]
		alice.batched(func(n int) mls.Fault {
			if n == 1 {
				return fault
			}
			return mls.NoFault
		})
		sealed, err := alice.group.SendAll(ctx, texts(3), mls.SendOptions{})
		wantCode(t, err, mlserr.StoreFailed)
		if sealed != nil {
			t.Fatal("released what is not known to be stored")
		}
		alice.reload()
		in := must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))
		in = append(in, alice.commit(mls.CommitOptions{}).Commit)
		alice.apply()
		in = append(in, must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))...)
		testReceiveCrash(t, bob, in, fault)
	}
}

// testReceiveCrash has the store of p fail at each place of ReceiveAll.
func testReceiveCrash(t *testing.T, p *party, in [][]byte, fault mls.Fault) {
	for at := 1; ; at++ {
		bob := p.twin()
		hit := false
		bob.batched(func(n int) mls.Fault {
			if n == at {
				hit = true
				return fault
			}
			return mls.NoFault
		})
		first, err := bob.group.ReceiveAll(ctx, in)
		if !hit {
			if err != nil {
				t.Fatal(err)
			}
			if at != 4 {
				t.Errorf("%d places, want the first batch, the commit and the second", at-1)
			}
			return
		}
		wantCode(t, err, mlserr.StoreFailed)
		bob.reload()
		events := 0
		for i, r := range first {
			switch {
			case r.Err == nil:
				events++
			case mlserr.CodeOf(r.Err) != mlserr.StoreFailed:
				t.Errorf("message %d: %v", i, r.Err)
			}
		}
		for i, r := range must(bob.group.ReceiveAll(ctx, in)) {
			// What has an event is stored; what has none may be.
			if i < events && r.Err == nil {
				t.Errorf("message %d was received twice", i)
			}
			if code := mlserr.CodeOf(r.Err); r.Err != nil && code != mlserr.AlreadyProcessed {
				t.Errorf("message %d: %v", i, r.Err)
			}
		}
		if n := len(must(bob.group.Inbox(ctx))); n != len(in)-1 {
			t.Errorf("%d messages in the inbox, want %d", n, len(in)-1)
		}
		bob.checkStored()
	}
}

// TestReceiveAllStale: a batch on a copy that another instance made old is run
// again on what is stored.
func TestReceiveAllStale(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	one, two := tabs(all[1])
	r := alice.commit(mls.CommitOptions{})
	alice.apply()
	in := must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))
	one.receive(r.Commit)
	one.receive(in[1])
	list := must(two.group.ReceiveAll(ctx, in))
	for i, want := range []mlserr.Code{"", mlserr.AlreadyProcessed, ""} {
		if mlserr.CodeOf(list[i].Err) != want {
			t.Errorf("message %d: %v", i, list[i].Err)
		}
	}
}

// TestReceiveAllCancelled: a context that ends leaves what was stored, and says
// so of each message.
func TestReceiveAllCancelled(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	in := must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))
	short, cancel := context.WithCancel(ctx)
	cancel()
	check := bob.unchanged()
	list, err := bob.group.ReceiveAll(short, in)
	wantCode(t, err, mlserr.Cancelled)
	for i := range list {
		if !errors.Is(list[i].Err, mlserr.Cancelled) {
			t.Errorf("message %d: %v", i, list[i].Err)
		}
	}
	check(t, "cancelled")
}
