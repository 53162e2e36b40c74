package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func open(t *testing.T, config Config) *Store {
	t.Helper()
	config.Logger = quiet
	s, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// startNATS starts n NATS servers with JetStream on the loopback interface, as a
// cluster if there is more than one, and returns their URLs.
func startNATS(t *testing.T, n int) []string {
	t.Helper()
	var routes []*url.URL
	ports := make([]int, n)
	for i := range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = listener.Addr().(*net.TCPAddr).Port
		listener.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	var servers []*server.Server
	var urls []string
	for i := range n {
		options := &server.Options{
			ServerName: fmt.Sprintf("node%d", i),
			Host:       "127.0.0.1",
			Port:       server.RANDOM_PORT,
			JetStream:  true,
			StoreDir:   t.TempDir(),
			NoSigs:     true,
			NoLog:      true,
		}
		if n > 1 {
			options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
			options.Routes = routes
		}
		node, err := server.NewServer(options)
		if err != nil {
			t.Fatal(err)
		}
		node.Start()
		t.Cleanup(func() { node.Shutdown(); node.WaitForShutdown() })
		servers = append(servers, node)
	}
	for _, node := range servers {
		if !node.ReadyForConnections(10 * time.Second) {
			t.Fatal("NATS did not start")
		}
		urls = append(urls, node.ClientURL())
	}
	if n > 1 {
		eventually(t, "the cluster is complete", func() bool {
			for _, node := range servers {
				if node.JetStreamIsLeader() && len(node.JetStreamClusterPeers()) == n {
					return true
				}
			}
			return false
		})
	}
	return urls
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("it did not come about that %s", what)
}

// backends runs a test on the embedded server and, with several stores, on one
// NATS server and on a cluster of three.
func backends(t *testing.T, test func(t *testing.T, stores []*Store)) {
	t.Run("embedded", func(t *testing.T) {
		test(t, []*Store{open(t, Config{DataDir: t.TempDir()})})
	})
	t.Run("one server", func(t *testing.T) {
		urls := startNATS(t, 1)
		test(t, []*Store{open(t, Config{URL: urls[0]}), open(t, Config{URL: urls[0]})})
	})
	t.Run("cluster", func(t *testing.T) {
		var stores []*Store
		for _, u := range startNATS(t, 3) {
			stores = append(stores, open(t, Config{URL: u}))
		}
		if got := stores[0].log.CachedInfo().Config.Replicas; got != 3 {
			t.Fatalf("the log has %d replicas, want 3", got)
		}
		test(t, stores)
	})
}

func group(name string) []byte { return []byte(name) }

func commit(user string, groupID []byte, epoch uint64) Commit {
	return Commit{User: user, Group: groupID, Epoch: epoch, Message: fmt.Appendf(nil, "commit %d of %s", epoch, user)}
}

// inviting adds users to whom a commit's Welcome goes, who then may publish too.
func inviting(c Commit, users ...string) Commit {
	w := Welcome{Message: []byte("welcome")}
	for _, user := range users {
		w.To = append(w.To, Address(user))
	}
	c.Welcomes = append(c.Welcomes, w)
	return c
}

func mustCommit(t *testing.T, s *Store, c Commit) Outcome {
	t.Helper()
	outcome, err := s.PublishCommit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// readAll reads a group's log from a sequence on up to and with the last one.
func readAll(t *testing.T, s *Store, groupID []byte, from, last uint64) []Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cursor := s.FollowLog(groupID, from)
	defer cursor.Close()
	var entries []Entry
	for len(entries) == 0 || entries[len(entries)-1].Seq < last {
		entry, err := cursor.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// Twenty committers race through the epochs, spread over all stores. Each epoch
// has one winner, every loser is told a later epoch, and the log holds the
// winners alone, in order.
func TestOneCommitAnEpoch(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		const committers, epochs, first = 20, 12, 7
		var winners [epochs]atomic.Int32
		var lastSeq atomic.Uint64
		// The first commit fixes the epoch.
		start := commit("first", group("g"), first)
		for i := range committers {
			start = inviting(start, fmt.Sprint("user", i))
		}
		if o := mustCommit(t, stores[0], start); !o.Accepted || o.Epoch != first+1 {
			t.Fatalf("first commit: %+v", o)
		}
		var all sync.WaitGroup
		for i := range committers {
			s := stores[i%len(stores)]
			all.Go(func() {
				for epoch := uint64(first + 1); epoch < first+1+epochs; {
					o, err := s.PublishCommit(t.Context(), commit(fmt.Sprint("user", i), group("g"), epoch))
					if err != nil {
						t.Error(err)
						return
					}
					if o.Accepted {
						winners[epoch-first-1].Add(1)
						if epoch == first+epochs {
							lastSeq.Store(o.Seq)
						}
					} else if o.Epoch <= epoch {
						t.Errorf("lost epoch %d, yet told that the group is at %d", epoch, o.Epoch)
						return
					}
					epoch = o.Epoch
				}
			})
		}
		all.Wait()
		for i := range winners {
			if n := winners[i].Load(); n != 1 {
				t.Errorf("epoch %d has %d accepted commits", first+1+i, n)
			}
		}
		entries := readAll(t, stores[len(stores)-1], group("g"), 0, lastSeq.Load())
		if len(entries) != epochs+1 {
			t.Fatalf("the log holds %d commits, want %d", len(entries), epochs+1)
		}
		for i, entry := range entries {
			if !bytes.HasPrefix(entry.Message, fmt.Appendf(nil, "commit %d of ", first+i)) {
				t.Errorf("entry %d is %q", i, entry.Message)
			}
		}
	})
}

// A group that nobody has seen: of commits of different epochs, one fixes it.
func TestRacingFirstCommits(t *testing.T) {
	urls := startNATS(t, 1)
	stores := []*Store{open(t, Config{URL: urls[0]}), open(t, Config{URL: urls[0]})}
	for round := range 20 {
		g := group(fmt.Sprint("group", round))
		var accepted atomic.Int32
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				// Epochs far apart, so that none can follow another.
				o, err := stores[i%2].PublishCommit(t.Context(), commit("u", g, uint64(10*i)))
				if err != nil {
					t.Error(err)
				}
				if o.Accepted {
					accepted.Add(1)
				}
			})
		}
		all.Wait()
		if accepted.Load() != 1 {
			t.Fatalf("%d first commits accepted", accepted.Load())
		}
	}
}

