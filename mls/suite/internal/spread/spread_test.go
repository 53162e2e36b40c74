package spread

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"webmls/mls/mlserr"
)

func TestEach(t *testing.T) {
	for n := range 50 {
		calls := make([]atomic.Int32, n)
		if err := Each(context.Background(), n, func(i int) { calls[i].Add(1) }); err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Fatalf("%d of %d: %d calls", i, n, got)
			}
		}
	}
}

func TestEachCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int32
	err := Each(ctx, 1000, func(int) {
		if calls.Add(1) == 3 {
			cancel()
		}
	})
	if !errors.Is(err, mlserr.Cancelled) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := calls.Load(); got < 3 || got == 1000 {
		t.Errorf("%d calls", got)
	}
}
