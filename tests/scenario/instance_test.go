package scenario

import (
	"context"
	"sync"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// instance is a store as one client over it has it: the locks that it holds go
// when it crashes, and what it does after that has no effect.
type instance struct {
	mls.Store
	locker mls.Locker
	// others are told when this one waits for a lock.
	others func() []*mls.Client

	mu   sync.Mutex
	dead bool
	held map[int]func()
	next int
}

func newInstance(store *mls.FaultyStore) *instance {
	return &instance{Store: store, locker: store, others: func() []*mls.Client { return nil }, held: map[int]func(){}}
}

func (i *instance) Commit(ctx context.Context, b mls.Batch) error {
	i.mu.Lock()
	dead := i.dead
	i.mu.Unlock()
	if dead {
		return mlserr.New(mlserr.StoreFailed, "crashed")
	}
	return i.Store.Commit(ctx, b)
}

// Lock implements mls.Locker.
func (i *instance) Lock(ctx context.Context, scope mls.Scope) (func(), error) {
	for _, c := range i.others() {
		c.Wanted(scope)
	}
	unlock, err := i.locker.Lock(ctx, scope)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next++
	n := i.next
	i.held[n] = unlock
	return func() { i.release(n) }, nil
}

func (i *instance) release(n int) {
	i.mu.Lock()
	unlock := i.held[n]
	delete(i.held, n)
	i.mu.Unlock()
	if unlock != nil {
		unlock()
	}
}

// Revision implements mls.Locker.
func (i *instance) Revision(ctx context.Context, scope mls.Scope) (mls.Rev, error) {
	return i.locker.Revision(ctx, scope)
}

// crash gives all locks back.
func (i *instance) crash() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.dead = true
	for n, unlock := range i.held {
		delete(i.held, n)
		unlock()
	}
}
