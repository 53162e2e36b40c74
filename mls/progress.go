package mls

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// Long work: joining a group of a thousand members, adding as many, making many
// key packages. Nearly all of its time goes into lists of public-key operations.
// Where someone watches the work, these lists are done in steps; else each is one
// call of Keys, which ends with its context, as it always is for short ones.

// stepSize is how many operations of a list are done between looks at the context.
const stepSize = 128

// shortList is a list that costs too little to be counted.
const shortList = 16

type progressKey struct{}

// progress is what is known of the work under a context.
type progress struct {
	report func(done, total int)

	mu          sync.Mutex
	done, total int
	shown       int // what was reported last; it never goes back
}

// WithProgress returns a context under which JoinGroup, JoinExternal, Commit,
// CreateKeyPackages, ReInit and Branch report how far they are: done of total
// units, which stand for public-key operations, are an estimate, and only grow;
// an operation that succeeds ends with total of total. ReceiveAll counts messages. report is called while
// the operation holds its locks, from its goroutine: it must return at once and
// not call the client.
//
// Whether there is progress to report or not, these operations look at the
// context between steps; when it has ended, they fail with CANCELLED, and
// everything is as it was.
func WithProgress(ctx context.Context, report func(done, total int)) context.Context {
	return context.WithValue(ctx, progressKey{}, &progress{report: report})
}

func progressOf(ctx context.Context) *progress {
	p, _ := ctx.Value(progressKey{}).(*progress)
	return p
}

// begin starts an operation: its units are counted from 0.
func begin(ctx context.Context) *progress {
	p := progressOf(ctx)
	if p != nil {
		p.mu.Lock()
		p.done, p.total, p.shown = 0, 0, -1
		p.mu.Unlock()
	}
	return p
}

// plan says how many units the operation takes, about.
func (p *progress) plan(total int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.total = max(p.total, total)
	p.mu.Unlock()
	p.advance(0)
}

// advance counts units that are done.
func (p *progress) advance(n int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.done += n
	done, total := min(p.done, p.total), p.total
	tell := total > 0 && done > p.shown
	if tell {
		p.shown = done
	}
	p.mu.Unlock()
	if tell {
		p.report(done, total)
	}
}

// reached says how many units are done in all.
func (p *progress) reached(done int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	more := done - p.done
	p.mu.Unlock()
	if more > 0 {
		p.advance(more)
	}
}

// unwatched is a context under which what is done counts for nobody: the parts
// of work that counts in other units.
func unwatched(ctx context.Context) context.Context {
	if progressOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, progressKey{}, (*progress)(nil))
}

// end says that all is done, where the operation has succeeded.
func (p *progress) end(err *error) {
	if p != nil && *err == nil {
		p.advance(p.total)
	}
}

// pause looks at the context between two steps. Code: CANCELLED.
func pause(ctx context.Context) error {
	if runtime.GOARCH == "wasm" && progressOf(ctx) != nil {
		// The one thread goes back to its event loop, which is where word of a
		// cancellation comes from. It costs a millisecond or more: work that
		// nobody watches does without.
		time.Sleep(time.Nanosecond)
	}
	if err := ctx.Err(); err != nil {
		return mlserr.Wrap(mlserr.Cancelled, "", err)
	}
	return nil
}

// refused is an error of something that was asked, under the code of its
// refusal, unless it was not asked to the end.
func refused(code mlserr.Code, detail string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mlserr.Cancelled) {
		code = mlserr.Cancelled
	}
	return mlserr.Wrap(code, detail, err)
}

// stepKeys are Keys whose long lists are done in steps, under a context that
// someone watches.
type stepKeys struct{ suite.Keys }

// inSteps runs f over the parts of a long list, and counts them. Where there is
// no need of steps, it is one part.
func inSteps(ctx context.Context, n int, f func(from, to int) error) error {
	p := progressOf(ctx)
	size := n
	if p != nil {
		size = stepSize
	}
	for from := 0; from < n; from += size {
		if from > 0 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
		to := min(from+size, n)
		if err := f(from, to); err != nil {
			return err
		}
		p.advance(to - from)
	}
	return nil
}

// errFound ends a walk over a list at what was looked for.
var errFound = errors.New("found")

// firstBad is inSteps for a check that returns the index of what is bad.
func firstBad(ctx context.Context, n int, check func(from, to int) (bad int, err error)) (int, error) {
	found := -1
	err := inSteps(ctx, n, func(from, to int) error {
		bad, err := check(from, to)
		if err == nil && bad >= 0 {
			found, err = from+bad, errFound
		}
		return err
	})
	if err != nil && err != errFound {
		return -1, err
	}
	return found, nil
}

// Verify implements suite.Keys.
func (k stepKeys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (bad int, err error) {
	if len(list) < shortList {
		return k.Keys.Verify(ctx, id, list)
	}
	return firstBad(ctx, len(list), func(from, to int) (int, error) {
		return k.Keys.Verify(ctx, id, list[from:to])
	})
}

// ValidateHPKEKeys implements suite.Keys.
func (k stepKeys) ValidateHPKEKeys(ctx context.Context, id suite.ID, publicKeys [][]byte) (bad int, err error) {
	if len(publicKeys) < shortList {
		return k.Keys.ValidateHPKEKeys(ctx, id, publicKeys)
	}
	return firstBad(ctx, len(publicKeys), func(from, to int) (int, error) {
		return k.Keys.ValidateHPKEKeys(ctx, id, publicKeys[from:to])
	})
}

// Encapsulate implements suite.Keys.
func (k stepKeys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	if len(publicKeys) < shortList {
		return k.Keys.Encapsulate(ctx, id, publicKeys)
	}
	var list []suite.Encapsulation
	err := inSteps(ctx, len(publicKeys), func(from, to int) error {
		part, err := k.Keys.Encapsulate(ctx, id, publicKeys[from:to])
		if from == 0 {
			list = part
		} else {
			list = append(list, part...)
		}
		return err
	})
	if err != nil {
		for i := range list {
			suite.Wipe(list[i].SharedSecret)
		}
		if errors.Is(err, mlserr.InvalidPublicKey) {
			// The whole list names the index in the detail right.
			return k.Keys.Encapsulate(ctx, id, publicKeys)
		}
		return nil, err
	}
	return list, nil
}
