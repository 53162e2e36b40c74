package mls

import (
	"context"
	"sync"

	"webmls/mls/mlserr"
)

// queue is the order of the calls of a group: one has the turn, the others wait
// for theirs in the order in which they came. Calls that send, and calls that
// receive application messages, go together: what waits behind the one that has
// the turn is carried out by it, in one batch of the store.
type queue struct {
	mu      sync.Mutex
	taken   bool
	waiting []*place
}

// place is the place of a call in the queue.
type place struct {
	woken chan struct{} // closed when the wait is over; nil where there is none
	// What goes together with others of its kind; both are nil for a call that
	// goes alone.
	sending   *sending
	receiving *receiving
	// carried: another call has carried it out, and err is what that came to.
	carried bool
	err     error
}

// maxTogether is how many calls go together.
const maxTogether = 1 << 10

// joins reports whether p may be carried out together with q.
func (p *place) joins(q *place) bool {
	return p.sending != nil && q.sending != nil || p.receiving != nil && q.receiving != nil
}

type queuedKey struct{}

// WithQueued returns a context under which a method of a Group that changes it
// calls queued once it has its place in the order of the group's calls, which it
// keeps: calls that are made after that come after it.
func WithQueued(ctx context.Context, queued func()) context.Context {
	return context.WithValue(ctx, queuedKey{}, queued)
}

// enter takes the last place in the queue.
func (q *queue) enter(ctx context.Context, p *place) {
	q.mu.Lock()
	if q.taken {
		p.woken = make(chan struct{})
		q.waiting = append(q.waiting, p)
	}
	q.taken = true
	q.mu.Unlock()
	if queued, ok := ctx.Value(queuedKey{}).(func()); ok {
		queued()
	}
}

// wait waits for the turn, or for what another call comes to that carries this
// one out: then p.carried is set. A call that is being carried out is not left
// any more. Code: CANCELLED.
func (q *queue) wait(ctx context.Context, p *place) error {
	if p.woken == nil {
		return nil
	}
	select {
	case <-p.woken:
		return nil
	default:
	}
	select {
	case <-p.woken:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	for i, other := range q.waiting {
		if other == p {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			q.mu.Unlock()
			return mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
		}
	}
	q.mu.Unlock()
	<-p.woken
	return nil
}

// follow takes out of the queue what comes next and may be carried out together
// with p, which has the turn. The caller finishes them.
func (q *queue) follow(p *place) (followers []*place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := 0
	for ; i < min(len(q.waiting), maxTogether) && q.waiting[i].joins(p); i++ {
		q.waiting[i].carried = true
	}
	followers = q.waiting[:i:i]
	q.waiting = q.waiting[i:]
	return followers
}

// tryTake takes the turn when nobody has it.
func (q *queue) tryTake() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	free := !q.taken
	q.taken = true
	return free
}

// next gives the turn to the one that has waited longest.
func (q *queue) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.taken, q.waiting = false, nil
		return
	}
	p := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	close(p.woken)
}

// together carries p out, with those of its kind that wait behind it, by run,
// which sets the error of each; or waits until another call has done so. What it
// waits for before it has the lock of the scope and a copy of the group, it waits
// for alone: if it fails there, the next one takes the turn.
func (g *Group) together(ctx context.Context, p *place, run func(ctx context.Context, all []*place)) error {
	g.queue.enter(ctx, p)
	if err := g.queue.wait(ctx, p); err != nil {
		return err
	}
	if p.carried {
		return p.err
	}
	defer g.unlock()
	granted, release := g.hold(ctx)
	defer release()
	if err := granted(); err != nil {
		return err
	}
	if _, err := g.load(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return mlserr.Wrap(mlserr.Cancelled, "", err)
	}
	all := append([]*place{p}, g.queue.follow(p)...)
	if len(all) > 1 {
		// It is not for the first of them to end what the others wait for.
		ctx = unwatched(context.WithoutCancel(ctx))
		defer func() {
			for _, p := range all[1:] {
				close(p.woken)
			}
		}()
	}
	for _, p := range all {
		p.err = errPanic // which it is unless run sets it
	}
	run(ctx, all)
	return p.err
}

var errPanic = mlserr.New(mlserr.Internal, "a panic")
