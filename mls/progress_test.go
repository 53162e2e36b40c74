package mls_test

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// listKeys notes the longest list that Keys is given at once.
type listKeys struct {
	suite.Keys
	longest atomic.Int64
}

func (k *listKeys) note(n int) {
	if int64(n) > k.longest.Load() {
		k.longest.Store(int64(n))
	}
}

func (k *listKeys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (int, error) {
	k.note(len(list))
	return k.Keys.Verify(ctx, id, list)
}

func (k *listKeys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	k.note(len(publicKeys))
	return k.Keys.Encapsulate(ctx, id, publicKeys)
}

func (k *listKeys) ValidateHPKEKeys(ctx context.Context, id suite.ID, publicKeys [][]byte) (int, error) {
	k.note(len(publicKeys))
	return k.Keys.ValidateHPKEKeys(ctx, id, publicKeys)
}

// TestProgress: long work says how far it is, can be cancelled in between, and
// then has changed nothing; work that nobody watches is done in whole lists.
func TestProgress(t *testing.T) {
	n := 300
	if quick() {
		n = 160
	}
	keys := &listKeys{Keys: kitKeys}
	withKeys := func(c *mls.Config) { c.Keys = keys }
	alice, bob := newPartyWith(t, x25519, "alice", withKeys), newPartyWith(t, x25519, "bob", withKeys)
	alice.create()
	kps := [][]byte{bob.keyPackage()}
	for i := range n - 2 {
		kps = append(kps, newParty(t, x25519, "member "+strconv.Itoa(i)).keyPackage())
	}
	var welcome, info []byte
	carol := newPartyWith(t, x25519, "carol", withKeys)
	for _, work := range []struct {
		what string
		p    *party
		f    func(ctx context.Context) error
		undo func() // so that it can be done again
	}{
		{"commit", alice, func(ctx context.Context) error {
			r, err := alice.group.Commit(ctx, mls.CommitOptions{Add: kps})
			if err == nil {
				welcome = r.Welcome
			}
			return err
		}, func() {
			if err := alice.group.ClearPendingCommit(ctx); err != nil {
				t.Fatal(err)
			}
		}},
		{"join", bob, func(ctx context.Context) (err error) {
			bob.group, err = bob.client.JoinGroup(ctx, welcome, mls.JoinOptions{})
			return err
		}, nil},
		{"external join", carol, func(ctx context.Context) (err error) {
			_, _, err = carol.client.JoinExternal(ctx, carol.id.ID(), info, mls.ExternalOptions{})
			return err
		}, nil},
		{"key packages", carol, func(ctx context.Context) error {
			_, err := carol.client.CreateKeyPackages(ctx, carol.id.ID(), n, mls.KeyPackageOptions{})
			return err
		}, nil},
	} {
		t.Run(work.what, func(t *testing.T) {
			group := work.p.group
			if work.what != "commit" {
				work.p.group = nil // it is not there before
			}
			check := work.p.unchanged()
			// Cancelled when half of it is done.
			half, cancel := context.WithCancel(ctx)
			err := work.f(mls.WithProgress(half, func(done, total int) {
				if done > total/2 {
					cancel()
				}
			}))
			cancel()
			wantCode(t, err, mlserr.Cancelled)
			check(t, work.what)
			// To the end.
			var reports [][2]int
			keys.longest.Store(0)
			err = work.f(mls.WithProgress(ctx, func(done, total int) { reports = append(reports, [2]int{done, total}) }))
			if err != nil {
				t.Fatal(err)
			}
			if keys.longest.Load() > 128 {
				t.Errorf("a list of %d in one step", keys.longest.Load())
			}
			last := -1
			for _, r := range reports {
				if r[0] <= last || r[0] > r[1] || r[1] != reports[0][1] {
					t.Errorf("reports go wrong: %v", reports)
					break
				}
				last = r[0]
			}
			if len(reports) < 4 || reports[0][0] != 0 || last != reports[0][1] {
				t.Errorf("reports: %v", reports)
			}
			// With nobody to watch.
			if work.undo != nil {
				work.undo()
				if err := work.f(ctx); err != nil {
					t.Fatal(err)
				}
				if keys.longest.Load() < int64(n-1) {
					t.Errorf("lists of no more than %d", keys.longest.Load())
				}
				alice.apply()
				info = must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{}))
			}
			if work.p.group == nil {
				work.p.group = group
			}
		})
	}
	// Lists in steps find the same errors, at the same places.
	f := newForger(t, alice)
	leaf := f.in.Tree.Leaf(150)
	leaf.Signature[0] ^= 1
	defer func() { leaf.Signature[0] ^= 1 }()
	for _, ctx := range []context.Context{ctx, mls.WithProgress(ctx, func(int, int) {})} {
		err := f.in.Tree.VerifyLeaves(ctx, mls.SteppedKeys(kitKeys), f.in.GroupID)
		if mlserr.CodeOf(err) != mlserr.InvalidSignature || err.(*mlserr.Error).Detail != "L2: leaf 150" {
			t.Errorf("%v", err)
		}
	}
	keysOf := func(bad int) (list [][]byte) {
		for i := range 150 {
			key := f.in.Tree.Leaf(treemath.LeafIndex(i)).EncryptionKey
			if i == bad {
				key = key[1:]
			}
			list = append(list, key)
		}
		return list
	}
	for _, ctx := range []context.Context{ctx, mls.WithProgress(ctx, func(int, int) {})} {
		k := mls.SteppedKeys(kitKeys)
		if bad, err := k.ValidateHPKEKeys(ctx, x25519, keysOf(140)); bad != 140 || err != nil {
			t.Errorf("%d, %v", bad, err)
		}
		_, err := k.Encapsulate(ctx, x25519, keysOf(140))
		_, want := kitKeys.Encapsulate(ctx, x25519, keysOf(140))
		if err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("%v, want %v", err, want)
		}
		if list, err := k.Encapsulate(ctx, x25519, keysOf(-1)); err != nil || len(list) != 150 {
			t.Errorf("%d, %v", len(list), err)
		}
	}
}

