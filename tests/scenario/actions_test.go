package scenario

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// play runs a script from the founding of the group to the day when everybody
// has received everything.
func (w *world) play() {
	w.found()
	for _, step := range w.script.steps {
		w.dice = step.dice[:]
		if step.op != opRest {
			w.logf("- %v", step)
		}
		w.act(step.op)
		if len(w.dice) > 0 { // now and then, by what is left of the dice
			pick(w, w.devices).checkVault()
			pick(w, w.devices).rest()
		}
	}
	w.dice = nil
	w.finish()
}

func (w *world) act(o op) {
	switch o {
	case opCommit:
		w.commit()
	case opSubmit:
		w.submitPending()
	case opApply:
		w.applyAccepted()
	case opClear:
		w.clear()
	case opPropose:
		w.propose()
	case opDrop:
		w.drop()
	case opSend:
		w.send()
	case opDeliver:
		w.deliverOne()
	case opLose:
		w.lose()
	case opReplay:
		w.replay()
	case opCatchUp:
		w.catchUp(pick(w, w.room.seats))
	case opSettle:
		w.settle()
	case opExternal:
		w.external()
	case opFreshDevice:
		w.freshDevice()
	case opAskToJoin:
		w.askToJoin()
	case opService:
		w.proposeAsService()
	case opPSK:
		w.newPSK()
	case opAcknowledge:
		w.acknowledge()
	case opReload:
		w.reload(pick(w, w.room.seats))
	case opForget:
		w.deleteRemoved()
	case opBranch:
		w.branch()
	case opReInit:
		w.reInit()
	}
}

// found makes the group with its first members.
func (w *world) found() {
	w.service = w.newDevice("service")
	creator := w.newDevice("d1")
	opts := mls.GroupOptions{GroupID: []byte("room 1")}
	if w.script.listed {
		opts.Extensions = message.Extensions{w.serviceAsSender()}
	}
	identity := creator.identity(w.suite).ID()
	err := creator.durable(func() error {
		_, err := creator.client.CreateGroup(ctx, identity, opts)
		return err
	}, func() bool {
		_, err := creator.client.Group(ctx, opts.GroupID)
		return err == nil
	})
	if err != nil {
		w.fatalf("no group: %v", err)
	}
	w.enter(creator, opts.GroupID, w.suite)
	s := w.seat(creator)
	a := &attempt{}
	for i := 2; i <= w.script.size; i++ {
		a.add = append(a.add, w.newDevice("d"+strconv.Itoa(i)))
	}
	w.must(s, w.makeCommit(s, a, mls.CommitOptions{}))
	w.submit(s)
	w.apply(s)
	w.settle()
	// Updates of every third member make a tree with parents.
	for i := 2; i < w.script.size; i += 3 {
		s := w.room.seats[i]
		w.must(s, w.makeCommit(s, &attempt{}, mls.CommitOptions{PublicMessage: i%2 == 0}))
		w.submit(s)
		w.settle()
	}
}

func (w *world) must(s *seat, err error) {
	if err != nil {
		w.fatalf("%s: %v", s.device.name, err)
	}
}

// enter makes a new room of a group in its first epoch with one member.
func (w *world) enter(d *device, id []byte, of suite.ID) {
	w.suite = of
	w.room = &room{id: id, suite: of, epochs: map[uint64]*truth{}, infos: map[uint64][]byte{}}
	s := w.seat(d)
	s.status = active
	t := w.read(s.group())
	w.room.epochs[0] = t
	w.check(s)
}

// members are the seats of those who may act as members, as they see it.
func (w *world) members() (list []*seat) {
	for _, s := range w.room.seats {
		if s.status == active && !s.device.retired {
			list = append(list, s)
		}
	}
	return list
}

// member picks one of those, or nil.
func (w *world) member() *seat {
	list := w.members()
	if len(list) == 0 {
		return nil
	}
	return pick(w, list)
}

// others are the members of the seat's epoch but itself.
func (s *seat) others() (list []place) {
	for _, p := range s.truth().members {
		if p.device != s.device {
			list = append(list, p)
		}
	}
	return list
}

// makeCommit makes a commit with what the attempt adds and removes. It leaves
// the attempt pending.
func (w *world) makeCommit(s *seat, a *attempt, opts mls.CommitOptions) error {
	for _, d := range a.add {
		opts.Add = append(opts.Add, d.keyPackage(w.suite))
	}
	for _, d := range a.remove {
		opts.Remove = append(opts.Remove, s.truth().of(d).leaf)
	}
	err := s.device.durable(func() (err error) {
		a.result, err = s.group().Commit(ctx, opts)
		return err
	}, func() bool {
		p, err := s.group().PendingCommit(ctx)
		if err != nil {
			w.fatalf("%s: %v", s.device.name, err)
		}
		a.result = p
		return p != nil
	})
	if err != nil {
		return err
	}
	if opts.NoRatchetTree {
		if a.tree, err = s.group().PendingRatchetTree(ctx); err != nil {
			w.fatalf("%s: %v", s.device.name, err)
		}
	}
	a.epoch = s.epoch
	if !opts.IgnoreProposals && opts.ReInit == nil {
		a.known = slices.Clone(s.known)
	}
	proposals := slices.Clone(a.known)
	if !opts.IgnoreProposals && opts.ReInit == nil {
		for ref, p := range s.phantoms {
			if !s.aside[ref] {
				proposals = append(proposals, p)
			}
		}
	}
	for _, p := range proposals {
		a.psks = append(a.psks, p.psks...)
		a.resume = a.resume || p.resume
	}
	if a.result.Epoch != a.epoch+1 {
		w.fatalf("%s commits into epoch %d, want %d", s.device.name, a.result.Epoch, a.epoch+1)
	}
	s.pending = a
	w.check(s)
	return nil
}

