package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/suitetest"
)

var ctx = context.Background()

// keys are those of all devices: package softkeys natively, the browser's
// WebCrypto where there is a browser.
var keys = newKeys()

// Types beyond the RFC that a modern device supports and an old one does not.
const (
	customExtension message.ExtensionType = 0xf0a1
	customProposal  message.ProposalType  = 0xf0a2
)

// policy is the Authenticator of all devices: a client may take the place of
// another of the same name.
type policy struct{}

func (policy) Authenticate(context.Context, []mls.Claim) error { return nil }

func (policy) Succeeds(_ context.Context, old, next mls.Claim) error {
	if !old.Credential.Equal(&next.Credential) {
		return errors.New("another name")
	}
	return nil
}

// faults is the plan to fail one call of Store.Commit, counted over all
// devices from 1.
type faults struct {
	at    int // 0: none
	kind  mls.Fault
	count int
	hit   bool // and not yet noticed
}

func (f *faults) decide(int) mls.Fault {
	f.count++
	if f.count != f.at {
		return mls.NoFault
	}
	f.hit = true
	return f.kind
}

// world is all there is in a history: the devices, the group that they are in
// as the delivery service knows it, and the dice.
type world struct {
	t       rapid.TB
	script  *script
	suite   suite.ID // of the group; a ReInit may change it
	dice    []byte
	faults  *faults
	ledger  *ledger
	devices []*device
	service *device // an external sender, in no group
	owner   map[string]*device
	room    *room
	texts   int
	psks    map[string][]byte // external PSKs by id
	count   counts
	story   []string
	opened  time.Time
}

// counts say what happened in histories, so that a test can assert that its
// histories are not empty.
type counts struct {
	epochs, joins, externals, resyncs, removals, read, refused, lost, updates, rotations, psks, reinits, branches, crashes, phantoms, batches, reserved, forgotten int
}

func (c *counts) add(d counts) {
	c.epochs += d.epochs
	c.joins += d.joins
	c.externals += d.externals
	c.resyncs += d.resyncs
	c.removals += d.removals
	c.read += d.read
	c.refused += d.refused
	c.lost += d.lost
	c.updates += d.updates
	c.rotations += d.rotations
	c.psks += d.psks
	c.reinits += d.reinits
	c.branches += d.branches
	c.batches += d.batches
	c.reserved += d.reserved
	c.forgotten += d.forgotten
	c.crashes += d.crashes
	c.phantoms += d.phantoms
}

func newWorld(t rapid.TB, s *script, f *faults, r *suitetest.Recorder) *world {
	return &world{
		t: t, script: s, suite: s.suite, faults: f, ledger: newLedger(r),
		owner: map[string]*device{}, psks: map[string][]byte{}, opened: time.Now(),
	}
}

