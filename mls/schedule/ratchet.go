package schedule

import (
	"bytes"
	"cmp"
	"slices"

	"webmls/mls/suite"
)

// Labels of RFC 9420, Sections 9.1, 6.3.2 and 12.4.3.
const (
	labelKey    = "key"
	labelNonce  = "nonce"
	labelSecret = "secret"
)

// MaxGenerations is how many messages a member sends from one ratchet in an
// epoch before Next is GENERATIONS_SPENT (RFC 9420, Section 15.2). The AEAD
// limits that the RFC points to are for many messages under one key, 2^24.5 for
// AES-GCM; in MLS each message has a key of its own, so that a bound below that
// for all of a sender's messages in an epoch is on the safe side, and it keeps
// generations far from the end of their uint32. Receiving is not bound by it,
// for other implementations may set theirs elsewhere.
const MaxGenerations = 1 << 24

// maxNext is the position of a ratchet whose generations are all used up.
const maxNext = 1 << 32

// Ratchet names one of the two ratchets of a leaf (RFC 9420, Section 9).
type Ratchet uint8

// The ratchets.
const (
	Handshake   Ratchet = 0
	Application Ratchet = 1
)

// ratchet is a sender ratchet (RFC 9420, Section 9.1). The slices that it holds
// are never written to, save to wipe them; a copy of the struct is a ratchet of
// its own.
type ratchet struct {
	next    uint64       // the generation that secret gives, at most maxNext
	secret  []byte       // ratchet_secret_[N]_[next], KDF.Nh bytes
	skipped []skippedKey // generations below next that are not consumed, ascending
}

// skippedKey is the key of a message that has been overtaken by a later one.
type skippedKey struct {
	generation uint32
	key, nonce []byte // AEAD.Nk and AEAD.Nn bytes
}

// take consumes a generation (X1). It returns false, and changes nothing, where the
// generation is below next and its key is not retained. The slices of the old
// ratchet stay as they are, so that the caller can go back to it.
func (r *ratchet) take(s *suite.Suite, generation uint32, maxSkipped int) (key, nonce []byte, ok bool) {
	if uint64(generation) < r.next {
		return r.takeSkipped(generation)
	}
	// Each generation's secret is wiped once the next is derived; the first one
	// is the old ratchet's, which is wiped with that.
	secret := r.secret
	var passed []skippedKey
	for g := uint32(r.next); ; g++ {
		if uint64(generation-g) <= uint64(maxSkipped) {
			key = s.DeriveTreeSecret(secret, labelKey, g, s.KeySize())
			nonce = s.DeriveTreeSecret(secret, labelNonce, g, s.NonceSize())
		}
		next := s.DeriveTreeSecret(secret, labelSecret, g, s.HashSize())
		if uint64(g) != r.next {
			clear(secret)
		}
		secret = next
		if g == generation {
			break
		}
		if key != nil {
			passed = append(passed, skippedKey{g, key, nonce})
		}
	}
	if passed != nil {
		retained := r.skipped
		if over := len(retained) + len(passed) - maxSkipped; over > 0 {
			// passed is no longer than maxSkipped, so that over is at most
			// len(retained).
			retained = retained[over:]
		}
		r.skipped = slices.Concat(retained, passed)
	}
	r.next, r.secret = uint64(generation)+1, secret
	return key, nonce, true
}

// takeSkipped consumes a generation that a later message has overtaken.
func (r *ratchet) takeSkipped(generation uint32) (key, nonce []byte, ok bool) {
	i, ok := r.find(generation)
	if !ok {
		return nil, nil, false
	}
	found := r.skipped[i]
	r.skipped = slices.Concat(r.skipped[:i], r.skipped[i+1:])
	// Copies, for the key itself stays in the old ratchet until that is wiped.
	return bytes.Clone(found.key), bytes.Clone(found.nonce), true
}

// find returns the place of a generation among the skipped ones.
func (r *ratchet) find(generation uint32) (int, bool) {
	return slices.BinarySearchFunc(r.skipped, generation, func(k skippedKey, g uint32) int {
		return cmp.Compare(k.generation, g)
	})
}

// wipe overwrites every secret.
func (r *ratchet) wipe() {
	clear(r.secret)
	for i := range r.skipped {
		suite.Wipe(r.skipped[i].key, r.skipped[i].nonce)
	}
}

// wipeDropped overwrites the secrets of from that none of the others holds;
// those may be nil.
func wipeDropped(from *leafRatchets, others ...*leafRatchets) {
	for i := range from {
		r := &from[i]
		if !slices.ContainsFunc(others, func(l *leafRatchets) bool { return r.shares(l, i) }) {
			clear(r.secret)
		}
		for j := range r.skipped {
			k := &r.skipped[j]
			if !slices.ContainsFunc(others, func(l *leafRatchets) bool { return k.in(l, i) }) {
				suite.Wipe(k.key, k.nonce)
			}
		}
	}
}

// shares reports whether ratchet i of l holds the very slice that r has as its
// secret.
func (r *ratchet) shares(l *leafRatchets, i int) bool {
	return l != nil && sameSlice(l[i].secret, r.secret)
}

// in reports whether ratchet i of l holds the very key k.
func (k *skippedKey) in(l *leafRatchets, i int) bool {
	if l == nil {
		return false
	}
	j, ok := l[i].find(k.generation)
	return ok && sameSlice(l[i].skipped[j].key, k.key)
}

// sameSlice reports whether a and b, neither of them empty, are the same bytes
// in memory.
func sameSlice(a, b []byte) bool { return &a[0] == &b[0] }
