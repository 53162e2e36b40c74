package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"webmls/web/delivery/internal/store"
)

var (
	errMalformedFrame = errors.New("malformed frame")
	errRefused        = errors.New("refused")
	errNoHello        = errors.New("no hello in time")
	errSlow           = errors.New("client too slow")
)

// statusExpired closes a connection whose token's time is over: a client that
// comes again with a fresh one goes on where it was. It is of the range that
// RFC 6455, Section 7.4.2, leaves to applications.
const statusExpired websocket.StatusCode = 4001

// connection is one client. Its reader handles one request after the other, so
// that a client's messages enter the log in the order it sent them. Each
// subscription has a goroutine that reads the log and writes to the socket, and
// does so in its turn: what waits for a slow client is the frames of a few turns,
// however many groups it subscribes to.
type connection struct {
	service *Service
	logger  *slog.Logger

	// Set by start.
	starting sync.Mutex
	socket   *websocket.Conn
	cancel   context.CancelFunc
	leaving  bool

	busy    sync.Mutex    // held while a request is handled
	writing sync.Mutex    // held while a frame is written
	turns   chan struct{} // holds one for each that reads and writes for a subscription

	// Used by the reader only.
	user          string // empty before hello; guarded by Service.mu for others
	account       *user
	address       store.Address
	stock         bool // whether it is told when key packages become few
	requests      int
	subscriptions map[uint64]*subscription // by the id of the request that began them
	welcomes      bool
	begin         func() // what the request in hand starts, once it is answered
	running       sync.WaitGroup
}

type subscription struct {
	group string
	stop  context.CancelFunc
	done  chan struct{}
}

func (c *connection) start(socket *websocket.Conn, cancel context.CancelFunc) {
	c.starting.Lock()
	defer c.starting.Unlock()
	c.socket, c.cancel = socket, cancel
	if c.leaving {
		cancel()
	}
}

// goAway closes the connection when the request in hand is answered.
func (c *connection) goAway() {
	c.starting.Lock()
	c.leaving = true
	socket := c.socket
	c.starting.Unlock()
	if socket == nil {
		return
	}
	c.busy.Lock()
	defer c.busy.Unlock()
	_ = socket.Close(websocket.StatusGoingAway, "the service is shutting down")
}

// expire closes the connection when the request in hand is answered.
func (c *connection) expire() {
	c.busy.Lock()
	defer c.busy.Unlock()
	_ = c.socket.Close(statusExpired, "the token has expired")
}

func (c *connection) cut() {
	c.starting.Lock()
	defer c.starting.Unlock()
	c.leaving = true
	if c.cancel != nil {
		c.cancel()
	}
}

// serve reads requests until the connection ends, and returns why it did.
func (c *connection) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer c.running.Wait()
	defer cancel(nil)

	limits := &c.service.limits
	c.socket.SetReadLimit(int64(limits.HelloFrame))
	hello := time.AfterFunc(limits.HelloTimeout, func() { cancel(errNoHello) })
	defer hello.Stop()
	c.running.Go(func() { c.ping(ctx, cancel) })

	pace := rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), limits.RequestBurst)
	for {
		if err := pace.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
		kind, frame, err := c.socket.Read(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		c.requests++
		c.service.metrics.bytesIn.Add(float64(len(frame)))
		if c.account != nil {
			if err := c.account.bytes.WaitN(ctx, len(frame)); err != nil {
				return context.Cause(ctx)
			}
		}
		if kind != websocket.MessageText {
			_ = c.socket.Close(websocket.StatusUnsupportedData, codeMalformed)
			return errMalformedFrame
		}
		if err := c.receive(ctx, cancel, frame, hello); err != nil {
			return err
		}
	}
}

// receive handles one frame.
func (c *connection) receive(ctx context.Context, cancel context.CancelCauseFunc, frame []byte, hello *time.Timer) error {
	var r request
	err := json.Unmarshal(frame, &r)
	if err == nil && c.account != nil {
		if c.pace(ctx, &r) != nil {
			return context.Cause(ctx)
		}
	}
	c.busy.Lock()
	defer c.busy.Unlock()
	begun := time.Now()
	if r.ID == 0 || r.ID > maxInteger {
		// There is nobody to answer.
		_ = c.socket.Close(websocket.StatusPolicyViolation, codeMalformed)
		return errMalformedFrame
	}
	var answer any
	if err != nil {
		err = fail(codeMalformed, "the request has a field of the wrong type")
	} else {
		answer, err = c.handle(ctx, cancel, &r)
	}
	if err == nil {
		c.service.metrics.request(opName(r.Op), "OK", begun)
		if r.Op == "hello" {
			hello.Stop()
			c.socket.SetReadLimit(int64(c.service.limits.Frame))
		}
		err := c.write(ctx, cancel, reply{ID: r.ID, OK: answer})
		if begin := c.begin; begin != nil && err == nil {
			c.running.Go(begin)
		}
		c.begin = nil
		return err
	}
	told := c.explain(&r, err)
	c.service.metrics.request(opName(r.Op), told.Code, begun)
	if err := c.write(ctx, cancel, reply{ID: r.ID, Error: told}); err != nil {
		return err
	}
	if c.user == "" {
		_ = c.socket.Close(websocket.StatusPolicyViolation, told.Code)
		return errRefused
	}
	return nil
}

// turnsAtOnce is how many subscriptions of a connection read and write at once:
// while one writes, another reads.
const turnsAtOnce = 2

// pace waits until the user may do what a request asks for; requests that will be
// refused too.
func (c *connection) pace(ctx context.Context, r *request) error {
	switch r.Op {
	case "claimKeyPackage", "claimKeyPackages":
		return c.account.claims.Wait(ctx)
	case "publishCommit":
		recipients := 0
		for _, w := range r.Welcomes {
			recipients += len(w.To)
		}
		return c.account.recipients.WaitN(ctx, min(recipients, c.service.limits.WelcomeRecipients))
	}
	return nil
}

// write sends one frame. A client that does not take it in time is dropped: the
// time begins when the frames before it were taken.
func (c *connection) write(ctx context.Context, cancel context.CancelCauseFunc, frame any) error {
	b, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	limits := &c.service.limits
	allowed := limits.WriteTimeout + time.Duration(len(b)/limits.WriteRate)*time.Second
	tooSlow := time.AfterFunc(allowed, func() { cancel(errSlow) })
	defer tooSlow.Stop()
	if err := c.socket.Write(ctx, websocket.MessageText, b); err != nil {
		cancel(err)
		return context.Cause(ctx)
	}
	c.service.metrics.bytesOut.Add(float64(len(b)))
	return nil
}

// ping finds out about clients that are gone without a word.
func (c *connection) ping(ctx context.Context, cancel context.CancelCauseFunc) {
	limits := &c.service.limits
	ticker := time.NewTicker(limits.PingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		dead := time.AfterFunc(limits.PingTimeout, func() { cancel(errSlow) })
		err := c.socket.Ping(ctx)
		dead.Stop()
		if err != nil {
			cancel(err)
			return
		}
	}
}
