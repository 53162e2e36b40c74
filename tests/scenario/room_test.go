package scenario

import (
	"bytes"
	"fmt"
	"slices"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// room is a group as the delivery service knows it: the commit that won each
// epoch, and everything that was sent. What an epoch is like is known from a copy
// of the winning committer, taken when its commit was accepted: every other
// member must come to the same.
type room struct {
	id     []byte
	suite  suite.ID
	epoch  uint64
	epochs map[uint64]*truth
	log    []*envelope
	seats  []*seat
	infos  map[uint64][]byte // GroupInfos that were published
	frozen bool              // reinitialized
}

// truth is what all members of an epoch must agree on.
type truth struct {
	authenticator, treeHash, exported, nodes []byte
	extensions                               message.Extensions
	members                                  []place
}

// place is a member of an epoch.
type place struct {
	device *device
	leaf   treemath.LeafIndex
	since  uint64 // the epoch that its membership began with
}

func (t *truth) of(d *device) *place {
	for i := range t.members {
		if t.members[i].device == d {
			return &t.members[i]
		}
	}
	return nil
}

// has reports whether a device of the name is in the tree.
func (t *truth) has(name string) bool {
	return slices.ContainsFunc(t.members, func(p place) bool { return p.device.name == name })
}

// needsModern reports whether the extensions ask for what old devices lack.
func needsModern(extensions message.Extensions) bool {
	required, err := extensions.RequiredCapabilities()
	if _, custom := extensions.Find(customExtension); custom || err != nil {
		return true
	}
	return required != nil && len(required.Extensions) > 0
}

type kind uint8

const (
	application kind = iota
	proposal
	commit
	welcome
)

func (k kind) String() string {
	return [...]string{"application", "proposal", "commit", "welcome"}[k]
}

// envelope is a message on its way.
type envelope struct {
	number int
	kind   kind
	bytes  []byte
	epoch  uint64 // the message's; of a Welcome the epoch that it leads into
	from   *seat  // nil: not a member
	// Of a proposal by a member.
	ref []byte
	// Of application data.
	text, aad string
	// Of a commit.
	lost     bool        // another won its epoch
	external bool        //
	known    []*envelope // proposals that it may refer to
	psks     []string    // external PSKs that it may name, by id
	// Of a Welcome.
	tree   []byte // apart, where the Welcome does not have it
	resume bool   // it may name resumption PSKs that a joiner does not have
}

// status is a device's own view of its membership.
type status uint8

const (
	outside status = iota // it holds no group
	joining               // an external commit is on its way
	active
	removed
)

func (e *envelope) String() string {
	from := "outside"
	if e.from != nil {
		from = e.from.device.name
	}
	return fmt.Sprintf("%v %d of epoch %d from %s (external %v, lost %v)", e.kind, e.number, e.epoch, from, e.external, e.lost)
}

// seat is the place of a device in the room, as it must be by what it has
// received so far.
type seat struct {
	room     *room
	device   *device
	status   status
	epoch    uint64
	first    uint64               // the epoch in which this membership began
	known    []*envelope          // proposals cached in this epoch
	phantoms map[string]*envelope // its proposals that never left, for it crashed, by reference
	aside    map[string]bool      // references of proposals that it has dropped
	pending  *attempt
	queue    []*envelope
	got      map[*envelope]bool // consumed in this membership
	sent     map[*envelope]bool // own messages that it must know again
	inbox    map[uint64]string  // received and not acknowledged
	last     *envelope          // the commit processed last
	cleared  *envelope          // an accepted commit of its own that it dropped by mistake
}

// attempt is a commit that was made and is not applied.
type attempt struct {
	result   *mls.CommitResult
	epoch    uint64 // that it wants to end
	external bool
	add      []*device // by value
	remove   []*device // by value
	known    []*envelope
	psks     []string
	resume   bool
	tree     []byte // for joiners, where the Welcome does not have it
	envelope *envelope
}

func (w *world) seat(d *device) *seat {
	for _, s := range w.room.seats {
		if s.device == d {
			return s
		}
	}
	s := &seat{room: w.room, device: d}
	s.forget()
	w.room.seats = append(w.room.seats, s)
	return s
}

// forget makes the seat that of a device that holds nothing.
func (s *seat) forget() {
	s.status, s.pending, s.last, s.cleared = outside, nil, nil, nil
	s.known, s.phantoms, s.aside = nil, map[string]*envelope{}, map[string]bool{}
	s.got, s.sent, s.inbox = map[*envelope]bool{}, map[*envelope]bool{}, map[uint64]string{}
}

// group returns the group as the device holds it, or nil.
func (s *seat) group() *mls.Group {
	if s.status == outside {
		return nil
	}
	g, err := s.device.client.Group(ctx, s.room.id)
	if err != nil {
		s.device.w.fatalf("%s has lost the group: %v", s.device.name, err)
	}
	return g
}

// waiting is how many proposals hold up its messages.
func (s *seat) waiting() int { return len(s.known) + len(s.phantoms) - len(s.aside) }

func (s *seat) truth() *truth { return s.room.epochs[s.epoch] }

// stuck: it dropped its own commit that the others have applied.
func (s *seat) stuck() bool {
	return s.status == active && s.cleared != nil && s.cleared.epoch == s.epoch
}

// invited reports whether a Welcome waits that leads to an epoch or one before.
func (s *seat) invited(epoch uint64) bool {
	return slices.ContainsFunc(s.queue, func(e *envelope) bool { return e.kind == welcome && e.epoch <= epoch })
}

// read reads the truth of the group's epoch.
func (w *world) read(g *mls.Group) *truth {
	info, err := g.Info(ctx)
	if err != nil {
		w.fatalf("no info: %v", err)
	}
	t := &truth{authenticator: info.EpochAuthenticator, treeHash: info.TreeHash, extensions: info.Extensions}
	if t.exported, err = g.Export(ctx, "scenario", []byte("context"), 32); err != nil {
		w.fatalf("no exporter: %v", err)
	}
	if t.nodes, err = g.RatchetTree(ctx); err != nil {
		w.fatalf("no tree: %v", err)
	}
	members, err := g.Members(ctx)
	if err != nil || len(members) != info.MemberCount {
		w.fatalf("%d members of %d: %v", len(members), info.MemberCount, err)
	}
	for _, m := range members {
		d := w.owner[string(m.SignatureKey)]
		if d == nil || string(m.Credential.Identity) != d.name {
			w.fatalf("leaf %d is of nobody", m.Leaf)
		}
		t.members = append(t.members, place{device: d, leaf: m.Leaf})
	}
	w.validateTree(info.CipherSuite, g.ID(), t)
	return t
}

// validateTree asserts that a joiner of the epoch would accept its tree.
func (w *world) validateTree(id suite.ID, groupID []byte, t *truth) {
	s, err := suite.Lookup(id)
	if err != nil {
		w.fatalf("%v", err)
	}
	var nodes message.RatchetTree
	if err := wire.Unmarshal(bytes.Clone(t.nodes), &nodes); err != nil {
		w.fatalf("the tree does not decode: %v", err)
	}
	imported, err := tree.Import(s, nodes)
	if err != nil {
		w.fatalf("the tree does not import: %v", err)
	}
	if err := imported.Validate(); err != nil {
		w.fatalf("the tree is not valid: %v", err)
	}
	if err := imported.ValidateKeys(ctx, keys); err != nil {
		w.fatalf("the tree's keys are not valid: %v", err)
	}
	if err := imported.VerifyLeaves(ctx, keys, groupID); err != nil {
		w.fatalf("the tree's leaves are not valid: %v", err)
	}
	if !bytes.Equal(imported.Hash(), t.treeHash) {
		w.fatalf("the tree's hash is not the tree hash")
	}
}

// check asserts that the device's group is as the seat says, and, for a
// member, that it agrees with all others of its epoch.
func (w *world) check(s *seat) {
	d := s.device
	if s.status == outside {
		if _, err := d.client.Group(ctx, s.room.id); mlserr.CodeOf(err) != mlserr.GroupNotFound {
			w.fatalf("%s holds a group that it should not: %v", d.name, err)
		}
		return
	}
	g := s.group()
	info, err := g.Info(ctx)
	if err != nil {
		w.fatalf("%s has no info: %v", d.name, err)
	}
	want := map[status]mls.Status{joining: mls.StatusJoining, active: mls.StatusActive, removed: mls.StatusRemoved}[s.status]
	if s.status == active && s.room.frozen && s.epoch == s.room.epoch {
		want = mls.StatusReadOnly
	}
	if info.Status != want {
		w.fatalf("%s is %s, want %s", d.name, info.Status, want)
	}
	if info.HasPendingCommit != (s.pending != nil) {
		w.fatalf("%s has a pending commit: %v", d.name, info.HasPendingCommit)
	}
	if info.PendingProposals != s.waiting() {
		w.fatalf("%s has %d proposals, want %d", d.name, info.PendingProposals, s.waiting())
	}
	if s.pending != nil {
		p, err := g.PendingCommit(ctx)
		if err != nil || p == nil {
			w.fatalf("%s has lost its pending commit: %v", d.name, err)
		}
		r := s.pending.result
		if !bytes.Equal(p.Commit, r.Commit) || !bytes.Equal(p.Welcome, r.Welcome) || !bytes.Equal(p.GroupInfo, r.GroupInfo) || p.Epoch != r.Epoch {
			w.fatalf("%s has another pending commit than it made", d.name)
		}
	}
	w.checkInbox(s, g)
	if s.status != active {
		w.checkNoMember(s, g)
		return
	}
	if info.Epoch != s.epoch {
		w.fatalf("%s is in epoch %d, want %d", d.name, info.Epoch, s.epoch)
	}
	w.checkAgrees(s, g, &info)
}

// checkAgrees compares a member with the truth of its epoch.
func (w *world) checkAgrees(s *seat, g *mls.Group, info *mls.Info) {
	d, t := s.device, s.truth()
	exported, err := g.Export(ctx, "scenario", []byte("context"), 32)
	if err != nil {
		w.fatalf("%s has no exporter: %v", d.name, err)
	}
	nodes, err := g.RatchetTree(ctx)
	if err != nil {
		w.fatalf("%s has no tree: %v", d.name, err)
	}
	switch {
	case !bytes.Equal(info.EpochAuthenticator, t.authenticator):
		w.fatalf("%s has diverged in epoch %d: epoch authenticator", d.name, s.epoch)
	case !bytes.Equal(info.TreeHash, t.treeHash):
		w.fatalf("%s has diverged in epoch %d: tree hash", d.name, s.epoch)
	case !bytes.Equal(exported, t.exported):
		w.fatalf("%s has diverged in epoch %d: exporter", d.name, s.epoch)
	case !bytes.Equal(nodes, t.nodes):
		w.fatalf("%s has diverged in epoch %d: tree", d.name, s.epoch)
	case info.MemberCount != len(t.members):
		w.fatalf("%s counts %d members in epoch %d, want %d", d.name, info.MemberCount, s.epoch, len(t.members))
	}
	p := t.of(d)
	if p == nil {
		w.fatalf("%s is a member of epoch %d and should not be", d.name, s.epoch)
	}
	if p.leaf != info.OwnLeaf {
		w.fatalf("%s is leaf %d, want %d", d.name, info.OwnLeaf, p.leaf)
	}
}

// checkNoMember asserts that a device that is no member has no secrets.
func (w *world) checkNoMember(s *seat, g *mls.Group) {
	_, err := g.Export(ctx, "scenario", nil, 32)
	w.want(err, s.device.name+" exports, no member", mlserr.NotMember)
	_, err = g.RatchetTree(ctx)
	w.want(err, s.device.name+" has the tree, no member", mlserr.NotMember)
	_, err = g.Send(ctx, []byte("x"), mls.SendOptions{})
	w.want(err, s.device.name+" sends, no member", mlserr.NotMember)
	_, err = g.Commit(ctx, mls.CommitOptions{})
	w.want(err, s.device.name+" commits, no member", mlserr.NotMember)
}

// checkInbox asserts that nothing that was received is lost before it is
// acknowledged.
func (w *world) checkInbox(s *seat, g *mls.Group) {
	list, err := g.Inbox(ctx)
	if err != nil {
		w.fatalf("%s has no inbox: %v", s.device.name, err)
	}
	if len(list) != len(s.inbox) {
		w.fatalf("%s has %d messages in its inbox, want %d", s.device.name, len(list), len(s.inbox))
	}
	for _, entry := range list {
		if text, ok := s.inbox[entry.ID]; !ok || text != string(entry.Event.Content) {
			w.fatalf("%s has %q in its inbox, want %q", s.device.name, entry.Event.Content, text)
		}
	}
}

// want asserts the code of an error.
func (w *world) want(err error, what string, codes ...mlserr.Code) {
	w.t.Helper()
	if err == nil || !slices.Contains(codes, mlserr.CodeOf(err)) {
		w.fatalf("%s: %v, want %v", what, err, codes)
	}
}

// post sends a message to all members, late and in any order as it may be.
func (w *world) post(e *envelope) *envelope {
	r := w.room
	e.number = len(r.log)
	r.log = append(r.log, e)
	for _, s := range r.seats {
		switch {
		case e.lost:
		case s.status == removed && r.epochs[r.epoch].of(s.device) == nil && r.epochs[e.epoch].of(s.device) == nil:
		case s == e.from && e.kind != commit && w.oneIn(2):
			// The service does not send it back.
		case s.status != outside, r.epochs[r.epoch].of(s.device) != nil, r.epochs[e.epoch].of(s.device) != nil:
			s.queue = append(s.queue, e)
		}
	}
	return e
}

// submit hands a pending commit to the delivery service, which accepts the
// first of each epoch.
func (w *world) submit(s *seat) {
	a, r := s.pending, w.room
	if a.envelope != nil {
		return // sent again, for the answer was lost
	}
	w.ledger.release(w, a.result.Commit)
	e := &envelope{kind: commit, bytes: a.result.Commit, epoch: a.epoch, from: s, external: a.external, known: a.known, psks: a.psks}
	if a.epoch != r.epoch {
		e.lost = true
		w.count.lost++
		w.logf("%s loses epoch %d", s.device.name, a.epoch)
		w.post(e)
		return
	}
	old, t := r.epochs[r.epoch], w.foresee(s)
	a.envelope = e
	r.epoch++
	r.epochs[r.epoch] = t
	w.count.epochs++
	if a.result.GroupInfo != nil {
		r.infos[r.epoch] = a.result.GroupInfo
	}
	w.logf("%s wins epoch %d, now %d members", s.device.name, a.epoch, len(t.members))

	// Who came, who stayed, who went.
	var came []*device
	for i := range t.members {
		p := &t.members[i]
		if before := old.of(p.device); before != nil && !(a.external && p.device == s.device) {
			p.since = before.since
			continue
		}
		p.since = r.epoch
		if p.device != s.device {
			came = append(came, p.device)
		}
	}
	for _, d := range a.add {
		if !slices.Contains(came, d) {
			w.fatalf("%s was to be added", d.name)
		}
	}
	for _, d := range a.remove {
		if t.of(d) != nil {
			w.fatalf("%s was to be removed", d.name)
		}
	}
	for _, p := range old.members {
		if t.of(p.device) == nil {
			w.count.removals++
		}
	}
	for _, d := range came {
		w.seat(d)
	}
	w.post(e)
	if (len(came) > 0) != (a.result.Welcome != nil) {
		w.fatalf("%d joiners and a welcome of %d bytes", len(came), len(a.result.Welcome))
	}
	if len(came) > 0 {
		w.ledger.release(w, a.result.Welcome)
		hello := &envelope{number: len(r.log), kind: welcome, bytes: a.result.Welcome, epoch: r.epoch, from: s, tree: a.tree, psks: a.psks, resume: a.resume}
		for _, d := range came {
			joiner := w.seat(d)
			joiner.queue = append(joiner.queue, hello)
		}
	}
}

// foresee returns the epoch that the pending commit leads to, from a copy of
// the committer.
func (w *world) foresee(s *seat) *truth {
	c := s.device.clone()
	defer c.Close()
	g, err := c.Group(ctx, w.room.id)
	if err != nil {
		w.fatalf("%v", err)
	}
	if _, err := g.ApplyPendingCommit(ctx); err != nil {
		w.fatalf("a copy of %s does not apply its commit: %v", s.device.name, err)
	}
	return w.read(g)
}

// advance is what a commit does to the seat of a member who stays.
func (w *world) advance(s *seat, e *envelope, own bool) {
	s.epoch = e.epoch + 1
	s.last, s.pending, s.cleared = e, nil, nil
	s.known, s.phantoms, s.aside = nil, map[string]*envelope{}, map[string]bool{}
	if own && e.external {
		s.first = s.epoch
		s.got = map[*envelope]bool{}
	}
	s.status = active
	w.check(s)
	if own && e.external {
		w.probe(s)
	}
}

// expectation is what must come of a message: the event, or one of the codes;
// where both are given, either.
type expectation struct {
	event mls.EventType
	codes []mlserr.Code
}

func refused(codes ...mlserr.Code) expectation { return expectation{codes: codes} }

// expect says what must come of a message of the group, whenever it arrives.
func (w *world) expect(s *seat, e *envelope) expectation {
	if s.pending != nil && s.pending.envelope == e {
		return expectation{event: mls.EventGroupUpdate}
	}
	if s.sent[e] {
		return expectation{event: mls.EventOwn}
	}
	if e == s.last {
		return refused(mlserr.AlreadyProcessed)
	}
	switch {
	case s.status == joining && e.epoch > s.pending.epoch:
		return refused(mlserr.EpochAhead)
	case s.status == joining:
		return refused(mlserr.EpochBehind)
	case s.status == removed && e.kind == commit:
		return refused(mlserr.NotMember, mlserr.AlreadyProcessed)
	case s.status == removed:
		return refused(mlserr.NotMember)
	case e.epoch > s.epoch:
		return refused(mlserr.EpochAhead)
	case e.epoch < s.epoch && e.kind == application:
		if e.epoch < s.first || s.epoch-e.epoch > uint64(w.script.past) {
			return refused(mlserr.EpochBehind)
		}
		if s.got[e] {
			return refused(mlserr.AlreadyProcessed)
		}
		return expectation{event: mls.EventApplication}
	case e.epoch < s.epoch && e.lost, e.epoch < s.epoch && e.kind == proposal:
		return refused(mlserr.EpochBehind)
	case e.epoch < s.epoch:
		return refused(mlserr.EpochBehind, mlserr.AlreadyProcessed)
	case s.got[e]:
		return refused(mlserr.AlreadyProcessed)
	case e.kind == application:
		return expectation{event: mls.EventApplication}
	case e.kind == proposal:
		return expectation{event: mls.EventProposal}
	case e == s.cleared:
		return refused(mlserr.OwnMessageUnknown)
	}
	want := expectation{event: mls.EventGroupUpdate}
	if !w.stays(s, e) {
		want.event = mls.EventRemoved
	}
	for _, p := range e.known {
		if !slices.Contains(s.known, p) {
			want.codes = append(want.codes, mlserr.ProposalUnknown)
		}
	}
	for _, id := range e.psks {
		if !s.device.psks[id] {
			want.codes = append(want.codes, mlserr.PSKUnknown)
		}
	}
	return want
}

// stays reports whether a member is still one after another's commit. A resync
// of its own that it has dropped is another's: it removes its leaf.
func (w *world) stays(s *seat, e *envelope) bool {
	return w.room.epochs[e.epoch+1].of(s.device) != nil && !(e.external && e.from == s)
}

// deliver gives a message to a device and asserts what comes of it. It
// reports whether the message is done with; else it comes again later.
func (w *world) deliver(s *seat, e *envelope) (done bool) {
	if e.kind == welcome {
		return w.join(s, e)
	}
	if s.status == outside {
		return false
	}
	d := s.device
	want := w.expect(s, e)
	var before *mls.MemoryStore
	if e.number%3 == 0 {
		before = d.memory.Clone()
	}
	commits := d.store.Commits()
	var ev *mls.Event
	receive := func() (err error) {
		ev, err = s.group().Receive(ctx, e.bytes)
		return err
	}
	crashed, err := d.try(receive)
	if crashed {
		if err = receive(); mlserr.CodeOf(err) == mlserr.AlreadyProcessed {
			w.consumed(s, e, nil) // the crash came after the write
			return true
		}
	}
	if err != nil {
		w.count.refused++
		if !slices.Contains(want.codes, mlserr.CodeOf(err)) {
			w.fatalf("%s in epoch %d got %v of %v, want %v", d.name, s.epoch, err, e, want)
		}
		if d.store.Commits() != commits && !crashed || before != nil && !crashed && !d.memory.Equal(before) {
			w.fatalf("%s refused a message with %v and stored something", d.name, err)
		}
		switch mlserr.CodeOf(err) {
		case mlserr.PSKUnknown:
			for _, id := range e.psks {
				d.learn(id)
			}
			return false
		case mlserr.EpochAhead, mlserr.ProposalUnknown:
			return false
		case mlserr.NotMember, mlserr.EpochBehind:
			return s.status == active || !s.invited(e.epoch)
		}
		return true
	}
	if ev.Type != want.event {
		w.fatalf("%s in epoch %d got %s of %v, want %v", d.name, s.epoch, ev.Type, e, want)
	}
	if ev.Type != mls.EventOwn {
		w.consumed(s, e, ev)
	}
	return true
}

// consumed does to the seat what the message did to the device. ev is nil
// where the event was lost in a crash.
func (w *world) consumed(s *seat, e *envelope, ev *mls.Event) {
	s.got[e] = true
	switch {
	case e.kind == application:
		w.count.read++
		w.consumedText(s, e, ev)
	case e.kind == proposal:
		s.known = append(s.known, e)
	case s.pending != nil && s.pending.envelope == e:
		w.countOwn(s)
		w.advance(s, e, true)
	case !w.stays(s, e):
		inbox := s.inbox
		sent := s.sent
		s.forget()
		s.status, s.inbox, s.sent, s.last = removed, inbox, sent, e
		w.check(s)
		w.probe(s)
	default:
		if ev != nil && ev.Update != nil && ev.Update.External != e.external {
			w.fatalf("external: %v, want %v", ev.Update.External, e.external)
		}
		w.advance(s, e, false)
	}
}

func (w *world) countOwn(s *seat) {
	switch {
	case s.pending.external && s.status == joining:
		w.count.externals++
	case s.pending.external:
		w.count.resyncs++
	}
}

// consumedText compares received application data with what was sent, and
// puts it into the inbox of the seat.
func (w *world) consumedText(s *seat, e *envelope, ev *mls.Event) {
	d := s.device
	list, err := s.group().Inbox(ctx)
	if err != nil {
		w.fatalf("%s has no inbox: %v", d.name, err)
	}
	for _, entry := range list {
		if _, old := s.inbox[entry.ID]; !old && string(entry.Event.Content) == e.text {
			s.inbox[entry.ID] = e.text
		}
	}
	w.checkInbox(s, s.group())
	if ev == nil {
		return
	}
	from := w.room.epochs[e.epoch].of(e.from.device)
	if string(ev.Content) != e.text || string(ev.AuthenticatedData) != e.aad || ev.Epoch != e.epoch {
		w.fatalf("%s read %q in epoch %d, want %q in epoch %d", d.name, ev.Content, ev.Epoch, e.text, e.epoch)
	}
	if ev.Sender == nil || ev.Sender.Leaf != from.leaf || string(ev.Sender.Credential.Identity) != e.from.device.name {
		w.fatalf("%s read a message of %+v, want leaf %d, %s", d.name, ev.Sender, from.leaf, e.from.device.name)
	}
	if s.inbox[ev.InboxID] != e.text {
		w.fatalf("%s read %q and has %q in its inbox", d.name, e.text, s.inbox[ev.InboxID])
	}
}

// join gives a Welcome to a device.
func (w *world) join(s *seat, e *envelope) (done bool) {
	d := s.device
	before := d.keyPackages()
	opts := mls.JoinOptions{RatchetTree: e.tree}
	if s.status == outside || s.status == removed {
		info, err := d.client.InspectWelcome(ctx, e.bytes)
		if err == nil && (info.Epoch != e.epoch || !bytes.Equal(info.GroupID, w.room.id) || info.HasTree != (e.tree == nil)) {
			w.fatalf("%s inspects a welcome to epoch %d: %+v", d.name, e.epoch, info)
		}
		if err == nil && e.tree != nil {
			_, err := d.client.JoinGroup(ctx, e.bytes, mls.JoinOptions{})
			w.want(err, d.name+" joins without the tree", mlserr.TreeMissing)
		}
	}
	join := func() error {
		_, err := d.client.JoinGroup(ctx, e.bytes, opts)
		return err
	}
	err := d.durable(join, func() bool {
		g, err := d.client.Group(ctx, w.room.id)
		if err != nil {
			return false
		}
		info, err := g.Info(ctx)
		return err == nil && info.Status == mls.StatusActive && info.Epoch == e.epoch
	})
	switch code := mlserr.CodeOf(err); {
	case err == nil:
	case code == mlserr.GroupExists && (s.status == active || s.status == joining):
		// It is in by another way, or has not yet received that it was removed.
		return s.status == active && s.first >= e.epoch
	case code == mlserr.PSKUnknown && slices.ContainsFunc(e.psks, func(id string) bool { return !d.psks[id] }):
		for _, id := range e.psks {
			d.learn(id)
		}
		return false
	case code == mlserr.PSKUnknown && e.resume:
		w.logf("%s cannot join: it does not have the group's past", d.name)
		return true
	default:
		w.fatalf("%s does not join in epoch %d: %v", d.name, e.epoch, err)
	}
	if err != nil {
		return true
	}
	if s.status == active || s.status == joining {
		w.fatalf("%s joins a group that it holds", d.name)
	}
	if now := d.keyPackages(); now != before-1 && (now != before || d.lastResort[w.suite] == nil) {
		w.fatalf("%s had %d key packages before it joined and has %d", d.name, before, now)
	}
	w.count.joins++
	w.logf("%s joins in epoch %d", d.name, e.epoch)
	inbox, sent := s.inbox, s.sent
	s.forget()
	s.inbox, s.sent = inbox, sent
	s.status, s.epoch, s.first = active, e.epoch, e.epoch
	w.check(s)
	w.probe(s)
	return true
}

// probe gives a device the last application messages that it must not read: to
// one who was removed all, to one who joined those of before.
func (w *world) probe(s *seat) {
	n := 0
	for _, e := range slices.Backward(w.room.log) {
		if e.kind == application && (s.status == removed || s.status == active && e.epoch < s.first) {
			if w.deliver(s, e); s.got[e] && !s.sent[e] {
				w.fatalf("%s has read what it must not: %v", s.device.name, e)
			}
			if n++; n == 2 {
				return
			}
		}
	}
}

// catchUp delivers what waits for a seat until nothing more gets through.
func (w *world) catchUp(s *seat) {
	if len(s.queue) > 1 && s.status != outside && w.texts%4 == 0 {
		w.compareBatch(s)
	}
	for progress := true; progress; {
		progress = false
		for _, e := range slices.Clone(s.queue) {
			psks := len(s.device.psks)
			if w.deliver(s, e) {
				s.received(e)
				progress = true
			}
			progress = progress || len(s.device.psks) != psks
		}
	}
}

// compareBatch has two copies of a device receive what waits for it: one message
// by message, one all at once. What comes of each message is the same.
func (w *world) compareBatch(s *seat) {
	var groups [2]*mls.Group
	for i := range groups {
		c := s.device.clone()
		defer c.Close()
		g, err := c.Group(ctx, w.room.id)
		if err != nil {
			w.fatalf("a copy of %s has no group: %v", s.device.name, err)
		}
		groups[i] = g
	}
	messages := make([][]byte, 0, len(s.queue))
	for _, e := range s.queue {
		if e.kind != welcome {
			messages = append(messages, e.bytes)
		}
	}
	list, err := groups[0].ReceiveAll(ctx, messages)
	if err != nil {
		w.fatalf("a copy of %s receives %d messages: %v", s.device.name, len(messages), err)
	}
	for i, b := range messages {
		ev, err := groups[1].Receive(ctx, b)
		got := list[i]
		if mlserr.CodeOf(got.Err) != mlserr.CodeOf(err) || (got.Event == nil) != (ev == nil) ||
			ev != nil && (got.Event.Type != ev.Type || !bytes.Equal(got.Event.Content, ev.Content)) {
			w.fatalf("a copy of %s gets %+v, %v of message %d of %d in a batch, and %+v, %v of it alone", s.device.name, got.Event, got.Err, i, len(messages), ev, err)
		}
	}
	var states [2]mls.Info
	var inboxes [2][]mls.InboxEntry
	for i, g := range groups {
		if states[i], err = g.Info(ctx); err == nil {
			inboxes[i], err = g.Inbox(ctx)
		}
		if err != nil {
			w.fatalf("a copy of %s: %v", s.device.name, err)
		}
	}
	if states[0].Status != states[1].Status || !bytes.Equal(states[0].EpochAuthenticator, states[1].EpochAuthenticator) || len(inboxes[0]) != len(inboxes[1]) {
		w.fatalf("copies of %s differ by how they receive", s.device.name)
	}
	w.count.batches++
}

// received takes a message out of the queue.
func (s *seat) received(e *envelope) {
	if i := slices.Index(s.queue, e); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
}

// settle delivers everything to everybody.
func (w *world) settle() {
	for _, s := range w.room.seats {
		w.catchUp(s)
	}
}
