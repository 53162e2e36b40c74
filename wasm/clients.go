//go:build js && wasm

package main

import (
	"context"
	"strconv"
	"sync"
	"syscall/js"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/wasm/hostkeys"
)

// client is one open database: several may share this program.
type client struct {
	*mls.Client
	ctx           context.Context // ends when the client is closed
	cancel        context.CancelFunc
	keys          *hostkeys.Keys
	turns         turns
	running       sync.WaitGroup
	authenticator js.Value // the application's, a HostAuthenticator
	issues        issues
}

// clients are the open ones, by the number that JavaScript has of them.
var clients struct {
	mu   sync.Mutex
	next int
	open map[int]*client
}

// openOptions are the options of a client.
type openOptions struct {
	identifies bool // the authenticator names clients across groups
	limits     mls.Limits
	supported  mls.Supported
}

// openClient opens a client over a host's store and keys. Codes: those of mls.Open.
func openClient(store, keys, authenticator js.Value, options openOptions) (int, error) {
	ctx, cancel := context.WithCancel(context.Background())
	hostKeys := hostkeys.New(keys, await)
	hostKeys.RequireStrict(ctx)
	if !exclusive() {
		options.limits.MaxReserved = -1
	}
	opened, err := mls.Open(ctx, mls.Config{
		Keys: hostKeys, Store: openStore(store),
		Authenticator: newHostAuthenticator(authenticator, options.identifies),
		Limits:        options.limits, Supported: options.supported,
	})
	if err != nil {
		cancel()
		return 0, err
	}
	clients.mu.Lock()
	defer clients.mu.Unlock()
	if clients.open == nil {
		clients.open = make(map[int]*client)
	}
	clients.next++
	clients.open[clients.next] = &client{Client: opened, ctx: ctx, cancel: cancel, keys: hostKeys, authenticator: authenticator}
	return clients.next, nil
}

// closeClient closes a client and waits for the calls that are under way: those
// that wait for the application end with CANCELLED, those that wait for their
// turn with CLOSED. Code: CLOSED.
func closeClient(number int) error {
	clients.mu.Lock()
	c := clients.open[number]
	delete(clients.open, number)
	clients.mu.Unlock()
	if c == nil {
		return closed(number)
	}
	c.cancel()
	c.Close()
	c.running.Wait()
	return nil
}

// find returns an open client. Code: CLOSED.
func find(number int) (*client, *mlserr.Error) {
	clients.mu.Lock()
	defer clients.mu.Unlock()
	if c := clients.open[number]; c != nil {
		return c, nil
	}
	return nil, closed(number)
}

func closed(number int) *mlserr.Error {
	return mlserr.New(mlserr.Closed, "client "+strconv.Itoa(number))
}

// ofClient reads the client that a call is for.
func (in *args) ofClient() *client {
	number := in.number("client")
	if in.err != nil {
		return nil
	}
	c, err := find(int(number))
	if err != nil {
		in.err = err
	}
	return c
}

// clientLane is the lane of the calls that are for no group.
const clientLane = ""

// groupLane is the lane of a group's calls.
func groupLane(group []byte) string { return "group/" + string(group) }

// job makes the job of a step, which fails with CLOSED when its turn comes
// after the client was closed. c is nil when the arguments are faulty, and then
// there is no job.
func (c *client) job(lane string, step func(ctx context.Context) (any, error)) *job {
	if c == nil {
		return nil
	}
	return &job{client: c, lane: lane, step: func(ctx context.Context) (any, error) {
		if c.ctx.Err() != nil {
			return nil, mlserr.New(mlserr.Closed, "")
		}
		return step(ctx)
	}}
}
