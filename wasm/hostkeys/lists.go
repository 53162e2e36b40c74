//go:build js && wasm

package hostkeys

import (
	"context"
	"strconv"
	"sync"
	"syscall/js"
	"time"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// Verify implements suite.Keys. The answer is Go's for every input, whoever
// finds it.
func (k *Keys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (int, error) {
	a := k.signature[id]
	if a == nil {
		return k.soft.Verify(ctx, id, list)
	}
	bad, err := -1, error(nil)
	for start := 0; start < len(list) && bad == -1 && err == nil; {
		inGo, n := false, len(list)-start // in one crossing, so that the host can share it out
		if a.curve == nil {
			inGo, n = pace25519.next(n)
		}
		part, begin := list[start:start+n], time.Now()
		if inGo {
			bad, err = k.soft.Verify(ctx, id, part)
		} else {
			bad, err = a.verify(ctx, part)
		}
		pace25519.add(inGo, n, time.Since(begin))
		if bad != -1 {
			bad += start
		}
		start += n
	}
	return bad, err
}

// verify has the host verify. What does not parse is bad before anything
// crosses; the rest crosses in one call.
func (a *algorithm) verify(ctx context.Context, list []suite.Verification) (int, error) {
	if err := ended(ctx); err != nil {
		return 0, err
	}
	readable := len(list)
	size := 0
	for _, v := range list {
		size += 12 + len(v.PublicKey) + len(v.Message) + len(v.Signature)
	}
	p := packer{make([]byte, 0, size)}
	for i, v := range list {
		raw, ok := a.signatureOfHost(v.Signature)
		if !ok || !a.verifies(v.PublicKey, raw) {
			readable = i
			break
		}
		p.add(v.PublicKey, v.Message, raw)
	}
	first := readable
	if readable > 0 {
		v, err := a.keys.await(ctx, a.keys.object, "verify", a.name, p.value())
		if err != nil {
			return 0, err
		}
		if bad := v.Int(); bad >= 0 && bad < first {
			first = bad
		}
	}
	if first == len(list) {
		return -1, nil
	}
	if a.curve != nil {
		return first, nil
	}
	// Implementations of Ed25519 differ about keys of small order and the like
	// (RFC 8032, Section 5.1.7, leaves room), and members must not: what the host
	// finds bad, Go decides, and what it was not asked.
	bad, err := a.keys.soft.Verify(ctx, a.suite, list[first:])
	if bad != -1 {
		bad += first
	}
	return bad, err
}

// verifies reports whether the host may be asked about a public key and a
// signature of its form: of a NIST curve if the key is valid; of Ed25519 if what
// is good for the host is good for Go, which is so unless the encoding of a point
// is not the canonical one. (Whether the host multiplies by the cofactor and
// takes any S, openKeys has found out.)
func (a *algorithm) verifies(public, raw []byte) bool {
	if a.curve != nil {
		return a.curve.Valid(public)
	}
	return len(public) == a.publicSize && canonical(public) && canonical(raw[:a.publicSize])
}

// canonical reports whether the encoding of a point of Ed25519 is the one of its
// point: y is less than p = 2^255-19, and x is not negative where it is zero.
func canonical(point []byte) bool {
	same := func(bytes []byte, want byte) bool {
		for _, b := range bytes {
			if b != want {
				return false
			}
		}
		return true
	}
	first, middle, last := point[0], point[1:31], point[31]
	switch {
	case last&0x7f == 0x7f && same(middle, 0xff):
		return first < 0xec || first == 0xec && last == 0x7f // p-1 has x = 0
	case last&0x7f == 0 && same(middle, 0) && first == 1: // 1 has x = 0
		return last == 0
	}
	return true
}

// Encapsulate implements suite.Keys.
func (k *Keys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	a := k.group[id]
	if a == nil {
		return k.soft.Encapsulate(ctx, id, publicKeys)
	}
	bad, err := k.ValidateHPKEKeys(ctx, id, publicKeys)
	if err != nil {
		return nil, err
	}
	if bad != -1 {
		return nil, mlserr.New(mlserr.InvalidPublicKey, "HPKE public key "+strconv.Itoa(bad))
	}
	if a.curve == nil && pace25519.inGo() {
		return k.soft.Encapsulate(ctx, id, publicKeys)
	}
	return a.encapsulate(ctx, publicKeys)
}

// encapsulate has the host encapsulate to valid public keys, in one call.
func (a *algorithm) encapsulate(ctx context.Context, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	var p packer
	p.add(publicKeys...)
	packed, err := a.keys.await(ctx, a.keys.object, "encapsulate", a.name, p.value())
	if err != nil {
		return nil, err
	}
	// For each key: the ephemeral public key, and the Diffie-Hellman result.
	results := fromHost(packed)
	packed.Call("fill", 0)
	defer clear(results)
	enc, shared := a.publicSize, a.sharedSize()
	if len(results) != len(publicKeys)*(enc+shared) {
		return nil, mlserr.New(mlserr.Internal, "encapsulate: results of a wrong length")
	}
	out := make([]suite.Encapsulation, len(publicKeys))
	for i := range out {
		result := results[i*(enc+shared):]
		out[i].Enc = append([]byte(nil), result[:enc]...)
		out[i].SharedSecret = suite.DHKEMSharedSecret(a.suite, result[enc:enc+shared], out[i].Enc, publicKeys[i])
	}
	return out, nil
}

// pace25519 is the pace of Ed25519 and X25519 in this program: the browser is the
// same for all clients.
var pace25519 pace

// pace decides whether lists of Ed25519 and X25519 are the host's work or Go's,
// by having both verify once: of the first long list a few parts are the host's,
// one is Go's, and from then on the faster of the two does it all. Encapsulating
// follows, for who is slow at one is slow at the other; a trial of its own would
// have Go make tables for it. Measured by bench_test.go in µs, Go against the
// host, on a busy machine:
//
//	                           Chromium 156   Firefox ESR 153
//	verify, in lists of 100    268 | 49       248 | 79
//	encapsulate, the same      300 | 96       303 | 176
//	verify, alone              351 | 92       279 | 366
//	encapsulate, alone         302 | 129      327 | 668
//
// A trial is short, because it meets Go's code when the browser has not compiled
// it well yet: a millisecond an element. That, and the clocks of browsers (0.1 ms
// and 1 ms), are to the host's favour, whose is the work until it is decided. Of
// the host the quickest part counts: other work of the machine makes parts
// slower, and never quicker.
type pace struct {
	mu     sync.Mutex
	parts  int           // that the host has done
	best   time.Duration // the quickest of them
	tried  bool          // Go has done its part, which decides
	faster bool          // Go is
}

const (
	trialList  = 128 // the shortest rest of a list that a trial takes parts of
	trialPart  = 8   // elements of a part
	trialParts = 3   // of the host, before Go's
)

// next says who does the next part of a list of which so much is left, and how
// many elements it has.
func (p *pace) next(left int) (inGo bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tried || left < trialList {
		return p.faster, left
	}
	return p.parts == trialParts, trialPart
}

// add tells how long a part took.
func (p *pace) add(inGo bool, n int, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.tried || n != trialPart:
	case inGo:
		p.tried, p.faster = true, d < p.best
	case p.parts < trialParts:
		if p.parts == 0 || d < p.best {
			p.best = d
		}
		p.parts++
	}
}

// inGo reports whether Go is known to be the faster one.
func (p *pace) inGo() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faster
}

// packer joins byte strings for one crossing: each with its length in front,
// four bytes, little-endian.
type packer struct{ b []byte }

func (p *packer) add(parts ...[]byte) {
	for _, part := range parts {
		n := len(part)
		p.b = append(p.b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		p.b = append(p.b, part...)
	}
}

// value is what was added, as a Uint8Array.
func (p *packer) value() js.Value { return toHost(p.b) }

var uint8Array = js.Global().Get("Uint8Array")

// toHost copies bytes into a Uint8Array.
func toHost(b []byte) js.Value {
	v := uint8Array.New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}

// fromHost copies a Uint8Array.
func fromHost(v js.Value) []byte {
	b := make([]byte, v.Length())
	js.CopyBytesToGo(b, v)
	return b
}
