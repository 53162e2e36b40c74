package mls_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// keyStore keeps the private keys that are generated, as a browser does: what
// has its Reference is a name. It is the Store too, and keeps and deletes keys
// with the batches that say so. A key that is deleted cannot be used, not even
// through a handle from before.
type keyStore struct {
	suite.Keys
	mls.Store

	mu   sync.Mutex
	next int
	hpke map[string]suite.HPKEKey
	sign map[string]suite.SignatureKey
	kept map[string]bool
}

func newKeyStore(store mls.Store) *keyStore {
	return &keyStore{
		Keys: kitKeys, Store: store,
		hpke: map[string]suite.HPKEKey{}, sign: map[string]suite.SignatureKey{}, kept: map[string]bool{},
	}
}

// name returns a name of its own.
func (k *keyStore) name() string {
	k.next++
	return fmt.Sprintf("key %08d", k.next)
}

var keyNames = regexp.MustCompile("key [0-9]{8}")

type namedHPKE struct {
	suite.HPKEKey
	in   *keyStore
	name string
}

func (k *namedHPKE) Name() string      { return k.name }
func (k *namedHPKE) Reference() []byte { return []byte(k.name) }
func (k *namedHPKE) Decapsulate(ctx context.Context, enc []byte) ([]byte, error) {
	k.in.mu.Lock()
	_, ok := k.in.hpke[k.name]
	k.in.mu.Unlock()
	if !ok {
		return nil, mlserr.New(mlserr.KeyNotFound, k.name+" was dropped")
	}
	return k.HPKEKey.Decapsulate(ctx, enc)
}

type namedSignature struct {
	suite.SignatureKey
	name string
}

func (k *namedSignature) Name() string      { return k.name }
func (k *namedSignature) Reference() []byte { return []byte(k.name) }

func (k *keyStore) GenerateHPKEKey(ctx context.Context, id suite.ID) (suite.HPKEKey, error) {
	key, err := k.Keys.GenerateHPKEKey(ctx, id)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	named := &namedHPKE{key, k, k.name()}
	k.hpke[named.name] = named
	return named, nil
}

func (k *keyStore) HPKEKey(ctx context.Context, id suite.ID, reference []byte) (suite.HPKEKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(reference) == 32 {
		return k.Keys.HPKEKey(ctx, id, reference)
	}
	key, ok := k.hpke[string(reference)]
	if !ok {
		return nil, mlserr.New(mlserr.KeyNotFound, string(reference))
	}
	return key, nil
}

func (k *keyStore) GenerateSignatureKey(ctx context.Context, id suite.ID) (suite.SignatureKey, error) {
	key, err := k.Keys.GenerateSignatureKey(ctx, id)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	named := &namedSignature{key, k.name()}
	k.sign[named.name] = named
	return named, nil
}

func (k *keyStore) SignatureKey(_ context.Context, _ suite.ID, reference []byte) (suite.SignatureKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.sign[string(reference)]
	if !ok {
		return nil, mlserr.New(mlserr.KeyNotFound, string(reference))
	}
	return key, nil
}

func (k *keyStore) Commit(ctx context.Context, b mls.Batch) error {
	if err := k.Store.Commit(ctx, b); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range b.KeysKept {
		k.kept[name] = true
	}
	for _, name := range b.KeysDropped {
		delete(k.kept, name)
		delete(k.hpke, name)
		delete(k.sign, name)
	}
	return nil
}

// crash forgets the keys that no batch has kept.
func (k *keyStore) crash() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range k.hpke {
		if !k.kept[name] {
			delete(k.hpke, name)
		}
	}
	for name := range k.sign {
		if !k.kept[name] {
			delete(k.sign, name)
		}
	}
}

// keptParty is a party whose keys are in a store of their own.
type keptParty struct {
	*party
	keys      *keyStore
	configure func(*mls.Config) // or nil
}

