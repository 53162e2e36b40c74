// Package softkeys is suite.Keys in Go: private keys are bytes in memory, and
// the curves (RFC 9420, Section 5.1) are those of the standard library and,
// for X448 and Ed448, of github.com/cloudflare/circl.
//
// It owns key pairs, signatures and the Diffie-Hellman half of the KEM. It must
// not know labels, HPKE beyond the KEM, or any struct of the protocol. It
// keeps no keys: what finds a key again is the key itself.
package softkeys

import (
	"bytes"
	"context"
	"strconv"
	"sync/atomic"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/internal/spread"
)

// Modern returns Keys for the cipher suites without NIST curves: 1, 3, 4 and
// 6. A program that calls nothing else of this package does not link the code
// of the NIST curves.
func Modern() suite.Keys { return modern() }

func modern() *keys {
	return &keys{
		suite.X25519AES128SHA256Ed25519:   {x25519(), ed25519Scheme()},
		suite.X25519ChaCha20SHA256Ed25519: {x25519(), ed25519Scheme()},
		suite.X448AES256SHA512Ed448:       {x448Group(), ed448Scheme()},
		suite.X448ChaCha20SHA512Ed448:     {x448Group(), ed448Scheme()},
	}
}

// keys implements suite.Keys. The index is the suite's ID; a suite that is not
// supported has the zero algorithms.
type keys [suite.P384AES256SHA384P384 + 1]algorithms

type algorithms struct {
	group  group
	scheme scheme
}

// group is a Diffie-Hellman group.
type group struct {
	// generate makes a key pair.
	generate func() (dhKey, error)
	// open returns the key pair of a serialized private key. It fails when that
	// has not the right length or is out of range.
	open func(private []byte) (dhKey, error)
	// valid reports whether public is a public key with which an exchange
	// succeeds.
	valid func(public []byte) bool
}

// dhKey is a key pair in a group.
type dhKey struct {
	private, public []byte
	// exchange returns the result of Diffie-Hellman with the public key peer,
	// the caller's to wipe. It fails when peer is not valid.
	exchange func(peer []byte) ([]byte, error)
}

// scheme is a signature scheme.
type scheme struct {
	// generate makes a key pair.
	generate func() (signingKey, error)
	// open returns the key pair of a private key in the format of
	// NewSignatureKey.
	open func(private []byte) (signingKey, error)
	// verify reports whether signature is one of message under public. It
	// takes input of any length.
	verify func(public, message, signature []byte) bool
}

// signingKey is a signature key pair.
type signingKey struct {
	private, public []byte
	sign            func(message []byte) ([]byte, error)
}

// algorithms returns those of a suite. Code: UNSUPPORTED_CIPHER_SUITE.
func (k *keys) algorithms(id suite.ID) (*algorithms, error) {
	if int(id) < len(k) && k[id].group.generate != nil {
		return &k[id], nil
	}
	return nil, mlserr.New(mlserr.UnknownSuite, id.String())
}

// Supports implements suite.Keys.
func (k *keys) Supports(id suite.ID) bool {
	_, err := k.algorithms(id)
	return err == nil
}

// GenerateSignatureKey implements suite.Keys.
func (k *keys) GenerateSignatureKey(_ context.Context, id suite.ID) (suite.SignatureKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.scheme.generate()
	if err != nil {
		return nil, mlserr.Wrap(mlserr.Internal, "generate signature key", err)
	}
	return &signatureKey{key}, nil
}

// SignatureKey implements suite.Keys. The reference is the private key.
func (k *keys) SignatureKey(_ context.Context, id suite.ID, reference []byte) (suite.SignatureKey, error) {
	return k.openSignatureKey(id, reference, mlserr.KeyNotFound)
}

func (k *keys) openSignatureKey(id suite.ID, private []byte, code mlserr.Code) (suite.SignatureKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.scheme.open(private)
	if err != nil {
		return nil, mlserr.Wrap(code, "signature key", err)
	}
	return &signatureKey{key}, nil
}

// GenerateHPKEKey implements suite.Keys.
func (k *keys) GenerateHPKEKey(_ context.Context, id suite.ID) (suite.HPKEKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.group.generate()
	if err != nil {
		return nil, mlserr.Wrap(mlserr.Internal, "generate HPKE key", err)
	}
	return &hpkeKey{id, key}, nil
}

// HPKEKey implements suite.Keys. The reference is the private key.
func (k *keys) HPKEKey(_ context.Context, id suite.ID, reference []byte) (suite.HPKEKey, error) {
	return k.openHPKEKey(id, reference, mlserr.KeyNotFound)
}

func (k *keys) openHPKEKey(id suite.ID, private []byte, code mlserr.Code) (suite.HPKEKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.group.open(private)
	if err != nil {
		return nil, mlserr.Wrap(code, "HPKE key", err)
	}
	return &hpkeKey{id, key}, nil
}