func TestCommitEpochs(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	request := inviting(commit("alice", group("g"), 3), "bob")
	first := mustCommit(t, s, request)
	for _, epoch := range []uint64{0, 2, 3, 5, 6, 1 << 60} {
		if o := mustCommit(t, s, commit("bob", group("g"), epoch)); o.Accepted || o.Epoch != 4 {
			t.Errorf("commit of epoch %d at epoch 4: %+v", epoch, o)
		}
	}
	// The author who did not get the answer asks again.
	if o := mustCommit(t, s, request); o != first {
		t.Errorf("repeated: %+v, want %+v", o, first)
	}
	// Another author's commit of the same bytes is another commit.
	same := request
	same.User = "mallory"
	if o := mustCommit(t, s, same); o.Accepted {
		t.Errorf("mallory took alice's commit for hers: %+v", o)
	}
	// After the next one the repeated commit is stale; the log has it.
	mustCommit(t, s, commit("bob", group("g"), 4))
	if o := mustCommit(t, s, request); o.Accepted || o.Epoch != 5 {
		t.Errorf("repeated late: %+v", o)
	}
	// Other groups are not touched.
	if o := mustCommit(t, s, commit("alice", group("h"), 0)); !o.Accepted {
		t.Errorf("another group: %+v", o)
	}
}