// commit has a member commit something.
func (w *world) commit() {
	s := w.member()
	if s == nil {
		return
	}
	if s.pending != nil && !w.oneIn(4) {
		// Rather one who can.
		for _, other := range w.members() {
			if other.pending == nil {
				s = other
			}
		}
	}
	a, opts, rotates := &attempt{}, mls.CommitOptions{}, false
	flags := w.bits()
	what := w.roll(12)
	switch {
	case what < 2: // a plain update
	case what < 6:
		w.chooseAdds(s, a)
	case what < 8:
		w.chooseRemoves(s, a)
	case what == 8:
		w.chooseRemoves(s, a)
		w.chooseAdds(s, a)
	case what == 9:
		rotates = true
		if w.oneIn(2) {
			w.chooseAdds(s, a)
		}
	case what == 10:
		w.choosePSKs(s, a, &opts)
	default:
		if w.oneIn(2) {
			opts.Custom = []message.Proposal{{Type: customProposal, Custom: []byte("custom")}}
		} else {
			opts.Extensions = w.extensions()
		}
		if w.oneIn(3) {
			w.chooseAdds(s, a)
		}
	}
	opts.PublicMessage = flags&1 != 0
	opts.NoPath = flags&2 != 0
	opts.NoRatchetTree = flags&12 == 12
	opts.WithGroupInfo = flags&16 != 0
	opts.IgnoreProposals = flags&96 == 96
	if flags&128 != 0 {
		opts.AuthenticatedData = []byte("aad of a commit")
	}
	want := w.foreseeRefusal(s, a, &opts)
	if rotates && want == nil {
		opts.Identity = s.device.newIdentity(w.suite).ID()
	}
	var before *mls.MemoryStore
	if want != nil {
		before = s.device.memory.Clone()
	}
	err := w.makeCommit(s, a, opts)
	if err == nil {
		if want != nil && !want.either {
			w.fatalf("%s made a commit that should be refused with %v", s.device.name, want.codes)
		}
		if rotates {
			w.count.rotations++
		}
		w.count.psks += len(opts.PSKs)
		w.logf("%s commits in epoch %d: add %v, remove %v, rotates %v, psks %d, extensions %v, custom %d, flags %b",
			s.device.name, s.epoch, names(a.add), names(a.remove), rotates, len(opts.PSKs), opts.Extensions != nil, len(opts.Custom), flags)
		if w.oneIn(2) {
			w.submit(s)
		}
		return
	}
	if want == nil || !slices.Contains(want.codes, mlserr.CodeOf(err)) {
		w.fatalf("%s commits in epoch %d, add %v, remove %v: %v, want %v", s.device.name, s.epoch, names(a.add), names(a.remove), err, want)
	}
	if !s.device.memory.Equal(before) {
		w.fatalf("a refused commit has changed the store")
	}
	w.check(s)
}

func names(list []*device) (names []string) {
	for _, d := range list {
		names = append(names, d.name)
	}
	return names
}

func (w *world) chooseAdds(s *seat, a *attempt) {
	n := 1
	switch w.roll(6) {
	case 4:
		n = 2
	case 5:
		n = 4
	}
	for range n {
		d := w.stranger(s.truth())
		if d == nil || slices.Contains(a.add, d) || len(s.truth().members)+len(a.add) >= 64 {
			continue
		}
		if slices.ContainsFunc(a.add, func(b *device) bool { return b.name == d.name }) {
			continue
		}
		a.add = append(a.add, d)
	}
}

func (w *world) chooseRemoves(s *seat, a *attempt) {
	n := 1
	if w.oneIn(4) {
		n = 2
	}
	for range n {
		others := s.others()
		if len(others) == 0 {
			return
		}
		if d := pick(w, others).device; !slices.Contains(a.remove, d) {
			a.remove = append(a.remove, d)
		}
	}
}

// choosePSKs takes an external PSK, a resumption PSK that all members have, or
// both.
func (w *world) choosePSKs(s *seat, a *attempt, opts *mls.CommitOptions) {
	which := w.roll(3)
	if which != 1 {
		if id := w.anyPSK(s.device); id != "" {
			opts.PSKs = append(opts.PSKs, externalPSK(id))
			a.psks = append(a.psks, id)
		}
	}
	if which != 0 {
		opts.PSKs = append(opts.PSKs, w.resumptionPSK(s))
		a.resume = true
	}
}

func externalPSK(id string) message.PreSharedKeyID {
	return message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte(id)}
}

