// Package service is the delivery service as clients see it: HTTP, and a
// WebSocket with JSON frames (PROTOCOL.md).
//
// It owns connections, requests, limits, error codes, metrics and static files. Of MLS
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
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"webmls/web/delivery/internal/accounts"
	"webmls/web/delivery/internal/store"
)

// Config is what a Service is made of.
type Config struct {
	Store         *store.Store
	Authenticator accounts.Authenticator // accounts.FirstUse{Store} where it is nil
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

	metrics  *metrics
	accepts  *rate.Limiter
	draining atomic.Bool

	connections atomic.Uint64 // counts up: the number of a connection in the log

	mu       sync.Mutex
	closing  bool
	open     map[*connection]struct{}
	users    map[string]*user
	finished sync.WaitGroup
}

// New makes a Service.
func New(config Config) (*Service, error) {
	if config.Authenticator == nil {
		config.Authenticator = accounts.FirstUse{Names: config.Store}
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
		users:   make(map[string]*user),
		accepts: rate.NewLimiter(rate.Limit(config.Limits.ConnectionsPerSecond), config.Limits.ConnectionBurst),
	}
	s.metrics = newMetrics(s)
	// A record that the store does not take must not be promised.
	s.limits.Message = min(s.limits.Message, config.Store.MaxRecord())
	s.mux.HandleFunc("GET /ws", s.serveSocket)
	s.mux.HandleFunc("GET /livez", s.serveLive)
	s.mux.HandleFunc("GET /readyz", s.serveReady)
	s.mux.HandleFunc("GET /healthz", s.serveReady)
	if issuer, ok := config.Authenticator.(*accounts.Development); ok {
		s.mux.Handle("POST /development/token", issuer)
	}
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

// Admin serves what is for the operator: metrics and health. It is to be served
// on an address of its own, which clients do not reach.
func (s *Service) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.serveLive)
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

// serveLive tells that the process runs. That the store does not answer is no
// reason to start the process again.
func (s *Service) serveLive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

// serveReady tells whether clients should be sent here.
func (s *Service) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	if err := s.config.Store.Ready(ctx); err != nil {
		s.logger.Warn("not ready", "error", err)
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (s *Service) serveSocket(w http.ResponseWriter, r *http.Request) {
	number := s.connections.Add(1)
	logger := s.logger.With("connection", number)
	c := &connection{
		service: s, logger: logger, subscriptions: make(map[uint64]*subscription),
		turns: make(chan struct{}, turnsAtOnce),
	}
	if !s.accepts.Allow() || !s.add(c) {
		s.metrics.refused.Inc()
		w.Header().Set("Retry-After", "5")
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
	reason := closeReason(err)
	s.metrics.disconnects.WithLabelValues(reason.metric).Inc()
	logger.Info("disconnected", "after", time.Since(started).Round(time.Millisecond),
		"requests", c.requests, "reason", reason.text)
}

// reason is why a connection ended: in words that are ours, and as one of few
// values of a metric's label.
type reason struct{ text, metric string }

func closeReason(err error) reason {
	switch status := websocket.CloseStatus(err); {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return reason{"frame too large", "too_large"}
	case status == statusExpired:
		return reason{"token expired", "expired"}
	case status >= 0:
		return reason{"closed by the client: " + status.String(), "client"}
	case errors.Is(err, errMalformedFrame):
		return reason{err.Error(), "malformed"}
	case errors.Is(err, errRefused):
		return reason{err.Error(), "refused"}
	case errors.Is(err, errNoHello):
		return reason{err.Error(), "no_hello"}
	case errors.Is(err, errSlow):
		return reason{err.Error(), "slow"}
	default:
		return reason{"connection lost", "lost"}
	}
}

func (s *Service) add(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.draining.Load() || len(s.open) >= s.limits.Connections {
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
		c.account.connections--
		s.forget()
	}
	s.finished.Done()
}

// user is what the connections of one user to this process share.
type user struct {
	connections               int
	bytes, claims, recipients *rate.Limiter

	claimed, invited perDevice
}

// perDevice counts what a user does to each of the devices of others.
type perDevice struct {
	mu      sync.Mutex
	devices map[store.Address]*rate.Limiter
	last    time.Time
}

// mostDevices is of how many devices is counted, of each by itself.
const mostDevices = 4096

// allow tells whether it may be done to a device now: so many times at once, and
// then once in a time.
func (p *perDevice) allow(a store.Address, burst int, every time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	l := p.devices[a]
	if l == nil {
		for other := range p.devices {
			if len(p.devices) < mostDevices {
				break
			}
			delete(p.devices, other)
		}
		l = rate.NewLimiter(rate.Every(every), burst)
		if p.devices == nil {
			p.devices = make(map[store.Address]*rate.Limiter)
		}
		p.devices[a] = l
	}
	return l.Allow()
}

// rested tells whether it may be done to all as often as at first.
func (p *perDevice) rested(burst int, every time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last) > every*time.Duration(burst)
}

// enter makes a connection its user's, if the user may have another one.
func (s *Service) enter(c *connection, name, device string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	if u == nil {
		u = &user{
			bytes:  rate.NewLimiter(rate.Limit(s.limits.BytesPerSecond), max(s.limits.ByteBurst, s.limits.Frame)),
			claims: rate.NewLimiter(rate.Limit(s.limits.ClaimsPerSecond), s.limits.ClaimBurst),
			recipients: rate.NewLimiter(rate.Limit(s.limits.RecipientsPerSecond),
				max(s.limits.RecipientBurst, s.limits.WelcomeRecipients)),
		}
		s.users[name] = u
	}
	if u.connections >= s.limits.ConnectionsPerUser {
		return false
	}
	u.connections++
	c.user, c.account, c.address = name, u, store.NewAddress(name, device)
	return true
}

// forget drops users who are gone for so long that what they had used of their
// rates has come back: to connect again must not give a new burst. It looks
// when there are many of them.
func (s *Service) forget() {
	if len(s.users) < 2*len(s.open)+1000 {
		return
	}
	for name, u := range s.users {
		if u.connections == 0 && u.rested(&s.limits) {
			delete(s.users, name)
		}
	}
}

// rested tells whether all that a user had used of its rates has come back.
func (u *user) rested(limits *Limits) bool {
	if u.claims.Tokens() < float64(limits.ClaimBurst) || u.recipients.Tokens() < float64(u.recipients.Burst()) {
		return false
	}
	return u.claimed.rested(limits.ClaimsPerDevice, limits.ClaimDeviceTime) &&
		u.invited.rested(limits.WelcomesToDevice, limits.WelcomeDeviceTime)
}

// Drain tells load balancers that the service goes away, then closes the
// connections one after the other over a time, so that the clients do not all
// come to the other processes at once. Shutdown ends what is left.
func (s *Service) Drain(ctx context.Context, over time.Duration) {
	s.draining.Store(true)
	if over <= 0 {
		return
	}
	s.mu.Lock()
	open := make([]*connection, 0, len(s.open))
	for c := range s.open {
		open = append(open, c)
	}
	s.mu.Unlock()
	if len(open) == 0 {
		return
	}
	ticker := time.NewTicker(max(over/time.Duration(len(open)), time.Microsecond))
	defer ticker.Stop()
	for _, c := range open {
		select {
		case <-ticker.C:
			go c.goAway()
		case <-ctx.Done():
			return
		}
	}
}

// Shutdown lets requests that have begun end, tells the clients that the
// service goes away, and returns when all connections are closed. When ctx
// ends first, they are cut.
func (s *Service) Shutdown(ctx context.Context) {
	s.draining.Store(true)
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
