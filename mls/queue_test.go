package mls_test

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
)

// queuedUp starts calls, one after the other, while the group's turn is taken. It
// returns what waits for all of them, when they may go.
func queuedUp(p *party, calls ...func(ctx context.Context)) {
	p.t.Helper()
	done := make(chan struct{}, len(calls))
	p.group.Busy(func() {
		for _, call := range calls {
			queued := make(chan struct{})
			go func() {
				call(mls.WithQueued(ctx, func() { close(queued) }))
				done <- struct{}{}
			}()
			<-queued
		}
	})
	for range calls {
		<-done
	}
}

// TestSendTogether: what is sent while others wait is stored in one commit, in
// the order of the calls, and each call has its own options.
func TestSendTogether(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	alice.info()
	store := alice.batched(nil)
	alice.info()
	const n = 20
	sealed := make([][]byte, n)
	var calls []func(ctx context.Context)
	for i := range n {
		calls = append(calls, func(ctx context.Context) {
			opts := mls.SendOptions{AuthenticatedData: []byte{byte(i)}, PaddingBlock: 512 * (i%2 + 1)}
			sealed[i] = must(alice.group.Send(ctx, []byte(strconv.Itoa(i)), opts))
		})
	}
	queuedUp(alice, calls...)
	if got := store.Commits(); got != 1 {
		t.Errorf("%d commits of the store", got)
	}
	alice.checkStored()
	if len(sealed[1])-len(sealed[0]) != 512 {
		t.Errorf("padded to %d and %d bytes", len(sealed[0]), len(sealed[1]))
	}
	// Each leaves the one generation behind that comes before it.
	for i := range slices.Backward(sealed) {
		ev := bob.receive(sealed[i])
		if string(ev.Content) != strconv.Itoa(i) || ev.AuthenticatedData[0] != byte(i) {
			t.Fatalf("%d: %+v", i, ev)
		}
		senders := must(bob.group.Snapshot(ctx)).Senders
		if k := slices.IndexFunc(senders, func(s mls.SenderSnapshot) bool { return s.Leaf == 0 }); senders[k].Application.Skipped != i {
			t.Fatalf("call %d is followed by %d", i, senders[k].Application.Skipped)
		}
	}
}

// TestTogetherOrder: calls that change the group stay between those around them.
func TestTogetherOrder(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	r := alice.commit(mls.CommitOptions{})
	epoch := alice.info().Epoch
	sealed := make([][]byte, 4)
	send := func(i int) func(ctx context.Context) {
		return func(ctx context.Context) { sealed[i] = must(alice.group.Send(ctx, []byte("x"), mls.SendOptions{})) }
	}
	queuedUp(alice, send(0), send(1), func(ctx context.Context) { must(alice.group.ApplyPendingCommit(ctx)) }, send(2), send(3))
	for i, b := range sealed {
		if i == 2 {
			bob.receive(r.Commit)
		}
		if ev := bob.receive(b); ev.Epoch != epoch+uint64(i/2) {
			t.Errorf("message %d in epoch %d", i, ev.Epoch)
		}
	}
}

// TestReceiveTogether: messages that are received while others wait are stored in
// one commit; each call has what it would have had by itself, in the order of the
// calls.
func TestReceiveTogether(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	in := must(alice.group.SendAll(ctx, texts(6), mls.SendOptions{}))
	damaged := slices.Clone(in[2])
	damaged[len(damaged)-1] ^= 1
	in = [][]byte{in[1], in[0], damaged, in[2], in[0], in[4], in[3]}
	codes := make([]mlserr.Code, len(in))
	store := bob.batched(nil)
	bob.info()
	var calls []func(ctx context.Context)
	for i, b := range in {
		calls = append(calls, func(ctx context.Context) {
			_, err := bob.group.Receive(ctx, b)
			codes[i] = mlserr.CodeOf(err)
		})
	}
	queuedUp(bob, calls...)
	want := []mlserr.Code{"", "", mlserr.DecryptionFailed, "", mlserr.AlreadyProcessed, "", ""}
	if !slices.Equal(codes, want) {
		t.Errorf("%q, want %q", codes, want)
	}
	if n := store.Commits(); n != 1 {
		t.Errorf("%d commits of the store", n)
	}
	bob.checkStored()
	var got []string
	for _, entry := range must(bob.group.Inbox(ctx)) {
		got = append(got, string(entry.Event.Content))
	}
	if !slices.Equal(got, []string{"text 1", "text 0", "text 2", "text 4", "text 3"}) {
		t.Errorf("inbox %q", got)
	}
}

