//go:build js && wasm

package main

import (
	"context"
	"sync"
	"syscall/js"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// hostStore is mls.Store, mls.Checker and mls.Locker over the interface HostStore of js/src/host/store.ts.
// Scopes cross in hexadecimal, because they may hold any bytes; revisions as
// numbers, which are exact up to 2^53.
type hostStore struct{ object js.Value }

// memoryStore is mls.Store and mls.Locker in memory, for a host that has no
// store for records; it has the private keys.
type memoryStore struct {
	*mls.MemoryStore
	keys js.Value
}

// openStore returns the store that a HostStore is.
func openStore(object js.Value) mls.Store {
	if object.Get("load").IsUndefined() {
		return memoryStore{mls.NewMemoryStore(), object}
	}
	return hostStore{object}
}

// Commit implements mls.Store. Codes: STALE, CANCELLED.
func (s memoryStore) Commit(ctx context.Context, b mls.Batch) error {
	if err := s.MemoryStore.Commit(ctx, b); err != nil {
		return err
	}
	if len(b.KeysKept)+len(b.KeysDropped) == 0 {
		return nil
	}
	// It is done when it returns, before its promise is fulfilled.
	return try(func() { s.keys.Call("commit", []any{}, textsValue(b.KeysKept), textsValue(b.KeysDropped)) })
}

// Load implements mls.Store. Codes: those of the host.
func (s hostStore) Load(ctx context.Context, scope mls.Scope) (mls.Records, mls.Rev, error) {
	v, err := await(ctx, s.object, "load", scopeValue(scope))
	if err != nil {
		return nil, 0, err
	}
	names, values := v.Get("names"), v.Get("values")
	records := make(mls.Records, names.Length())
	for i := range names.Length() {
		records[names.Index(i).String()] = copyBytes(values.Index(i))
	}
	return records, mls.Rev(v.Get("revision").Float()), nil
}

// Commit implements mls.Store. It does not stop when ctx ends: what the host
// has begun, it finishes, and its outcome must be known. Codes: those of the
// host, STALE among them.
func (s hostStore) Commit(ctx context.Context, b mls.Batch) error {
	return s.commit(ctx, b)
}

// CommitChecked implements mls.Checker: the host calls check when it has made its
// requests of the database, and aborts them where that does not return true.
// Codes: those of Commit and of check.
func (s hostStore) CommitChecked(ctx context.Context, b mls.Batch, check func() error) error {
	checked := sync.OnceValue(func() (err error) {
		defer recovered(&err)
		return check()
	})
	asked := false
	ask := js.FuncOf(func(js.Value, []js.Value) any {
		asked = true
		return checked() == nil
	})
	defer ask.Release()
	err := s.commit(ctx, b, ask)
	if asked && checked() != nil {
		return checked()
	}
	return err
}

// commit is Commit with more of what the host's commit takes.
func (s hostStore) commit(ctx context.Context, b mls.Batch, more ...any) error {
	changes := make([]any, len(b.Changes))
	for i := range b.Changes {
		c := &b.Changes[i]
		names, values := make([]any, 0, len(c.Put)), make([]any, 0, len(c.Put))
		for name, record := range c.Put {
			names, values = append(names, name), append(values, uint8ArrayOf(record))
		}
		changes[i] = map[string]any{
			"scope": scopeValue(c.Scope), "base": float64(c.Base), "deleteAll": c.DeleteAll, "delete": textsValue(c.Delete),
			"names": names, "values": values,
		}
	}
	params := append([]any{changes, textsValue(b.KeysKept), textsValue(b.KeysDropped)}, more...)
	_, err := await(context.WithoutCancel(ctx), s.object, "commit", params...)
	return err
}

// Lock implements mls.Locker. Codes: CANCELLED and those of the host.
func (s hostStore) Lock(ctx context.Context, scope mls.Scope) (unlock func(), err error) {
	type grant struct {
		release js.Value
		err     error
	}
	var lock js.Value
	if err := try(func() { lock = s.object.Call("lock", scopeValue(scope)) }); err != nil {
		return nil, err
	}
	release := func(g grant) { try(func() { g.release.Invoke() }) }
	if lock.Type() == js.TypeFunction { // nobody had it
		return func() { release(grant{release: lock}) }, nil
	}
	granted := make(chan grant, 1)
	go func() {
		release, err := awaitOf(context.WithoutCancel(ctx), "lock", func() js.Value { return lock })
		granted <- grant{release, err}
	}()
	select {
	case g := <-granted:
		return func() { release(g) }, g.err
	case <-ctx.Done():
		// The lock will be granted all the same, to nobody.
		go func() {
			if g := <-granted; g.err == nil {
				release(g)
			}
		}()
		return nil, mlserr.Wrap(mlserr.Cancelled, "lock", ctx.Err())
	}
}

// Revision implements mls.Locker. Codes: those of the host.
func (s hostStore) Revision(ctx context.Context, scope mls.Scope) (mls.Rev, error) {
	v, err := await(ctx, s.object, "revision", scopeValue(scope))
	if err != nil {
		return 0, err
	}
	return mls.Rev(v.Float()), nil
}

// exclusive reports whether a lock keeps others out: where the browser has no Web
// Locks it does not.
func exclusive() bool {
	navigator := js.Global().Get("navigator")
	return !navigator.IsUndefined() && !navigator.Get("locks").IsUndefined()
}

// changed is called by the host when another instance has written a scope, or,
// with revision 0, waits for its lock: changed(client, scope, revision). It may
// have to wait, which a callback must not.
func changed(_ js.Value, params []js.Value) any {
	number, scope, rev := params[0].Int(), scopeOf(params[1].String()), mls.Rev(params[2].Float())
	go func() {
		if c, err := find(number); err != nil {
			return
		} else if rev == 0 {
			c.Wanted(scope)
		} else {
			c.Changed(scope, rev)
		}
	}()
	return nil
}

// scopeOf is the reverse of scopeValue, for what that made.
func scopeOf(value string) mls.Scope {
	digit := func(c byte) byte {
		if c >= 'a' {
			return c - 'a' + 10
		}
		return c - '0'
	}
	out := make([]byte, len(value)/2)
	for i := range out {
		out[i] = digit(value[2*i])<<4 | digit(value[2*i+1])
	}
	return mls.Scope(out)
}

// scopeValue is encoding/hex, which links package fmt.
func scopeValue(scope mls.Scope) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(scope))
	for i := range len(scope) {
		out = append(out, digits[scope[i]>>4], digits[scope[i]&15])
	}
	return string(out)
}

func textsValue(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}
