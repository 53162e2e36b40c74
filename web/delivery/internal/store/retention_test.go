package store

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func mustPublish(t *testing.T, s *Store, groupID []byte, epoch uint64, text string) uint64 {
	t.Helper()
	seq, _, err := s.PublishMessage(t.Context(), Message{User: "alice", Group: groupID, Epoch: epoch, Message: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// What is old goes, but the epoch of a group stays, and who missed something can
// be told.
func TestRetention(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		s, far := stores[0], stores[len(stores)-1]
		horizon := func(g []byte, want uint64) {
			t.Helper()
			if got, err := far.Horizon(t.Context(), g); err != nil || got != want {
				t.Errorf("horizon of %s: %d, %v, want %d", g, got, err, want)
			}
		}
		busy, idle, talk, young := group("busy"), group("idle"), group("talk"), group("young")
		var commits []Outcome
		for epoch := range uint64(3) {
			c := commit("alice", busy, epoch)
			c.GroupInfo = fmt.Appendf(nil, "info %d", epoch+1)
			commits = append(commits, mustCommit(t, s, c))
			mustPublish(t, s, busy, epoch+1, fmt.Sprint("old ", epoch))
		}
		rest := mustCommit(t, s, commit("bob", idle, 0))
		oldTalk := mustPublish(t, s, talk, 0, "old talk")
		lastOld, err := s.LastSequence(t.Context(), busy)
		if err != nil {
			t.Fatal(err)
		}
		// The servers' clocks and ours are one here.
		time.Sleep(20 * time.Millisecond)
		cutoff := time.Now()
		time.Sleep(20 * time.Millisecond)
		newest := mustPublish(t, s, busy, 3, "new")
		mustCommit(t, s, commit("carol", young, 0))

		for range 2 { // doing it again changes nothing
			if err := s.Sweep(t.Context(), cutoff); err != nil {
				t.Fatal(err)
			}
		}
		horizon(busy, lastOld)
		horizon(idle, 0)
		horizon(talk, oldTalk)
		horizon(young, 0)
		var left []uint64
		for _, entry := range readAll(t, far, busy, 0, newest) {
			left = append(left, entry.Seq)
		}
		if fmt.Sprint(left) != fmt.Sprint([]uint64{commits[2].Seq, newest}) {
			t.Errorf("left are %v, want the last commit %d and %d", left, commits[2].Seq, newest)
		}
		if info, epoch, err := far.GroupInfo(t.Context(), busy); err != nil || epoch != 3 || string(info) != "info 3" {
			t.Errorf("GroupInfo %q of %d, %v", info, epoch, err)
		}
		for _, store := range []*Store{s, far} {
			if o := mustCommit(t, store, commit("mallory", idle, 0)); o.Accepted || o.Epoch != 1 {
				t.Errorf("a second commit of epoch 0: %+v", o)
			}
		}
		if got := readAll(t, s, idle, 0, rest.Seq); len(got) != 1 {
			t.Errorf("%d commits of the group at rest", len(got))
		}

		// Another sweep takes what is old by now.
		next := mustCommit(t, far, commit("alice", busy, 3))
		if err := far.Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		horizon(busy, newest)
		if got := readAll(t, s, busy, 0, next.Seq); len(got) != 1 || got[0].Seq != next.Seq {
			t.Errorf("left are %v", got)
		}
	})
}

func TestSweepOfNothing(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	if err := s.Sweep(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
}

// A welcome whose commit is gone is gone too.
func TestWelcomeOfARemovedCommit(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	c := commit("alice", group("g"), 0)
	c.Welcomes = []Welcome{{To: []Address{"bob"}, Message: []byte("of a removed commit")}}
	mustCommit(t, s, c)
	eventually(t, "the welcome is queued", func() bool { return pendingWelcomes(t, s, "bob") == 1 })
	c = commit("alice", group("g"), 1)
	c.Welcomes = []Welcome{{To: []Address{"bob"}, Message: []byte("of the last commit")}}
	mustCommit(t, s, c)
	if err := s.Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if w, ok := nextWelcome(t, s, "bob"); !ok || string(w.Welcome) != "of the last commit" {
		t.Errorf("welcome %+v, %v", w, ok)
	}
	if n := pendingWelcomes(t, s, "bob"); n != 1 {
		t.Errorf("%d are queued", n)
	}
}

func TestTurns(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		for range 2 {
			turns := 0
			for _, s := range append(stores, stores...) {
				mine, err := s.takeTurn(t.Context(), "test", 500*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				if mine {
					turns++
				}
			}
			if turns != 1 {
				t.Errorf("%d had a turn", turns)
			}
			time.Sleep(600 * time.Millisecond)
		}
	})
}

func TestRetainIsNotTooShort(t *testing.T) {
	s, err := Open(t.Context(), Config{DataDir: t.TempDir(), Retain: time.Minute, Logger: quiet})
	if err == nil {
		s.Close()
		t.Error("a minute is taken")
	}
	s = open(t, Config{DataDir: t.TempDir(), Retain: time.Hour})
	if got := s.keyPackages.CachedInfo().Config.MaxAge; got != time.Hour {
		t.Errorf("key packages are kept %v", got)
	}
	if got := s.log.CachedInfo().Config.MaxAge; got != 0 {
		t.Errorf("the log loses messages after %v, last commits too", got)
	}
}

func TestLastResort(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		s, far := stores[0], stores[len(stores)-1]
		phone, laptop := NewAddress("bob", "phone"), NewAddress("bob", "laptop")
		for _, text := range []string{"old", "last"} {
			if err := s.PublishLastResort(t.Context(), phone, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.PublishKeyPackages(t.Context(), phone, [][]byte{[]byte("fresh")}, 5); err != nil {
			t.Fatal(err)
		}
		claimed, stop := s.FollowStock(phone)
		defer stop()
		for i, want := range []string{"fresh false", "last true", "last true"} {
			keyPackage, lastResort, err := far.ClaimKeyPackage(t.Context(), phone)
			if got := fmt.Sprintf("%s %v", keyPackage, lastResort); err != nil || got != want {
				t.Errorf("claim %d: %s, %v, want %s", i, got, err, want)
			}
			select {
			case <-claimed:
			case <-time.After(10 * time.Second):
				t.Fatal("its owner was not told")
			}
		}
		for _, other := range []Address{laptop, "bob"} {
			if _, _, err := far.ClaimKeyPackage(t.Context(), other); !errors.Is(err, ErrNoKeyPackage) {
				t.Errorf("claim of another device: %v", err)
			}
		}
		has, err := far.HasLastResort(t.Context(), phone)
		hasNot, errNot := far.HasLastResort(t.Context(), laptop)
		if !has || hasNot || err != nil || errNot != nil {
			t.Errorf("last resort: %v %v, %v %v", has, hasNot, err, errNot)
		}
	})
}

func TestDevices(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		s, far := stores[0], stores[len(stores)-1]
		for _, device := range []string{"phone", "", "phone", "laptop"} {
			if err := s.AddDevice(t.Context(), NewAddress("bob", device), 3); err != nil {
				t.Fatal(err)
			}
		}
		if err := far.AddDevice(t.Context(), NewAddress("bob", "one more"), 3); !errors.Is(err, ErrDevices) {
			t.Errorf("a fourth device: %v", err)
		}
		if err := far.AddDevice(t.Context(), NewAddress("bobby", "phone"), 3); err != nil {
			t.Error(err)
		}
		phone := NewAddress("bob", "phone")
		if err := s.PublishKeyPackages(t.Context(), phone, [][]byte{[]byte("k")}, 5); err != nil {
			t.Fatal(err)
		}
		if err := far.RemoveDevice(t.Context(), phone); err != nil {
			t.Fatal(err)
		}
		devices, err := far.Devices(t.Context(), "bob")
		if err != nil || fmt.Sprintf("%q", devices) != `["bob" "bob\x00laptop"]` {
			t.Errorf("devices %q, %v", devices, err)
		}
		if n, err := s.CountKeyPackages(t.Context(), phone); n != 0 || err != nil {
			t.Errorf("the removed device has %d key packages, %v", n, err)
		}
	})
}

func TestIssuerSeed(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		var seeds []string
		for _, s := range append(stores, stores...) {
			seed, err := s.IssuerSeed(t.Context())
			if err != nil || len(seed) != 32 {
				t.Fatalf("%d bytes, %v", len(seed), err)
			}
			seeds = append(seeds, string(seed))
		}
		for _, seed := range seeds {
			if seed != seeds[0] {
				t.Error("processes have different seeds")
			}
		}
	})
}