func newKeptParty(t testing.TB, name string) *keptParty {
	store := mls.NewMemoryStore()
	k := newKeyStore(store)
	p := &party{t: t, name: name, store: store}
	kp := &keptParty{party: p, keys: k}
	kp.open()
	id, err := p.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	p.id = id
	return kp
}

func (p *keptParty) open() {
	p.client = openWith(p.t, p.keys, func(c *mls.Config) {
		c.Keys = p.keys
		if p.configure != nil {
			p.configure(c)
		}
	})
}

// restart is a crash and a new start.
func (p *keptParty) restart() {
	p.t.Helper()
	id := p.group.ID()
	p.client.Close()
	p.keys.crash()
	p.open()
	p.group = must(p.client.Group(ctx, id))
}

// has checks how many keys are kept.
func (p *keptParty) has(want int, what string) {
	p.t.Helper()
	if n := len(p.keys.kept); n != want {
		p.t.Fatalf("%s: %s keeps %d keys, want %d: %v", what, p.name, n, want, p.keys.kept)
	}
	p.keys.crash()
}

// TestKeyNames: keys in a key store of their own are kept with the state that
// needs them, no shorter and no longer.
func TestKeyNames(t *testing.T) {
	alice, bob := newKeptParty(t, "alice"), newKeptParty(t, "bob")
	alice.create()
	alice.has(2, "identity and leaf")
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	bob.has(3, "identity, init key and leaf")
	alice.has(3, "pending")
	alice.restart()
	alice.apply()
	alice.has(2, "applied")
	bob.join(r.Welcome)
	bob.has(2, "joined")
	both := []*party{alice.party, bob.party}
	for range 3 {
		alice.restart()
		bob.restart()
		spread(alice.party, alice.commit(mls.CommitOptions{}), both)
		spread(bob.party, bob.commit(mls.CommitOptions{}), both)
		agree(t, both...)
		alice.has(2, "after commits")
		bob.has(2, "after commits")
	}
	// Cleared, lost and proposed.
	alice.commit(mls.CommitOptions{})
	if err := alice.group.ClearPendingCommit(ctx); err != nil {
		t.Fatal(err)
	}
	alice.has(2, "cleared")
	alice.commit(mls.CommitOptions{})
	spread(bob.party, bob.commit(mls.CommitOptions{}), both)
	alice.has(2, "lost")
	bob.propose(mls.ProposeOptions{Update: true}, both)
	bob.propose(mls.ProposeOptions{Update: true}, both)
	bob.has(4, "two updates proposed")
	bob.restart()
	spread(alice.party, alice.commit(mls.CommitOptions{}), both)
	bob.has(2, "one of them committed")
	bob.restart()
	agree(t, both...)
	talk(t, both...)
	// Another identity for the group: the old one stays, it is the client's.
	id, err := bob.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte("bob+2")))
	if err != nil {
		t.Fatal(err)
	}
	spread(bob.party, bob.commit(mls.CommitOptions{Identity: id.ID()}), both)
	bob.has(3, "two identities")
	// External: pending, applied, cleared.
	info := must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{}))
	bob.id = id
	bob.name = "bob+2"
	bob.joinExternal(info, mls.ExternalOptions{Resync: true}, alice.party)
	bob.has(4, "resync pending")
	bob.restart()
	bob.apply()
	bob.has(3, "resync applied")
	agree(t, both...)
	talk(t, both...)
	// Removed, deleted.
	bob.receive(alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{bob.info().OwnLeaf}}).Commit)
	alice.apply()
	bob.has(2, "removed")
	if err := alice.client.DeleteGroup(ctx, alice.group.ID()); err != nil {
		t.Fatal(err)
	}
	alice.has(1, "deleted")
}

