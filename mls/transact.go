package mls

import (
	"context"
	"errors"

	"webmls/mls/mlserr"
	"webmls/mls/schedule"
)

// live is what is in memory of a group while it is loaded.
type live struct {
	state  *state
	rev    Rev
	format byte // of the stored records; 0 when there are none
	// The ledger: containers that only grow and shrink by entries. They are
	// changed in apply alone.
	inbox  map[uint64]*InboxEntry
	blocks map[uint64]*inboxBlock // of those entries that share a record
	sent   sentLog
	// bundles are the records with several pages of the tree.
	bundles []bundle
	// reserve changes with every send: see reserve.go.
	reserve reserve
}

// outcome is what a step wants to happen. Nothing of it is visible, in memory
// or outside, before it is stored.
type outcome struct {
	next   *state         // nil: the state stays
	drafts []ratchetDraft // to be applied to ratchets of the state before
	// deliver is application data for the inbox, at most maxDelivered.
	deliver []*Event
	// acknowledged inbox entries.
	acknowledged []uint64
	// sent are digests for the log of what was sent: see sentLog. sentBlocks is
	// the log with them, once change has made it, and sentDropped what fell out.
	sent                    [][]byte
	sentBlocks, sentDropped []*sentBlock
	// sends: it is a send. reserved are generations that it reserves, and lacks is
	// how many messages may be sent from memory after it.
	sends    bool
	reserved []reservedKey
	lacks    int
	// client is what else happens to the client's scope, in the same batch.
	client *clientChange
	// bundles are those of the tree after it, where it has bundled, once change knows.
	bundles []bundle
	bundled bool
	// kept and dropped are names of keys: see settleKeys.
	kept, dropped []string
	// accepted, where it is not nil, is asked before it is stored; an error refuses it. It may ask the application.
	accepted func() error
	// check, where it is not nil, is made before anything of it is durable or visible,
	// while the store is under way where that is a Checker. It waits for nothing. An
	// error, which is then refused, is as one of the step.
	check   func() error
	refused error
	// create: the scope may hold leavings of a former membership; drop them.
	create bool
	// forget: the group is deleted.
	forget bool
	// fail is what the step returns once all is stored: it has learned something
	// by what it refuses.
	fail error
	// wipe is run after all is stored.
	wipe []func()
}

// maxDelivered is how many messages go into the inbox in one batch, and what
// makes their ids: the ids of a batch are those of its revision, in order. Ids
// that format 1 gave are below all of them.
const maxDelivered = 1 << 12

type ratchetDraft struct {
	epoch uint64
	draft *schedule.Draft
}

// tries is how often a step is run, or a change of the client's scope made, while
// other instances are faster.
const tries = 4

// transact is the only place where the state of a group is stored and swapped.
// It takes the group's turn and its lock, runs step on the loaded state, turns
// the outcome into one Batch, commits it, and only then makes the outcome the
// state. An error in step leaves the stored and the live state as they were
// (C14). When the store fails, what it did is unknown: the group is dropped from
// memory and loads again. When another instance has written meanwhile, the step
// is run again on what that left, also where the step failed or found nothing to
// do: it did so on what is old. A step may so be run more than once, and has no
// effect but its outcome.
func (g *Group) transact(ctx context.Context, step func(l *live) (*outcome, error)) error {
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.unlock()
	granted, release := g.hold(ctx)
	defer release()
	return g.run(ctx, granted, step)
}

// steps is transact for who has the group's turn and its lock.
func (g *Group) steps(ctx context.Context, step func(l *live) (*outcome, error)) error {
	return g.run(ctx, func() error { return nil }, step)
}

// run is transact for who has the group's turn, while the lock is on its way. The
// first run of the step does not wait for it: in a browser it comes late, and
// mostly from nobody. Should another instance have had it, and have written, the
// base of the batch is old, and the step is run again, under the lock. Nothing is
// stored before it was granted, nor does a step come to nothing.
func (g *Group) run(ctx context.Context, granted func() error, step func(l *live) (*outcome, error)) error {
	clientLocked := false
	for try := 1; ; try++ {
		l, err := g.load(ctx)
		if err != nil {
			return err
		}
		rev := l.rev
		out, err := step(l)
		if err := granted(); err != nil {
			return err
		}
		if err != nil || out == nil {
			if try < tries && g.refresh(ctx, rev, err) {
				continue
			}
			return err
		}
		g.expire(l, out)
		g.settleKeys(l, out)
		if out.accepted != nil {
			if err := out.accepted(); err != nil {
				if l.rev == 0 {
					g.drop() // it was presumed that there is nothing
				}
				return err
			}
		}
		if out.client != nil && !clientLocked {
			unlock, err := g.client.lockScope(ctx, ClientScope)
			if err != nil {
				return err
			}
			defer unlock()
			clientLocked = true
		}
		if ctx.Err() != nil { // now or never: what the store does is done
			return mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
		}
		err = g.store(ctx, l, out)
		if err == nil {
			return out.fail
		}
		if out.refused != nil {
			out.next.epoch.wipe()
			if try < tries && g.refresh(ctx, rev, err) {
				continue
			}
			return err
		}
		g.drop()
		if !errors.Is(err, mlserr.Stale) {
			// A condition on the client's scope may have failed on what is old.
			if try < tries && mlserr.CodeOf(err).Info().Class == mlserr.ClassState && g.client.refresh(ctx) {
				continue
			}
			return storeError(err)
		}
		if try == tries {
			return err
		}
		if err := g.client.reload(ctx); err != nil {
			return err
		}
	}
}

