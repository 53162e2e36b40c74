// Package keyring is suite.Keys over a table of algorithms in Go: private keys
// are bytes in memory (RFC 9420, Section 5.1).
//
// It owns the shape of a Diffie-Hellman group and of a signature scheme, and
// what is the same for all of them: references, lists, errors. It must not
// know any curve, so that a program links only those that it names. It keeps
// no keys: what finds a key again is the key itself.
package keyring

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/internal/spread"
)

// Keys implements suite.Keys. The index is the suite's ID; a suite that is not
// supported has the zero Algorithms. It does not change once it is in use.
type Keys [suite.P384AES256SHA384P384 + 1]Algorithms

// Algorithms are the slow half of a cipher suite.
type Algorithms struct {
	Group  Group
	Scheme Scheme
}

// Group is a Diffie-Hellman group.
type Group struct {
	// Generate makes a key pair.
	Generate func() (DHKey, error)
	// Open returns the key pair of a serialized private key (RFC 9180, Section
	// 7.1.2), which remains the caller's. It fails when that has not the right
	// length or is out of range.
	Open func(private []byte) (DHKey, error)
	// PublicKeys returns the public keys of private keys that Open takes; nil where
	// that takes as long as one after the other.
	PublicKeys func(private [][]byte) [][]byte
	// Valid reports whether public is a public key with which an exchange
	// succeeds. It takes input of any length.
	Valid func(public []byte) bool
}

// DHKey is a key pair in a group.
type DHKey struct {
	Private []byte
	// Public returns the public key, the same slice each time. It may compute it
	// when it is first asked: many keys of a path are loaded and never used.
	Public func() []byte
	// Exchange returns the result of Diffie-Hellman with the public key peer,
	// the caller's to wipe. It fails when peer is not valid, or the result is
	// zero.
	Exchange func(peer []byte) ([]byte, error)
}

// withPublic is the key pair with another way to its public key.
func (k DHKey) withPublic(public func() []byte) DHKey {
	k.Public = public
	return k
}

// Scheme is a signature scheme.
type Scheme struct {
	// Generate makes a key pair.
	Generate func() (SigningKey, error)
	// Open returns the key pair of a private key: a seed or a big-endian
	// scalar of full length, which remains the caller's. It fails as Group.Open.
	Open func(private []byte) (SigningKey, error)
	// Verify reports whether signature is one of message under public. It
	// takes input of any length.
	Verify func(public, message, signature []byte) bool
}

// SigningKey is a signature key pair.
type SigningKey struct {
	Private, Public []byte
	Sign            func(message []byte) ([]byte, error)
}

// algorithms returns those of a suite. Code: UNSUPPORTED_CIPHER_SUITE.
func (k *Keys) algorithms(id suite.ID) (*Algorithms, error) {
	if int(id) < len(k) && k[id].Group.Generate != nil {
		return &k[id], nil
	}
	return nil, mlserr.New(mlserr.UnknownSuite, id.String())
}

// Supports implements suite.Keys.
func (k *Keys) Supports(id suite.ID) bool {
	_, err := k.algorithms(id)
	return err == nil
}

// GenerateSignatureKey implements suite.Keys.
func (k *Keys) GenerateSignatureKey(_ context.Context, id suite.ID) (suite.SignatureKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.Scheme.Generate()
	if err != nil {
		return nil, mlserr.Wrap(mlserr.Internal, "generate signature key", err)
	}
	return &signatureKey{key}, nil
}

// SignatureKey implements suite.Keys. The reference is the private key.
func (k *Keys) SignatureKey(_ context.Context, id suite.ID, reference []byte) (suite.SignatureKey, error) {
	return k.OpenSignatureKey(id, reference, mlserr.KeyNotFound)
}

// OpenSignatureKey returns the handle of a private key in the format of
// Scheme.Open. Codes: UNSUPPORTED_CIPHER_SUITE, and code when the key is bad.
func (k *Keys) OpenSignatureKey(id suite.ID, private []byte, code mlserr.Code) (suite.SignatureKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.Scheme.Open(private)
	if err != nil {
		return nil, mlserr.Wrap(code, "signature key", err)
	}
	return &signatureKey{key}, nil
}

// GenerateHPKEKey implements suite.Keys.
func (k *Keys) GenerateHPKEKey(_ context.Context, id suite.ID) (suite.HPKEKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.Group.Generate()
	if err != nil {
		return nil, mlserr.Wrap(mlserr.Internal, "generate HPKE key", err)
	}
	return &hpkeKey{id, key}, nil
}

// HPKEKey implements suite.Keys. The reference is the private key.
func (k *Keys) HPKEKey(_ context.Context, id suite.ID, reference []byte) (suite.HPKEKey, error) {
	return k.OpenHPKEKey(id, reference, mlserr.KeyNotFound)
}

// OpenHPKEKey returns the handle of a private key in the format of
// Group.Open. Codes: UNSUPPORTED_CIPHER_SUITE, and code when the key is bad.
func (k *Keys) OpenHPKEKey(id suite.ID, private []byte, code mlserr.Code) (suite.HPKEKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	key, err := a.Group.Open(private)
	if err != nil {
		return nil, mlserr.Wrap(code, "HPKE key", err)
	}
	return &hpkeKey{id, key}, nil
}