// TestLastResortKeys: the leaf key of a key package that is used more than once
// stays for as long as the key package does, whatever the groups do.
func TestLastResortKeys(t *testing.T) {
	bob := newKeptParty(t, "bob")
	last := must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LastResort: true}))[0]
	var inviters []*party
	var groups []*mls.Group
	join := func() {
		p := newPartyWith(t, x25519, "inviter", nil)
		p.create()
		r := p.commit(mls.CommitOptions{Add: [][]byte{last}})
		p.apply()
		bob.join(r.Welcome)
		inviters, groups = append(inviters, p), append(groups, bob.group)
	}
	join()
	join()
	bob.has(3, "two groups with one leaf key")
	// In the first group bob takes a fresh one; the other group and the next
	// need the old one.
	spread(bob.party, bob.commit(mls.CommitOptions{}), []*party{bob.party, inviters[1]})
	bob.restart()
	bob.group = must(bob.client.Group(ctx, groups[0].ID()))
	spread(inviters[0], inviters[0].commit(mls.CommitOptions{}), []*party{bob.party, inviters[0]})
	agree(t, bob.party, inviters[0])
	if err := bob.client.DeleteGroup(ctx, groups[1].ID()); err != nil {
		t.Fatal(err)
	}
	join()
	bob.restart()
	spread(inviters[2], inviters[2].commit(mls.CommitOptions{}), []*party{bob.party, inviters[2]})
	agree(t, bob.party, inviters[2])
	bob.has(3, "at the end")
}

// needed are the names of keys that the records of the party's store hold.
func (p *keptParty) needed() map[string]bool {
	p.t.Helper()
	needed := map[string]bool{}
	scopes := []mls.Scope{mls.ClientScope}
	for _, id := range must(p.client.Groups(ctx)) {
		scopes = append(scopes, mls.GroupScope(id))
	}
	for _, scope := range scopes {
		records, _, err := p.store.Load(ctx, scope)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, record := range records {
			for _, name := range keyNames.FindAll(record, -1) {
				needed[string(name)] = true
			}
		}
	}
	return needed
}

// exact checks that the keys which are kept are those that are needed.
func (p *keptParty) exact(what string) {
	p.t.Helper()
	if needed := p.needed(); !maps.Equal(needed, p.keys.kept) {
		p.t.Fatalf("%s: %s keeps %v and needs %v", what, p.name, p.keys.kept, needed)
	}
}

