package scenario

import (
	"bytes"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/suitetest"
)

// TestScenarioTwoInstances has two instances of one client over one store, as
// two tabs are, each with a copy in memory that the other makes stale. What is
// stored decides: nobody diverges, no key seals two messages that leave, nothing is
// delivered twice and nothing is lost. Over a store with locks (mls.Locker) each
// instance does what a fresh one would; without them a stale instance may refuse
// what a fresh one takes, for what it looks at is old, but it must not take what a
// fresh one refuses.
func TestScenarioTwoInstances(t *testing.T) {
	r, cleanup := suitetest.Record()
	t.Cleanup(cleanup)
	rapid.Check(t, func(t *rapid.T) {
		locks := rapid.Bool().Draw(t, "locks")
		play := rapid.SliceOfN(rapid.IntRange(0, 15), 1, 40).Draw(t, "operations")
		w := newWorld(t, &script{suite: suite.X25519AES128SHA256Ed25519, size: 2, past: 5, vault: rapid.Bool().Draw(t, "vault")}, &faults{}, r)
		w.found()
		id := w.room.id
		alice, bob := w.room.seats[0].device, w.room.seats[1].device
		instances, crash := make([]*mls.Client, 2), make([]func(), 2)
		open := func(i int) {
			store := newInstance(alice.store)
			store.others = func() []*mls.Client { return []*mls.Client{instances[1-i]} }
			crash[i] = store.crash
			if locks {
				instances[i] = alice.open(store, alice.vault)
			} else {
				instances[i] = alice.open(raceStore{store}, alice.vault)
			}
		}
		open(0)
		open(1)
		// stale is what only a stale copy may answer.
		stale := func(err error, what string, want ...mlserr.Code) {
			if locks {
				w.fatalf("%s, and there are locks: %v", what, err)
			}
			w.want(err, what, want...)
		}
		group := func(c *mls.Client) *mls.Group {
			g, err := c.Group(ctx, id)
			if err != nil {
				w.fatalf("%v", err)
			}
			return g
		}
		theirs := group(bob.client)
		texts := 0
		text := func() []byte { texts++; return []byte("text " + strconv.Itoa(texts)) }
		released := func(b []byte) []byte {
			w.ledger.operation()
			w.ledger.release(w, b)
			return b
		}
		bobReceives := func(b []byte, want mls.EventType) {
			if ev, err := theirs.Receive(ctx, b); err != nil || ev.Type != want {
				w.fatalf("bob got %+v, %v, want %s", ev, err, want)
			}
		}
		inbox := 0
		for _, o := range play {
			first, second := group(instances[o%2]), group(instances[1-o%2])
			switch o / 2 {
			case 0, 1: // one sends, whatever the other has sent
				b, err := first.Send(ctx, text(), mls.SendOptions{})
				if err != nil {
					w.fatalf("send: %v", err)
				}
				bobReceives(released(b), mls.EventApplication)
			case 2: // both receive
				b, err := theirs.Send(ctx, text(), mls.SendOptions{})
				if err != nil {
					w.fatalf("bob sends: %v", err)
				}
				taken := 0
				for _, g := range []*mls.Group{first, second} {
					_, err := g.Receive(ctx, b)
					switch code := mlserr.CodeOf(err); {
					case err == nil:
						taken++
						inbox++
					case code == mlserr.AlreadyProcessed && taken == 1:
					case code == mlserr.EpochAhead && !locks: // a stale copy
					default:
						w.fatalf("receive: %v, taken %d", err, taken)
					}
				}
				if taken != 1 {
					w.fatalf("a message was taken %d times", taken)
				}
			case 3: // one commits, the other applies where it knows of it
				c, err := first.Commit(ctx, mls.CommitOptions{PublicMessage: texts%2 == 0})
				if err != nil { // for a stale copy another is still pending
					stale(err, "a stale copy commits", mlserr.PendingCommit)
					first, second = second, first
					if c, err = first.Commit(ctx, mls.CommitOptions{}); err != nil {
						w.fatalf("commit: %v", err)
					}
				}
				bobReceives(released(c.Commit), mls.EventGroupUpdate)
				if _, err := second.ApplyPendingCommit(ctx); err != nil {
					stale(err, "a stale copy applies", mlserr.NoPendingCommit)
					if _, err := first.ApplyPendingCommit(ctx); err != nil {
						w.fatalf("apply: %v", err)
					}
				}
			case 4: // one commits, the other gets the commit of bob, who wins
				if _, err := first.Commit(ctx, mls.CommitOptions{}); err != nil {
					stale(err, "a stale copy commits", mlserr.PendingCommit)
				}
				c, err := theirs.Commit(ctx, mls.CommitOptions{})
				if err != nil {
					w.fatalf("bob commits: %v", err)
				}
				bobReceives(released(c.Commit), mls.EventGroupUpdate)
				if _, err := second.Receive(ctx, c.Commit); err != nil {
					stale(err, "a stale copy receives", mlserr.EpochAhead)
					if _, err := first.Receive(ctx, c.Commit); err != nil {
						w.fatalf("receive: %v", err)
					}
				}
			case 6: // one sends one after the other, and both know the last
				var b []byte
				for range 2 + texts%7 {
					var err error
					if b, err = first.Send(ctx, text(), mls.SendOptions{}); err != nil {
						w.fatalf("send: %v", err)
					}
					bobReceives(released(b), mls.EventApplication)
				}
				for _, g := range []*mls.Group{second, first} {
					if ev, err := g.Receive(ctx, b); err != nil {
						stale(err, "a stale copy receives its own", mlserr.EpochAhead)
					} else if ev.Type != mls.EventOwn {
						w.fatalf("own message: %+v", ev)
					}
				}
			case 7: // the same, and it crashes; what it sent is none of another life
				last, err := first.Send(ctx, text(), mls.SendOptions{})
				for range texts % 7 {
					if err == nil {
						bobReceives(released(last), mls.EventApplication)
						last, err = first.Send(ctx, text(), mls.SendOptions{})
					}
				}
				if err != nil {
					w.fatalf("send: %v", err)
				}
				bobReceives(released(last), mls.EventApplication)
				crash[o%2]()
				instances[o%2].Close()
				open(o % 2)
				if ev, err := second.Receive(ctx, last); err == nil && ev.Type != mls.EventOwn {
					w.fatalf("own message: %+v", ev)
				} else if err != nil {
					w.want(err, "own message", mlserr.AlreadyProcessed, mlserr.EpochAhead)
					if locks && mlserr.CodeOf(err) == mlserr.EpochAhead {
						w.fatalf("own message: %v", err)
					}
				}
			case 5: // a key package of one is used by the other
				list, err := instances[o%2].CreateKeyPackages(ctx, alice.made[w.suite][0].ID(), 1, mls.KeyPackageOptions{})
				if err != nil {
					w.fatalf("key package: %v", err)
				}
				g, err := bob.client.CreateGroup(ctx, bob.made[w.suite][0].ID(), mls.GroupOptions{GroupID: text()})
				if err != nil {
					w.fatalf("create: %v", err)
				}
				c, err := g.Add(ctx, list[0])
				if err != nil {
					w.fatalf("add: %v", err)
				}
				joined := 0
				for _, i := range []int{1 - o%2, o % 2} {
					if _, err := instances[i].JoinGroup(ctx, c.Welcome, mls.JoinOptions{}); err == nil {
						joined++
					} else {
						w.want(err, "joins again", mlserr.NoMatchingKeyPackage, mlserr.GroupExists)
					}
				}
				if joined != 1 {
					w.fatalf("joined %d times", joined)
				}
			}
		}
		// What is stored, as a third instance finds it.
		for i := range instances {
			instances[i].Close()
		}
		third := alice.open(alice.store, alice.vault)
		info, err := group(third).Info(ctx)
		if err != nil {
			w.fatalf("%v", err)
		}
		other, err := theirs.Info(ctx)
		if err != nil || !bytes.Equal(info.EpochAuthenticator, other.EpochAuthenticator) {
			w.fatalf("alice and bob have diverged: epochs %d and %d, %v", info.Epoch, other.Epoch, err)
		}
		alice.client.Close()
		alice.client = third
		alice.checkVault()
		if list, err := group(third).Inbox(ctx); err != nil || len(list) != inbox {
			w.fatalf("%d messages in the inbox, want %d: %v", len(list), inbox, err)
		}
	})
}

// raceStore is a Store that is no mls.Locker.
type raceStore struct{ mls.Store }
