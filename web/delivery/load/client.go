package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// client is one connection of a user of its own.
type client struct {
	socket *websocket.Conn
	id     int
}

// runID makes the names of one run differ from those of the last.
var runID = rand.Uint32()

// dial connects and says hello, again where the service had no room yet.
func dial(ctx context.Context, url, name string) (*client, error) {
	for try := 0; ; try++ {
		c, err := dialOnce(ctx, url, name)
		if err == nil || try == 20 || ctx.Err() != nil {
			return c, err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func dialOnce(ctx context.Context, url, name string) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(16 << 20)
	c := &client{socket: socket}
	name = fmt.Sprintf("load %08x %s", runID, name)
	if _, err := c.ask(ctx, map[string]any{"op": "hello", "version": 1, "name": name, "token": "the secret of " + name}); err != nil {
		socket.CloseNow()
		return nil, err
	}
	return c, nil
}

func (c *client) send(ctx context.Context, fields map[string]any) error {
	c.id++
	fields["id"] = c.id
	b, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return c.socket.Write(ctx, websocket.MessageText, b)
}

type answer struct {
	OK    *struct{ Seq uint64 }
	Error *struct{ Code, Message string }
}

func (c *client) ask(ctx context.Context, fields map[string]any) (*answer, error) {
	if err := c.send(ctx, fields); err != nil {
		return nil, err
	}
	return c.answer(ctx)
}

func (c *client) answer(ctx context.Context) (*answer, error) {
	_, b, err := c.socket.Read(ctx)
	if err != nil {
		return nil, err
	}
	a := new(answer)
	if err := json.Unmarshal(b, a); err != nil {
		return nil, err
	}
	if a.Error != nil {
		return nil, errors.New(a.Error.Code + ": " + a.Error.Message)
	}
	return a, nil
}

func groupID(i int) []byte { return fmt.Appendf(nil, "load %08x %08x", runID, i) }

// A message is a PrivateMessage (RFC 9420, Section 6.3) whose content is the time
// at which it was made, a number, and filling.
const (
	headerSize = 4 + 1 + 22 + 8 + 1 + 1 + 1 + 4
	leastSize  = headerSize + 16
)

func makeMessage(group []byte, number uint64, size int) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0)
	b = binary.BigEndian.AppendUint32(b, 0x80000000|uint32(size-headerSize))
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixNano()))
	b = binary.BigEndian.AppendUint64(b, number)
	return append(b, make([]byte, size-len(b))...)
}

// madeAt reads the time out of a frame that holds a message. It is called for
// each of very many, so it reads no more than it needs.
func madeAt(frame []byte) (time.Time, bool) {
	key := []byte(`"message":"`)
	at := bytes.Index(frame, key)
	if at < 0 {
		return time.Time{}, false
	}
	text := frame[at+len(key):]
	const whole = (leastSize + 2) / 3 * 4
	if len(text) < whole {
		return time.Time{}, false
	}
	var b [leastSize + 2]byte
	if n, err := base64.StdEncoding.Decode(b[:], text[:leastSize/3*4]); err != nil || n < headerSize+8 {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b[headerSize:]))), true
}

// sequence reads the sequence out of such a frame.
func sequence(frame []byte) uint64 {
	key := []byte(`"seq":`)
	at := bytes.Index(frame, key)
	if at < 0 {
		return 0
	}
	var seq uint64
	for _, digit := range frame[at+len(key):] {
		if digit < '0' || digit > '9' {
			break
		}
		seq = 10*seq + uint64(digit-'0')
	}
	return seq
}

// durations is a sample of measured times.
type durations struct {
	mu     sync.Mutex
	sample []time.Duration
	seen   int
}

const sampleSize = 100_000

// add keeps each of the durations seen with the same probability.
func (d *durations) add(one time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen++
	if len(d.sample) < sampleSize {
		d.sample = append(d.sample, one)
	} else if i := rand.N(d.seen); i < sampleSize {
		d.sample[i] = one
	}
}

// at is the duration that a part of all were within.
func (d *durations) at(part float64) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sample) == 0 {
		return 0
	}
	slices.Sort(d.sample)
	return d.sample[int(part*float64(len(d.sample)-1))].Round(100 * time.Microsecond)
}