// A store that has not heard of the other's commits answers right nevertheless.
func TestOldHead(t *testing.T) {
	urls := startNATS(t, 1)
	a, b := open(t, Config{URL: urls[0]}), open(t, Config{URL: urls[0]})
	mustCommit(t, a, inviting(commit("alice", group("g"), 0), "bob"))
	old, _ := a.heads.get(token(group("g")))
	mustCommit(t, b, commit("bob", group("g"), 1))
	last := commit("bob", group("g"), 2)
	last.Members = []string{"alice", "u"}
	passed := mustCommit(t, b, last)
	eventually(t, "the other store hears of it", func() bool {
		a.heads.mu.Lock()
		defer a.heads.mu.Unlock()
		return a.heads.byGroup[token(group("g"))].seq == passed.Seq
	})
	forget := func() { // as if it had not heard
		a.heads.mu.Lock()
		defer a.heads.mu.Unlock()
		a.heads.byGroup[token(group("g"))] = old
	}
	a.heads.put(token(group("g")), old) // a read that was on its way
	if got, ok := a.heads.get(token(group("g"))); ok {
		t.Fatalf("an old head came back: %+v", got)
	}
	forget()
	if _, _, err := a.PublishMessage(t.Context(), Message{User: "u", Group: group("g"), Epoch: 3, Message: []byte("m")}); err != nil {
		t.Errorf("a message of the epoch that the other store knows: %v", err)
	}
	forget()
	if o := mustCommit(t, a, commit("alice", group("g"), 1)); o.Accepted || o.Epoch != 3 {
		t.Errorf("a commit that is stale only to the other store: %+v", o)
	}
	forget()
	if o := mustCommit(t, a, commit("alice", group("g"), 3)); !o.Accepted {
		t.Errorf("a commit that is ahead only of the old head: %+v", o)
	}
}

func TestMessageEpochs(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	send := func(epoch uint64, proposal bool) error {
		_, current, err := s.PublishMessage(t.Context(), Message{User: "u", Group: group("g"), Epoch: epoch,
			Proposal: proposal, Message: fmt.Appendf(nil, "%d %v %d", epoch, proposal, rand.Int())})
		if err != nil && current != 41 {
			t.Errorf("refused with epoch %d, want 41", current)
		}
		return err
	}
	if err := send(99, false); err != nil {
		t.Errorf("a group without a commit: %v", err)
	}
	mustCommit(t, s, commit("u", group("g"), 40))
	for _, c := range []struct {
		epoch    uint64
		proposal bool
		want     error
	}{
		{41, false, nil}, {41, true, nil},
		{42, false, ErrEpochAhead}, {42, true, ErrEpochAhead}, {1<<64 - 1, false, ErrEpochAhead},
		{40, false, nil}, {40, true, ErrEpochBehind},
		{41 - PastEpochs, false, nil}, {41 - PastEpochs - 1, false, ErrEpochBehind}, {0, false, ErrEpochBehind},
	} {
		if err := send(c.epoch, c.proposal); !errors.Is(err, c.want) {
			t.Errorf("epoch %d, proposal %v: %v, want %v", c.epoch, c.proposal, err, c.want)
		}
	}
}

func TestRepeatedMessageIsOne(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	m := Message{User: "alice", Group: group("g"), Message: []byte("once")}
	first, _, err := s.PublishMessage(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := s.PublishMessage(t.Context(), m)
	if err != nil || again != first {
		t.Errorf("repeated: sequence %d, %v, want %d", again, err, first)
	}
	m.User = "bob"
	other, _, err := s.PublishMessage(t.Context(), m)
	if err != nil || other == first {
		t.Errorf("another user's message of the same bytes: sequence %d, %v", other, err)
	}
	if n := len(readAll(t, s, group("g"), 0, other)); n != 2 {
		t.Errorf("the log holds %d messages, want 2", n)
	}
}

// Readers that start at any time and sequence, while many publish, all see the
// same log: nothing missing, nothing twice, nothing of the other group.
func TestReplayThenLive(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		const writers, each = 4, 50
		type result struct {
			from    uint64
			entries []Entry
		}
		results := make(chan result, 100)
		var last atomic.Uint64
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var readers, writing sync.WaitGroup
		read := func(s *Store, from uint64) {
			readers.Go(func() {
				cursor := s.FollowLog(group("g"), from)
				defer cursor.Close()
				var entries []Entry
				for {
					entry, err := cursor.Next(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					if string(entry.Message) == "end" {
						results <- result{from, entries}
						return
					}
					entries = append(entries, entry)
				}
			})
		}
		for w := range writers {
			writing.Go(func() {
				for i := range each {
					s := stores[(w+i)%len(stores)]
					for _, g := range []string{"g", "other"} {
						seq, _, err := s.PublishMessage(t.Context(), Message{User: "u", Group: group(g), Message: fmt.Appendf(nil, "%s %d %d", g, w, i)})
						if err != nil {
							t.Error(err)
							return
						}
						if g == "g" {
							last.Store(seq)
						}
					}
					if w == 0 && i%10 == 0 {
						read(stores[i%len(stores)], 0)
						read(stores[(i+1)%len(stores)], last.Load())
					}
				}
			})
		}
		writing.Wait()
		if _, _, err := stores[0].PublishMessage(t.Context(), Message{User: "u", Group: group("g"), Message: []byte("end")}); err != nil {
			t.Fatal(err)
		}
		readers.Wait()
		close(results)
		var whole []Entry
		var all []result
		for r := range results {
			if r.from == 0 {
				if len(r.entries) != writers*each {
					t.Fatalf("a reader of everything has %d messages, want %d", len(r.entries), writers*each)
				}
				whole = r.entries
			}
			all = append(all, r)
		}
		if len(all) != 10 {
			t.Fatalf("%d readers finished, want 10", len(all))
		}
		same := func(a, b Entry) bool { return a.Seq == b.Seq && bytes.Equal(a.Message, b.Message) }
		for _, r := range all {
			at, _ := slices.BinarySearchFunc(whole, r.from, func(e Entry, from uint64) int {
				if e.Seq < from {
					return -1
				}
				return 1
			})
			if !slices.EqualFunc(r.entries, whole[at:], same) {
				t.Errorf("the reader from %d saw another log", r.from)
			}
		}
		// Each writer's messages are in its order.
		next := make([]int, writers)
		for _, entry := range whole {
			var w, i int
			if _, err := fmt.Sscanf(string(entry.Message), "g %d %d", &w, &i); err != nil || next[w] != i {
				t.Fatalf("message %q, where writer %d is at %d", entry.Message, w, next[w])
			}
			next[w]++
		}
	})
}

