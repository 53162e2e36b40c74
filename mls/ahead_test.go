package mls

import (
	"context"
	"errors"
	"testing"
)

// TestAhead: a step goes on beside its caller, is ended when nobody waits for it,
// and is done in its turn where someone watches.
func TestAhead(t *testing.T) {
	ctx := context.Background()
	failed := errors.New("failed")
	begun, over := make(chan struct{}), make(chan struct{})
	wait, drop := ahead(ctx, func(context.Context) error {
		close(begun)
		<-over
		return failed
	})
	<-begun
	close(over)
	if err := wait(); err != failed {
		t.Errorf("%v, want what the step came to", err)
	}
	drop()

	ended := false
	_, drop = ahead(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		ended = true
		return ctx.Err()
	})
	drop()
	if !ended {
		t.Error("the step goes on after it was dropped")
	}

	calls := 0
	wait, drop = ahead(WithProgress(ctx, func(int, int) {}), func(context.Context) error {
		calls++
		return failed
	})
	if calls != 0 {
		t.Error("the step of a watched operation did not wait for its turn")
	}
	if err := wait(); err != failed || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	drop()
}