// DeriveHPKEKeys implements suite.Keys. Where a group has PublicKeys, they are computed
// when the first is asked for.
func (k *Keys) DeriveHPKEKeys(ctx context.Context, id suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	private, keys, out := make([][]byte, len(ikm)), make([]DHKey, len(ikm)), make([]suite.HPKEKey, len(ikm))
	bad, err := firstBad(ctx, len(ikm), func(i int) bool {
		private[i] = suite.DHKEMDeriveKey(id, ikm[i])
		key, err := a.Group.Open(private[i])
		if err != nil {
			return false
		}
		if a.Group.PublicKeys == nil {
			key.Public() // it will be asked for, and here many are computed side by side
		}
		keys[i], out[i] = key, &hpkeKey{id, key}
		return true
	})
	defer suite.Wipe(private...)
	if err != nil {
		return nil, err
	}
	if bad != -1 {
		return nil, mlserr.New(mlserr.Internal, "derived HPKE key "+strconv.Itoa(bad))
	}
	if a.Group.PublicKeys != nil {
		public := sync.OnceValue(func() [][]byte {
			private := make([][]byte, len(keys)) // the other is wiped
			for i := range keys {
				private[i] = keys[i].Private
			}
			return a.Group.PublicKeys(private)
		})
		for i := range out {
			out[i] = &hpkeKey{id, keys[i].withPublic(func() []byte { return public()[i] })}
		}
	}
	return out, nil
}

// Verify implements suite.Keys.
func (k *Keys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (bad int, err error) {
	a, err := k.algorithms(id)
	if err != nil {
		return 0, err
	}
	return firstBad(ctx, len(list), func(i int) bool {
		v := &list[i]
		return a.Scheme.Verify(v.PublicKey, v.Message, v.Signature)
	})
}

// Encapsulate implements suite.Keys.
func (k *Keys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	a, err := k.algorithms(id)
	if err != nil {
		return nil, err
	}
	out := make([]suite.Encapsulation, len(publicKeys))
	bad, err := firstBad(ctx, len(publicKeys), func(i int) bool {
		ephemeral, err := a.Group.Generate()
		if err != nil {
			return false
		}
		dh, err := ephemeral.Exchange(publicKeys[i])
		if err != nil {
			return false
		}
		enc := ephemeral.Public()
		out[i] = suite.Encapsulation{Enc: enc, SharedSecret: suite.DHKEMSharedSecret(id, dh, enc, publicKeys[i])}
		suite.Wipe(dh, ephemeral.Private)
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
func (k *Keys) ValidateHPKEKeys(ctx context.Context, id suite.ID, publicKeys [][]byte) (bad int, err error) {
	a, err := k.algorithms(id)
	if err != nil {
		return 0, err
	}
	return firstBad(ctx, len(publicKeys), func(i int) bool { return a.Group.Valid(publicKeys[i]) })
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
type signatureKey struct{ key SigningKey }

// Public implements suite.SignatureKey.
func (k *signatureKey) Public() []byte { return k.key.Public }

// Reference implements suite.SignatureKey: the private key, in a slice of the
// caller's own to wipe.
func (k *signatureKey) Reference() []byte { return bytes.Clone(k.key.Private) }

// Name implements suite.SignatureKey: Reference holds all of the key.
func (k *signatureKey) Name() string { return "" }

// Sign implements suite.SignatureKey.
func (k *signatureKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	signature, err := k.key.Sign(message)
	if err != nil {
		return nil, mlserr.Wrap(mlserr.Internal, "sign", err)
	}
	return signature, nil
}

// SignAll implements suite.SignatureKey.
func (k *signatureKey) SignAll(ctx context.Context, messages [][]byte) ([][]byte, error) {
	signatures := make([][]byte, len(messages))
	failed, err := firstBad(ctx, len(messages), func(i int) (good bool) {
		var err error
		signatures[i], err = k.Sign(ctx, messages[i])
		return err == nil
	})
	if err == nil && failed >= 0 {
		_, err = k.Sign(ctx, messages[failed]) // once more, for its error
	}
	if err != nil {
		return nil, err
	}
	return signatures, nil
}

// hpkeKey implements suite.HPKEKey.
type hpkeKey struct {
	id  suite.ID
	key DHKey
}

// Public implements suite.HPKEKey.
func (k *hpkeKey) Public() []byte { return k.key.Public() }

// Reference implements suite.HPKEKey: the private key, in a slice of the
// caller's own to wipe.
func (k *hpkeKey) Reference() []byte { return bytes.Clone(k.key.Private) }

// Name implements suite.HPKEKey: Reference holds all of the key.
func (k *hpkeKey) Name() string { return "" }

// Decapsulate implements suite.HPKEKey.
func (k *hpkeKey) Decapsulate(_ context.Context, enc []byte) ([]byte, error) {
	dh, err := k.key.Exchange(enc)
	if err != nil {
		return nil, mlserr.New(mlserr.DecryptionFailed, "")
	}
	sharedSecret := suite.DHKEMSharedSecret(k.id, dh, enc, k.key.Public())
	clear(dh)
	return sharedSecret, nil
}