// fatalf fails the test with the story so far.
func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.story {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

func (w *world) logf(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

// roll takes a die: 0 to n-1.
func (w *world) roll(n int) int {
	if n < 2 || len(w.dice) == 0 {
		return 0
	}
	// rapid prefers small numbers; times an odd number, all bytes are as likely,
	// and 0 remains 0.
	d := w.dice[0] * 157
	w.dice = w.dice[1:]
	return int(d) % n
}

// one in n; never when the dice have run out.
func (w *world) oneIn(n int) bool { return w.roll(n) == n-1 }

// bits takes a die for up to eight yes-or-no decisions.
func (w *world) bits() byte { return byte(w.roll(256)) }

// pick takes one of a list, which is not empty.
func pick[T any](w *world, list []T) T { return list[w.roll(len(list))] }

// device is a client with its store.
type device struct {
	w      *world
	name   string
	memory *mls.MemoryStore
	vault  *vault // nil: keys are bytes
	store  *mls.FaultyStore
	// instance is what the client has of the store.
	instance *instance
	client   *mls.Client
	modern   bool
	retired  bool // another device has its name now
	// made are its identities by suite, those for key packages first.
	made map[suite.ID][]*mls.Identity
	psks map[string]bool
	// idle is what the client does when no send has followed for a while.
	idle func()
	// unstored are messages that it sent from memory.
	unstored []unstored
	// lastResort are its key packages that may be used again.
	lastResort map[suite.ID][]byte
}

func (w *world) newDevice(name string) *device {
	n := len(w.devices)
	d := &device{
		w: w, name: name, memory: mls.NewMemoryStore(),
		modern: w.script.old == 0 || n%w.script.old != w.script.old-1,
		made:   map[suite.ID][]*mls.Identity{},
		psks:   map[string]bool{},

		lastResort: map[suite.ID][]byte{},
	}
	var store mls.Store = d.memory
	if w.script.vault {
		d.vault = newVault(keys)
		store = vaultStore{d.memory, d.vault}
	}
	d.store = &mls.FaultyStore{Store: store, Decide: w.faults.decide}
	d.start()
	w.devices = append(w.devices, d)
	return d
}

func (d *device) open(store mls.Store, v *vault) *mls.Client {
	config := mls.Config{Keys: keys, Store: store, Authenticator: policy{}, Limits: mls.Limits{MaxPastEpochs: d.w.script.past}}
	// The time between sends does not pass by itself.
	config.After = func(_ time.Duration, f func()) func() {
		d.idle = f
		return func() { d.idle = nil }
	}
	config.Now = func() time.Time { return d.w.opened }
	if v != nil {
		config.Keys = v
	}
	if d.modern {
		config.Supported = mls.Supported{Extensions: []message.ExtensionType{customExtension}, Proposals: []message.ProposalType{customProposal}}
	}
	c, err := mls.Open(ctx, config)
	if err != nil {
		d.w.fatalf("%s does not open: %v", d.name, err)
	}
	return c
}

// clone opens a copy of what the device has stored.
func (d *device) clone() *mls.Client {
	memory := d.memory.Clone()
	if d.vault == nil {
		return d.open(memory, nil)
	}
	v := d.vault.clone()
	return d.open(vaultStore{memory, v}, v)
}

// start opens the client on what the device has stored.
func (d *device) start() {
	d.instance, d.idle = newInstance(d.store), nil
	d.client = d.open(d.instance, d.vault)
}

// restart drops everything in memory and loads again, as after a crash.
func (d *device) restart() {
	d.instance.crash()
	d.client.Close()
	if d.vault != nil {
		d.vault.crash()
	}
	d.forgetUnstored()
	d.start()
	for _, list := range d.made {
		for i := range list {
			again, err := d.client.Identity(ctx, list[i].ID())
			if err != nil || !bytes.Equal(again.SignatureKey(), list[i].SignatureKey()) {
				d.w.fatalf("%s has lost an identity: %v", d.name, err)
			}
			list[i] = again
		}
	}
}

// try does one operation on the device. It reports whether the planned fault
// struck. Then the device has crashed and is open again; or, for every second
// place, it goes on without a crash, and must have loaded again by itself.
func (d *device) try(f func() error) (crashed bool, err error) {
	d.w.ledger.operation()
	err = f()
	d.w.ledger.operation()
	if !d.w.faults.hit {
		return false, err
	}
	d.w.faults.hit = false
	d.w.count.crashes++
	if !errors.Is(err, mlserr.StoreFailed) {
		d.w.fatalf("the store failed and %s got %v", d.name, err)
	}
	if d.w.faults.at%2 == 0 {
		d.w.logf("the store of %s fails, and it goes on", d.name)
		d.forgetUnstored()
		return true, nil
	}
	d.w.logf("%s crashes", d.name)
	d.restart()
	return true, nil
}

// durable does an operation until it is done, through a crash where one is
// planned: done reports whether the crash came after the write.
func (d *device) durable(f func() error, done func() bool) error {
	crashed, err := d.try(f)
	if crashed && !done() {
		_, err = d.try(f)
	}
	return err
}

func never() bool { return false }

// rest lets time pass without a send.
func (d *device) rest() {
	if d.idle == nil {
		return
	}
	d.try(func() error {
		d.idle()
		if d.w.faults.hit { // nobody was there to be told
			return mlserr.New(mlserr.StoreFailed, "")
		}
		return nil
	})
}

// unstored is a message that was sent and that the stored log lacks, until the
// group is stored next.
type unstored struct {
	seat     *seat
	envelope *envelope
	revision mls.Rev
}

func (d *device) revision(s *seat) mls.Rev {
	rev, err := d.memory.Revision(ctx, mls.GroupScope(s.room.id))
	if err != nil {
		d.w.fatalf("%v", err)
	}
	return rev
}

// forgetUnstored has the device not know what only its memory knew: that it sent
// some messages. It does not take them for those of another.
func (d *device) forgetUnstored() {
	for _, u := range d.unstored {
		if d.revision(u.seat) == u.revision {
			delete(u.seat.sent, u.envelope)
			d.w.count.forgotten++
		}
	}
	d.unstored = nil
}

// newIdentity makes one more identity of the device's name.
func (d *device) newIdentity(id suite.ID) *mls.Identity {
	var made *mls.Identity
	err := d.durable(func() (err error) {
		made, err = d.client.CreateIdentity(ctx, id, message.BasicCredential([]byte(d.name)))
		return err
	}, never)
	if err != nil {
		d.w.fatalf("%s makes no identity: %v", d.name, err)
	}
	d.made[id] = append(d.made[id], made)
	d.w.owner[string(made.SignatureKey())] = d
	return made
}

// identity returns the one that key packages are for.
func (d *device) identity(id suite.ID) *mls.Identity {
	if len(d.made[id]) == 0 {
		d.newIdentity(id)
	}
	return d.made[id][0]
}

// keyPackage returns a new key package, or the one of last resort.
func (d *device) keyPackage(id suite.ID) []byte {
	lasts := d.w.oneIn(5)
	if kp := d.lastResort[id]; kp != nil && lasts {
		return kp
	}
	identity := d.identity(id).ID()
	var list [][]byte
	err := d.durable(func() (err error) {
		list, err = d.client.CreateKeyPackages(ctx, identity, 1, mls.KeyPackageOptions{LastResort: lasts})
		return err
	}, never)
	if err != nil {
		d.w.fatalf("%s makes no key package: %v", d.name, err)
	}
	if lasts {
		d.lastResort[id] = list[0]
	}
	return list[0]
}

// keyPackages is how many it holds.
func (d *device) keyPackages() int {
	n := 0
	for _, list := range d.made {
		for _, identity := range list {
			k, err := d.client.KeyPackageCount(ctx, identity.ID())
			if err != nil {
				d.w.fatalf("%s: %v", d.name, err)
			}
			n += k
		}
	}
	return n
}

// checkVault asserts that the vault holds the keys that are needed and no others:
// those that a stored record names.
func (d *device) checkVault() {
	if d.vault == nil {
		return
	}
	scopes := []mls.Scope{mls.ClientScope}
	groups, err := d.client.Groups(ctx)
	if err != nil {
		d.w.fatalf("%s: %v", d.name, err)
	}
	for _, id := range groups {
		scopes = append(scopes, mls.GroupScope(id))
	}
	needed := map[string]string{}
	for _, scope := range scopes {
		records, _, err := d.memory.Load(ctx, scope)
		if err != nil {
			d.w.fatalf("%s: %v", d.name, err)
		}
		for name, record := range records {
			for _, key := range vaultNames.FindAll(record, -1) {
				needed[string(key)] = name
			}
		}
	}
	kept := d.vault.names()
	for _, name := range kept {
		if needed[name] == "" {
			d.w.fatalf("the vault of %s holds %s, which nothing needs", d.name, name)
		}
		delete(needed, name)
	}
	for name, record := range needed {
		d.w.fatalf("the vault of %s lacks %s of the record %s", d.name, name, record)
	}
}

// learn stores an external PSK.
func (d *device) learn(id string) {
	if d.psks[id] {
		return
	}
	store := func() error { return d.client.StorePSK(ctx, []byte(id), d.w.psks[id]) }
	if err := d.durable(store, never); err != nil {
		d.w.fatalf("%s stores no PSK: %v", d.name, err)
	}
	d.psks[id] = true
}

// stranger returns a device whose name is not in the tree, an old one or a new.
func (w *world) stranger(t *truth) *device {
	var free []*device
	for _, d := range w.devices {
		if !d.retired && d != w.service && !t.has(d.name) {
			free = append(free, d)
		}
	}
	if len(free) < 3 && len(w.devices) < 80 {
		free = append(free, nil)
	}
	if len(free) == 0 {
		return nil
	}
	if d := pick(w, free); d != nil {
		return d
	}
	return w.newDevice("d" + strconv.Itoa(len(w.devices)))
}