// anyPSK returns the id of an external PSK that the device has, or "".
func (w *world) anyPSK(d *device) string {
	var list []string
	for i := range w.psks {
		if d.psks[i] {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return pick(w, list)
}

// resumptionPSK returns one of an epoch that every member has seen.
func (w *world) resumptionPSK(s *seat) message.PreSharedKeyID {
	oldest := s.epoch - min(s.epoch, 10)
	for _, p := range s.truth().members {
		oldest = max(oldest, p.since)
	}
	return message.PreSharedKeyID{
		Type: message.PSKResumption, Usage: message.ResumptionApplication,
		GroupID: w.room.id, Epoch: s.epoch - uint64(w.roll(int(s.epoch-oldest)+1)),
	}
}

// extensions returns group context extensions of some kind.
func (w *world) extensions() *message.Extensions {
	list := message.Extensions{}
	kind := w.bits()
	if kind&1 != 0 {
		list = append(list, w.serviceAsSender())
	}
	switch kind >> 1 & 3 {
	case 1:
		list = append(list, message.Extension{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&message.RequiredCapabilities{
			Extensions: []message.ExtensionType{customExtension}, Proposals: []message.ProposalType{customProposal},
		})})
	case 2:
		list = append(list, message.Extension{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&message.RequiredCapabilities{
			Credentials: []message.CredentialType{message.CredentialBasic},
		})})
	case 3:
		list = append(list, message.Extension{Type: customExtension, Data: []byte{kind}})
	}
	return &list
}

func (w *world) serviceAsSender() message.Extension {
	identity := w.service.identity(w.suite)
	return message.Extension{Type: message.ExtensionExternalSenders, Data: wire.Marshal(message.ExternalSenderList{
		{SignatureKey: identity.SignatureKey(), Credential: identity.Credential()},
	})}
}

// refusal is what a commit must fail with; with either, it may also succeed.
type refusal struct {
	codes  []mlserr.Code
	either bool
}

// foreseeRefusal says whether the member's commit breaks a rule.
func (w *world) foreseeRefusal(s *seat, a *attempt, opts *mls.CommitOptions) *refusal {
	switch {
	case s.room.frozen && s.epoch == s.room.epoch:
		return &refusal{codes: []mlserr.Code{mlserr.GroupReadOnly}}
	case s.pending != nil:
		return &refusal{codes: []mlserr.Code{mlserr.PendingCommit}}
	}
	old := 0 // members, after the Removes, that support nothing beyond the RFC
	for _, p := range s.truth().members {
		if !p.device.modern && !slices.Contains(a.remove, p.device) {
			old++
		}
	}
	oldAdded := slices.ContainsFunc(a.add, func(d *device) bool { return !d.modern })
	// A cached Remove of an old member, or other extensions, may come to help.
	either := s.waiting() > 0 && !opts.IgnoreProposals
	extensions := s.truth().extensions
	if opts.Extensions != nil {
		extensions = *opts.Extensions
	}
	switch {
	case len(opts.Custom) > 0 && old > 0:
		return &refusal{[]mlserr.Code{mlserr.ProposalUnsupported}, either}
	case needsModern(extensions) && (old > 0 || oldAdded):
		return &refusal{[]mlserr.Code{mlserr.GroupExtensionInvalid, mlserr.CapabilityMissing}, either}
	}
	return nil
}

func (w *world) submitPending() {
	var list []*seat
	for _, s := range w.room.seats {
		if s.pending != nil {
			list = append(list, s)
		}
	}
	if len(list) > 0 {
		w.submit(pick(w, list))
	}
}

// applyAccepted has a member whose commit was accepted apply it.
func (w *world) applyAccepted() {
	var list []*seat
	for _, s := range w.room.seats {
		if s.pending != nil && s.pending.envelope != nil {
			list = append(list, s)
		}
	}
	if len(list) > 0 {
		w.apply(pick(w, list))
	}
}

func (w *world) apply(s *seat) {
	e := s.pending.envelope
	err := s.device.durable(func() error {
		ev, err := s.group().ApplyPendingCommit(ctx)
		if err == nil && (ev.Type != mls.EventGroupUpdate || !ev.Update.Own || ev.Epoch != e.epoch+1) {
			w.fatalf("%s applies its commit: %+v", s.device.name, ev)
		}
		return err
	}, func() bool {
		info, err := s.group().Info(ctx)
		return err == nil && !info.HasPendingCommit
	})
	w.must(s, err)
	w.countOwn(s)
	w.advance(s, e, true)
}