func TestKeyPackageClaimedOnce(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		const total, claimers = 60, 12
		var published [][]byte
		for i := range total {
			published = append(published, fmt.Appendf(nil, "key package %d", i))
		}
		for part := range slices.Chunk(published, 20) {
			if err := stores[0].PublishKeyPackages(t.Context(), "bob", part, 1000); err != nil {
				t.Fatal(err)
			}
		}
		// Published again: the same ones.
		if err := stores[0].PublishKeyPackages(t.Context(), "bob", published[:20], 1000); err != nil {
			t.Fatal(err)
		}
		if n, err := stores[0].CountKeyPackages(t.Context(), "bob"); err != nil || n != total {
			t.Fatalf("%d key packages, %v, want %d", n, err, total)
		}
		if _, _, err := stores[0].ClaimKeyPackage(t.Context(), "bo"); !errors.Is(err, ErrNoKeyPackage) {
			t.Fatalf("another user's: %v", err)
		}
		var mu sync.Mutex
		claimed := make(map[string]int)
		var all sync.WaitGroup
		for i := range claimers {
			all.Go(func() {
				for {
					keyPackage, _, err := stores[i%len(stores)].ClaimKeyPackage(t.Context(), "bob")
					if errors.Is(err, ErrNoKeyPackage) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					claimed[string(keyPackage)]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(claimed) != total {
			t.Errorf("%d key packages claimed, want %d", len(claimed), total)
		}
		for keyPackage, n := range claimed {
			if n != 1 {
				t.Errorf("%q claimed %d times", keyPackage, n)
			}
		}
	})
}

func TestKeyPackageLimit(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	if err := s.PublishKeyPackages(t.Context(), "bob", [][]byte{{1}, {2}, {3}}, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.PublishKeyPackages(t.Context(), "bob", [][]byte{{4}}, 3); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if err := s.PublishKeyPackages(t.Context(), "carol", [][]byte{{4}}, 3); err != nil {
		t.Errorf("another user: %v", err)
	}
	// The oldest first.
	for want := byte(1); want <= 3; want++ {
		if got, _, err := s.ClaimKeyPackage(t.Context(), "bob"); err != nil || !bytes.Equal(got, []byte{want}) {
			t.Errorf("claimed %v, %v, want %d", got, err, want)
		}
	}
}

func nextWelcome(t *testing.T, s *Store, user Address) (PendingWelcome, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cursor := s.FollowWelcomes(user)
	defer cursor.Close()
	w, err := cursor.Next(ctx)
	return w, err == nil
}

func pendingWelcomes(t *testing.T, s *Store, user Address) int {
	t.Helper()
	n, err := count(t.Context(), s.welcomes, welcomeSubjects(user))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWelcomes(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		s, far := stores[0], stores[len(stores)-1]
		c := commit("alice", group("g"), 0)
		c.Welcomes = []Welcome{{To: []Address{"bob", "carol"}, Message: []byte("welcome both")}, {To: []Address{"bob"}, Message: []byte("and bob")}}
		won := mustCommit(t, s, c)
		lost := commit("mallory", group("g"), 0)
		lost.Welcomes = []Welcome{{To: []Address{"bob", "dave"}, Message: []byte("of a commit that lost")}}
		if o := mustCommit(t, far, lost); o.Accepted {
			t.Fatal("both accepted")
		}
		if o := mustCommit(t, s, c); o != won { // a retry queues nothing again
			t.Fatalf("repeated: %+v", o)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cursor := far.FollowWelcomes("bob")
		defer cursor.Close()
		var ids []string
		var got []string
		for range 2 {
			w, err := cursor.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if w.Seq != won.Seq || !bytes.Equal(w.Group, group("g")) {
				t.Errorf("welcome %+v, want sequence %d", w, won.Seq)
			}
			ids, got = append(ids, w.ID), append(got, string(w.Welcome))
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"and bob", "welcome both"}) {
			t.Errorf("bob got %q", got)
		}
		if w, ok := nextWelcome(t, s, "carol"); !ok || string(w.Welcome) != "welcome both" {
			t.Errorf("carol got %+v", w)
		}

		// Acknowledging is the user's own, and may be repeated.
		if ok, err := s.AcknowledgeWelcome(t.Context(), "carol", "999-0"); !ok || err != nil {
			t.Errorf("unknown id: %v, %v", ok, err)
		}
		for range 2 {
			if ok, err := s.AcknowledgeWelcome(t.Context(), "bob", ids[0]); !ok || err != nil {
				t.Errorf("acknowledge: %v, %v", ok, err)
			}
		}
		for _, bad := range []string{"", ">", "*", "1", "1-", "-1", "1-*", "1-2-3", "1-2.>", "x-1", "1--1", "01-0", "1-00", "+1-0"} {
			if ok, err := s.AcknowledgeWelcome(t.Context(), "bob", bad); ok || err != nil {
				t.Errorf("id %q: %v, %v", bad, ok, err)
			}
		}
		if b, c, d := pendingWelcomes(t, s, "bob"), pendingWelcomes(t, s, "carol"), pendingWelcomes(t, s, "dave"); b != 1 || c != 1 || d != 0 {
			t.Errorf("pending: bob %d, carol %d, dave %d; want 1, 1, 0", b, c, d)
		}
		if w, ok := nextWelcome(t, far, "bob"); !ok || w.ID != ids[1] {
			t.Errorf("bob's next is %+v, want id %s", w, ids[1])
		}
		if err := s.CheckWelcomeQueues(t.Context(), c.Welcomes, 1); !errors.Is(err, ErrFull) {
			t.Errorf("full queue: %v", err)
		}
		if err := s.CheckWelcomeQueues(t.Context(), c.Welcomes, 2); err != nil {
			t.Errorf("queue with room: %v", err)
		}
	})
}

// The process ends between accepting a commit and queueing its welcomes: the
// next one queues them.
func TestWelcomeAfterCrash(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{DataDir: dir, Logger: quiet, holdWelcomes: true})
	if err != nil {
		t.Fatal(err)
	}
	c := commit("alice", group("g"), 0)
	c.Welcomes = []Welcome{{To: []Address{"bob"}, Message: []byte("welcome")}}
	o := mustCommit(t, s, c)
	time.Sleep(200 * time.Millisecond)
	if n := pendingWelcomes(t, s, "bob"); n != 0 {
		t.Fatalf("%d welcomes queued already", n)
	}
	s.Close()

	s = open(t, Config{DataDir: dir})
	if w, ok := nextWelcome(t, s, "bob"); !ok || string(w.Welcome) != "welcome" || w.Seq != o.Seq {
		t.Errorf("after the crash bob got %+v", w)
	}
}

// The process ends between queueing the welcomes and noting that it did: the
// next one queues them again, and there is still one.
func TestWelcomeQueuedTwiceIsOne(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	c := commit("alice", group("g"), 0)
	c.Welcomes = []Welcome{{To: []Address{"bob"}, Message: []byte("welcome")}}
	o := mustCommit(t, s, c)
	eventually(t, "the welcome is queued", func() bool { return pendingWelcomes(t, s, "bob") == 1 })
	record := &commitRecord{Commit: c.Message, Welcomes: c.Welcomes}
	if err := s.pointToWelcomes(t.Context(), o.Seq, record); err != nil {
		t.Fatal(err)
	}
	if n := pendingWelcomes(t, s, "bob"); n != 1 {
		t.Errorf("%d welcomes queued, want 1", n)
	}
}

func TestGroupInfo(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	want := func(text string, epoch uint64) {
		t.Helper()
		got, at, err := s.GroupInfo(t.Context(), group("g"))
		if text == "" {
			if !errors.Is(err, ErrNoGroupInfo) {
				t.Errorf("%q, %v, want none", got, err)
			}
			return
		}
		if err != nil || string(got) != text || at != epoch {
			t.Errorf("%q of epoch %d, %v, want %q of %d", got, at, err, text, epoch)
		}
	}
	put := func(text string, epoch uint64, want error) {
		t.Helper()
		if _, err := s.PublishGroupInfo(t.Context(), "alice", group("g"), epoch, []byte(text)); !errors.Is(err, want) {
			t.Errorf("publish %q: %v, want %v", text, err, want)
		}
	}
	want("", 0)
	put("of the founder", 0, nil)
	want("of the founder", 0)
	mustCommit(t, s, commit("alice", group("g"), 0))
	want("", 0) // the one there is has become stale
	put("alone", 1, nil)
	want("alone", 1)
	c := commit("alice", group("g"), 1)
	c.GroupInfo = []byte("with the commit")
	mustCommit(t, s, c)
	want("with the commit", 2)
	put("old", 1, ErrEpochBehind)
	put("early", 3, ErrEpochAhead)
	want("with the commit", 2)
	put("newer", 2, nil)
	want("newer", 2)
}

func TestUsers(t *testing.T) {
	backends(t, func(t *testing.T, stores []*Store) {
		var claimed atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				same, err := stores[i%len(stores)].ClaimUser(t.Context(), "alice", fmt.Sprint("token", i))
				if err != nil {
					t.Error(err)
				}
				if same {
					claimed.Add(1)
				}
			})
		}
		all.Wait()
		if claimed.Load() != 1 {
			t.Errorf("%d tokens hold the name", claimed.Load())
		}
	})
}

