package schedule

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

func lookup(t testing.TB, id suite.ID) *suite.Suite {
	t.Helper()
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantCode(t *testing.T, what string, err error, want mlserr.Code) {
	t.Helper()
	if mlserr.CodeOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// encryptionSecret is some encryption_secret.
func encryptionSecret(s *suite.Suite) []byte {
	return s.Hash([]byte("encryption secret"))
}

// reference derives a key and a nonce by the diagrams of RFC 9420, Section 9,
// from the root down, with nothing kept and nothing deleted.
func reference(s *suite.Suite, leafCount uint32, leaf treemath.LeafIndex, r Ratchet, generation uint32) (key, nonce []byte) {
	size, _ := treemath.LeavesFor(leafCount)
	secret := encryptionSecret(s)
	for x := treemath.Root(size); x != leaf.Node(); {
		left, _ := x.Left()
		right, _ := x.Right()
		if treemath.InSubtree(left, leaf.Node()) {
			x, secret = left, s.ExpandWithLabel(secret, "tree", []byte("left"), s.HashSize())
		} else {
			x, secret = right, s.ExpandWithLabel(secret, "tree", []byte("right"), s.HashSize())
		}
	}
	secret = s.ExpandWithLabel(secret, []string{"handshake", "application"}[r], nil, s.HashSize())
	for j := range generation {
		secret = s.DeriveTreeSecret(secret, "secret", j, s.HashSize())
	}
	return s.DeriveTreeSecret(secret, "key", generation, s.KeySize()),
		s.DeriveTreeSecret(secret, "nonce", generation, s.NonceSize())
}

func checkKey(t *testing.T, tree *SecretTree, leaf treemath.LeafIndex, r Ratchet, generation uint32, key, nonce []byte) {
	t.Helper()
	wantKey, wantNonce := reference(tree.suite, tree.leafCount, leaf, r, generation)
	if !bytes.Equal(key, wantKey) || !bytes.Equal(nonce, wantNonce) {
		t.Fatalf("leaf %d, ratchet %d, generation %d: wrong key or nonce", leaf, r, generation)
	}
}

func recordsOf(tree *SecretTree) map[string][]byte {
	records := map[string][]byte{}
	tree.Records(func(name string, record []byte) { records[name] = bytes.Clone(record) })
	return records
}

func sameRecords(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// store makes the changes of a draft in records, as a Store does.
func store(records map[string][]byte, d *Draft) {
	d.Changes(func(name string, record []byte) {
		if record == nil {
			delete(records, name)
		} else {
			records[name] = bytes.Clone(record)
		}
	})
}

func load(t *testing.T, s *suite.Suite, leafCount uint32, records map[string][]byte) *SecretTree {
	t.Helper()
	tree, err := LoadSecretTree(s, leafCount, func(name string) ([]byte, bool) {
		record, ok := records[name]
		return record, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Messages of all leaves and both ratchets arrive in a random order, some of
// them in one draft with others, some in drafts that are dropped, and the tree is
// loaded anew from what was stored now and then. Each key is right once and gone
// after that.
func TestDeliveryOutOfOrder(t *testing.T) {
	type position struct {
		leaf       treemath.LeafIndex
		ratchet    Ratchet
		generation uint32
	}
	for _, id := range []suite.ID{1, 6, 7} {
		for _, leafCount := range []uint32{1, 2, 3, 8, 13} {
			t.Run(fmt.Sprintf("suite%d/%d", id, leafCount), func(t *testing.T) {
				s := lookup(t, id)
				random := rand.New(rand.NewPCG(uint64(id), uint64(leafCount)))
				tree := NewSecretTree(s, leafCount, encryptionSecret(s))
				stored := recordsOf(tree)

				var messages []position
				for leaf := range leafCount {
					for generation := range uint32(6) {
						messages = append(messages,
							position{treemath.LeafIndex(leaf), Handshake, generation},
							position{treemath.LeafIndex(leaf), Application, generation})
					}
				}
				random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })

				for done := 0; done < len(messages); {
					batch := messages[done:min(len(messages), done+1+random.IntN(4))]
					dropped := random.IntN(3) == 0
					before := recordsOf(tree)
					d := tree.Draft()
					for _, m := range batch {
						key, nonce, err := d.Key(m.leaf, m.ratchet, m.generation)
						if err != nil {
							t.Fatal(err)
						}
						checkKey(t, tree, m.leaf, m.ratchet, m.generation, key, nonce)
						_, _, err = d.Key(m.leaf, m.ratchet, m.generation)
						wantCode(t, "replay in one draft", err, mlserr.AlreadyProcessed)
						// The caller may do with them as it likes.
						suite.Wipe(key, nonce)
					}
					if !sameRecords(recordsOf(tree), before) {
						t.Fatal("a draft changed the tree")
					}
					if dropped {
						if random.IntN(2) == 0 {
							d.Wipe()
						}
						if !sameRecords(recordsOf(tree), before) {
							t.Fatal("a dropped draft changed the tree")
						}
						continue
					}
					store(stored, d)
					d.Apply()
					if !sameRecords(recordsOf(tree), stored) {
						t.Fatal("the changes are not what Apply did")
					}
					if random.IntN(3) == 0 {
						tree = load(t, s, leafCount, stored)
						if !sameRecords(recordsOf(tree), stored) {
							t.Fatal("a loaded tree has other records")
						}
					}
					done += len(batch)
				}
				for _, m := range messages {
					_, _, err := tree.Draft().Key(m.leaf, m.ratchet, m.generation)
					wantCode(t, "replay", err, mlserr.AlreadyProcessed)
				}
			})
		}
	}
}

func TestSendThenReceiveInOneDraft(t *testing.T) {
	s := lookup(t, 1)
	tree := NewSecretTree(s, 4, encryptionSecret(s))
	d := tree.Draft()
	for want := range uint32(3) {
		generation, key, nonce, err := d.Next(2, Application)
		if err != nil || generation != want {
			t.Fatalf("generation %d, %v, want %d", generation, err, want)
		}
		checkKey(t, tree, 2, Application, generation, key, nonce)
		key, nonce, err = d.Key(3, Handshake, 10-want)
		if err != nil {
			t.Fatal(err)
		}
		checkKey(t, tree, 3, Handshake, 10-want, key, nonce)
	}
	d.Apply()
	// The draft is empty now, and of use again.
	d.Changes(func(name string, record []byte) { t.Errorf("%s is still to be stored", name) })
	if generation, _, _, err := d.Next(2, Application); err != nil || generation != 3 {
		t.Fatal(generation, err)
	}
	if generation, _, _, err := tree.Draft().Next(2, Application); err != nil || generation != 3 {
		t.Fatal(generation, err)
	}
}

// The example of RFC 9420, Section 9.2: D sends generation 1, and generation 0
// has not come.
func TestDeletionSchedule(t *testing.T) {
	s := lookup(t, 1)
	tree := NewSecretTree(s, 4, encryptionSecret(s))
	root := tree.nodes[3]
	d := tree.Draft()
	if _, _, err := d.Key(3, Application, 1); err != nil {
		t.Fatal(err)
	}
	if isZero(root) {
		t.Fatal("the draft wiped the tree")
	}
	d.Apply()
	if !isZero(root) {
		t.Error("the encryption_secret is not wiped")
	}
	if got := slices.Sorted(maps.Keys(tree.nodes)); !slices.Equal(got, []treemath.NodeIndex{1, 4}) {
		t.Errorf("nodes %v are held, want E and C", got)
	}
	if len(tree.leaves) != 1 {
		t.Fatal("ratchets of other leaves")
	}
	application := &tree.leaves[3][Application]
	if application.next != 2 || len(application.skipped) != 1 || application.skipped[0].generation != 0 {
		t.Errorf("application ratchet %+v", application)
	}
	if tree.leaves[3][Handshake].next != 0 {
		t.Error("HR0 is gone")
	}

	// The next message consumes AR2, and the late one K0 and N0.
	secret, late := application.secret, application.skipped[0]
	for _, generation := range []uint32{2, 0} {
		if isZero(late.key) || isZero(late.nonce) {
			t.Fatal("K0 is wiped before it is used")
		}
		d = tree.Draft()
		if _, _, err := d.Key(3, Application, generation); err != nil {
			t.Fatal(err)
		}
		d.Apply()
	}
	if !isZero(secret) || !isZero(late.key) || !isZero(late.nonce) {
		t.Error("consumed secrets are not wiped")
	}

	held := allSecrets(tree)
	tree.Wipe()
	for _, secret := range held {
		if !isZero(secret) {
			t.Error("Wipe leaves a secret")
		}
	}
	_, _, err := tree.Draft().Key(0, Application, 0)
	wantCode(t, "after Wipe", err, mlserr.Internal)
}

// Whatever a draft did, Wipe overwrites all that it made and nothing that the
// tree holds; and Apply nothing that the tree holds after it.
func TestWipesOnlyWhatIsDropped(t *testing.T) {
	s := lookup(t, 1)
	random := rand.New(rand.NewPCG(1, 2))
	tree := NewSecretTree(s, 8, encryptionSecret(s))
	for range 300 {
		d := tree.Draft()
		before := allSecrets(tree)
		for range 1 + random.IntN(4) {
			d.Key(treemath.LeafIndex(random.IntN(8)), Ratchet(random.IntN(2)), uint32(random.IntN(40)))
		}
		made := draftSecrets(d)
		for _, secret := range slices.Concat(before, made) {
			if isZero(secret) {
				t.Fatal("a secret in use is wiped")
			}
		}
		if random.IntN(2) == 0 {
			d.Wipe()
			for _, secret := range made {
				if !isZero(secret) && !holds(before, secret) {
					t.Fatal("Draft.Wipe leaves a secret")
				}
			}
		} else {
			d.Apply()
			after := allSecrets(tree)
			for _, secret := range before {
				if isZero(secret) == holds(after, secret) {
					t.Fatal("Apply wipes what it should not, or the other way round")
				}
			}
		}
		for _, secret := range allSecrets(tree) {
			if isZero(secret) {
				t.Fatal("the tree holds a wiped secret")
			}
		}
	}
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func holds(list [][]byte, secret []byte) bool {
	return slices.ContainsFunc(list, func(b []byte) bool { return sameSlice(b, secret) })
}

func (l *leafRatchets) secrets() (all [][]byte) {
	for i := range l {
		all = append(all, l[i].secret)
		for _, k := range l[i].skipped {
			all = append(all, k.key, k.nonce)
		}
	}
	return all
}

func allSecrets(t *SecretTree) (all [][]byte) {
	for _, secret := range t.nodes {
		all = append(all, secret)
	}
	for _, l := range t.leaves {
		all = append(all, l.secrets()...)
	}
	return all
}

func draftSecrets(d *Draft) (all [][]byte) {
	for _, secret := range d.nodes {
		if secret != nil {
			all = append(all, secret)
		}
	}
	for _, l := range d.leaves {
		all = append(all, l.secrets()...)
	}
	return all
}

func TestLimits(t *testing.T) {
	s := lookup(t, 1)
	for _, c := range []struct {
		limits           Limits
		forward, skipped uint32
	}{
		{Limits{}, 1000, 1000},
		{Limits{MaxForward: 20, MaxSkipped: 7}, 20, 7},
		{Limits{MaxForward: 20, MaxSkipped: 50}, 20, 50},
		{Limits{MaxForward: 20, MaxSkipped: -1}, 20, 0},
	} {
		tree := NewSecretTree(s, 2, encryptionSecret(s))
		tree.Limits = c.limits
		_, _, err := tree.Draft().Key(1, Application, c.forward+1)
		wantCode(t, "one too far", err, mlserr.GenerationTooFar)

		at := c.forward
		receive := func(generation uint32) {
			t.Helper()
			d := tree.Draft()
			key, nonce, err := d.Key(1, Application, generation)
			if err != nil {
				t.Fatal(err)
			}
			checkKey(t, tree, 1, Application, generation, key, nonce)
			d.Apply()
		}
		// As far as may be, then a little further: the oldest keys go.
		receive(at)
		at += 6
		receive(at)
		_, _, err = tree.Draft().Key(1, Application, at+1+c.forward+1)
		wantCode(t, "too far from the new position", err, mlserr.GenerationTooFar)

		retained := int(min(c.skipped, c.forward+5))
		skipped := tree.leaves[1][Application].skipped
		if len(skipped) != retained {
			t.Fatalf("%+v: %d keys are retained, want %d", c.limits, len(skipped), retained)
		}
		for _, generation := range []uint32{at - 1, at - 5} {
			if int(at-generation) <= retained {
				receive(generation)
				continue
			}
			_, _, err := tree.Draft().Key(1, Application, generation)
			wantCode(t, "key that is not retained", err, mlserr.AlreadyProcessed)
		}
		if uint32(retained) < c.forward {
			_, _, err := tree.Draft().Key(1, Application, 0)
			wantCode(t, "dropped key", err, mlserr.AlreadyProcessed)
		}
	}
}

// Indices and generations that an attacker would send: refused before
// anything is derived (S4, S5).
func TestOutOfBounds(t *testing.T) {
	s := lookup(t, 1)
	for _, leafCount := range []uint32{1, 5, 8} {
		tree := NewSecretTree(s, leafCount, encryptionSecret(s))
		before := recordsOf(tree)
		for _, leaf := range []treemath.LeafIndex{treemath.LeafIndex(leafCount), 8, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			d := tree.Draft()
			_, _, err := d.Key(leaf, Application, 0)
			wantCode(t, fmt.Sprintf("leaf %d of %d", leaf, leafCount), err, mlserr.InvalidSender)
			_, _, _, err = d.Next(leaf, Handshake)
			wantCode(t, "Next", err, mlserr.InvalidSender)
			if d.Contains(leaf) || len(d.nodes)+len(d.leaves) != 0 {
				t.Errorf("leaf %d of %d is in use", leaf, leafCount)
			}
		}
		for _, generation := range []uint32{1001, 1 << 24, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			d := tree.Draft()
			_, _, err := d.Key(0, Handshake, generation)
			wantCode(t, fmt.Sprint("generation ", generation), err, mlserr.GenerationTooFar)
			if len(d.nodes)+len(d.leaves) != 0 {
				t.Error("something was derived")
			}
		}
		_, _, err := tree.Draft().Key(0, 2, 0)
		wantCode(t, "ratchet", err, mlserr.Internal)
		if !sameRecords(recordsOf(tree), before) {
			t.Error("the tree changed")
		}
	}
	for _, leafCount := range []uint32{0, 1<<31 + 1} {
		_, _, err := NewSecretTree(s, leafCount, encryptionSecret(s)).Draft().Key(0, Application, 0)
		wantCode(t, "tree of no size", err, mlserr.InvalidSender)
	}
	// The largest tree there can be costs one path.
	tree := NewSecretTree(s, 1<<31, encryptionSecret(s))
	d := tree.Draft()
	key, nonce, err := d.Key(1<<31-1, Application, 0)
	if err != nil {
		t.Fatal(err)
	}
	checkKey(t, tree, 1<<31-1, Application, 0, key, nonce)
	d.Apply()
	if len(tree.nodes) != 31 {
		t.Errorf("%d nodes", len(tree.nodes))
	}
}

// atGeneration returns a tree whose leaf 0 has come to a generation.
func atGeneration(s *suite.Suite, next uint64) *SecretTree {
	tree := NewSecretTree(s, 1, encryptionSecret(s))
	d := tree.Draft()
	d.Key(0, Application, 0)
	d.Apply()
	tree.leaves[0][Application].next = next
	return tree
}

func TestEndOfGenerations(t *testing.T) {
	s := lookup(t, 1)

	d := atGeneration(s, MaxGenerations-1).Draft()
	if generation, _, _, err := d.Next(0, Application); err != nil || generation != MaxGenerations-1 {
		t.Error(generation, err)
	}
	_, _, _, err := d.Next(0, Application)
	wantCode(t, "Next at the limit", err, mlserr.GenerationsSpent)
	// Another implementation may go on.
	if _, _, err := d.Key(0, Application, MaxGenerations); err != nil {
		t.Error(err)
	}

	tree := atGeneration(s, 1<<32-3)
	d = tree.Draft()
	if _, _, err := d.Key(0, Application, 1<<32-1); err != nil {
		t.Fatal(err)
	}
	for generation, want := range map[uint32]mlserr.Code{
		1<<32 - 1: mlserr.AlreadyProcessed, 0: mlserr.AlreadyProcessed, 1<<32 - 4: mlserr.AlreadyProcessed,
		1<<32 - 2: "", 1<<32 - 3: "",
	} {
		_, _, err := d.Key(0, Application, generation)
		wantCode(t, fmt.Sprint(generation), err, want)
	}
	_, _, _, err = d.Next(0, Application)
	wantCode(t, "Next after the last", err, mlserr.GenerationsSpent)
	d.Apply()
	load(t, s, 1, recordsOf(tree))
}

func TestDraftOfOlderState(t *testing.T) {
	s := lookup(t, 1)
	tree := NewSecretTree(s, 2, encryptionSecret(s))
	first, second := tree.Draft(), tree.Draft()
	for _, d := range []*Draft{first, second} {
		if _, _, _, err := d.Next(0, Application); err != nil {
			t.Fatal(err)
		}
	}
	first.Apply()
	_, _, _, err := second.Next(0, Application)
	wantCode(t, "Next", err, mlserr.Internal)
	_, _, err = second.Key(1, Application, 0)
	wantCode(t, "Key", err, mlserr.Internal)
	before := recordsOf(tree)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Apply brings consumed keys back")
			}
		}()
		second.Apply()
	}()
	if !sameRecords(recordsOf(tree), before) {
		t.Error("the tree changed")
	}
}

// usedTree returns a tree with every kind of record.
func usedTree(s *suite.Suite) *SecretTree {
	tree := NewSecretTree(s, 8, encryptionSecret(s))
	d := tree.Draft()
	d.Key(5, Application, 3)
	d.Key(5, Handshake, 2)
	d.Key(2, Application, 0)
	d.Apply()
	return tree
}

func TestLoadRefuses(t *testing.T) {
	s := lookup(t, 1)
	good := recordsOf(usedTree(s))
	refuse := func(what string, leafCount uint32, records map[string][]byte) {
		t.Helper()
		tree, err := LoadSecretTree(s, leafCount, func(name string) ([]byte, bool) {
			record, ok := records[name]
			return record, ok
		})
		if tree != nil {
			t.Errorf("%s: loaded", what)
		}
		wantCode(t, what, err, mlserr.StateCorrupt)
	}
	with := func(name string, record []byte) map[string][]byte {
		records := maps.Clone(good)
		records[name] = record
		return records
	}

	for _, leafCount := range []uint32{0, 4, 5, 16, 1 << 31, 1<<31 + 1} {
		refuse(fmt.Sprint("leaf count ", leafCount), leafCount, good)
	}
	for name, record := range good {
		missing := maps.Clone(good)
		delete(missing, name)
		refuse(name+" missing", 8, missing)
		for n := range record {
			refuse(fmt.Sprintf("%d bytes of %s", n, name), 8, with(name, record[:n]))
		}
		refuse(name+" with a byte more", 8, with(name, append(bytes.Clone(record), 0)))
	}

	secret := encryptionSecret(s)
	nodes := func(indices ...treemath.NodeIndex) []byte {
		var body []byte
		for _, x := range indices {
			body = append(body, byte(x>>24), byte(x>>16), byte(x>>8), byte(x))
			body = append(body, secret...)
		}
		return append([]byte{0x40 | byte(len(body)>>8), byte(len(body))}, body...)
	}
	for _, c := range [][]treemath.NodeIndex{
		{},               // no node: every leaf would need a record
		{7, 15},          // not in the tree
		{7, 1<<32 - 1},   // not in any
		{7, 7},           // twice
		{11, 3},          // descending
		{3, 7},           // one above the other
		{1, 3, 11},       // the same, the lower one first
		{0, 1, 5, 11},    // the same, and no gap
		{1, 6, 8, 5, 13}, // one out of place
	} {
		if len(c) == 0 {
			refuse("nodes []", 8, with("nodes", []byte{0}))
			continue
		}
		refuse(fmt.Sprint("nodes ", c), 8, with("nodes", nodes(c...)))
	}

	leaf := func(change func(l *leafRatchets)) []byte {
		l := *load(t, s, 8, good).leaves[5]
		change(&l)
		return l.marshal(s)
	}
	for what, change := range map[string]func(l *leafRatchets){
		"position past the last generation": func(l *leafRatchets) { l[Handshake].next = maxNext + 1 },
		"skipped key at the position":       func(l *leafRatchets) { l[Application].next = 2 },
		"skipped key twice":                 func(l *leafRatchets) { l[Application].skipped[1].generation = 0 },
		"skipped keys descending":           func(l *leafRatchets) { slices.Reverse(l[Application].skipped) },
	} {
		refuse(what, 8, with("5", leaf(change)))
	}

	// What is refused is refused because of the change.
	load(t, s, 8, with("5", leaf(func(*leafRatchets) {})))
}

// Records may be wiped once they are loaded.
func TestLoadCopies(t *testing.T) {
	s := lookup(t, 1)
	records := recordsOf(usedTree(s))
	want := recordsOf(usedTree(s))
	tree := load(t, s, 8, records)
	for _, record := range records {
		clear(record)
	}
	if !sameRecords(recordsOf(tree), want) {
		t.Error("the tree aliases its records")
	}
}

// TestCostDoesNotGrow counts what a message allocates once its sender has
// spoken before: the same in a group of 16 as in one of a million.
func TestCostDoesNotGrow(t *testing.T) {
	s := lookup(t, 1)
	cost := func(leafCount uint32) float64 {
		tree := NewSecretTree(s, leafCount, encryptionSecret(s))
		step := func() {
			d := tree.Draft()
			if _, _, _, err := d.Next(3, Application); err != nil {
				t.Fatal(err)
			}
			d.Changes(func(string, []byte) {})
			d.Apply()
		}
		for leaf := range treemath.LeafIndex(16) {
			d := tree.Draft()
			d.Next(leaf, Handshake)
			d.Apply()
		}
		step()
		return testing.AllocsPerRun(50, step)
	}
	if small, large := cost(16), cost(1<<20); small != large {
		t.Errorf("%v allocations at 16 leaves, %v at 2^20", small, large)
	}
}

func FuzzLoadSecretTree(f *testing.F) {
	s := lookup(f, 1)
	records := recordsOf(usedTree(s))
	f.Add(uint32(8), records["nodes"], records["2"], records["5"])
	f.Add(uint32(1), []byte{0}, records["2"], records["2"])
	f.Fuzz(func(t *testing.T, leafCount uint32, nodes, even, odd []byte) {
		tree, err := LoadSecretTree(s, leafCount, func(name string) ([]byte, bool) {
			switch {
			case name == "nodes":
				return nodes, true
			case len(name) > 2:
				return nil, false // no more than 100 leaves
			case (name[len(name)-1]-'0')%2 == 0:
				return even, true
			}
			return odd, true
		})
		if err != nil {
			wantCode(t, "load", err, mlserr.StateCorrupt)
			return
		}
		tree.Records(func(name string, record []byte) {
			want := odd
			switch {
			case name == "nodes":
				want = nodes
			case (name[len(name)-1]-'0')%2 == 0:
				want = even
			}
			if !bytes.Equal(record, want) {
				t.Errorf("%s encodes differently", name)
			}
		})
		d := tree.Draft()
		if _, _, err := d.Key(0, Application, 5); err == nil {
			d.Apply()
		}
	})
}

func BenchmarkSecretTree(b *testing.B) {
	s := lookup(b, 1)
	for _, leafCount := range []uint32{16, 1024} {
		b.Run(fmt.Sprintf("Next/%d", leafCount), func(b *testing.B) {
			b.ReportAllocs()
			tree := NewSecretTree(s, leafCount, encryptionSecret(s))
			for n := 0; b.Loop(); n++ {
				if n == MaxGenerations-1 {
					tree, n = NewSecretTree(s, leafCount, encryptionSecret(s)), 0
				}
				d := tree.Draft()
				if _, _, _, err := d.Next(1, Application); err != nil {
					b.Fatal(err)
				}
				d.Changes(func(string, []byte) {})
				d.Apply()
			}
		})
		b.Run(fmt.Sprintf("FirstUse/%d", leafCount), func(b *testing.B) {
			b.ReportAllocs()
			tree := NewSecretTree(s, leafCount, encryptionSecret(s))
			for b.Loop() {
				if _, _, err := tree.Draft().Key(1, Application, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Forward1000", func(b *testing.B) {
		tree := NewSecretTree(s, 16, encryptionSecret(s))
		for b.Loop() {
			if _, _, err := tree.Draft().Key(1, Application, 1000); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestFork: forks that are joined come to what one Draft comes to, and forks
// that are dropped to nothing, whatever they have derived.
func TestFork(t *testing.T) {
	s := lookup(t, suite.X25519AES128SHA256Ed25519)
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		secret := encryptionSecret(s)
		plain, forked := NewSecretTree(s, 8, secret), NewSecretTree(s, 8, secret)
		for range 3 { // batches
			one, batch := plain.Draft(), forked.Draft()
			for range 12 {
				leaf, r, generation := treemath.LeafIndex(random.IntN(8)), Ratchet(random.IntN(2)), uint32(random.IntN(6))
				fork := batch.Fork()
				key, nonce, err := fork.Key(leaf, r, generation)
				if random.IntN(3) == 0 {
					continue // it did not open
				}
				wantKey, wantNonce, wantErr := one.Key(leaf, r, generation)
				if !bytes.Equal(key, wantKey) || !bytes.Equal(nonce, wantNonce) || mlserr.CodeOf(err) != mlserr.CodeOf(wantErr) {
					t.Fatalf("seed %d: leaf %d, generation %d: %v, want %v", seed, leaf, generation, err, wantErr)
				}
				if err == nil {
					checkKey(t, NewSecretTree(s, 8, secret), leaf, r, generation, key, nonce)
					fork.Join()
				}
			}
			changes := map[string][]byte{}
			one.Changes(func(name string, record []byte) { changes[name] = record })
			batch.Changes(func(name string, record []byte) {
				if !bytes.Equal(record, changes[name]) {
					t.Fatalf("seed %d: the record %s differs", seed, name)
				}
				delete(changes, name)
			})
			if len(changes) != 0 {
				t.Fatalf("seed %d: records are missing", seed)
			}
			one.Apply()
			batch.Apply()
			if !sameRecords(recordsOf(plain), recordsOf(forked)) {
				t.Fatalf("seed %d: the trees differ", seed)
			}
		}
	}
}

// TestSkipTo: what is below is given up, and what is there already stays.
func TestSkipTo(t *testing.T) {
	s := lookup(t, suite.X25519AES128SHA256Ed25519)
	tree := NewSecretTree(s, 4, encryptionSecret(s))
	d := tree.Draft()
	for _, to := range []uint64{5, 3, 5, 64} {
		if err := d.SkipTo(1, Handshake, to); err != nil {
			t.Fatal(err)
		}
	}
	if position, err := d.Position(1, Handshake); err != nil || position != 64 {
		t.Fatalf("at %d, %v", position, err)
	}
	generation, _, _, err := d.Next(1, Handshake)
	if err != nil || generation != 64 {
		t.Fatalf("generation %d, %v", generation, err)
	}
	_, _, err = d.Key(1, Handshake, 63)
	wantCode(t, "given up", err, mlserr.AlreadyProcessed)
	if position, _ := d.Position(1, Application); position != 0 {
		t.Error("the other ratchet moved too")
	}
	wantCode(t, "too far", d.SkipTo(1, Handshake, MaxGenerations), mlserr.GenerationsSpent)
	wantCode(t, "no such leaf", d.SkipTo(4, Handshake, 1), mlserr.InvalidSender)
}
