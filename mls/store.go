// Package mls is the state machine of RFC 9420, Sections 10 to 12: clients with
// their identities and key packages, and groups that are created, joined,
// changed by commits, and used to send and receive.
//
// It owns the state of a group, the order of the checks on everything that
// changes it, and the rule that no result is released before the state behind
// it is stored (transact.go). It must not know how keys are kept (suite.Keys),
// where records go (Store), who may be trusted (Authenticator), or that a
// browser exists.
package mls

import (
	"context"
	"maps"
	"sync"

	"webmls/mls/mlserr"
)

// Scope names a set of records that share one revision: the client's own, or
// one group's. It may hold any bytes.
type Scope string

// ClientScope holds identities, key packages, external PSKs and the list of groups.
const ClientScope Scope = "client"

// GroupScope returns the scope of a group's records.
func GroupScope(groupID []byte) Scope { return Scope(groupScopePrefix + string(groupID)) }

const groupScopePrefix = "group/"

// Rev counts the batches that changed a scope. 0 means that nothing is stored.
type Rev uint64

// Records are the records of a scope by name. Names are short ASCII.
type Records map[string][]byte

// Store keeps records. Its two methods may be called from many goroutines.
//
// Implementations must make Commit atomic and durable when it returns nil.
// When Commit returns an error its outcome may be unknown: the caller drops
// what it has in memory and loads again.
type Store interface {
	// Load returns all records of a scope and its revision. A scope that was
	// never written is empty and has revision 0. The caller owns the result.
	Load(ctx context.Context, scope Scope) (Records, Rev, error)
	// Commit carries out a batch as a whole or not at all. Every Base must be
	// the stored revision of its scope, else nothing is written and the error
	// is STALE. Afterwards the revision of each scope is Base+1. Commit must
	// not keep the slices of b after it returned.
	Commit(ctx context.Context, b Batch) error
}

// Locker may be implemented by a Store that several instances use at once, as
// the tabs of a browser do. A Client then holds the lock of a group's scope for
// the whole of each step that may change the group, and that of its own scope
// for what changes that; a step that fails on a copy that another instance made
// old is run again on what is stored. Without it, instances race: Commit still
// lets one win, and STALE makes the other look again.
type Locker interface {
	// Lock waits until no other instance holds the scope, and holds it until
	// unlock, which is called once. A scope may be held that nothing is stored
	// in. An error means that it is not held; it ends with ctx.
	Lock(ctx context.Context, scope Scope) (unlock func(), err error)
	// Revision returns the stored revision of a scope, 0 when it was never
	// written. It is cheap next to Load, and needs no lock.
	Revision(ctx context.Context, scope Scope) (Rev, error)
}

// Checker may be implemented by a Store that waits for a disk or another process,
// so that what is left to check is checked in this time. Without it, that is done
// before Commit is called.
type Checker interface {
	// CommitChecked is Commit, but calls check when it has set about writing, and
	// before anything of the batch can be durable; once, or again with the same
	// result. An error of check undoes the batch, and is returned as it is; without
	// an answer nothing is stored. check computes and does not wait.
	CommitChecked(ctx context.Context, b Batch, check func() error) error
}

// Batch is one atomic change of the store.
type Batch struct {
	Changes []Change // no two of one scope
	// KeysKept and KeysDropped name the private keys that a key store of its
	// own (suite.SignatureKey.Name, suite.HPKEKey.Name) must keep from now on,
	// or may delete, in the same transaction where it can.
	KeysKept, KeysDropped []string
}

// Change is what a batch does to one scope. DeleteAll is done first, then
// Delete, then Put.
type Change struct {
	Scope     Scope
	Base      Rev
	DeleteAll bool
	Delete    []string
	Put       Records
}

// MemoryStore is a Store in memory, for tests and for clients that need no
// persistence. The zero value is not usable; see NewMemoryStore.
type MemoryStore struct {
	mu     sync.Mutex
	scopes map[Scope]*memoryScope
	locks  map[Scope]*memoryLock
}

// memoryLock is the lock of a scope: a token that a context can stop waiting for.
type memoryLock struct {
	token  chan struct{}
	unlock func()
}

type memoryScope struct {
	rev     Rev
	records Records
}

// NewMemoryStore returns an empty MemoryStore.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{scopes: make(map[Scope]*memoryScope), locks: make(map[Scope]*memoryLock)}
}

