// Package service is the delivery service as clients see it: HTTP, and a
// WebSocket with JSON frames (PROTOCOL.md).
//
// It owns connections, requests, limits, error codes and static files. Of MLS
// it knows what the outside of a message shows to anyone (RFC 9420, Section 6);
// it must not know how the state is stored.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"webmls/web/delivery/internal/store"
)

// Config is what a Service is made of.
type Config struct {
	Store         *store.Store
	Authenticator Authenticator // FirstUse{Store} where it is nil
	Logger        *slog.Logger
	Origins       []string // beside the service's own; host patterns, or scheme://host patterns
	Static        string   // folder of files to serve; none where empty
	Limits        Limits   // DefaultLimits where it is zero
}

// Service serves clients until Shutdown.
type Service struct {
	config Config
	limits Limits
	logger *slog.Logger
	mux    *http.ServeMux

	connections atomic.Uint64 // counts up: the number of a connection in the log

	mu       sync.Mutex
	closing  bool
	open     map[*connection]struct{}
	perUser  map[string]int
	finished sync.WaitGroup
}

// New makes a Service.
func New(config Config) (*Service, error) {
	if config.Authenticator == nil {
		config.Authenticator = FirstUse{config.Store}
	}
	if config.Limits == (Limits{}) {
		config.Limits = DefaultLimits
	}
	for _, origin := range config.Origins {
		if _, err := path.Match(origin, ""); err != nil || origin == "" {
			return nil, fmt.Errorf("origin %q is not a pattern", origin)
		}
	}
	s := &Service{
		config:  config,
		limits:  config.Limits,
		logger:  config.Logger,
		mux:     http.NewServeMux(),
		open:    make(map[*connection]struct{}),
		perUser: make(map[string]int),
	}
	// A record that the store does not take must not be promised.
	s.limits.Message = min(s.limits.Message, config.Store.MaxRecord())
	s.mux.HandleFunc("GET /ws", s.serveSocket)
	s.mux.HandleFunc("GET /healthz", s.serveHealth)
	if config.Static != "" {
		files, err := newStaticFiles(config.Static)
		if err != nil {
			return nil, err
		}
		s.mux.Handle("GET /", files)
	}
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	s.mux.ServeHTTP(w, r)
}

func (s *Service) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.config.Store.Ready(ctx); err != nil {
		s.logger.Warn("not healthy", "error", err)
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (s *Service) serveSocket(w http.ResponseWriter, r *http.Request) {
	number := s.connections.Add(1)
	logger := s.logger.With("connection", number)
	c := &connection{service: s, logger: logger, subscriptions: make(map[uint64]*subscription)}
	if !s.add(c) {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	defer s.remove(c)
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: s.config.Origins})
	if err != nil {
		logger.Info("connection refused", "error", err)
		return
	}
	// The request's context ends with this function; the connection's ends
	// with its reader, or when the service gives up waiting.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	defer socket.CloseNow()
	c.start(socket, cancel)
	started := time.Now()
	logger.Info("connected")
	err = c.serve(ctx)
	logger.Info("disconnected", "after", time.Since(started).Round(time.Millisecond),
		"requests", c.requests, "reason", closeReason(err))
}

// closeReason says why a connection ended, in words that are ours.
func closeReason(err error) string {
	switch status := websocket.CloseStatus(err); {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return "frame too large"
	case status >= 0:
		return "closed by the client: " + status.String()
	case errors.Is(err, errMalformedFrame), errors.Is(err, errRefused), errors.Is(err, errNoHello), errors.Is(err, errSlow):
		return err.Error()
	default:
		return "connection lost"
	}
}

func (s *Service) add(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.open) >= s.limits.Connections {
		return false
	}
	s.open[c] = struct{}{}
	s.finished.Add(1)
	return true
}

func (s *Service) remove(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if c.user != "" {
		if s.perUser[c.user]--; s.perUser[c.user] == 0 {
			delete(s.perUser, c.user)
		}
	}
	s.finished.Done()
}

// enter makes a connection its user's, if the user may have another one.
func (s *Service) enter(c *connection, user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perUser[user] >= s.limits.ConnectionsPerUser {
		return false
	}
	s.perUser[user]++
	c.user = user
	return true
}

// Shutdown lets requests that have begun end, tells the clients that the
// service goes away, and returns when all connections are closed. When ctx
// ends first, they are cut.
func (s *Service) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	open := make([]*connection, 0, len(s.open))
	for c := range s.open {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		go c.goAway()
	}
	done := make(chan struct{})
	go func() {
		s.finished.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for _, c := range open {
		c.cut()
	}
	<-done
}

// Authenticator decides whether a client may act as a user. A refusal is an
// *Error; any other error means that it could not be decided.
type Authenticator interface {
	Authenticate(ctx context.Context, user, token string) error
}

// FirstUse trusts whoever names a user first: the token that came with the
// name is the user's from then on.
type FirstUse struct{ Store *store.Store }

// Authenticate implements Authenticator. Code: NAME_TAKEN.
func (f FirstUse) Authenticate(ctx context.Context, user, token string) error {
	same, err := f.Store.ClaimUser(ctx, user, token)
	if err != nil {
		return err
	}
	if !same {
		return fail(codeNameTaken, "the name belongs to another token")
	}
	return nil
}

// validName tells whether a name is one that a person can read and tell from
// others: printable, without a space at its ends.
func validName(name string, limit int) bool {
	if name == "" || len(name) > limit || strings.TrimSpace(name) != name {
		return false
	}
	for _, r := range name {
		if !isNameRune(r) {
			return false
		}
	}
	return true
}
