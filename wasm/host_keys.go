//go:build js && wasm

package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"syscall/js"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/modern"
	"webmls/wasm/internal/curve"
	"webmls/wasm/internal/der"
)

// hostKeys is suite.Keys: softkeys for the suites without NIST curves, and for
// those with them the interface HostKeys of js/src/host/keys.ts, which is
// WebCrypto. Go's part of these is package curve: to check points, and to compute
// the public key of a derived private key. crypto/ecdh and crypto/ecdsa are not
// linked: they cost 0.15 and 0.25 MB of brotli.
type hostKeys struct {
	suite.Keys // those of the suites without NIST curves
	object     js.Value
	curves     map[suite.ID]*nist // those that work in this browser
}

// nist is a NIST curve of this browser.
type nist struct {
	*curve.Curve
	suite  suite.ID
	name   string // in WebCrypto: P-256
	object js.Value
}

// newHostKeys returns the Keys of this browser. object is a HostKeys.
func newHostKeys(object js.Value) *hostKeys {
	k := &hostKeys{Keys: modern.New(), object: object, curves: make(map[suite.ID]*nist)}
	works := object.Get("curves")
	for i := range works.Length() {
		switch works.Index(i).String() {
		case "P-256":
			k.add(&nist{curve.P256(), suite.P256AES128SHA256P256, "P-256", object})
		case "P-384":
			k.add(&nist{curve.P384(), suite.P384AES256SHA384P384, "P-384", object})
		case "P-521":
			k.add(&nist{curve.P521(), suite.P521AES256SHA512P521, "P-521", object})
		}
	}
	return k
}

func (k *hostKeys) add(c *nist) { k.curves[c.suite] = c }

// Supports implements suite.Keys.
func (k *hostKeys) Supports(id suite.ID) bool { return k.curves[id] != nil || k.Keys.Supports(id) }

// GenerateSignatureKey implements suite.Keys.
func (k *hostKeys) GenerateSignatureKey(ctx context.Context, id suite.ID) (suite.SignatureKey, error) {
	if c := k.curves[id]; c != nil {
		private, err := c.generate(ctx, "ECDSA")
		if err != nil {
			return nil, err
		}
		return &signatureKey{&nistKey{curve: c, private: private}}, nil
	}
	return k.Keys.GenerateSignatureKey(ctx, id)
}

// SignatureKey implements suite.Keys.
func (k *hostKeys) SignatureKey(ctx context.Context, id suite.ID, reference []byte) (suite.SignatureKey, error) {
	if c := k.curves[id]; c != nil {
		key, err := c.open(reference)
		if err != nil {
			return nil, err
		}
		return &signatureKey{key}, nil
	}
	return k.Keys.SignatureKey(ctx, id, reference)
}

// GenerateHPKEKey implements suite.Keys.
func (k *hostKeys) GenerateHPKEKey(ctx context.Context, id suite.ID) (suite.HPKEKey, error) {
	if c := k.curves[id]; c != nil {
		private, err := c.generate(ctx, "ECDH")
		if err != nil {
			return nil, err
		}
		return &hpkeKey{&nistKey{curve: c, private: private}}, nil
	}
	return k.Keys.GenerateHPKEKey(ctx, id)
}

// HPKEKey implements suite.Keys.
func (k *hostKeys) HPKEKey(ctx context.Context, id suite.ID, reference []byte) (suite.HPKEKey, error) {
	if c := k.curves[id]; c != nil {
		key, err := c.open(reference)
		if err != nil {
			return nil, err
		}
		return &hpkeKey{key}, nil
	}
	return k.Keys.HPKEKey(ctx, id, reference)
}

// DeriveHPKEKeys implements suite.Keys.
func (k *hostKeys) DeriveHPKEKeys(ctx context.Context, id suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	c := k.curves[id]
	if c == nil {
		return k.Keys.DeriveHPKEKeys(ctx, id, ikm)
	}
	keys := make([]suite.HPKEKey, len(ikm))
	for i := range ikm {
		scalar := suite.DHKEMDeriveKey(id, ikm[i])
		keys[i] = &hpkeKey{&nistKey{curve: c, private: slices.Concat(scalar, c.PublicKey(scalar))}}
		clear(scalar)
	}
	return keys, nil
}