// Everything survives a restart, and lies in the data folder.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{DataDir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	c := commit("alice", group("g"), 0)
	c.Welcomes = []Welcome{{To: []Address{"bob"}, Message: []byte("stored welcome")}}
	c.GroupInfo = []byte("stored GroupInfo")
	o := mustCommit(t, s, c)
	seq, _, err := s.PublishMessage(t.Context(), Message{User: "alice", Group: group("g"), Epoch: 1, Message: []byte("stored message")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PublishKeyPackages(t.Context(), "bob", [][]byte{[]byte("stored key package")}, 10); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.ClaimUser(t.Context(), "bob", "token"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := Open(t.Context(), Config{DataDir: dir, Logger: quiet}); err == nil {
		t.Error("a second process may open the same data folder")
	}
	s.Close()

	var stored bytes.Buffer
	if err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		stored.Write(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"stored welcome", "stored GroupInfo", "stored message", "stored key package", "commit 0 of alice"} {
		if !bytes.Contains(stored.Bytes(), []byte(text)) {
			t.Errorf("%q is not in the data folder", text)
		}
	}

	s = open(t, Config{DataDir: dir})
	entries := readAll(t, s, group("g"), 0, seq)
	if len(entries) != 2 || entries[0].Seq != o.Seq || !bytes.Equal(entries[0].Message, c.Message) || string(entries[1].Message) != "stored message" {
		t.Errorf("the log is %+v", entries)
	}
	if again := mustCommit(t, s, commit("bob", group("g"), 0)); again.Accepted || again.Epoch != 1 {
		t.Errorf("the epoch of the group is forgotten: %+v", again)
	}
	if info, _, err := s.GroupInfo(t.Context(), group("g")); err != nil || string(info) != "stored GroupInfo" {
		t.Errorf("GroupInfo %q, %v", info, err)
	}
	if w, ok := nextWelcome(t, s, "bob"); !ok || string(w.Welcome) != "stored welcome" {
		t.Errorf("welcome %+v", w)
	}
	if n := pendingWelcomes(t, s, "bob"); n != 1 {
		t.Errorf("%d welcomes, want 1", n)
	}
	if k, _, err := s.ClaimKeyPackage(t.Context(), "bob"); err != nil || string(k) != "stored key package" {
		t.Errorf("key package %q, %v", k, err)
	}
	if ok, err := s.ClaimUser(t.Context(), "bob", "other"); ok || err != nil {
		t.Errorf("the name went to another token: %v, %v", ok, err)
	}
}

func TestTooLarge(t *testing.T) {
	urls := startNATS(t, 1) // with the usual maximal payload of 1 MiB
	s := open(t, Config{URL: urls[0]})
	if got := s.MaxRecord(); got != 1<<20-recordOverhead {
		t.Fatalf("the largest record has %d bytes", got)
	}
	big := make([]byte, s.MaxRecord())
	if _, _, err := s.PublishMessage(t.Context(), Message{Group: group("g"), Message: big}); err != nil {
		t.Errorf("the largest message: %v", err)
	}
	big = append(big, 0)
	if _, _, err := s.PublishMessage(t.Context(), Message{Group: group("g"), Message: big}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("message: %v", err)
	}
	if _, err := s.PublishCommit(t.Context(), Commit{Group: group("g"), Message: big}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("commit: %v", err)
	}
	if _, err := s.PublishGroupInfo(t.Context(), "alice", group("g"), 0, big); !errors.Is(err, ErrTooLarge) {
		t.Errorf("GroupInfo: %v", err)
	}
	if err := s.PublishKeyPackages(t.Context(), "u", [][]byte{big}, 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("key package: %v", err)
	}
}

// Names and group ids of any bytes stay apart in the subjects.
func TestOddNames(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	names := []string{"*", ">", "a.b", "a b", "ä", "\x00", string(bytes.Repeat([]byte{0xff}, 255))}
	for i, name := range names {
		if err := s.PublishKeyPackages(t.Context(), Address(name), [][]byte{{byte(i)}}, 1); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if o := mustCommit(t, s, commit("u", []byte(name), uint64(i))); !o.Accepted {
			t.Errorf("%q: %+v", name, o)
		}
	}
	for i, name := range names {
		if k, _, err := s.ClaimKeyPackage(t.Context(), Address(name)); err != nil || !bytes.Equal(k, []byte{byte(i)}) {
			t.Errorf("%q: %v, %v", name, k, err)
		}
	}
}

// What is remembered for several readers is bounded for all groups together, and
// is given back.
func TestRememberedMessages(t *testing.T) {
	s := open(t, Config{DataDir: t.TempDir()})
	s.logTail.recentBytes.Store(allRecentBytes - (3 << 20)) // what others have
	var cursors []*Cursor[Entry]
	for i := range 8 {
		id := group(fmt.Sprint("g", i))
		for k := range 3 {
			if _, _, err := s.PublishMessage(t.Context(), Message{User: "u", Group: id, Message: append(make([]byte, 400<<10), byte(k))}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			cursor := s.FollowLog(id, 1)
			for k := range 3 {
				entry, err := cursor.Next(t.Context())
				if err != nil || entry.Message[400<<10] != byte(k) {
					t.Fatal(k, err)
				}
			}
			cursors = append(cursors, cursor)
		}
	}
	sum := 0
	for _, f := range s.logTail.feeds {
		for _, m := range f.recent {
			sum += len(m.msg.Data)
		}
	}
	if sum == 0 || sum > 3<<20 || s.logTail.recentBytes.Load() != int64(sum)+allRecentBytes-(3<<20) {
		t.Errorf("%d bytes are remembered, %d counted", sum, s.logTail.recentBytes.Load()-allRecentBytes+(3<<20))
	}
	for _, cursor := range cursors {
		cursor.Close()
	}
	if got := s.logTail.recentBytes.Load(); got != allRecentBytes-(3<<20) {
		t.Errorf("%d bytes are counted when nobody reads", got)
	}
}