// look runs f on what is loaded of the group, in the group's turn. It takes no
// lock, for a store loads a scope as a whole; where f fails on a copy that
// another instance made old, it is run again.
func (g *Group) look(ctx context.Context, f func(l *live) error) error {
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.unlock()
	for try := 1; ; try++ {
		l, err := g.load(ctx)
		if err != nil {
			return err
		}
		if err = f(l); err == nil || try == tries || !g.refresh(ctx, l.rev, err) {
			return err
		}
	}
}

// expire adds to what is stored anyway that past epochs go when their time is
// over (X4). A group that nothing happens in keeps them until something does.
func (g *Group) expire(l *live, out *outcome) {
	next := out.next
	if next == nil {
		next = l.state
	}
	if len(next.past) == 0 {
		return
	}
	kept, drop := next.expirePast(&g.client.limits, g.client.now().Unix())
	if kept == next || out.forget {
		return
	}
	out.next = kept
	out.wipe = append(out.wipe, drop...)
}

// store commits the outcome and applies it. What a message consumes is gone from
// the store by then (X1, S2), and no message is released whose generation is not
// stored (S12).
func (g *Group) store(ctx context.Context, l *live, out *outcome) error {
	b := Batch{Changes: []Change{g.change(l, out)}, KeysKept: out.kept, KeysDropped: out.dropped}
	for i, ev := range out.deliver {
		// The revision never repeats, also after a reload of an empty inbox.
		ev.InboxID = (uint64(l.rev)+1)*maxDelivered + uint64(i)
	}
	blocks := l.deliver(&b.Changes[0], out.deliver)
	if out.client == nil {
		if err := g.commit(ctx, b, out); err != nil {
			return err
		}
	} else if err := out.checked(); err != nil {
		return err
	} else if err := g.client.commitWith(ctx, b, out.client); err != nil {
		return err
	}

	// Stored: from here on nothing can fail.
	for _, d := range out.drafts {
		d.draft.Apply()
	}
	for _, ev := range out.deliver {
		l.inbox[ev.InboxID] = &InboxEntry{ID: ev.InboxID, Event: ev}
	}
	for _, b := range blocks {
		for _, id := range b.ids {
			l.blocks[id] = b
		}
	}
	for _, id := range out.acknowledged {
		delete(l.inbox, id)
		delete(l.blocks, id)
	}
	if out.sentBlocks != nil {
		l.sent.put(out.sent, out.sentBlocks, out.sentDropped, out.lacks)
	}
	if out.bundled {
		l.bundles = out.bundles
	}
	if out.next != nil {
		l.state = out.next
	}
	if out.sends {
		l.reserve.sent(l.state.epoch, out.reserved, g.client.now())
	} else {
		l.reserve.stored(l.state.epoch)
	}
	l.rev++
	l.format = formatVersion
	for _, wipe := range out.wipe {
		wipe()
	}
	g.live = l
	if out.forget {
		l.reserve.wipe()
		g.live = nil
	}
	return nil
}

// commit commits the batch of an outcome, and has the outcome checked meanwhile
// where the store lets it.
func (g *Group) commit(ctx context.Context, b Batch, out *outcome) error {
	if checker, ok := g.client.store.(Checker); ok && out.check != nil {
		return checker.CommitChecked(ctx, b, out.checked)
	}
	if err := out.checked(); err != nil {
		return err
	}
	return g.client.store.Commit(ctx, b)
}

// checked makes the check of an outcome, if it has one.
func (out *outcome) checked() error {
	if out.check != nil {
		out.refused = out.check()
	}
	return out.refused
}

// storeError gives a foreign error of the store its class.
func storeError(err error) error {
	if _, ok := errors.AsType[*mlserr.Error](err); ok {
		return err
	}
	return mlserr.Wrap(mlserr.StoreFailed, "", err)
}

// atOp names the operation in an error that leaves the public surface.
func atOp(err *error, op string) {
	if *err == nil {
		return
	}
	if e, ok := errors.AsType[*mlserr.Error](*err); ok && e == *err {
		if e.Op == "" {
			*err = &mlserr.Error{Code: e.Code, Op: op, Detail: e.Detail, Err: e.Err}
		}
		return
	}
	code := mlserr.CodeOf(*err)
	if errors.Is(*err, context.Canceled) || errors.Is(*err, context.DeadlineExceeded) {
		code = mlserr.Cancelled
	}
	*err = &mlserr.Error{Code: code, Op: op, Err: *err}
}