// Load implements Store.
func (m *MemoryStore) Load(ctx context.Context, scope Scope) (Records, Rev, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, mlserr.Wrap(mlserr.Cancelled, "load", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.scopes[scope]
	if s == nil {
		return Records{}, 0, nil
	}
	records := make(Records, len(s.records))
	for name, b := range s.records {
		records[name] = append([]byte(nil), b...)
	}
	return records, s.rev, nil
}

// Commit implements Store. Code: STALE.
func (m *MemoryStore) Commit(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return mlserr.Wrap(mlserr.Cancelled, "commit", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range b.Changes {
		var rev Rev
		if s := m.scopes[b.Changes[i].Scope]; s != nil {
			rev = s.rev
		}
		if rev != b.Changes[i].Base {
			return mlserr.New(mlserr.Stale, "memory store")
		}
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		s := m.scopes[c.Scope]
		if s == nil {
			s = &memoryScope{records: Records{}}
			m.scopes[c.Scope] = s
		}
		s.rev = c.Base + 1
		// What goes is wiped, as it may be a secret.
		if c.DeleteAll {
			for _, record := range s.records {
				clear(record)
			}
			clear(s.records)
		}
		for _, name := range c.Delete {
			clear(s.records[name])
			delete(s.records, name)
		}
		for name, record := range c.Put {
			clear(s.records[name])
			s.records[name] = append([]byte(nil), record...)
		}
	}
	return nil
}

// Lock implements Locker. Code: CANCELLED.
func (m *MemoryStore) Lock(ctx context.Context, scope Scope) (unlock func(), err error) {
	m.mu.Lock()
	l := m.locks[scope]
	if l == nil {
		token := make(chan struct{}, 1)
		token <- struct{}{}
		l = &memoryLock{token: token, unlock: func() { token <- struct{}{} }}
		m.locks[scope] = l
	}
	m.mu.Unlock()
	select {
	case <-l.token:
		return l.unlock, nil
	default:
	}
	select {
	case <-l.token:
		return l.unlock, nil
	case <-ctx.Done():
		return nil, mlserr.Wrap(mlserr.Cancelled, "lock", ctx.Err())
	}
}

// Revision implements Locker. Code: CANCELLED.
func (m *MemoryStore) Revision(ctx context.Context, scope Scope) (Rev, error) {
	if err := ctx.Err(); err != nil {
		return 0, mlserr.Wrap(mlserr.Cancelled, "revision", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.scopes[scope]; s != nil {
		return s.rev, nil
	}
	return 0, nil
}

// Clone returns a copy of the store as it is now, with no lock held: what a
// backup, or a crash at this moment, would leave.
func (m *MemoryStore) Clone() *MemoryStore {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemoryStore()
	for scope, s := range m.scopes {
		records := make(Records, len(s.records))
		for name, b := range s.records {
			records[name] = append([]byte(nil), b...)
		}
		c.scopes[scope] = &memoryScope{rev: s.rev, records: records}
	}
	return c
}

// Equal reports whether two stores hold the same records and revisions.
func (m *MemoryStore) Equal(other *MemoryStore) bool {
	a, b := m.Clone(), other.Clone()
	return maps.EqualFunc(a.scopes, b.scopes, func(x, y *memoryScope) bool {
		return x.rev == y.rev && maps.EqualFunc(x.records, y.records, func(p, q []byte) bool {
			return string(p) == string(q)
		})
	})
}

// Fault is what a FaultyStore does to one Commit.
type Fault uint8

const (
	// NoFault lets the commit through.
	NoFault Fault = iota
	// FaultBefore fails without writing.
	FaultBefore
	// FaultAfter writes, and then reports a failure all the same, as a crash
	// between the write and the answer does.
	FaultAfter
)

// FaultyStore wraps a Store and fails on demand, for tests. It is a Locker where
// the Store is one.
type FaultyStore struct {
	Store
	// Decide is asked before every Commit with its number, from 1.
	Decide func(n int) Fault

	mu sync.Mutex
	n  int
}

// Commit implements Store. Code: STORE_FAILED for a fault on demand.
func (f *FaultyStore) Commit(ctx context.Context, b Batch) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	fault := NoFault
	if f.Decide != nil {
		fault = f.Decide(n)
	}
	if fault == FaultBefore {
		return mlserr.New(mlserr.StoreFailed, "fault on demand, before the write")
	}
	if err := f.Store.Commit(ctx, b); err != nil {
		return err
	}
	if fault == FaultAfter {
		return mlserr.New(mlserr.StoreFailed, "fault on demand, after the write")
	}
	return nil
}

// Commits returns how many commits were asked for.
func (f *FaultyStore) Commits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Lock implements Locker. Where the Store is none, it locks nothing.
func (f *FaultyStore) Lock(ctx context.Context, scope Scope) (unlock func(), err error) {
	if locker, ok := f.Store.(Locker); ok {
		return locker.Lock(ctx, scope)
	}
	return func() {}, nil
}

// Revision implements Locker.
func (f *FaultyStore) Revision(ctx context.Context, scope Scope) (Rev, error) {
	if locker, ok := f.Store.(Locker); ok {
		return locker.Revision(ctx, scope)
	}
	_, rev, err := f.Store.Load(ctx, scope)
	return rev, err
}
