//go:build js && wasm

package main

import (
	"context"
	"sync"
	"syscall/js"

	"webmls/mls"
)

// calls are the calls under way that have a number, with what cancels each.
var calls struct {
	mu     sync.Mutex
	cancel map[int]context.CancelFunc
}

// context returns the context of a job and what is to be called at its end: then
// the private keys that it made and has not stored are forgotten. The context of
// a numbered call ends when cancel is called for the number, and its progress
// is told to the host.
func (j *job) context(number int) (ctx context.Context, forget func()) {
	ctx, end := context.Background(), func() {}
	if j.client != nil {
		ctx, end = j.client.keys.Operation(j.client.ctx)
	}
	if number == 0 {
		return ctx, end
	}
	ctx, cancel := context.WithCancel(mls.WithProgress(ctx, func(done, total int) {
		host.Call("progress", number, done, total)
	}))
	calls.mu.Lock()
	defer calls.mu.Unlock()
	if calls.cancel == nil {
		calls.cancel = make(map[int]context.CancelFunc)
	}
	calls.cancel[number] = cancel
	return ctx, func() {
		cancel()
		end()
		calls.mu.Lock()
		defer calls.mu.Unlock()
		delete(calls.cancel, number)
	}
}

// cancel is called by the host: cancel(number). A call that is over by then is
// not touched.
func cancel(_ js.Value, params []js.Value) any {
	calls.mu.Lock()
	stop := calls.cancel[params[0].Int()]
	calls.mu.Unlock()
	if stop != nil {
		stop()
	}
	return nil
}
