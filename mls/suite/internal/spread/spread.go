// Package spread does independent pieces of work on all cores.
//
// It owns the choice between one goroutine and many. It must not know what the
// work is.
package spread

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"webmls/mls/mlserr"
)

// share is the least number of pieces that is worth a goroutine. A piece is at
// least one operation on a curve.
const share = 4

// Each calls f(0) to f(n-1), in any order and from several goroutines when n
// is more than a few and there is more than one core; on js/wasm there is one.
// It returns when all calls that it made have returned. f must not panic.
// Code: CANCELLED when ctx has ended; some calls may then not have been made.
func Each(ctx context.Context, n int, f func(i int)) error {
	workers := min(runtime.GOMAXPROCS(0), n/share)
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(i)
		}
	}
	if workers <= 1 {
		work()
	} else {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(work)
		}
		wg.Wait()
	}
	if err := ctx.Err(); err != nil {
		return mlserr.Wrap(mlserr.Cancelled, "", err)
	}
	return nil
}
