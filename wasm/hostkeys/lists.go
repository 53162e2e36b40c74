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
	a := k.of(signing, id)
	if a == nil || a.curve == nil && pace25519.inGo() {
		return k.soft.Verify(ctx, id, list)
	}
	begin := time.Now()
	bad, err := a.verify(ctx, list) // in one crossing, so that the host can share it out
	if a.curve == nil && bad == -1 && pace25519.doubts(len(list), time.Since(begin)) {
		begin = time.Now()
		k.soft.Verify(ctx, id, list[:trialPart])
		pace25519.decide(time.Since(begin))
	}
	return bad, err
}

// RequireStrict has Go verify Ed25519 where the host is lax: takes one of the forgeries.
// Where all members must agree, a host that takes them is no help. What was found
// holds for the program.
func (k *Keys) RequireStrict(ctx context.Context) {
	a := k.signature[suite.X25519AES128SHA256Ed25519]
	if a == nil {
		return
	}
	strict.Lock()
	defer strict.Unlock()
	for ; strict.refused < len(forgeries); strict.refused++ {
		f := forgeries[strict.refused]
		p := packer{make([]byte, 0, 12+len(f))}
		p.add([]byte(f[:32]), []byte{0}, []byte(f[32:]))
		bad, err := k.await(ctx, k.object, "verify", a.name, p.value())
		if err != nil || bad.Int() != 0 {
			delete(k.signature, suite.X25519AES128SHA256Ed25519)
			delete(k.signature, suite.X25519ChaCha20SHA256Ed25519)
			return
		}
	}
}

// strict is how many of the forgeries the host has refused.
var strict struct {
	sync.Mutex
	refused int
}

// forgeries are public keys, and behind each a signature under it of a zero byte,
// that an implementation of Ed25519 may take and Go's does not: one that holds only
// up to the cofactor, and one whose S is not less than the order of the base point
// (RFC 8032, Section 5.1.7).
var forgeries = [...]string{
	"\x43\xf9\xb2\xf1\x08\x77\xe7\x36\xd6\x8e\x4f\xa2\xa2\x2d\xa0\xbb\x61\x28\xc7\x12\x30\xe7\x4f\xda\xc9\x10\x31\xa5\x6e\x96\x09\xae" +
		"\x22\x0b\xa8\xca\xe9\x5a\xfb\x86\xff\x14\xd3\x74\x6d\x18\xd8\x09\x81\x38\x1f\x96\x06\x1d\x9f\x50\xe9\x99\xc7\x39\x50\x03\x4c\x97" +
		"\x5a\x21\xb5\xb0\x3e\x25\x29\xb3\xb5\x29\x42\x6e\x91\x29\x52\x49\xb5\x1e\xef\xec\xc7\x13\x09\x2c\x6e\x05\x1c\x34\xbd\x28\x77\x00",
	"\xa5\x23\x87\xb8\x4b\xb8\x6b\x01\xb9\x0d\x56\x43\x23\xe6\xa0\xd1\xa4\x8e\x5e\x04\xae\xcb\x17\xe4\x05\xb0\xb6\xd6\x42\x67\x44\x05" +
		"\xa1\xd5\xa7\x11\xa8\x7f\xcc\x40\x95\x43\xb2\x90\xf3\x77\x12\xe5\xb4\x7c\xaf\x27\x1d\xa2\x59\x1e\x97\xa5\xf6\x7b\xda\xdd\x04\xf6" +
		"\x97\xf6\xd1\x53\xb5\x8c\xad\x63\x18\xe6\x0d\x43\x90\xf9\xaa\x53\x10\xcf\xb6\x00\xc2\xd1\xc1\xe8\xf5\x68\x13\x5f\x12\x3c\x0c\x17",
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
		return a.curve().Valid(public)
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
	a := k.of(agreeing, id)
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

// pace decides whether lists of Ed25519 and X25519 are the host's work or Go's.
// They are the host's, unless a long list takes it suspiciously long: then Go
// verifies a part of that list again, and who was faster does all from then on.
// Encapsulating follows, for who is slow at one is slow at the other; a trial of
// its own would have Go make tables for it. Measured by bench_test.go in µs, Go
// against the host, on a busy machine:
//
//	                           Chromium 156   Firefox ESR 153
//	verify, in lists of 100    268 | 49       248 | 79
//	encapsulate, the same      300 | 96       303 | 176
//	verify, alone              351 | 92       279 | 366
//	encapsulate, alone         302 | 129      327 | 668
//
// The host is judged by whole lists, for beside a list the program does other
// things, which can take all of its thread for longer than a few elements take the host.
// Go's part meets code that the browser has not compiled well yet: a millisecond
// an element. Both are far from the host's pace where that is good.
type pace struct {
	mu     sync.Mutex
	host   time.Duration // an element of the list that was suspicious
	faster bool          // Go is
}

const (
	trialList = 128                    // the shortest list that the host is judged by
	trialPart = 8                      // elements that Go tries
	slowHost  = 400 * time.Microsecond // an element; Go is hardly faster on any machine
)

// doubts takes the time of a list that was the host's, and reports whether Go should try.
func (p *pace) doubts(n int, d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < trialList || p.host > 0 || d < time.Duration(n)*slowHost {
		return false
	}
	p.host = d / time.Duration(n)
	return true
}

// decide takes the time of Go's part.
func (p *pace) decide(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faster = d/trialPart < p.host
}

// inGo reports whether lists are Go's.
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