// clear has a member drop its commit because it lost, or, seldom, by mistake.
func (w *world) clear() {
	var list []*seat
	for _, s := range w.room.seats {
		if s.pending != nil {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return
	}
	s := pick(w, list)
	accepted := s.pending.envelope
	if accepted != nil && !w.oneIn(4) {
		return
	}
	lasts := s.status == joining && len(s.inbox) == 0
	err := s.device.durable(func() error { return s.group().ClearPendingCommit(ctx) }, func() bool {
		g, err := s.device.client.Group(ctx, w.room.id)
		if err != nil {
			return true
		}
		p, err := g.PendingCommit(ctx)
		return err == nil && p == nil
	})
	w.must(s, err)
	w.logf("%s clears its commit, accepted: %v", s.device.name, accepted != nil)
	s.pending = nil
	switch {
	case lasts:
		s.forget()
	case s.status == joining:
		s.status = removed
	case accepted != nil && !accepted.external:
		s.cleared = accepted
	case accepted != nil:
		s.cleared = nil // a resync: others will remove the old leaf
	}
	w.check(s)
}

// dropPending has a member drop a commit that was not accepted.
func (w *world) dropPending(s *seat) {
	w.must(s, s.device.durable(func() error { return s.group().ClearPendingCommit(ctx) }, func() bool {
		p, err := s.group().PendingCommit(ctx)
		return err == nil && p == nil
	}))
	s.pending = nil
}

// propose has a member propose something.
func (w *world) propose() {
	s := w.member()
	if s == nil {
		return
	}
	opts := mls.ProposeOptions{}
	e := &envelope{kind: proposal, epoch: s.epoch, from: s}
	var want []mlserr.Code
	flags := w.bits()
	switch w.roll(9) {
	case 0, 1:
		opts.Update = true
		if flags&4 != 0 {
			opts.Identity = s.device.newIdentity(w.suite).ID()
		}
		w.count.updates++
	case 2, 3:
		d := w.stranger(s.truth())
		if d == nil || len(s.truth().members) > 60 {
			return
		}
		opts.Add = d.keyPackage(w.suite)
		if !d.modern && needsModern(s.truth().extensions) {
			want = []mlserr.Code{mlserr.CapabilityMissing}
		}
	case 4, 5:
		leaf := pick(w, s.truth().members).leaf
		opts.Remove = &leaf
	case 6:
		if id := w.anyPSK(s.device); id != "" && flags&4 == 0 {
			psk := externalPSK(id)
			opts.PSK = &psk
			e.psks = []string{id}
		} else {
			psk := w.resumptionPSK(s)
			opts.PSK = &psk
			e.resume = true
		}
	case 7:
		opts.Extensions = w.extensions()
	default:
		opts.Custom = &message.Proposal{Type: customProposal, Custom: []byte("custom")}
		if slices.ContainsFunc(s.truth().members, func(p place) bool { return !p.device.modern }) {
			want = []mlserr.Code{mlserr.ProposalUnsupported}
		}
	}
	opts.PublicMessage = flags&1 != 0
	if flags&2 != 0 {
		opts.AuthenticatedData = []byte("aad of a proposal")
	}
	if s.room.frozen && s.epoch == s.room.epoch {
		want = []mlserr.Code{mlserr.GroupReadOnly}
	}
	waiting := s.waiting()
	var result *mls.ProposalResult
	crashed := false
	err := s.device.durable(func() (err error) {
		result, err = s.group().Propose(ctx, opts)
		return err
	}, func() bool {
		// Was it cached? Then its bytes are there too.
		list, err := s.group().Proposals(ctx)
		if err != nil || len(list) == waiting {
			return false
		}
		last := list[len(list)-1]
		crashed, result = true, &mls.ProposalResult{Message: last.Message, Reference: last.Reference}
		return true
	})
	switch {
	case want != nil:
		w.want(err, s.device.name+" proposes", want...)
	case err != nil:
		w.fatalf("%s proposes in epoch %d: %v", s.device.name, s.epoch, err)
	case crashed && !w.oneIn(3):
		// This device does not look for what it has not sent.
		s.phantoms[string(result.Reference)] = e
		w.count.phantoms++
	case s.proposed(result.Reference):
		// The same as before, byte for byte or but for the encryption.
		if s.aside[string(result.Reference)] {
			delete(s.aside, string(result.Reference))
		}
		w.ledger.release(w, result.Message)
	default:
		w.ledger.release(w, result.Message)
		e.bytes, e.ref = result.Message, result.Reference
		delete(s.phantoms, string(e.ref)) // proposed again
		s.known = append(s.known, e)
		s.got[e], s.sent[e] = true, true
		w.post(e)
		w.logf("%s proposes in epoch %d: %+v", s.device.name, s.epoch, what(&opts))
	}
	w.check(s)
}

// proposed reports whether the seat has proposed what has the reference.
func (s *seat) proposed(ref []byte) bool {
	return slices.ContainsFunc(s.known, func(e *envelope) bool { return bytes.Equal(e.ref, ref) })
}

func what(opts *mls.ProposeOptions) string {
	return fmt.Sprintf("add %v, remove %v, update %v, identity %v, psk %v, extensions %v, custom %v, public %v",
		opts.Add != nil, opts.Remove != nil, opts.Update, opts.Identity != nil, opts.PSK != nil, opts.Extensions != nil, opts.Custom != nil, opts.PublicMessage)
}

// drop has a member set a cached proposal aside.
func (w *world) drop() {
	s := w.member()
	if s == nil || s.waiting() == 0 {
		return
	}
	list, err := s.group().Proposals(ctx)
	if err != nil || len(list) != s.waiting() {
		w.fatalf("%s has %d proposals, want %d: %v", s.device.name, len(list), s.waiting(), err)
	}
	ref := pick(w, list).Reference
	w.must(s, s.device.durable(func() error { return s.group().DropProposal(ctx, ref) }, func() bool {
		info, err := s.group().Info(ctx)
		return err == nil && info.PendingProposals < len(list)
	}))
	s.aside[string(ref)] = true
	w.check(s)
}

// send has a member send application data.
func (w *world) send() {
	s := w.member()
	if s == nil {
		return
	}
	w.sendFrom(s)
	if w.oneIn(3) { // what follows goes without being stored
		for range 1 + w.roll(8) {
			w.sendFrom(s)
		}
	}
}

func (w *world) sendFrom(s *seat) {
	w.texts++
	e := &envelope{kind: application, epoch: s.epoch, from: s, text: "text " + strconv.Itoa(w.texts)}
	if w.oneIn(3) {
		e.aad = "aad"
	}
	if w.oneIn(8) {
		e.text += string(bytes.Repeat([]byte("!"), 3000))
	}
	before := s.device.revision(s)
	err := s.device.durable(func() (err error) {
		e.bytes, err = s.group().Send(ctx, []byte(e.text), mls.SendOptions{AuthenticatedData: []byte(e.aad)})
		return err
	}, never)
	switch {
	case s.room.frozen && s.epoch == s.room.epoch:
		w.want(err, s.device.name+" sends", mlserr.GroupReadOnly)
		return
	case s.waiting() > 0:
		w.want(err, s.device.name+" sends", mlserr.PendingProposals)
		return
	case err != nil:
		w.fatalf("%s sends in epoch %d: %v", s.device.name, s.epoch, err)
	}
	w.ledger.release(w, e.bytes)
	s.sent[e], s.got[e] = true, true
	if s.device.revision(s) == before { // the group was not stored
		w.count.reserved++
		s.device.unstored = append(s.device.unstored, unstored{s, e, before})
	}
	w.post(e)
}

// deliverOne delivers one message to one seat, not always the first.
func (w *world) deliverOne() {
	s := pick(w, w.room.seats)
	if len(s.queue) == 0 {
		return
	}
	i := 0
	if w.oneIn(2) {
		i = w.roll(len(s.queue))
	}
	e := s.queue[i]
	if w.deliver(s, e) {
		s.received(e)
	}
}

// lose loses application messages on their way to one seat.
func (w *world) lose() {
	s := pick(w, w.room.seats)
	s.queue = slices.DeleteFunc(s.queue, func(e *envelope) bool { return e.kind == application && w.oneIn(2) })
}

// replay delivers anything that was ever sent to anybody: again, too early,
// too late, or to one who should not have it.
func (w *world) replay() {
	for range 3 {
		if len(w.room.log) == 0 {
			return
		}
		s, e := pick(w, w.room.seats), pick(w, w.room.log)
		if w.oneIn(2) { // a recent one
			e = w.room.log[len(w.room.log)-1-w.roll(min(4, len(w.room.log)))]
		}
		if s.status == outside {
			continue
		}
		if e.lost && !(s.status == removed || s.status == active && s.epoch > e.epoch) {
			continue // the service would make members diverge
		}
		if w.deliver(s, e) {
			s.received(e)
		}
	}
}

// external has somebody join by an external commit: a stranger, one who was
// invited and cannot join, one who is stuck, or a member who starts afresh.
func (w *world) external() {
	r := w.room
	if r.frozen {
		return
	}
	var d *device
	switch w.roll(4) {
	case 0, 1:
		d = w.stranger(r.epochs[r.epoch])
	case 2:
		d = pick(w, r.epochs[r.epoch].members).device
	default:
		for _, s := range r.seats {
			if !s.device.retired && (s.stuck() || s.status == outside || s.status == removed) {
				d = s.device
			}
		}
	}
	if d == nil || d.retired {
		return
	}
	w.joinExternal(d)
}

// joinExternal makes the external commit of a device.
func (w *world) joinExternal(d *device) {
	r, s := w.room, w.seat(d)
	if s.pending != nil && s.pending.envelope != nil {
		return
	}
	info, epoch, ok := w.groupInfo()
	if !ok {
		return
	}
	t := r.epochs[epoch]
	opts := mls.ExternalOptions{Resync: t.has(d.name), RatchetTree: t.nodes} // where the info does not have it
	flags := w.bits()
	if flags&1 != 0 {
		opts.WithGroupInfo = true
	}
	a := &attempt{epoch: epoch, external: true}
	if id := w.anyPSK(d); id != "" && flags&2 != 0 {
		opts.PSKs = []message.PreSharedKeyID{externalPSK(id)}
		a.psks = []string{id}
	}
	if len(t.members) >= 64 && !opts.Resync {
		return
	}
	identity := d.identity(w.suite)
	if list := d.made[w.suite]; flags&4 != 0 {
		identity = list[len(list)-1]
	}
	id := identity.ID()
	hadPending := s.pending != nil && s.pending.external
	err := d.durable(func() (err error) {
		_, a.result, err = d.client.JoinExternal(ctx, id, info, opts)
		return err
	}, func() bool {
		g, err := d.client.Group(ctx, r.id)
		if err != nil {
			return false
		}
		p, err := g.PendingCommit(ctx)
		if err != nil || p == nil || s.pending != nil && bytes.Equal(p.Commit, s.pending.result.Commit) {
			return false
		}
		a.result = p
		return true
	})
	switch {
	case !d.modern && needsModern(t.extensions):
		w.want(err, d.name+" joins what it does not support", mlserr.CapabilityMissing, mlserr.GroupExtensionInvalid)
	case s.status == active && !opts.Resync:
		w.want(err, d.name+" joins what it has not left", mlserr.GroupExists)
	case err != nil:
		w.fatalf("%s joins externally in epoch %d, resync %v: %v", d.name, epoch, opts.Resync, err)
	default:
		w.logf("%s makes an external commit for epoch %d, resync %v, pending before %v", d.name, epoch, opts.Resync, hadPending)
		s.pending = a
		if s.status != active {
			inbox, sent := s.inbox, s.sent
			s.forget()
			s.inbox, s.sent = inbox, sent
			s.status, s.pending = joining, a
		}
		w.check(s)
		if w.oneIn(3) {
			return
		}
		w.submit(s)
		return
	}
	w.check(s)
}

// groupInfo returns a GroupInfo from a member or from the service, mostly of
// the current epoch.
func (w *world) groupInfo() (info []byte, epoch uint64, ok bool) {
	r := w.room
	if info := r.infos[r.epoch]; info != nil && w.oneIn(2) {
		return info, r.epoch, true
	}
	for _, s := range w.room.seats {
		if s.status == active && s.epoch == r.epoch {
			info, err := s.group().GroupInfo(ctx, mls.GroupInfoOptions{NoRatchetTree: w.oneIn(3)})
			w.must(s, err)
			return info, r.epoch, true
		}
	}
	return nil, 0, false
}

// freshDevice has a member lose its device: a new one of the same name takes
// its place.
func (w *world) freshDevice() {
	r := w.room
	old := pick(w, r.epochs[r.epoch].members).device
	if old.retired || r.frozen || len(w.devices) >= 80 {
		return
	}
	old.retired = true
	d := w.newDevice(old.name)
	d.modern = old.modern
	d.client.Close()
	d.start()
	w.seat(d)
	w.joinExternal(d)
}

// askToJoin has a stranger propose itself.
func (w *world) askToJoin() {
	r := w.room
	d := w.stranger(r.epochs[r.epoch])
	info, epoch, ok := w.groupInfo()
	if d == nil || !ok || r.frozen || len(r.epochs[r.epoch].members) > 60 || !d.modern && needsModern(r.epochs[epoch].extensions) {
		return
	}
	b, err := d.client.ProposeToJoin(ctx, info, d.keyPackage(w.suite), nil)
	if err != nil {
		w.fatalf("%s proposes to join: %v", d.name, err)
	}
	w.logf("%s asks to join in epoch %d", d.name, epoch)
	w.postFromOutside(&envelope{kind: proposal, epoch: epoch, bytes: b})
}

// proposeAsService has the external sender propose something.
func (w *world) proposeAsService() {
	r := w.room
	t := r.epochs[r.epoch]
	_, listed := t.extensions.Find(message.ExtensionExternalSenders)
	info, epoch, ok := w.groupInfo()
	if !listed || !ok || r.frozen {
		return
	}
	opts := mls.ProposeOptions{}
	e := &envelope{kind: proposal, epoch: epoch}
	switch w.roll(4) {
	case 0:
		d := w.stranger(t)
		if d == nil || len(t.members) > 60 || !d.modern && needsModern(t.extensions) {
			return
		}
		opts.Add = d.keyPackage(w.suite)
	case 1:
		leaf := pick(w, t.members).leaf
		opts.Remove = &leaf
	case 2:
		opts.Extensions = w.extensions()
	default:
		var id string
		for _, p := range t.members {
			if id = w.anyPSK(p.device); id != "" {
				break
			}
		}
		if id == "" {
			return
		}
		psk := externalPSK(id)
		opts.PSK = &psk
		e.psks = []string{id}
	}
	from := mls.ExternalProposer{Identity: w.service.identity(w.suite).ID()}
	b, err := w.service.client.ProposeExternally(ctx, info, from, opts)
	if err != nil {
		w.fatalf("the service proposes: %v", err)
	}
	w.logf("the service proposes in epoch %d: %s", epoch, what(&opts))
	e.bytes = b
	w.postFromOutside(e)
}

// postFromOutside posts a proposal by one who is no member, unless it is the
// very same as one before: then it is no other message.
func (w *world) postFromOutside(e *envelope) {
	if !slices.ContainsFunc(w.room.log, func(before *envelope) bool { return bytes.Equal(before.bytes, e.bytes) }) {
		w.post(e)
	}
}

// newPSK makes an external PSK and gives it to most devices.
func (w *world) newPSK() {
	id := "psk " + strconv.Itoa(len(w.psks))
	w.psks[id] = suite.Random(32)
	for _, s := range w.room.seats {
		if !w.oneIn(4) {
			s.device.learn(id)
		}
	}
}

func (w *world) acknowledge() {
	s := pick(w, w.room.seats)
	if s.status == outside || len(s.inbox) == 0 {
		return
	}
	var ids []uint64
	for id := range s.inbox {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if w.oneIn(2) {
		ids = ids[:1]
	}
	w.must(s, s.device.durable(func() error { return s.group().Acknowledge(ctx, ids...) }, never))
	for _, id := range ids {
		delete(s.inbox, id)
	}
	w.check(s)
}

// reload restarts a device and asserts that it is as before.
func (w *world) reload(s *seat) {
	s.device.restart()
	w.check(s)
}

// deleteRemoved has a removed member delete what is left of the group.
func (w *world) deleteRemoved() {
	for _, s := range w.room.seats {
		if s.status != removed {
			continue
		}
		w.must(s, s.device.durable(func() error { return s.device.client.DeleteGroup(ctx, w.room.id) }, func() bool {
			_, err := s.device.client.Group(ctx, w.room.id)
			return err != nil
		}))
		s.forget()
		w.check(s)
		return
	}
}

// together settles and reports whether every member of the epoch is there.
func (w *world) together() bool {
	w.settle()
	r := w.room
	for _, p := range r.epochs[r.epoch].members {
		if s := w.seat(p.device); s.status != active || s.epoch != r.epoch || p.device.retired {
			return false
		}
	}
	return true
}

// branch has some members make a subgroup, say something there and leave it.
func (w *world) branch() {
	if w.room.frozen || !w.together() {
		return
	}
	s := w.member()
	if s == nil || s.room.epochs[s.room.epoch].of(s.device) == nil || s.epoch != s.room.epoch {
		return
	}
	var guests []*device
	for _, p := range s.others() {
		if len(guests) < 3 && w.oneIn(2) {
			guests = append(guests, p.device)
		}
	}
	id := []byte("branch " + strconv.Itoa(w.count.branches+1))
	own := s.truth().of(s.device)
	identity := w.identityOf(s.device, own.leaf)
	w.successor(s, guests, id, identity, func(g *mls.Group, keyPackages [][]byte) (*mls.Group, *mls.CommitResult, error) {
		return g.Branch(ctx, keyPackages, mls.BranchOptions{GroupID: id, SuccessorOptions: mls.SuccessorOptions{Identity: identity}})
	})
	w.count.branches++
	var text []byte
	w.must(s, s.device.durable(func() (err error) {
		text, err = s.device.group(w, id).Send(ctx, []byte("in the branch"), mls.SendOptions{})
		return err
	}, never))
	w.ledger.release(w, text)
	for _, d := range guests {
		read := func() bool {
			list, err := d.group(w, id).Inbox(ctx)
			return err == nil && len(list) == 1 && string(list[0].Event.Content) == "in the branch"
		}
		err := d.durable(func() error { _, err := d.group(w, id).Receive(ctx, text); return err }, read)
		if err != nil || !read() {
			w.fatalf("%s does not read in the branch: %v", d.name, err)
		}
	}
	for _, d := range append(guests, s.device) {
		deleted := func() error { return d.client.DeleteGroup(ctx, id) }
		if err := d.durable(deleted, func() bool { _, err := d.client.Group(ctx, id); return err != nil }); err != nil {
			w.fatalf("%s deletes the branch: %v", d.name, err)
		}
	}
	w.check(s)
}

// identityOf returns the id of the identity that a device has at a leaf.
func (w *world) identityOf(d *device, leaf treemath.LeafIndex) []byte {
	members, err := w.seat(d).group().Members(ctx)
	if err != nil {
		w.fatalf("%v", err)
	}
	for _, m := range members {
		for _, identity := range d.made[w.suite] {
			if m.Leaf == leaf && bytes.Equal(m.SignatureKey, identity.SignatureKey()) {
				return identity.ID()
			}
		}
	}
	w.fatalf("%s has no identity at its leaf", d.name)
	return nil
}

// successor makes a group that follows from the room's, with the guests.
func (w *world) successor(s *seat, guests []*device, id, identity []byte, create func(g *mls.Group, keyPackages [][]byte) (*mls.Group, *mls.CommitResult, error)) {
	of, err := s.device.client.Identity(ctx, identity)
	w.must(s, err)
	var keyPackages [][]byte
	for _, d := range guests {
		keyPackages = append(keyPackages, d.keyPackage(of.Suite()))
	}
	var result *mls.CommitResult
	old := s.group()
	w.must(s, s.device.durable(func() (err error) {
		_, result, err = create(s.device.group(w, old.ID()), keyPackages)
		return err
	}, func() bool {
		g, err := s.device.client.Group(ctx, id)
		if err != nil {
			return false
		}
		result, err = g.PendingCommit(ctx)
		return err == nil && result != nil && bytes.Equal(g.ID(), id)
	}))
	applied := func() error { _, err := s.device.group(w, id).ApplyPendingCommit(ctx); return err }
	w.must(s, s.device.durable(applied, func() bool {
		p, err := s.device.group(w, id).PendingCommit(ctx)
		return err == nil && p == nil
	}))
	if len(guests) > 0 {
		w.ledger.release(w, result.Welcome)
	}
	g := s.device.group(w, id)
	t := w.read(g)
	for _, d := range guests {
		join := func() error { _, err := d.client.JoinGroup(ctx, result.Welcome, mls.JoinOptions{}); return err }
		err := d.durable(join, func() bool {
			g, err := d.client.Group(ctx, id)
			if err != nil {
				return false
			}
			info, err := g.Info(ctx)
			return err == nil && info.Epoch == 1 && info.Status == mls.StatusActive
		})
		if err != nil {
			w.fatalf("%s does not join the successor: %v", d.name, err)
		}
		theirs := w.read(d.group(w, id))
		if !bytes.Equal(theirs.authenticator, t.authenticator) || !bytes.Equal(theirs.nodes, t.nodes) || !bytes.Equal(theirs.exported, t.exported) {
			w.fatalf("%s has diverged in the successor", d.name)
		}
	}
}

// group returns a group that the device may hold.
func (d *device) group(w *world, id []byte) *mls.Group {
	g, err := d.client.Group(ctx, id)
	if err != nil {
		w.fatalf("%s does not hold the group: %v", d.name, err)
	}
	return g
}

// reInit ends the group and goes on in another, with another suite or the
// same, of another id or the same.
func (w *world) reInit() {
	if w.room.frozen || !w.together() || len(w.room.epochs[w.room.epoch].members) > 20 {
		return
	}
	r := w.room
	s := w.member()
	if s == nil || r.epochs[r.epoch].of(s.device) == nil || s.epoch != r.epoch {
		return
	}
	if s.pending != nil {
		w.dropPending(s)
	}
	next := pick(w, []suite.ID{w.suite, 1, 3})
	id := []byte("room " + strconv.Itoa(w.count.reinits+2))
	// Under the old id, what others still hold of the old group would be in the way.
	if w.oneIn(3) && !slices.ContainsFunc(r.seats, func(s *seat) bool {
		return (s.status == active || s.status == joining) && r.epochs[r.epoch].of(s.device) == nil
	}) {
		id = r.id
	}
	re := &message.ReInit{GroupID: id, Version: message.MLS10, CipherSuite: next, Extensions: message.Extensions{}}
	w.must(s, w.makeCommit(s, &attempt{}, mls.CommitOptions{ReInit: re}))
	r.frozen = true // from the next epoch on
	w.submit(s)
	w.apply(s)
	if !w.together() {
		w.fatalf("not everybody has followed the ReInit")
	}
	for _, m := range w.members() {
		if m.epoch != r.epoch {
			continue
		}
		_, err := m.group().Send(ctx, []byte("x"), mls.SendOptions{})
		w.want(err, m.device.name+" sends after a ReInit", mlserr.GroupReadOnly)
		_, err = m.group().Commit(ctx, mls.CommitOptions{})
		w.want(err, m.device.name+" commits after a ReInit", mlserr.GroupReadOnly)
	}
	var guests []*device
	for _, p := range s.others() {
		guests = append(guests, p.device)
	}
	identity := s.device.identity(next).ID()
	w.successor(s, guests, id, identity, func(g *mls.Group, keyPackages [][]byte) (*mls.Group, *mls.CommitResult, error) {
		return g.ReInit(ctx, keyPackages, mls.SuccessorOptions{Identity: identity})
	})
	w.count.reinits++
	w.logf("the group goes on in suite %d", next)

	// Go on in the new room, in epoch 1.
	w.suite = next
	w.room = &room{id: id, suite: next, epoch: 1, epochs: map[uint64]*truth{}, infos: map[uint64][]byte{}}
	t := w.read(s.device.group(w, id))
	for i := range t.members {
		t.members[i].since = 1
	}
	w.room.epochs[1] = t
	if bytes.Equal(id, r.id) {
		for _, old := range r.seats { // the ledger of a group outlives memberships
			seat := w.seat(old.device)
			seat.status, seat.inbox = old.status, old.inbox
		}
	}
	for _, d := range append([]*device{s.device}, guests...) {
		seat := w.seat(d)
		seat.status, seat.epoch, seat.first = active, 1, 1
		w.check(seat)
	}
}

// finish delivers everything, brings back those who are stuck or could not
// join, and asserts that in the end all members agree and talk.
func (w *world) finish() {
	w.settle()
	r := w.room
	// Proposals that a crash kept from being sent are committed all the same.
	for _, s := range w.members() {
		if len(s.phantoms) > 0 && s.epoch == r.epoch && !s.stuck() && !r.frozen {
			if s.pending != nil {
				w.dropPending(s)
			}
			w.must(s, w.makeCommit(s, &attempt{}, mls.CommitOptions{}))
			w.submit(s)
			w.settle()
		}
	}
	rounds := 0
	for i := 0; !r.frozen && i < len(r.epochs[r.epoch].members); i++ {
		if rounds++; rounds > 10000 {
			w.fatalf("the group does not come to rest")
		}
		d := r.epochs[r.epoch].members[i].device
		s := w.seat(d)
		if d.retired || s.status == active && !s.stuck() && s.epoch == r.epoch {
			continue
		}
		if s.status == active && s.epoch != r.epoch && !s.stuck() {
			w.fatalf("%s has stayed behind in epoch %d of %d with %d messages", d.name, s.epoch, r.epoch, len(s.queue))
		}
		if s.pending != nil && s.pending.envelope != nil {
			w.fatalf("%s has not received its own commit of epoch %d", d.name, s.pending.epoch)
		}
		before := s.pending
		w.joinExternal(d)
		if s.pending == before {
			continue // it cannot: nobody is left to tell it about the group, say
		}
		w.submit(s)
		w.settle()
		i = -1
	}
	if r.frozen {
		return
	}
	var talking []*seat
	for _, p := range r.epochs[r.epoch].members {
		if s := w.seat(p.device); !p.device.retired && s.status == active && !s.stuck() && s.epoch == r.epoch {
			talking = append(talking, s)
		}
	}
	// One commit more makes the group whole and ends what proposals hold up.
	if len(talking) > 0 {
		s := talking[0]
		if s.pending != nil {
			w.dropPending(s)
		}
		w.must(s, w.makeCommit(s, &attempt{}, mls.CommitOptions{IgnoreProposals: true}))
		w.submit(s)
		w.settle()
	}
	for _, s := range talking {
		if s.epoch != r.epoch {
			w.fatalf("%s has stayed behind in epoch %d of %d", s.device.name, s.epoch, r.epoch)
		}
		w.check(s)
		w.sendFrom(s)
	}
	w.settle()
	// Who is not one of them has read nothing of it.
	for _, s := range r.seats {
		w.probe(s)
	}
	for _, d := range w.devices {
		d.rest()
		d.checkVault()
		d.client.Close()
	}
}
