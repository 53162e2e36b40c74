package store

import (
	"context"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A tail hears of every message that enters a stream and wakes those who wait
// for one with its <group> or <user>. It carries no payload: a reader is a
// cursor that reads the stream itself, so that there is no queue that a slow
// reader could fill, and no seam between replay and live where a message could
// be lost or doubled.
type tail struct {
	stream jetstream.Stream
	store  *Store

	mu    sync.Mutex
	feeds map[string]*feed

	recentBytes atomic.Int64 // of all feeds together
}

// feed is what the cursors of one group or user in this process share.
type feed struct {
	cursors int           // guarded by tail.mu
	wake    chan struct{} // guarded by tail.mu; closed, and replaced, when there is something new

	// reading lets one cursor read at a time: the others, which want the
	// same message more often than not, then find it in recent.
	reading sync.Mutex
	recent  []recentMessage // by sequence
	bytes   int             // of the messages in recent
	// A read from the sequence end on found nothing, after endWake was taken:
	// as long as that is the wake channel, no other cursor need look.
	end     uint64
	endWake chan struct{}
}

// recentMessage is a message that was read: the next one for every cursor that
// stands after the sequence `after` and at most at the message's own.
type recentMessage struct {
	after uint64
	msg   *jetstream.RawStreamMsg
}

// recentBytes bounds what one feed remembers, and allRecentBytes what all do: who
// subscribes to many groups must not have the process remember all of them.
const (
	recentBytes    = 1 << 20
	allRecentBytes = 128 << 20
)

// pullHeartbeat is how often the server says that a pull is alive. After two
// that are missing, the client pulls anew: so long may readers wait for the news
// after the node that served them died.
const pullHeartbeat = time.Second

// readTimeout is how long one read may take. A stream whose leader died answers
// nothing until it has another.
const readTimeout = 2 * time.Second

// startTail starts listening behind the last message that is there now.
func (s *Store) startTail(ctx, running context.Context, stream jetstream.Stream) (*tail, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, err
	}
	t := &tail{stream: stream, store: s, feeds: make(map[string]*feed)}
	next := info.State.LastSeq + 1
	consumer, err := t.consumer(ctx, next)
	if err != nil {
		return nil, err
	}
	s.done.Go(func() { t.run(running, consumer, next) })
	return t, nil
}

func (t *tail) consumer(ctx context.Context, next uint64) (jetstream.Consumer, error) {
	return t.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   next,
		HeadersOnly:   true,
	})
}

// run listens until the store closes. The ordered consumer starts itself again
// after a gap or a reconnect; should it end nevertheless, run makes another
// from where the last one was, and wakes everybody for what came in between.
func (t *tail) run(running context.Context, consumer jetstream.Consumer, next uint64) {
	for running.Err() == nil {
		if consumer != nil {
			next = t.listen(running, consumer, next)
		}
		if running.Err() != nil {
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-running.Done():
			return
		}
		var err error
		if consumer, err = t.consumer(running, next); err != nil {
			t.store.logger.Warn("the live tail of a stream did not start", "error", err)
			consumer = nil
			continue
		}
		t.wakeAll()
	}
}

func (t *tail) listen(running context.Context, consumer jetstream.Consumer, next uint64) uint64 {
	messages, err := consumer.Messages(jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		t.store.logger.Warn("the live tail of a stream did not start", "error", err)
		return next
	}
	stop := context.AfterFunc(running, messages.Stop)
	defer func() {
		stop()
		messages.Stop()
	}()
	for {
		msg, err := messages.Next()
		if err != nil {
			if running.Err() == nil {
				t.store.logger.Warn("the live tail of a stream ended", "error", err)
			}
			return next
		}
		if meta, err := msg.Metadata(); err == nil {
			next = meta.Sequence.Stream + 1
			if strings.HasPrefix(msg.Subject(), "mls.log.") && strings.HasSuffix(msg.Subject(), ".commit") {
				t.store.heads.passed(subjectKey(msg.Subject()), meta.Sequence.Stream)
			}
		}
		t.wakeKey(subjectKey(msg.Subject()))
	}
}

func (t *tail) wakeKey(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.feeds[key]; f != nil {
		close(f.wake)
		f.wake = make(chan struct{})
	}
}

