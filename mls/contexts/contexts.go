// Package contexts makes contexts that end and that carry values, as package
// context does. Of those the linker keeps a good deal that nobody needs: how a time
// is printed, because they ask their parents for a deadline and are values of an
// interface that have a context in them. That is 13 KB of the wasm binary after
// brotli. These know of no deadline; they end with their parents all the same.
//
// It must not know what contexts are for.
package contexts

import (
	"context"
	"sync"
	"time"
)

// made is a context. It holds of its parent no more than functions, so that the
// type of a context, and with it that of a time, is in no value of an interface.
type made struct {
	done  <-chan struct{}
	err   func() error
	value func(key any) any
}

func (c *made) Deadline() (deadline time.Time, ok bool) { return deadline, false }
func (c *made) Done() <-chan struct{}                   { return c.done }
func (c *made) Err() error                              { return c.err() }
func (c *made) Value(key any) any                       { return c.value(key) }

// WithValue is context.WithValue.
func WithValue(parent context.Context, key, value any) context.Context {
	return &made{parent.Done(), parent.Err, func(asked any) any {
		if asked == key {
			return value
		}
		return parent.Value(asked)
	}}
}

// WithoutCancel is context.WithoutCancel.
func WithoutCancel(parent context.Context) context.Context {
	return &made{nil, func() error { return nil }, parent.Value}
}

// WithCancel is context.WithCancel. Until cancel is called, or the parent ends, a
// goroutine waits for that, where the parent can end. Err may say so before Done.
func WithCancel(parent context.Context) (ctx context.Context, cancel context.CancelFunc) {
	done := make(chan struct{})
	cancel = sync.OnceFunc(func() { close(done) })
	if ended := parent.Done(); ended != nil {
		go func() {
			select {
			case <-ended:
				cancel()
			case <-done:
			}
		}()
	}
	return &made{done, func() error {
		if err := parent.Err(); err != nil {
			return err
		}
		select {
		case <-done:
			return context.Canceled
		default:
			return nil
		}
	}, parent.Value}, cancel
}
