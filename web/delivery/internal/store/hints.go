package store

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// hints wakes those in this process who want to know that a device's key
// packages become fewer, whichever process gave one away. A hint that is lost is
// no harm: devices count when they connect.
type hints struct {
	mu        sync.Mutex
	listeners map[string]map[chan struct{}]struct{} // by the token of the address
}

const hintSubject = "mls.hint.stock."

func (s *Store) listenForHints() error {
	s.stock.listeners = make(map[string]map[chan struct{}]struct{})
	_, err := s.backend.conn.Subscribe(hintSubject+"*", func(msg *nats.Msg) {
		s.stock.mu.Lock()
		defer s.stock.mu.Unlock()
		for listener := range s.stock.listeners[msg.Subject[len(hintSubject):]] {
			select {
			case listener <- struct{}{}:
			default: // it has one to look at already
			}
		}
	})
	return err
}

func (s *Store) hintStock(a Address) {
	if err := s.backend.conn.Publish(hintSubject+a.token(), nil); err != nil {
		s.logger.Warn("a hint on key packages was not sent", "error", err)
	}
}

// FollowStock returns a channel that gets a value after a claim of a device's
// key packages, one for several that come close together, and a function that
// ends that.
func (s *Store) FollowStock(a Address) (claimed <-chan struct{}, stop func()) {
	listener := make(chan struct{}, 1)
	key := a.token()
	s.stock.mu.Lock()
	defer s.stock.mu.Unlock()
	if s.stock.listeners[key] == nil {
		s.stock.listeners[key] = make(map[chan struct{}]struct{})
	}
	s.stock.listeners[key][listener] = struct{}{}
	return listener, func() {
		s.stock.mu.Lock()
		defer s.stock.mu.Unlock()
		delete(s.stock.listeners[key], listener)
		if len(s.stock.listeners[key]) == 0 {
			delete(s.stock.listeners, key)
		}
	}
}
