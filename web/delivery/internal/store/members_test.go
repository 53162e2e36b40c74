package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
)

func refuseCommit(t *testing.T, s *Store, c Commit) {
	t.Helper()
	if o, err := s.PublishCommit(t.Context(), c); !errors.Is(err, ErrNotMember) {
		t.Errorf("a commit of epoch %d by %s: %+v, %v", c.Epoch, c.User, o, err)
	}
}

func accept(t *testing.T, s *Store, c Commit) Outcome {
	t.Helper()
	o, err := s.PublishCommit(t.Context(), c)
	if err != nil || !o.Accepted {
		t.Errorf("a commit of epoch %d by %s: %+v, %v", c.Epoch, c.User, o, err)
	}
	return o
}

func external(c Commit) Commit {
	c.External = true
	return c
}

// publishAs publishes an application message that no other is like.
func publishAs(t *testing.T, s *Store, user string, epoch uint64) error {
	_, _, err := s.PublishMessage(t.Context(), Message{User: user, Group: group("g"), Epoch: epoch,
		Message: []byte(user + strconv.Itoa(int(messageNumber.Add(1))))})
	return err
}

var messageNumber atomic.Int64

// Who knows a group's id and no more takes no epoch, in whichever process.
func TestMembers(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		a, b := stores[0], stores[len(stores)-1]
		accept(t, a, inviting(commit("alice", group("g"), 0), "bob"))
		for _, s := range []*Store{a, b} {
			refuseCommit(t, s, inviting(commit("mallory", group("g"), 1), "mallory"))
			refuseCommit(t, s, external(commit("mallory", group("g"), 1)))
			if err := publishAs(t, s, "mallory", 1); !errors.Is(err, ErrNotMember) {
				t.Errorf("a message of one who is not in the group: %v", err)
			}
			if _, err := s.PublishGroupInfo(t.Context(), "mallory", group("g"), 1, []byte("info")); !errors.Is(err, ErrNotMember) {
				t.Errorf("a GroupInfo of one who is not in the group: %v", err)
			}
		}
		if o := mustCommit(t, b, commit("mallory", group("g"), 0)); o.Accepted || o.Epoch != 1 {
			t.Errorf("a stale commit of one who is not in the group: %+v", o)
		}
		accept(t, b, inviting(commit("bob", group("g"), 1), "carol"))
		c := inviting(commit("carol", group("g"), 2), "dave")
		c.Members = []string{"alice"} // without bob
		accept(t, a, c)
		refuseCommit(t, b, commit("bob", group("g"), 3))
		eventually(t, "the other process hears of the removal", func() bool {
			return errors.Is(publishAs(t, b, "bob", 2), ErrNotMember)
		})
		for i, user := range []string{"alice", "carol", "dave"} {
			if err := publishAs(t, b, user, uint64(3+i)); err != nil {
				t.Errorf("%s: %v", user, err)
			}
			accept(t, b, commit(user, group("g"), uint64(3+i)))
		}
	})
}