// TestTogetherCancelled: a call that is cancelled while it waits is not carried
// out, and the others are.
func TestTogetherCancelled(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	var sealed [3][]byte
	var errs [3]error
	stop := make(chan func(), 1)
	send := func(i int) func(ctx context.Context) {
		return func(ctx context.Context) { sealed[i], errs[i] = alice.group.Send(ctx, []byte("x"), mls.SendOptions{}) }
	}
	cancelled := func(ctx context.Context) {
		short, cancel := context.WithCancel(ctx)
		stop <- cancel
		send(1)(short)
	}
	queuedUp(alice, send(0), cancelled, func(ctx context.Context) { (<-stop)(); send(2)(ctx) })
	// It may have been taken along before word of it came.
	if (errs[1] == nil) != (sealed[1] != nil) || errs[1] != nil && mlserr.CodeOf(errs[1]) != mlserr.Cancelled {
		t.Errorf("%x, %v", sealed[1], errs[1])
	}
	for _, i := range []int{0, 2} {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		all[1].receive(sealed[i])
	}
}

// TestTogetherFails: what the store does not take, none of the calls releases.
func TestTogetherFails(t *testing.T) {
	for _, fault := range []mls.Fault{mls.FaultBefore, mls.FaultAfter} {
		all := crew(t, x25519, "alice", "bob")
		alice := all[0]
		store := alice.batched(func(n int) mls.Fault {
			if n == 1 {
				return fault
			}
			return mls.NoFault
		})
		alice.info()
		fails := func(ctx context.Context) {
			sealed, err := alice.group.Send(ctx, []byte("x"), mls.SendOptions{})
			if mlserr.CodeOf(err) != mlserr.StoreFailed || sealed != nil {
				t.Errorf("%x, %v", sealed, err)
			}
		}
		queuedUp(alice, fails, fails, fails)
		if n := store.Commits(); n != 1 {
			t.Errorf("%d commits of the store", n)
		}
		all[1].receive(alice.send("goes on"))
		alice.checkStored()
	}
}

// TestStretchForged: among messages that are verified as one list, one whose
// signature is bad is refused alone, and consumes nothing.
func TestStretchForged(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	forged, _ := newForger(t, alice).frame(forgedContent{
		application: []byte("text 2"), private: sealHooks{generation: ptr(uint32(2))},
		signed: func(c *message.AuthenticatedContent) { c.Auth.Signature = flip(c.Auth.Signature) },
	})
	in := must(alice.group.SendAll(ctx, texts(4), mls.SendOptions{}))
	twin := bob.twin()
	for i, r := range must(bob.group.ReceiveAll(ctx, [][]byte{in[0], in[1], forged, in[3], in[2]})) {
		want := mlserr.Code("")
		if i == 2 {
			want = mlserr.InvalidSignature
		}
		if mlserr.CodeOf(r.Err) != want {
			t.Errorf("message %d: %v", i, r.Err)
		}
	}
	for _, b := range in {
		twin.receive(b)
	}
	if one, two := must(bob.group.Snapshot(ctx)).Senders, must(twin.group.Snapshot(ctx)).Senders; !slices.Equal(one, two) {
		t.Errorf("ratchets at %+v, want %+v", one, two)
	}
}