// TestCancelledWhileAsked: what was not asked to the end is not refused.
func TestCancelledWhileAsked(t *testing.T) {
	alice := newPartyWith(t, x25519, "alice", func(c *mls.Config) { c.Authenticator = waiting{} })
	alice.create()
	kp := newParty(t, x25519, "bob").keyPackage()
	short, cancel := context.WithCancel(ctx)
	check := alice.unchanged()
	done := make(chan error)
	go func() {
		_, err := alice.group.Commit(short, mls.CommitOptions{Add: [][]byte{kp}})
		done <- err
	}()
	cancel()
	wantCode(t, <-done, mlserr.Cancelled)
	check(t, "cancelled")
}

// waiting is an Authenticator that takes as long as it is let, but for one's own.
type waiting struct{ policy }

func (waiting) Authenticate(ctx context.Context, claims []mls.Claim) error {
	for _, c := range claims {
		if string(c.Credential.Identity) != "alice" {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	return nil
}

// TestReceiveAllProgress: messages are counted, whatever is in them.
func TestReceiveAllProgress(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	contents := make([][]byte, 200)
	messages := must(alice.group.SendAll(ctx, contents, mls.SendOptions{}))
	messages = append(messages, alice.commit(mls.CommitOptions{}).Commit, []byte("no message"))
	alice.apply()
	messages = append(messages, must(alice.group.SendAll(ctx, contents, mls.SendOptions{}))...)
	var told []int
	watched := mls.WithProgress(ctx, func(done, total int) {
		if total != len(messages) {
			t.Errorf("%d of %d", done, total)
		}
		told = append(told, done)
	})
	if _, err := bob.group.ReceiveAll(watched, messages); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(told) || len(told) < 6 || told[len(told)-1] != len(messages) {
		t.Error(told)
	}
	agree(t, all...)
}
