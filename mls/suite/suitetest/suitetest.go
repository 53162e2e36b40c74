// Package suitetest is for tests of what stands on package suite, as
// net/http/httptest is for net/http. It owns the contract that every
// suite.Keys keeps, and the recording of AEAD.Seal: whether a key or a nonce was
// ever used twice shows nowhere else, for both are wiped after use. It must not be imported outside of tests: a record holds keys.
package suitetest

import (
	"bytes"
	"sync"

	"webmls/mls/suite/internal/seals"
)

// Seal is one call of AEAD.Seal (RFC 9420, Section 5.1).
type Seal struct {
	Key, Nonce, Plaintext, Ciphertext []byte
}

// Recorder keeps every Seal since Record, whoever made it.
type Recorder struct {
	mu   sync.Mutex
	list []Seal
}

// Record begins to record, until cleanup, which a test gives to its Cleanup. One
// Recorder records at a time; tests that record must not run in parallel with
// others that seal.
func Record() (r *Recorder, cleanup func()) {
	r = new(Recorder)
	seals.Hook = r.record
	return r, func() { seals.Hook = nil }
}

func (r *Recorder) record(key, nonce, plaintext, ciphertext []byte) {
	s := Seal{bytes.Clone(key), bytes.Clone(nonce), bytes.Clone(plaintext), bytes.Clone(ciphertext)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, s)
}

// Take returns what was recorded since the last Take, in the order of the calls.
func (r *Recorder) Take() []Seal {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}
