package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"webmls/web/delivery/internal/store"
)

// logBuffer is where a test's service logs to.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type bench struct {
	t       *testing.T
	store   *store.Store
	service *Service
	server  *httptest.Server
	log     *logBuffer
}

// start starts a service on an embedded store.
func start(t *testing.T, configure ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, log: new(logBuffer)}
	logger := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if b.store, err = store.Open(t.Context(), store.Config{DataDir: t.TempDir(), Logger: logger}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.store.Close)
	config := Config{Store: b.store, Logger: logger, Limits: DefaultLimits}
	for _, change := range configure {
		change(&config)
	}
	if b.service, err = New(config); err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(b.service)
	t.Cleanup(b.server.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		b.service.Shutdown(ctx)
	})
	return b
}

// logged waits until the log has a text a number of times.
func (b *bench) logged(text string, times int) {
	b.t.Helper()
	for end := time.Now().Add(15 * time.Second); strings.Count(b.log.String(), text) < times; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("the log does not say %q %d times: %s", text, times, b.log)
		}
	}
}

func limits(change func(*Limits)) func(*Config) {
	return func(c *Config) { change(&c.Limits) }
}

func (b *bench) url() string { return "ws" + strings.TrimPrefix(b.server.URL, "http") + "/ws" }

// client is a raw client of the protocol: a test sees every frame.
type client struct {
	t      *testing.T
	socket *websocket.Conn
	lastID uint64
	events []event
}

type event struct {
	Event   string `json:"event"`
	Sub     uint64 `json:"sub"`
	Seq     uint64 `json:"seq"`
	Message []byte `json:"message"`
	ID      any    `json:"id"`
	Group   []byte `json:"group"`
	Welcome []byte `json:"welcome"`
	Count   int    `json:"count"`
}

type answer struct {
	ID    uint64 `json:"id"`
	OK    fields `json:"ok"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Epoch   string `json:"epoch"`
	} `json:"error"`
}

type fields map[string]any

func (b *bench) dial() *client { return b.dialWith(nil) }

// dialSmall is a client whose machine takes little before it reads.
func (b *bench) dialSmall() *client {
	return b.dialWith(&websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(4096)
			}
			return conn, err
		},
	}}})
}

// dialPaced is a client behind a slow line: of each so many bytes, each read takes a while.
func (b *bench) dialPaced(pause time.Duration, bytes int) *client {
	return b.dialWith(&websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &pacedConn{Conn: conn, pause: pause, bytes: bytes}, conn.(*net.TCPConn).SetReadBuffer(bytes)
		},
	}}})
}

type pacedConn struct {
	net.Conn
	pause       time.Duration
	bytes, read int
}

func (c *pacedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for c.read += n; c.read >= c.bytes; c.read -= c.bytes {
		time.Sleep(c.pause)
	}
	return n, err
}

func (b *bench) dialWith(options *websocket.DialOptions) *client {
	b.t.Helper()
	socket, _, err := websocket.Dial(b.t.Context(), b.url(), options)
	if err != nil {
		b.t.Fatal(err)
	}
	socket.SetReadLimit(32 << 20)
	b.t.Cleanup(func() { socket.CloseNow() })
	return &client{t: b.t, socket: socket}
}

func tokenOf(name string) string { return "token of " + name + " 0123456789abcdef" }

// connect is a client that has said hello.
func (b *bench) connect(name string) *client {
	b.t.Helper()
	c := b.dial()
	c.ok("hello", fields{"version": 1, "name": name, "token": tokenOf(name)})
	return c
}

func (c *client) sendText(text string) {
	c.t.Helper()
	if err := c.socket.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Error(err)
	}
}

func (c *client) send(op string, f fields) uint64 {
	c.t.Helper()
	c.lastID++
	frame := fields{"id": c.lastID, "op": op}
	for name, value := range f {
		frame[name] = value
	}
	text, err := json.Marshal(frame)
	if err != nil {
		c.t.Fatal(err)
	}
	c.sendText(string(text))
	return c.lastID
}

// read reads one frame; an event is kept for later, and answer is then nil.
func (c *client) read() (*answer, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	_, frame, err := c.socket.Read(ctx)
	if err != nil {
		return nil, err
	}
	var e event
	if err := json.Unmarshal(frame, &e); err != nil {
		c.t.Errorf("frame %s: %v", frame, err)
	}
	if e.Event != "" {
		c.events = append(c.events, e)
		return nil, nil
	}
	var a answer
	if err := json.Unmarshal(frame, &a); err != nil {
		c.t.Errorf("frame %s: %v", frame, err)
	}
	return &a, nil
}

func (c *client) answer() *answer {
	c.t.Helper()
	for {
		a, err := c.read()
		if err != nil {
			c.t.Errorf("no answer: %v", err)
			return &answer{}
		}
		if a != nil {
			return a
		}
	}
}

func (c *client) request(op string, f fields) *answer {
	c.t.Helper()
	id := c.send(op, f)
	a := c.answer()
	if a.ID != id {
		c.t.Errorf("%s: the answer is to request %d, want %d", op, a.ID, id)
	}
	return a
}

func (c *client) ok(op string, f fields) fields {
	c.t.Helper()
	a := c.request(op, f)
	if a.Error != nil || a.OK == nil {
		c.t.Errorf("%s: %+v", op, a.Error)
	}
	return a.OK
}

func (c *client) refused(code, op string, f fields) {
	c.t.Helper()
	a := c.request(op, f)
	if a.Error == nil || a.Error.Code != code || a.Error.Message == "" || a.OK != nil {
		c.t.Errorf("%s: %+v %v, want %s", op, a.Error, a.OK, code)
	}
}

func (c *client) event() event {
	c.t.Helper()
	for len(c.events) == 0 {
		if _, err := c.read(); err != nil {
			c.t.Errorf("no event: %v", err)
			return event{}
		}
	}
	e := c.events[0]
	c.events = c.events[1:]
	return e
}

// closed reads until the connection ends and returns the close code.
func (c *client) closed() websocket.StatusCode {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// MLSMessages (RFC 9420, Section 6) whose outside is right and whose inside is
// a label.

func opaque(b []byte, field string) []byte {
	switch n := len(field); {
	case n < 64:
		b = append(b, byte(n))
	case n < 16384:
		b = binary.BigEndian.AppendUint16(b, 0x4000|uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(b, 0x80000000|uint32(n))
	}
	return append(b, field...)
}

func mlsMessage(wireFormat byte) []byte { return []byte{0, 1, 0, wireFormat} }

const (
	application = 1
	proposal    = 2
	commit      = 3
)

func privateMessage(group string, epoch uint64, contentType byte, label string) []byte {
	b := opaque(mlsMessage(2), group)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(b, contentType)
	b = opaque(b, "")             // authenticated_data
	b = opaque(b, "sender data ") // encrypted_sender_data
	return opaque(b, label)       // ciphertext
}

func publicMessage(group string, epoch uint64, contentType byte, label string) []byte {
	b := opaque(mlsMessage(1), group)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(b, 1, 0, 0, 0, 0) // sender: member 0
	b = opaque(b, "authenticated")
	b = append(b, contentType)
	return append(b, label...)
}

func welcomeMessage(label string) []byte { return append(mlsMessage(3), label...) }

func groupInfo(group string, epoch uint64, label string) []byte {
	b := append(mlsMessage(4), 0, 1, 0, 1)
	b = opaque(b, group)
	b = binary.BigEndian.AppendUint64(b, epoch)
	return append(b, label...)
}

func keyPackage(label string) []byte { return append(mlsMessage(5), label...) }