// DeriveHPKEKeys implements suite.Keys.
func (k *keys) DeriveHPKEKeys(ctx context.Context, id suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	out := make([]suite.HPKEKey, len(ikm))
	bad, err := firstBad(ctx, len(ikm), func(i int) bool {
		private := suite.DHKEMDeriveKey(id, ikm[i])
		defer clear(private)
		key, err := a.group.open(private)
		if err != nil {
			return false
		}
		out[i] = &hpkeKey{id, key}
		return true
	})
	if err != nil {
		return nil, err
	}
	if bad != -1 {
		return nil, mlserr.New(mlserr.Internal, "derived HPKE key "+strconv.Itoa(bad))
	}
	return out, nil
}

// Verify implements suite.Keys.
func (k *keys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (bad int, err error) {
	a, err := k.algorithms(id)
	if err != nil {
		return 0, err
	}
	return firstBad(ctx, len(list), func(i int) bool {
		v := &list[i]
		return a.scheme.verify(v.PublicKey, v.Message, v.Signature)
	})
}

// Encapsulate implements suite.Keys.
func (k *keys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	out := make([]suite.Encapsulation, len(publicKeys))
	bad, err := firstBad(ctx, len(publicKeys), func(i int) bool {
		ephemeral, err := a.group.generate()
		if err != nil {
			return false
		}
		dh, err := ephemeral.exchange(publicKeys[i])
		if err != nil {
			return false
		}
		out[i] = suite.Encapsulation{
			Enc:          ephemeral.public,
			SharedSecret: suite.DHKEMSharedSecret(id, dh, ephemeral.public, publicKeys[i]),
		}
		suite.Wipe(dh, ephemeral.private)
		return true
	})
	if err != nil {
		return nil, err
	}
	if bad != -1 {
		return nil, mlserr.New(mlserr.InvalidPublicKey, "HPKE public key "+strconv.Itoa(bad))
	}
	return out, nil
}

// ValidateHPKEKeys implements suite.Keys.
func (k *keys) ValidateHPKEKeys(ctx context.Context, id suite.ID, publicKeys [][]byte) (bad int, err error) {
	a, err := k.algorithms(id)
	if err != nil {
		return 0, err
	}
	return firstBad(ctx, len(publicKeys), func(i int) bool { return a.group.valid(publicKeys[i]) })
}

// lowest is the lowest index that was noted, n when none was. Many goroutines
// may use it.
type lowest struct {
	n int64
	i atomic.Int64
}

func newLowest(n int) *lowest {
	l := &lowest{n: int64(n)}
	l.i.Store(l.n)
	return l
}

func (l *lowest) note(i int) {
	for {
		old := l.i.Load()
		if int64(i) >= old || l.i.CompareAndSwap(old, int64(i)) {
			return
		}
	}
}

// above reports whether the lowest index so far is above i.
func (l *lowest) above(i int) bool { return l.i.Load() > int64(i) }

// index returns the lowest index, or -1 when none was noted.
func (l *lowest) index() int {
	if i := l.i.Load(); i < l.n {
		return int(i)
	}
	return -1
}

// firstBad returns the lowest i for which good returns false, or -1.
func firstBad(ctx context.Context, n int, good func(i int) bool) (int, error) {
	bad := newLowest(n)
	err := spread.Each(ctx, n, func(i int) {
		// Past a bad index nothing can change the answer.
		if bad.above(i) && !good(i) {
			bad.note(i)
		}
	})
	if err != nil {
		return 0, err
	}
	return bad.index(), nil
}

// signatureKey implements suite.SignatureKey.
type signatureKey struct{ key signingKey }

// Public implements suite.SignatureKey.
func (k *signatureKey) Public() []byte { return k.key.public }

// Reference implements suite.SignatureKey: the private key, in a slice of the
// caller's own to wipe.
func (k *signatureKey) Reference() []byte { return bytes.Clone(k.key.private) }

// Name implements suite.SignatureKey: Reference holds all of the key.
func (k *signatureKey) Name() string { return "" }

// Sign implements suite.SignatureKey.
func (k *signatureKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	signature, err := k.key.sign(message)
	if err != nil {
		return nil, mlserr.Wrap(mlserr.Internal, "sign", err)
	}
	return signature, nil
}

// hpkeKey implements suite.HPKEKey.
type hpkeKey struct {
	id  suite.ID
	key dhKey
}

// Public implements suite.HPKEKey.
func (k *hpkeKey) Public() []byte { return k.key.public }

// Reference implements suite.HPKEKey: the private key, in a slice of the
// caller's own to wipe.
func (k *hpkeKey) Reference() []byte { return bytes.Clone(k.key.private) }

// Name implements suite.HPKEKey: Reference holds all of the key.
func (k *hpkeKey) Name() string { return "" }

// Decapsulate implements suite.HPKEKey.
func (k *hpkeKey) Decapsulate(_ context.Context, enc []byte) ([]byte, error) {
	dh, err := k.key.exchange(enc)
	if err != nil {
		return nil, mlserr.New(mlserr.DecryptionFailed, "")
	}
	sharedSecret := suite.DHKEMSharedSecret(k.id, dh, enc, k.key.public)
	clear(dh)
	return sharedSecret, nil
}
