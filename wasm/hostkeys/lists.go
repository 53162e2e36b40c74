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
			inGo, n = paces.verify.next(len(list), len(list)-start)
		}
		part, begin := list[start:start+n], time.Now()
		if inGo {
			bad, err = k.soft.Verify(ctx, id, part)
		} else {
			bad, err = a.verify(ctx, part)
		}
		paces.verify.add(inGo, n, time.Since(begin))
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
	out := make([]suite.Encapsulation, 0, len(publicKeys))
	for len(out) < len(publicKeys) && err == nil {
		inGo, n := false, len(publicKeys)-len(out)
		if a.curve == nil {
			inGo, n = paces.encapsulate.next(len(publicKeys), len(publicKeys)-len(out))
		}
		part, begin := publicKeys[len(out):len(out)+n], time.Now()
		var done []suite.Encapsulation
		if inGo {
			done, err = k.soft.Encapsulate(ctx, id, part)
		} else {
			done, err = a.encapsulate(ctx, part)
		}
		paces.encapsulate.add(inGo, n, time.Since(begin))
		out = append(out, done...)
	}
	if err != nil {
		for i := range out {
			clear(out[i].SharedSecret)
		}
		return nil, err
	}
	return out, nil
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

// paces are those of this program: the browser is the same for all clients.
var paces struct{ verify, encapsulate pace }

// pace decides whether lists of Ed25519 and X25519 are the host's work or Go's,
// by doing both once: of the first lists that are long enough some parts go
// here, some there, and from then on the faster of the two does it all. Measured
// by bench_test.go in µs, Go against the host, on a busy machine:
//
//	                           Chromium 156   Firefox ESR 153
//	verify, in lists of 100    357 | 66       280 | 80
//	encapsulate, the same      210 | 109      329 | 416
//	verify, alone              262 | 75       250 | 125
//	encapsulate, alone         175 | 138      125 | 250
//
// Short lists do not decide, for clocks in browsers are coarse: 0.1 ms and 1 ms.
// Until it is decided they are the host's. The quickest part of each side
// decides: other work of the machine makes parts slower, and never quicker.
type pace struct {
	mu    sync.Mutex
	best  [2]time.Duration // of the host, of Go: the quickest part
	count [2]int
}

const (
	trialList = 32 // the shortest list that counts
	trialPart = 16 // a part of it
	trialSize = 64 // elements of each side
)

// next says who does the next part of a list, and how many elements it has.
func (p *pace) next(length, left int) (inGo bool, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.count[0] >= trialSize && p.count[1] >= trialSize:
		return p.best[1] < p.best[0], left
	case length < trialList:
		return false, left
	}
	return p.count[1] < p.count[0], min(trialPart, left)
}

// add tells how long a part took. Parts that do not count are left out.
func (p *pace) add(inGo bool, n int, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	side := 0
	if inGo {
		side = 1
	}
	if n == trialPart && p.count[side] < trialSize {
		if p.count[side] == 0 || d < p.best[side] {
			p.best[side] = d
		}
		p.count[side] += n
	}
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