// receivers are the connections that are held.
type receivers struct {
	clients  []*client
	perGroup []int64
	open     atomic.Int64
	received atomic.Int64 // until now
	within   atomic.Int64 // received while the publishers sent
	disorder atomic.Int64
	sending  atomic.Bool
	delays   durations
}

// subscribeAll connects all receivers, some at a time.
func subscribeAll(ctx context.Context, s settings, urls []string) (*receivers, error) {
	r := &receivers{clients: make([]*client, s.connections), perGroup: make([]int64, s.groups)}
	var connecting sync.WaitGroup
	var failed atomic.Pointer[error]
	places := make(chan int)
	for range 64 {
		connecting.Go(func() {
			for i := range places {
				c, err := dial(ctx, urls[i%len(urls)], fmt.Sprint("receiver ", i))
				if err == nil {
					r.clients[i] = c
					_, err = c.ask(ctx, map[string]any{"op": "subscribe", "group": groupID(i % s.groups)})
				}
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for i := range s.connections {
		r.perGroup[i%s.groups]++
		places <- i
	}
	close(places)
	connecting.Wait()
	if err := failed.Load(); err != nil {
		r.close()
		return nil, fmt.Errorf("connecting: %w", *err)
	}
	for _, c := range r.clients {
		r.open.Add(1)
		go r.read(c)
	}
	return r, nil
}

func (r *receivers) read(c *client) {
	defer r.open.Add(-1)
	last := uint64(0)
	for n := 0; ; n++ {
		_, frame, err := c.socket.Read(context.Background())
		if err != nil {
			return
		}
		seq := sequence(frame)
		if seq <= last {
			r.disorder.Add(1)
		}
		last = seq
		r.received.Add(1)
		if r.sending.Load() {
			r.within.Add(1)
		}
		if n%8 == 0 {
			if made, ok := madeAt(frame); ok {
				r.delays.add(time.Since(made))
			}
		}
	}
}

// wait waits until all is received, or nothing more comes for some seconds, and
// returns how much is missing.
func (r *receivers) wait(ctx context.Context, expected int64) int64 {
	before, since := int64(-1), time.Now()
	for ctx.Err() == nil {
		now := r.received.Load()
		if now >= expected {
			break
		}
		if now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > 10*time.Second {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return expected - r.received.Load()
}

func (r *receivers) close() {
	for _, c := range r.clients {
		if c != nil {
			c.socket.CloseNow()
		}
	}
}

// sent is what the publishers did.
type sent struct {
	accepted int64 // messages
	expected int64 // deliveries of them
	took     time.Duration
	answers  durations
}

// publish sends for the duration, to the groups in turn, each publisher with a
// few messages on their way.
func publish(ctx context.Context, s settings, urls []string, r *receivers) (*sent, error) {
	clients := make([]*client, s.publishers)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.socket.CloseNow()
			}
		}
	}()
	for i := range clients {
		var err error
		if clients[i], err = dial(ctx, urls[i%len(urls)], fmt.Sprint("publisher ", i)); err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
	}
	out := new(sent)
	var accepted, expected atomic.Int64
	var failed atomic.Pointer[error]
	var working sync.WaitGroup
	r.sending.Store(true)
	begin := time.Now()
	for i, c := range clients {
		type flight struct {
			group int
			made  time.Time
		}
		flying := make(chan flight, s.ahead)
		working.Go(func() {
			defer close(flying)
			for n := i; time.Since(begin) < s.duration && ctx.Err() == nil && failed.Load() == nil; n += len(clients) {
				group := n % s.groups
				flying <- flight{group, time.Now()}
				err := c.send(ctx, map[string]any{"op": "publish", "group": groupID(group), "message": makeMessage(groupID(group), uint64(n), s.size)})
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
			}
		})
		working.Go(func() {
			for f := range flying {
				if failed.Load() != nil {
					continue
				}
				limited, cancel := context.WithTimeout(ctx, 30*time.Second)
				_, err := c.answer(limited)
				cancel()
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					continue
				}
				out.answers.add(time.Since(f.made))
				accepted.Add(1)
				expected.Add(r.perGroup[f.group])
			}
		})
	}
	working.Wait()
	r.sending.Store(false)
	out.took = time.Since(begin)
	out.accepted, out.expected = accepted.Load(), expected.Load()
	if err := failed.Load(); err != nil {
		return nil, fmt.Errorf("publishing: %w", *err)
	}
	return out, nil
}