// By a GroupInfo at the service, and by nothing else, one joins without being asked.
func TestMembersJoin(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	accept(t, s, commit("alice", group("g"), 0))
	outside := Message{User: "bob", Group: group("g"), Epoch: 1, Proposal: true, External: true, Message: []byte("add me")}
	if _, _, err := s.PublishMessage(t.Context(), outside); !errors.Is(err, ErrNotMember) {
		t.Errorf("an external proposal to a group without a GroupInfo: %v", err)
	}
	refuseCommit(t, s, external(commit("bob", group("g"), 1)))
	if _, err := s.PublishGroupInfo(t.Context(), "alice", group("g"), 1, []byte("info")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PublishMessage(t.Context(), outside); err != nil {
		t.Errorf("an external proposal: %v", err)
	}
	refuseCommit(t, s, commit("bob", group("g"), 1))
	c := inviting(external(commit("bob", group("g"), 1)), "mallory")
	c.Members = []string{"mallory"}
	o := accept(t, s, c)
	if again := accept(t, s, c); again != o {
		t.Errorf("repeated: %+v, want %+v", again, o)
	}
	refuseCommit(t, s, commit("mallory", group("g"), 2))
	refuseCommit(t, s, external(commit("mallory", group("g"), 2))) // the GroupInfo is of the epoch before
	accept(t, s, commit("bob", group("g"), 2))
	accept(t, s, commit("alice", group("g"), 3))

	// With a commit, too.
	c = commit("alice", group("g"), 4)
	c.GroupInfo = []byte("info")
	accept(t, s, c)
	accept(t, s, external(commit("carol", group("g"), 5)))
}

// The one who published first has the group, though others may join by its GroupInfo first.
func TestMembersBegin(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	if _, err := s.PublishGroupInfo(t.Context(), "alice", group("g"), 0, []byte("info")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PublishGroupInfo(t.Context(), "mallory", group("g"), 0, []byte("other")); !errors.Is(err, ErrNotMember) {
		t.Errorf("another GroupInfo: %v", err)
	}
	refuseCommit(t, s, commit("mallory", group("g"), 0))
	accept(t, s, external(commit("bob", group("g"), 0)))
	accept(t, s, commit("alice", group("g"), 1))
	accept(t, s, commit("bob", group("g"), 2))

	refuseCommit(t, s, external(commit("bob", group("h"), 0)))
	if _, _, err := s.PublishMessage(t.Context(), Message{User: "alice", Group: group("h"), Message: []byte("to me")}); err != nil {
		t.Fatal(err)
	}
	refuseCommit(t, s, commit("bob", group("h"), 0))
	accept(t, s, commit("alice", group("h"), 0))
}

// Of a group that is older than the lists everybody may publish, until a commit
// names who may.
func TestMembersOfAnOldGroup(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	record := &commitRecord{Commit: []byte("old")}
	data := record.marshal()
	data = data[:len(data)-1]
	data[0] = recordWithoutMembers
	msg := nats.NewMsg(commitSubject(group("g")))
	msg.Data = data
	msg.Header.Set(headerEpoch, "6")
	if _, err := s.publish(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	accept(t, s, inviting(commit("alice", group("g"), 7), "carol"))
	accept(t, s, commit("bob", group("g"), 8))
	c := commit("bob", group("g"), 9)
	c.Members = []string{"alice"}
	accept(t, s, c)
	refuseCommit(t, s, commit("carol", group("g"), 10))
	accept(t, s, commit("alice", group("g"), 10))
}

// The list is in the log: it is there after a restart, when all but the last commit
// is gone too.
func TestMembersStay(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{DataDir: dir})
	accept(t, s, inviting(commit("alice", group("g"), 0), "bob"))
	last := accept(t, s, commit("alice", group("g"), 1))
	if err := s.sweepGroup(t.Context(), token(group("g")), aged{commit: last.Seq, commitBefore: last.Seq - 1}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, Config{DataDir: dir})
	refuseCommit(t, s, commit("mallory", group("g"), 2))
	accept(t, s, commit("bob", group("g"), 2))
}

// Members who remove each other while many race: with each epoch the list is that of
// its own commit, and who is not on it wins nothing.
func TestMembersRace(t *testing.T) {
	urls := startNATS(t, 1)
	stores := []*Store{open(t, Config{URL: urls[0]}), open(t, Config{URL: urls[0]})}
	users := []string{"a", "b", "c", "d", "e", "f"}
	accept(t, stores[0], inviting(commit("a", group("g"), 0), users...))
	winners := make([]string, 40)
	// The winner of an epoch leaves out who comes next to it in the circle.
	left := func(user string) string { return users[(slices.Index(users, user)+1)%len(users)] }
	var all sync.WaitGroup
	for i, user := range users {
		all.Go(func() {
			for epoch := uint64(1); epoch < uint64(len(winners)); {
				c := commit(user, group("g"), epoch)
				for _, other := range users {
					if other != left(user) {
						c.Members = append(c.Members, other)
					}
				}
				o, err := stores[i%2].PublishCommit(t.Context(), c)
				switch {
				case errors.Is(err, ErrNotMember):
					continue // until another one is left out
				case err != nil:
					t.Error(err)
					return
				case o.Accepted:
					winners[epoch] = user
				}
				epoch = o.Epoch
			}
		})
	}
	all.Wait()
	for epoch := 2; epoch < len(winners); epoch++ {
		if winners[epoch] == "" || winners[epoch] == left(winners[epoch-1]) {
			t.Errorf("epoch %d was won by %q, the one before by %q", epoch, winners[epoch], winners[epoch-1])
		}
	}
}

func TestMembersLimit(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	c := commit("alice", group("g"), 0)
	for i := range MaxMembers - 1 {
		c.Members = append(c.Members, fmt.Sprint("user", i))
	}
	accept(t, s, c)
	if o, err := s.PublishCommit(t.Context(), inviting(commit("alice", group("g"), 1), "one more")); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more than there is room for: %+v, %v", o, err)
	}
	accept(t, s, commit("user77", group("g"), 1))
	refuseCommit(t, s, commit("mallory", group("g"), 2))

	h := heads{byGroup: make(map[string]head)}
	large := members(make([]byte, maxHeadBytes/4))
	for i := range 20 {
		h.put(fmt.Sprint(i), head{seq: 1, members: large})
		h.put(fmt.Sprint(i), head{seq: 2, members: large})
	}
	if len(h.byGroup) != 4 || h.bytes != maxHeadBytes {
		t.Errorf("%d lists of %d bytes are remembered", len(h.byGroup), h.bytes)
	}
}
