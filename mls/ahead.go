package mls

import (
	"context"
	"runtime"
)

// ahead starts a step, nearly all of whose time goes into lists of public-key
// operations, while its caller does what comes before it: natively on other
// cores, in a browser in workers of the host. wait returns what the step came to.
// drop, to be deferred, ends a step that nobody waits for, and returns when it
// has ended. The step may read what the caller reads, and must write nothing but
// its result, which is there once it was waited for or dropped. So
// that what is reported of progress is in order, a step of work that someone
// watches is done when it is waited for.
func ahead(ctx context.Context, step func(context.Context) error) (wait func() error, drop func()) {
	if progressOf(ctx) != nil {
		return func() error { return step(ctx) }, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- step(ctx) }()
	runtime.Gosched() // with one thread it would begin when the caller has to wait
	wait = func() error {
		err := <-done
		done <- err
		return err
	}
	return wait, func() {
		cancel()
		<-done
	}
}