func (t *tail) wakeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.feeds {
		close(f.wake)
		f.wake = make(chan struct{})
	}
}

func (t *tail) join(key string) *feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.feeds[key]
	if f == nil {
		f = &feed{wake: make(chan struct{})}
		t.feeds[key] = f
	}
	f.cursors++
	return f
}

func (t *tail) leave(key string, f *feed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.cursors--; f.cursors == 0 {
		delete(t.feeds, key)
		t.recentBytes.Add(-int64(f.bytes)) // nobody reads any more
	}
}

func (t *tail) wakeChannel(f *feed) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.wake
}

// Cursor reads a subject of a stream from a sequence on. It is used by one
// goroutine at a time.
type Cursor[T any] struct {
	tail    *tail
	feed    *feed
	key     string
	subject string
	next    uint64 // the lowest sequence not yet read
	keep    int    // how many messages the feed remembers for other cursors
	decode  func(context.Context, *jetstream.RawStreamMsg) (T, bool, error)
}

func newCursor[T any](t *tail, subject string, from uint64, keep int,
	decode func(context.Context, *jetstream.RawStreamMsg) (T, bool, error)) *Cursor[T] {
	key := subjectKey(subject)
	return &Cursor[T]{
		tail: t, feed: t.join(key), key: key, subject: subject,
		next: max(from, 1), keep: keep, decode: decode,
	}
}

// Close must be called once, when no Next is running.
func (c *Cursor[T]) Close() { c.tail.leave(c.key, c.feed) }

// Next returns the next message, and waits for one where there is none yet.
// After an error the same message is tried again.
func (c *Cursor[T]) Next(ctx context.Context) (T, error) {
	for {
		item, wake, err := c.Read(ctx)
		if err != nil || wake == nil {
			return item, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return item, ctx.Err()
		}
	}
}

// Read returns the next message or, where there is none yet, a channel that is
// closed when it is time to look again. After an error the same message is tried
// again.
func (c *Cursor[T]) Read(ctx context.Context) (item T, wake <-chan struct{}, err error) {
	for {
		// Taken before reading: a message that is stored after the read
		// closes this channel.
		wake := c.tail.wakeChannel(c.feed)
		msg, err := c.read(ctx, wake)
		if err != nil {
			return item, nil, err
		}
		if msg == nil {
			return item, wake, nil
		}
		item, ok, err := c.decode(ctx, msg)
		if err != nil {
			return item, nil, err
		}
		c.next = msg.Sequence + 1
		if ok {
			return item, nil, nil
		}
	}
}

// read reads the next message, nil where there is none yet. wake is the feed's
// wake channel from before.
func (c *Cursor[T]) read(ctx context.Context, wake chan struct{}) (*jetstream.RawStreamMsg, error) {
	f := c.feed
	f.reading.Lock()
	defer f.reading.Unlock()
	at := sort.Search(len(f.recent), func(i int) bool { return c.next <= f.recent[i].msg.Sequence })
	if at < len(f.recent) && f.recent[at].after < c.next {
		return f.recent[at].msg, nil
	}
	if f.endWake == wake && f.end <= c.next {
		return nil, nil
	}
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msg, err := readNext(limited, c.tail.stream, c.subject, c.next)
	if err == nil && msg == nil {
		f.end, f.endWake = c.next, wake
	}
	if err != nil || msg == nil || c.keep == 0 {
		return msg, err
	}
	if at < len(f.recent) {
		// Of one who is far behind: to remember it would push out what the
		// others are at.
		return msg, nil
	}
	if c.tail.recentBytes.Load()+int64(len(msg.Data)) > allRecentBytes {
		return msg, nil
	}
	before := f.bytes
	f.recent = append(f.recent, recentMessage{after: c.next - 1, msg: msg})
	f.bytes += len(msg.Data)
	drop := 0
	for ; len(f.recent)-drop > c.keep || f.bytes > recentBytes; drop++ {
		f.bytes -= len(f.recent[drop].msg.Data)
	}
	if drop > 0 {
		f.recent = append([]recentMessage(nil), f.recent[drop:]...)
	}
	c.tail.recentBytes.Add(int64(f.bytes - before))
	return msg, nil
}
