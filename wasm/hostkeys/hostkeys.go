//go:build js && wasm

// Package hostkeys is suite.Keys over WebCrypto: the interface HostKeys of
// js/src/host/keys.ts.
//
// It owns which work is the host's and which is Go's. Private signature keys and
// the HPKE keys of leaves and key packages are the host's where it has the
// algorithm and can keep keys: they never come here, and a reference holds their
// name. Keys that derive from path secrets are bytes by nature. The NIST curves
// (cipher suites 2, 5 and 7) are the host's alone, save for what package curve
// does: crypto/ecdh and crypto/ecdsa are not linked, as they cost 0.15 and 0.25
// MB of brotli. For X25519 and Ed25519 (suites 1 and 3) Go stands in where the
// host lacks them, and X448 and Ed448 (4 and 6) are Go's alone. It must not know
// how the host stores keys, nor any struct of the protocol.
package hostkeys

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

// Await calls a method of a host object that returns a promise, and waits for
// it or for the end of ctx (code CANCELLED).
type Await func(ctx context.Context, object js.Value, method string, params ...any) (js.Value, error)

// Keys implements suite.Keys.
type Keys struct {
	object    js.Value // a HostKeys
	await     Await
	soft      suite.Keys // Go's
	signature map[suite.ID]*algorithm
	group     map[suite.ID]*algorithm
	kept      []string // the algorithms whose private keys the host makes and keeps
	nist      nist
}

// nist is what is known of the host's NIST curves. To try them takes a new host
// 10 ms: it is asked when somebody wants to know.
type nist struct {
	mu    sync.Mutex
	found bool     // those that it has are among the algorithms
	kept  []string // as that of Keys, once it is not nil
}

// algorithm is a signature scheme or a Diffie-Hellman group of the host, as one
// cipher suite uses it.
type algorithm struct {
	keys       *Keys
	suite      suite.ID
	kind       kind
	name       string              // of the host: Ed25519, X25519, P-256
	curve      func() *curve.Curve // of the NIST curves; it is made when it is first worked on
	publicSize int
}

// kind is what a key is for. It stands in references, and must not change.
type kind byte

const (
	signing  kind = 1
	agreeing kind = 2
)

// String is the KeyKind of js/src/bridge.ts.
func (k kind) String() string {
	if k == signing {
		return "sign"
	}
	return "derive"
}

// New returns the Keys of this browser. object is a HostKeys.
func New(object js.Value, await Await) *Keys {
	k := &Keys{
		object: object, await: await, soft: modern.New(),
		signature: make(map[suite.ID]*algorithm), group: make(map[suite.ID]*algorithm),
	}
	k.kept = texts(object.Get("kept"))
	for _, name := range texts(object.Get("algorithms")) {
		for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.X25519ChaCha20SHA256Ed25519} {
			switch name {
			case "Ed25519":
				k.signature[id] = &algorithm{k, id, signing, name, nil, 32}
			case "X25519":
				k.group[id] = &algorithm{k, id, agreeing, name, nil, 32}
			}
		}
	}
	return k
}

// nistCurves are the NIST curves by the cipher suites that have them.
var nistCurves = map[suite.ID]struct {
	name  string
	size  int
	curve func() *curve.Curve
}{
	suite.P256AES128SHA256P256: {"P-256", 32, curve.P256},
	suite.P384AES256SHA384P384: {"P-384", 48, curve.P384},
	suite.P521AES256SHA512P521: {"P-521", 66, curve.P521},
}

// of returns the host's algorithm of a kind in a cipher suite, or nil.
func (k *Keys) of(kind kind, id suite.ID) *algorithm {
	if _, ok := nistCurves[id]; ok {
		k.findCurves()
	}
	if kind == signing {
		return k.signature[id]
	}
	return k.group[id]
}

// findCurves asks which NIST curves the host has. It fails only with the program.
func (k *Keys) findCurves() {
	k.nist.mu.Lock()
	defer k.nist.mu.Unlock()
	if k.nist.found {
		return
	}
	has, err := k.await(context.Background(), k.object, "nist")
	if err != nil {
		return
	}
	names := texts(has)
	for id, c := range nistCurves {
		if slices.Contains(names, c.name) {
			k.signature[id] = &algorithm{k, id, signing, c.name, c.curve, 1 + 2*c.size}
			k.group[id] = &algorithm{k, id, agreeing, c.name, c.curve, 1 + 2*c.size}
		}
	}
	k.nist.found = true
}

// kept reports whether the host makes and keeps private keys. Codes: those of
// storage, CANCELLED.
func (a *algorithm) kept(ctx context.Context) (bool, error) {
	k := a.keys
	if a.curve == nil {
		return slices.Contains(k.kept, a.name), nil
	}
	k.nist.mu.Lock()
	defer k.nist.mu.Unlock()
	if k.nist.kept == nil {
		keeps, err := k.await(ctx, k.object, "nistKept")
		if err != nil {
			return false, err
		}
		k.nist.kept = texts(keeps)
	}
	return slices.Contains(k.nist.kept, a.name), nil
}

func texts(array js.Value) []string {
	out := make([]string, array.Length())
	for i := range out {
		out[i] = array.Index(i).String()
	}
	return out
}

// Supports implements suite.Keys.
func (k *Keys) Supports(id suite.ID) bool { return k.of(agreeing, id) != nil || k.soft.Supports(id) }

// GenerateSignatureKey implements suite.Keys. Codes: UNSUPPORTED_CIPHER_SUITE,
// KEYS_EXTRACTABLE.
func (k *Keys) GenerateSignatureKey(ctx context.Context, id suite.ID) (suite.SignatureKey, error) {
	a := k.of(signing, id)
	kept, err := k.keeps(ctx, a, id)
	switch {
	case err != nil:
		return nil, err
	case kept:
		return signatureKeyOf(a.generate(ctx))
	case a == nil || a.curve == nil:
		return k.soft.GenerateSignatureKey(ctx, id)
	}
	return signatureKeyOf(a.generateBytes(ctx))
}

