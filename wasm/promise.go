//go:build js && wasm

package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall/js"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// enter is the one way in: call(method, args, number) -> Promise. It decodes
// the arguments at once, so that the caller may change its bytes afterwards, and
// takes the call's place among those for the same group; all else happens in a
// goroutine, because a callback of JavaScript must not block. By its number, if
// that is not 0, a call can be cancelled and is told of its progress.
func enter(_ js.Value, params []js.Value) any {
	deferred := host.Call("defer")
	j, err := decode(params)
	if err != nil {
		deferred.Call("reject", errorValue(err))
		return deferred.Get("promise")
	}
	ctx, forget := j.context(params[2].Int())
	before, queued, done := j.queue()
	if j.together != "" {
		ctx = mls.WithQueued(ctx, queued)
	}
	apart(func() {
		defer done()
		defer forget()
		result, err := j.await(ctx, before)
		if err != nil {
			deferred.Call("reject", errorValue(err))
		} else {
			deferred.Call("resolve", result)
		}
		<-before // a place that was given up is still taken
	})
	return deferred.Get("promise")
}

// apart runs f in a goroutine of its own. Some stay for what comes next: a stack
// that has grown takes a fifth of the time of a short call less than a new one,
// which is copied each time that it becomes too small.
func apart(f func()) {
	select {
	case goroutines.jobs <- f:
		return
	default:
	}
	go func() {
		for {
			f()
			if goroutines.idle.Add(1) > maxIdle {
				break
			}
			f = <-goroutines.jobs
			goroutines.idle.Add(-1)
		}
		goroutines.idle.Add(-1)
	}()
}

var goroutines = struct {
	jobs chan func() // nobody waits to send
	idle atomic.Int32
}{jobs: make(chan func())}

// maxIdle is how many goroutines stay.
const maxIdle = 8

// A job is a call with its arguments decoded.
type job struct {
	client *client // nil: the job waits for nothing
	lane   string
	// together, where it is not empty, names jobs that may be carried out together:
	// the turn of one comes once that before it in the lane has its place in the
	// queue of the group.
	together string
	step     func(ctx context.Context) (any, error)
}

// await waits for the job's turn and carries it out. Code: CANCELLED, when ctx
// ends before its turn has come.
func (j *job) await(ctx context.Context, before <-chan struct{}) (js.Value, error) {
	select {
	case <-before:
	case <-ctx.Done():
		if j.client == nil || j.client.ctx.Err() == nil {
			return js.Undefined(), mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
		}
		<-before // the client is being closed, and the step says so
	}
	return j.run(ctx)
}

// queue takes the job's place in its lane. The channel is closed when its turn
// has come; queued may be called when those that go together with it may follow,
// and done must be called when it is over.
func (j *job) queue() (before <-chan struct{}, queued, done func()) {
	if j.client == nil {
		return free, func() {}, func() {}
	}
	before, queued, leave := j.client.turns.take(j.lane, j.together)
	j.client.running.Add(1)
	return before, queued, func() {
		leave()
		j.client.running.Done()
	}
}

// decode finds the method and has it read its arguments. Codes:
// INVALID_ARGUMENT, CLOSED, INTERNAL.
func decode(params []js.Value) (j *job, err error) {
	defer recovered(&err)
	name := params[0].String()
	m, ok := methods[name]
	if !ok {
		return nil, mlserr.New(mlserr.InvalidArgument, "no method "+name)
	}
	in := &args{object: params[1]}
	j = m(in)
	if in.err != nil {
		in.err.Op = name
		return nil, in.err
	}
	return j, nil
}

// run carries the job out and turns its result into a value of JavaScript.
func (j *job) run(ctx context.Context) (result js.Value, err error) {
	defer recovered(&err)
	v, err := j.step(ctx)
	if err != nil {
		return js.Undefined(), err
	}
	return crossing(v), nil
}