// keyNames returns the names of the keys that a state needs and that a key
// store of its own keeps.
func (s *state) keyNames() map[string]bool {
	names := make(map[string]bool)
	add := func(name string) {
		if name != "" {
			names[name] = true
		}
	}
	addEpoch := func(e *epoch) {
		if e == nil {
			return
		}
		add(e.private.Leaf.Name())
		for _, key := range e.private.Path {
			add(key.Name())
		}
	}
	if s == nil {
		return names
	}
	addEpoch(s.epoch)
	if s.pending != nil {
		addEpoch(s.pending.next.epoch)
	}
	for _, p := range s.proposals {
		if p.leafKey != nil {
			add(p.leafKey.Name())
		}
	}
	return names
}

// sentLog remembers what this client sent, so that it knows it when it comes
// back: of each message the digest of its bytes, and that of what was signed, by
// which it is known in whatever other frame a member puts it; of a commit the
// latter. At the begin of each epoch is its mark, sentSince. The log is kept in
// blocks, so that sending a message rewrites one small record.
type sentLog struct {
	blocks []*sentBlock // oldest first
	// unstored are digests of what was sent from memory since the last batch.
	unstored [][]byte
	// lacks is how many messages may be sent from memory from what is stored on:
	// as often sentLacks is at the end of the last block, in the store alone.
	lacks int
	// count is how often each digest is in blocks and unstored; nil before it is
	// asked for.
	count map[[digestSize]byte]int32
}

type sentBlock struct {
	number  uint64
	digests []byte // digestSize bytes each
}

const (
	sentBlockSize = 64 // digests a block: those of 32 messages
	sentBlocks    = 64 // blocks kept
)

func (log *sentLog) has(digest []byte) bool { return log.times(digest) > 0 }

// times returns how often a digest is in the log.
func (log *sentLog) times(digest []byte) int32 {
	if log.count == nil {
		log.count = make(map[[digestSize]byte]int32)
		for _, b := range log.blocks {
			log.add(b.digests, 1)
		}
		for _, digest := range log.unstored {
			log.add(digest, 1)
		}
	}
	return log.count[[digestSize]byte(digest)]
}

// keep adds digests of what was sent from memory.
func (log *sentLog) keep(digests [][]byte) {
	log.unstored = append(log.unstored, digests...)
	log.note(digests)
}

// note counts digests.
func (log *sentLog) note(digests [][]byte) {
	if log.count != nil {
		for _, digest := range digests {
			log.add(digest, 1)
		}
	}
}

// add counts digests that lie one after the other, n times each.
func (log *sentLog) add(digests []byte, n int32) {
	for ; len(digests) >= digestSize; digests = digests[digestSize:] {
		key := [digestSize]byte(digests)
		if log.count[key] += n; log.count[key] == 0 {
			delete(log.count, key)
		}
	}
}

// put makes blocks the log, which after has made of it and of digests.
func (log *sentLog) put(digests [][]byte, blocks, dropped []*sentBlock, lacks int) {
	log.note(digests)
	if log.count != nil {
		for _, b := range dropped {
			log.add(b.digests, -1)
		}
	}
	log.blocks, log.unstored, log.lacks = blocks, nil, lacks
}

// after returns the blocks of the log with what is unstored and more digests in
// it: the newest sentBlocks of them. Those of them whose records change are in
// changed, and those that fell out are dropped. The log stays as it is.
func (log *sentLog) after(digests [][]byte) (blocks, changed, dropped []*sentBlock) {
	blocks = append(make([]*sentBlock, 0, len(log.blocks)+1), log.blocks...)
	digests = append(log.unstored[:len(log.unstored):len(log.unstored)], digests...)
	if n := len(blocks); log.lacks > 0 && (len(digests) == 0 || len(blocks[n-1].digests) >= sentBlockSize*digestSize) {
		changed = append(changed, blocks[n-1]) // loses what is behind its end
	}
	for len(digests) > 0 {
		var b *sentBlock
		n := len(blocks)
		if n > 0 && len(blocks[n-1].digests) < sentBlockSize*digestSize {
			last := blocks[n-1]
			b = &sentBlock{number: last.number, digests: append(make([]byte, 0, sentBlockSize*digestSize), last.digests...)}
			blocks[n-1] = b
		} else {
			b = &sentBlock{digests: make([]byte, 0, sentBlockSize*digestSize)}
			if n > 0 {
				b.number = blocks[n-1].number + 1
			}
			blocks = append(blocks, b)
		}
		for ; len(digests) > 0 && len(b.digests) < cap(b.digests); digests = digests[1:] {
			b.digests = append(b.digests, digests[0]...)
		}
		changed = append(changed, b)
	}
	if over := len(blocks) - sentBlocks; over > 0 {
		dropped = blocks[:over]
		blocks = blocks[over:]
		changed = changed[max(0, len(changed)-len(blocks)):]
	}
	return blocks, changed, dropped
}