// GenerateHPKEKey implements suite.Keys. Codes: as of GenerateSignatureKey.
func (k *Keys) GenerateHPKEKey(ctx context.Context, id suite.ID) (suite.HPKEKey, error) {
	a := k.of(agreeing, id)
	kept, err := k.keeps(ctx, a, id)
	switch {
	case err != nil:
		return nil, err
	case kept:
		return hpkeKeyOf(a.generate(ctx))
	case a == nil || a.curve == nil:
		return k.soft.GenerateHPKEKey(ctx, id)
	}
	return hpkeKeyOf(a.generateBytes(ctx))
}

// keeps reports whether the host makes and keeps the private keys of an algorithm,
// or nil. It is an error where keys must be non-extractable and would not be;
// where nobody has the algorithm, that is said instead.
func (k *Keys) keeps(ctx context.Context, a *algorithm, id suite.ID) (bool, error) {
	if a != nil {
		if kept, err := a.kept(ctx); kept || err != nil {
			return kept, err
		}
	}
	if k.Supports(id) && k.object.Get("requireNonExtractable").Truthy() {
		return false, mlserr.New(mlserr.KeysExtractable, "cipher suite "+strconv.Itoa(int(id)))
	}
	return false, nil
}

// SignatureKey implements suite.Keys. Beside what Reference returned it takes a
// private key as softkeys does. Codes: KEY_NOT_FOUND, KEYS_EXTRACTABLE.
func (k *Keys) SignatureKey(ctx context.Context, id suite.ID, reference []byte) (suite.SignatureKey, error) {
	a := k.of(signing, id)
	if a == nil {
		if _, err := k.keeps(ctx, nil, id); err != nil {
			return nil, err
		}
		return k.soft.SignatureKey(ctx, id, reference)
	}
	key, err := a.open(reference)
	if err != nil {
		return nil, err
	}
	if (key == nil || key.name == "") && k.object.Get("requireNonExtractable").Truthy() {
		return nil, mlserr.New(mlserr.KeysExtractable, "cipher suite "+strconv.Itoa(int(id)))
	}
	if key == nil {
		return k.soft.SignatureKey(ctx, id, reference)
	}
	return &signatureKey{key}, nil
}

// HPKEKey implements suite.Keys. Beside what Reference returned it takes a
// private key as softkeys does. Keys that derive from path secrets are among
// those, so that requireNonExtractable does not apply. Code: KEY_NOT_FOUND.
func (k *Keys) HPKEKey(ctx context.Context, id suite.ID, reference []byte) (suite.HPKEKey, error) {
	a := k.of(agreeing, id)
	if a == nil {
		return k.soft.HPKEKey(ctx, id, reference)
	}
	key, err := a.open(reference)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return k.soft.HPKEKey(ctx, id, reference)
	}
	return &hpkeKey{key}, nil
}

// DeriveHPKEKeys implements suite.Keys. X25519 is Go's: a key that comes of a
// path secret is used once or twice, if at all. In Chromium 156 an exchange in Go
// takes 125 µs; to import both keys and to derive bits takes WebCrypto 56 (in
// Firefox 120), and to ask it 25 to 60 more: not enough to take a secret there.
func (k *Keys) DeriveHPKEKeys(ctx context.Context, id suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	a := k.of(agreeing, id)
	if a == nil || a.curve == nil {
		return k.soft.DeriveHPKEKeys(ctx, id, ikm)
	}
	keys := make([]suite.HPKEKey, len(ikm))
	for i := range ikm {
		if err := ended(ctx); err != nil {
			return nil, err
		}
		scalar := suite.DHKEMDeriveKey(id, ikm[i])
		keys[i] = &hpkeKey{&key{of: a, public: a.curve().PublicKey(scalar), scalar: scalar}}
	}
	return keys, nil
}

// ValidateHPKEKeys implements suite.Keys.
func (k *Keys) ValidateHPKEKeys(ctx context.Context, id suite.ID, publicKeys [][]byte) (int, error) {
	a := k.of(agreeing, id)
	if a == nil || a.curve == nil {
		return k.soft.ValidateHPKEKeys(ctx, id, publicKeys)
	}
	if err := ended(ctx); err != nil {
		return 0, err
	}
	for i, b := range publicKeys {
		if !a.curve().Valid(b) {
			return i, nil
		}
	}
	return -1, nil
}

// valid reports whether an exchange with a public key succeeds.
func (a *algorithm) valid(ctx context.Context, public []byte) (bool, error) {
	bad, err := a.keys.ValidateHPKEKeys(ctx, a.suite, [][]byte{public})
	return bad == -1, err
}

// signatureOfHost turns a signature from the form of MLS into that of the host.
func (a *algorithm) signatureOfHost(signature []byte) (raw []byte, ok bool) {
	if a.curve == nil {
		return signature, len(signature) == ed25519SignatureSize
	}
	return der.Unmarshal(signature, a.curve().Size())
}

// signatureOfMLS is the other way round.
func (a *algorithm) signatureOfMLS(raw []byte) []byte {
	if a.curve == nil {
		return raw
	}
	return der.Marshal(raw)
}

// signatureSize is the length of a signature of the host.
func (a *algorithm) signatureSize() int {
	if a.curve == nil {
		return ed25519SignatureSize
	}
	return 2 * a.curve().Size()
}

const ed25519SignatureSize = 64

// ended is the error of a context that has ended. Code: CANCELLED.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return mlserr.Wrap(mlserr.Cancelled, "keys", err)
	}
	return nil
}