// recovered, deferred, turns a panic into an error: a fault of this module
// rejects one promise, and the program goes on. Code: INTERNAL.
func recovered(err *error) {
	r := recover()
	if r == nil {
		return
	}
	detail := "panic"
	switch r := r.(type) {
	case error:
		detail = r.Error()
	case string:
		detail = r
	}
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	js.Global().Get("console").Call("error", "webmls: "+detail+"\n"+string(stack))
	*err = mlserr.New(mlserr.Internal, detail)
}

// turns lets the calls of one lane run one after the other, in the order in
// which they were entered. Lanes do not wait for each other.
type turns struct {
	mu   sync.Mutex
	last map[string]*turn // the last of each lane in use
}

// turn is what one call does in a lane, or several that follow one another and
// go together.
type turn struct {
	together string
	running  int             // of its calls
	next     <-chan struct{} // closed when another call may join
	done     chan struct{}   // closed when all are done
}

var free = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// take returns a channel that is closed when the turn of this call has come,
// what it may call when those that go together with it may follow, and what it
// must call when it is done.
func (t *turns) take(lane, together string) (before <-chan struct{}, queued, done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = make(map[string]*turn)
	}
	last := t.last[lane]
	mine := last
	if last == nil || together == "" || last.together != together {
		before = free
		if last != nil {
			before = last.done
		}
		mine = &turn{together: together, done: make(chan struct{})}
		t.last[lane] = mine
	} else {
		before = last.next
	}
	mine.running++
	place := make(chan struct{})
	mine.next = place
	queued = sync.OnceFunc(func() { close(place) })
	return before, queued, func() {
		queued()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.running--; mine.running > 0 {
			return
		}
		if t.last[lane] == mine {
			delete(t.last, lane)
		}
		close(mine.done)
	}
}

// outcome is what a promise came to.
type outcome struct {
	value js.Value
	err   error
}

// pending holds who waits for which promise. One callback serves them all: a
// pair of js.Func for each promise costs several times as much.
var pending struct {
	mu      sync.Mutex
	next    int
	waiting map[int]chan<- outcome
}

// await calls a method of a host object that returns a promise, and waits for
// it; or for the end of ctx, and then what the host does goes on unheard.
// Codes: CANCELLED, and those of thrown.
func await(ctx context.Context, object js.Value, method string, params ...any) (js.Value, error) {
	return awaitOf(ctx, method, func() js.Value { return object.Call(method, params...) })
}

// awaitOf is await for what f calls.
func awaitOf(ctx context.Context, method string, f func() js.Value) (js.Value, error) {
	c := make(chan outcome, 1)
	pending.mu.Lock()
	if pending.waiting == nil {
		pending.waiting = make(map[int]chan<- outcome)
	}
	pending.next++
	id := pending.next
	pending.waiting[id] = c
	pending.mu.Unlock()
	err := try(func() { host.Call("then", f(), id) })
	if err != nil {
		take(id)
		return js.Undefined(), err
	}
	select {
	case o := <-c:
		return o.value, o.err
	case <-ctx.Done():
		take(id)
		return js.Undefined(), mlserr.Wrap(mlserr.Cancelled, method, ctx.Err())
	}
}

// take removes and returns who waits for a promise, or nil.
func take(id int) chan<- outcome {
	pending.mu.Lock()
	defer pending.mu.Unlock()
	c := pending.waiting[id]
	delete(pending.waiting, id)
	return c
}

// settle is called by the host when a promise is settled: settle(id, fulfilled, value).
func settle(_ js.Value, params []js.Value) any {
	c := take(params[0].Int())
	if c == nil {
		return nil
	}
	o := outcome{value: params[2]}
	if !params[1].Bool() {
		o.err = thrown(params[2])
	}
	c <- o
	return nil
}

// try runs f, which calls JavaScript, and returns what that throws as an
// error. Codes: those of thrown.
func try(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case js.Error:
			err = thrown(r.Value)
		default:
			panic(r)
		}
	}()
	f()
	return nil
}