// Verify implements suite.Keys. What does not parse is bad before anything
// crosses; the rest crosses in one call.
func (k *hostKeys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (int, error) {
	c := k.curves[id]
	if c == nil {
		return k.Keys.Verify(ctx, id, list)
	}
	unreadable := len(list)
	var p packer
	for i, v := range list {
		raw, ok := der.Unmarshal(v.Signature, c.Size())
		if !ok || !c.Valid(v.PublicKey) {
			unreadable = i
			break
		}
		p.add(v.PublicKey, v.Message, raw)
	}
	bad, err := await(ctx, c.object, "verify", c.name, p.value())
	switch {
	case err != nil:
		return 0, err
	case bad.Int() != -1:
		return bad.Int(), nil
	case unreadable < len(list):
		return unreadable, nil
	}
	return -1, nil
}

// Encapsulate implements suite.Keys.
func (k *hostKeys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	c := k.curves[id]
	if c == nil {
		return k.Keys.Encapsulate(ctx, id, publicKeys)
	}
	if bad := c.firstInvalid(publicKeys); bad != -1 {
		return nil, mlserr.New(mlserr.InvalidPublicKey, "HPKE public key "+strconv.Itoa(bad))
	}
	var p packer
	p.add(publicKeys...)
	packed, err := await(ctx, c.object, "encapsulate", c.name, p.value())
	if err != nil {
		return nil, err
	}
	// For each key: the ephemeral public key, and the x coordinate of the product.
	enc, results := 1+2*c.Size(), copyBytes(packed)
	packed.Call("fill", 0)
	if len(results) != len(publicKeys)*(enc+c.Size()) {
		return nil, mlserr.New(mlserr.Internal, "encapsulate: results of a wrong length")
	}
	out := make([]suite.Encapsulation, len(publicKeys))
	for i := range out {
		result := results[i*(enc+c.Size()):]
		out[i].Enc = append([]byte(nil), result[:enc]...)
		out[i].SharedSecret = suite.DHKEMSharedSecret(id, result[enc:enc+c.Size()], out[i].Enc, publicKeys[i])
	}
	clear(results)
	return out, nil
}

// ValidateHPKEKeys implements suite.Keys.
func (k *hostKeys) ValidateHPKEKeys(ctx context.Context, id suite.ID, publicKeys [][]byte) (int, error) {
	if c := k.curves[id]; c != nil {
		return c.firstInvalid(publicKeys), nil
	}
	return k.Keys.ValidateHPKEKeys(ctx, id, publicKeys)
}

// firstInvalid returns the lowest index of what is not valid, or -1.
func (c *nist) firstInvalid(publicKeys [][]byte) int {
	for i, b := range publicKeys {
		if !c.Valid(b) {
			return i
		}
	}
	return -1
}

// nistKey is a key pair: the scalar and behind it the uncompressed point, as
// one reference. WebCrypto has its key from the first use on.
type nistKey struct {
	curve   *nist
	private []byte

	mu     sync.Mutex
	handle js.Value // a CryptoKey, or undefined
}

// generate makes a key pair of a kind, ECDSA or ECDH.
func (c *nist) generate(ctx context.Context, kind string) ([]byte, error) {
	v, err := await(ctx, c.object, "generate", kind, c.name)
	if err != nil {
		return nil, err
	}
	private := copyBytes(v)
	v.Call("fill", 0)
	if len(private) != 1+3*c.Size() || !c.Valid(private[c.Size():]) {
		return nil, mlserr.New(mlserr.Internal, "generate: a key of a wrong form")
	}
	return private, nil
}

// open reads a reference. Code: KEY_NOT_FOUND.
func (c *nist) open(reference []byte) (*nistKey, error) {
	if len(reference) != 1+3*c.Size() || !c.Valid(reference[c.Size():]) {
		return nil, mlserr.New(mlserr.KeyNotFound, "a reference of a wrong form")
	}
	return &nistKey{curve: c, private: append([]byte(nil), reference...)}, nil
}

// Public implements suite.SignatureKey and suite.HPKEKey.
func (k *nistKey) Public() []byte { return k.private[k.curve.Size():] }

// Reference implements suite.SignatureKey and suite.HPKEKey: the key itself,
// in a slice of the caller's own to wipe.
func (k *nistKey) Reference() []byte { return append([]byte(nil), k.private...) }

// Name implements suite.SignatureKey and suite.HPKEKey: Reference holds all of the key.
func (k *nistKey) Name() string { return "" }

// use returns the CryptoKey for a kind of use, ECDSA or ECDH.
func (k *nistKey) use(ctx context.Context, kind string) (js.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.handle.IsUndefined() {
		handle, err := await(ctx, k.curve.object, "importKey", kind, k.curve.name, bytesValue(k.private))
		if err != nil {
			return handle, err
		}
		k.handle = handle
	}
	return k.handle, nil
}

// signatureKey implements suite.SignatureKey.
type signatureKey struct{ *nistKey }

// Sign implements suite.SignatureKey.
func (k *signatureKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	key, err := k.use(ctx, "ECDSA")
	if err != nil {
		return nil, err
	}
	raw, err := await(ctx, k.curve.object, "sign", k.curve.name, key, bytesValue(message))
	if err != nil {
		return nil, err
	}
	return der.Marshal(copyBytes(raw)), nil
}

// hpkeKey implements suite.HPKEKey.
type hpkeKey struct{ *nistKey }

// Decapsulate implements suite.HPKEKey.
func (k *hpkeKey) Decapsulate(ctx context.Context, enc []byte) ([]byte, error) {
	if !k.curve.Valid(enc) {
		return nil, mlserr.New(mlserr.DecryptionFailed, "")
	}
	key, err := k.use(ctx, "ECDH")
	if err != nil {
		return nil, err
	}
	v, err := await(ctx, k.curve.object, "diffieHellman", k.curve.name, key, bytesValue(enc))
	if err != nil {
		return nil, err
	}
	dh := copyBytes(v)
	v.Call("fill", 0)
	sharedSecret := suite.DHKEMSharedSecret(k.curve.suite, dh, enc, k.Public())
	clear(dh)
	return sharedSecret, nil
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
func (p *packer) value() js.Value { return bytesValue(p.b) }
