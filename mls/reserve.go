package mls

import (
	"context"
	"sync/atomic"
	"time"

	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// Sends that follow one another do not each wait for the store. A batch that
// stores a send says of some generations more that they are consumed: the
// generations reserved. The keys of these are in memory alone, and the next sends
// take them, with no batch of their own: what is released is stored as spent
// (S12), and a crash, or another instance, goes on behind the block. A block is
// this copy's alone, for the batch that reserved it compared the revision that the
// copy rests on.
//
// A send from memory must not go out on a copy that another instance made old:
// that is in a new epoch, out of the group, or has a proposal that waits (C17). So
// the lock of the scope is kept from the batch that reserved to the last send from
// memory: nobody else has written meanwhile, which costs no look at the store. That
// is the tenure. It ends when no send has followed for a moment, when another
// instance waits for the lock (Client.Wanted), with the next step of another kind
// that is stored, and at Close. A Store that is no Locker has no tenures, and stores
// every send.
//
// What was sent from memory is not in the stored log of what was sent before the
// next batch, which the end of a tenure makes at the latest. Until then the log
// says how many messages it may lack, so that a crash in a tenure is told from a
// restored backup: see judgeOwn.

// tenureTime is how long after a send the next one follows it.
const tenureTime = 50 // milliseconds

// maxTenure is how long a tenure lasts at most, should the word that another
// instance waits be lost.
const maxTenure = 1000 // milliseconds

// tenure is the lock of a group's scope, kept between steps. The group's turn
// guards it.
type tenure struct {
	unlock func() // nil: there is none
	stop   func() // ends the wait for the end
	ends   int64  // in Unix milliseconds
	wanted atomic.Bool
}

// reserve holds the generations reserved, and what decides how many more are.
// Generations that a tenure leaves stay this copy's: the next sends take them.
type reserve struct {
	epoch *epoch // which they are of; nil before the first send
	keys  []reservedKey
	size  int   // how many were reserved last
	last  int64 // when the last send was, in Unix milliseconds; 0 where another step was stored since
}

type reservedKey struct {
	generation uint32
	key, nonce []byte // wiped once the message is sealed
}

// wipe forgets all.
func (r *reserve) wipe() {
	for _, k := range r.keys {
		suite.Wipe(k.key, k.nonce)
	}
	*r = reserve{}
}

// generations are what a step sends with: first what is reserved, then what a
// draft gives. What is taken of the reserve is never given out again, also where
// what was sealed with it is not sent.
type generations struct {
	reserve *reserve
	draft   *schedule.Draft // nil: the reserve is enough
}

// Next implements framing.Generations.
func (g *generations) Next(leaf treemath.LeafIndex, r schedule.Ratchet) (generation uint32, key, nonce []byte, err error) {
	if keys := g.reserve.keys; len(keys) > 0 {
		g.reserve.keys = keys[1:]
		return keys[0].generation, keys[0].key, keys[0].nonce, nil
	}
	return g.draft.Next(leaf, r)
}

// reserving returns how many generations are to be reserved beyond those that a
// send uses: none for one by itself, and more and more the more follow. ok says
// that sends from memory may follow this one.
func (c *Client) reserving(r *reserve, e *epoch) (n int, ok bool) {
	if c.locker == nil || c.limits.MaxReserved == 0 || r.epoch != e || c.now().UnixMilli()-r.last > tenureTime {
		return 0, false
	}
	if len(r.keys) > 0 {
		return 0, true
	}
	return min(4*r.size+3, c.limits.MaxReserved), true
}

// reserveMore takes n generations from the draft. Where there are no more it
// takes what there is.
func reserveMore(draft *schedule.Draft, leaf treemath.LeafIndex, n int) (keys []reservedKey, err error) {
	for range n {
		generation, key, nonce, err := draft.Next(leaf, schedule.Application)
		if mlserr.CodeOf(err) == mlserr.GenerationsSpent {
			break
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, reservedKey{generation, key, nonce})
	}
	return keys, nil
}

// sent is called when a send was stored, with what it reserved, or made from
// memory.
func (r *reserve) sent(e *epoch, more []reservedKey, now time.Time) {
	r.epoch = e
	if more != nil {
		r.keys, r.size = more, len(more)
	}
	r.last = now.UnixMilli()
}

// stored is called when a step of another kind was stored.
func (r *reserve) stored(e *epoch) {
	if r.epoch != e {
		r.wipe()
	}
	r.size, r.last = 0, 0
}

// sendReserved carries calls out that send, from memory, where that may be done.
// The caller has the group's turn and its lock.
func (g *Group) sendReserved(ctx context.Context, all []*place) (done bool) {
	l := g.live
	// The log says that it may lack messages: then the lock was not given back
	// since it was stored.
	if l == nil || l.sent.lacks == 0 || l.reserve.epoch != l.state.epoch || len(l.reserve.keys) < countSends(all) {
		return false
	}
	sent, err := l.state.sealSends(ctx, all, &generations{reserve: &l.reserve})
	if err != nil {
		return false // each finds out what for itself
	}
	l.sent.keep(sent)
	l.reserve.sent(l.state.epoch, nil, g.client.now())
	for _, p := range all {
		p.err = nil
	}
	return true
}

// hold begins to take the lock of the group's scope for a step, or goes on with
// that of the tenure. granted waits until it is there. release, to be deferred,
// gives it back, or keeps it where a tenure goes on. The caller has the group's
// turn. Codes of granted: CANCELLED, and those of the store.
func (g *Group) hold(ctx context.Context) (granted func() error, release func()) {
	t := &g.tenure
	unlock := t.unlock
	granted, drop := func() error { return nil }, func() {}
	if unlock != nil {
		t.stop()
		t.unlock = nil
	} else {
		granted, drop = ahead(unwatched(ctx), func(ctx context.Context) (err error) {
			unlock, err = g.client.lockScope(ctx, g.scope)
			t.ends = g.client.now().UnixMilli() + maxTenure
			return err
		})
	}
	return granted, func() {
		drop()
		if unlock == nil {
			return
		}
		if g.live == nil || g.live.sent.lacks == 0 {
			unlock()
			return
		}
		t.unlock = unlock
		t.stop = g.client.after(tenureTime*time.Millisecond, g.tryToSettle)
		if t.wanted.Load() || g.client.now().UnixMilli() > t.ends || g.client.isClosed() {
			g.settle()
		}
	}
}

// settle ends the tenure, where there is one: the log of what was sent is
// stored, and the lock given back. The caller has the group's turn.
func (g *Group) settle() {
	t := &g.tenure
	t.wanted.Store(false)
	if t.unlock == nil {
		return
	}
	t.stop()
	g.storeLog()
	t.unlock()
	t.unlock = nil
}

// tryToSettle is settle for who has not the group's turn. A step that is under way
// settles, or begins to wait anew.
func (g *Group) tryToSettle() {
	if g.queue.tryTake() {
		g.settle()
		g.unlock()
	}
}

// storeLog stores the log of what was sent, where the stored one may lack
// something. Where that fails the group is dropped, as when any batch fails: that
// is as a crash in the tenure.
func (g *Group) storeLog() {
	if l := g.live; l != nil && l.sent.lacks > 0 {
		if g.store(context.Background(), l, new(outcome)) != nil {
			g.drop()
		}
	}
}

// Wanted tells the client that another instance over the same store waits for
// the lock of a scope. One that is only kept is given back.
func (c *Client) Wanted(scope Scope) {
	if g := c.held(scope); g != nil {
		g.tenure.wanted.Store(true)
		g.tryToSettle()
	}
}