// TestExpiredKeyPackages: a key package goes with its keys a day after it has
// expired, with the next write to the client's scope. The leaf key of one of last
// resort goes when no group uses it any more.
func TestExpiredKeyPackages(t *testing.T) {
	bob := newKeptParty(t, "bob")
	now := time.Now()
	bob.configure = func(c *mls.Config) { c.Now = func() time.Time { return now } }
	bob.client.Close()
	bob.open()
	make := func(opts mls.KeyPackageOptions) []byte {
		return must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, opts))[0]
	}
	write := func() {
		if err := bob.client.StorePSK(ctx, []byte("psk"), []byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	var inviters []*party
	var groups []*mls.Group
	welcome := func(kp []byte) []byte {
		p := newPartyWith(t, x25519, "inviter", nil)
		p.create()
		r := p.commit(mls.CommitOptions{Add: [][]byte{kp}})
		p.apply()
		inviters = append(inviters, p)
		return r.Welcome
	}
	const hour = time.Hour
	once := [][]byte{make(mls.KeyPackageOptions{Lifetime: hour}), make(mls.KeyPackageOptions{Lifetime: hour})}
	last := make(mls.KeyPackageOptions{Lifetime: hour, LastResort: true})
	make(mls.KeyPackageOptions{Lifetime: 100 * hour})
	make(mls.KeyPackageOptions{Lifetime: hour, LastResort: true}) // never used
	for range 2 {
		bob.join(welcome(last))
		groups = append(groups, bob.group)
	}
	late, tooLate, afterLast := welcome(once[0]), welcome(once[1]), welcome(last)
	bob.has(1+5*2, "at first")
	bob.exact("at first")

	now = now.Add(hour + 23*hour)
	write()
	bob.has(1+5*2, "within the grace")
	bob.join(late) // a Welcome that was long on its way
	bob.has(1+5*2-1, "the init key is consumed")
	now = now.Add(2 * hour)
	bob.join(tooLate) // nothing was written since: it is still there
	bob.has(1+2+2+1, "after the grace: two leaves of groups, two keys of a key package, the leaf of last resort")
	bob.exact("after the grace")
	if n := must(bob.client.KeyPackageCount(ctx, bob.id.ID())); n != 1 {
		t.Errorf("%d key packages", n)
	}
	for range 2 {
		_, err := bob.client.JoinGroup(ctx, afterLast, mls.JoinOptions{})
		wantCode(t, err, mlserr.NoMatchingKeyPackage)
		bob.client.Close()
		bob.keys.crash()
		bob.open()
	}
	// The groups of the key package of last resort still use its leaf key.
	for i, id := range [][]byte{groups[0].ID(), groups[1].ID()} {
		bob.group = must(bob.client.Group(ctx, id))
		spread(inviters[i], inviters[i].commit(mls.CommitOptions{}), []*party{bob.party, inviters[i]})
		agree(t, bob.party, inviters[i])
		switch i {
		case 0: // a fresh leaf
			spread(bob.party, bob.commit(mls.CommitOptions{}), []*party{bob.party, inviters[i]})
			bob.has(1+2+2+1+1, "one group has a leaf of its own")
			bob.exact("one group has a leaf of its own")
		case 1: // removed
			bob.receive(inviters[i].commit(mls.CommitOptions{Remove: []treemath.LeafIndex{bob.info().OwnLeaf}}).Commit)
			bob.has(1+2+2+1, "the leaf of last resort is in no group")
		}
	}
	bob.exact("at the end")
	for _, name := range bob.store.RecordNames(mls.ClientScope) {
		if strings.HasPrefix(name, "kp/") {
			return // the one of 100 hours
		}
	}
	t.Error("no key package is left")
}

// TestSharedLeafElsewhere: one instance joins by a key package of last resort that
// the other has made, and the other deletes the group: what the key is needed for
// is known to both.
func TestSharedLeafElsewhere(t *testing.T) {
	bob := newKeptParty(t, "bob")
	other := openWith(t, bob.keys, func(c *mls.Config) { c.Keys = bob.keys })
	last := must(other.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LastResort: true}))[0]
	for range 2 {
		p := newPartyWith(t, x25519, "inviter", nil)
		p.create()
		bob.join(p.commit(mls.CommitOptions{Add: [][]byte{last}}).Welcome)
		bob.has(3, "joined")
		if err := other.DeleteGroup(ctx, bob.group.ID()); err != nil {
			t.Fatal(err)
		}
		bob.has(3, "deleted")
		bob.exact("deleted")
	}
}

// TestDeletedLastResort: a key package of last resort that is deleted leaves its
// leaf key to the group that uses it, and nothing else.
func TestDeletedLastResort(t *testing.T) {
	bob, p := newKeptParty(t, "bob"), newPartyWith(t, x25519, "inviter", nil)
	last := must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LastResort: true}))[0]
	p.create()
	bob.join(p.commit(mls.CommitOptions{Add: [][]byte{last}}).Welcome)
	p.apply()
	list := must(bob.client.KeyPackages(ctx, bob.id.ID()))
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	if err := bob.client.DeleteKeyPackages(ctx, list[0].Reference, []byte("not there")); err != nil {
		t.Fatal(err)
	}
	if list := must(bob.client.KeyPackages(ctx, bob.id.ID())); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	bob.has(2, "the leaf key is the group's")
	bob.restart()
	spread(p, p.commit(mls.CommitOptions{}), []*party{bob.party, p})
	agree(t, bob.party, p)
	if err := bob.client.DeleteGroup(ctx, bob.group.ID()); err != nil {
		t.Fatal(err)
	}
	bob.has(1, "deleted")
	bob.exact("deleted")
}
