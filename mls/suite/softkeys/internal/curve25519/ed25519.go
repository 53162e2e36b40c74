package curve25519

import (
	"crypto/sha512"

	"filippo.io/edwards25519"
)

// Sizes of Ed25519 in bytes.
const (
	SeedSize      = 32
	PublicKeySize = 32
	SignatureSize = 64
)

// A SigningKey is an Ed25519 private key.
type SigningKey struct {
	s      edwards25519.Scalar
	prefix [32]byte
	public [PublicKeySize]byte
}

// NewSigningKey returns the key of a seed (RFC 8032, Section 5.1.5).
func NewSigningKey(seed *[SeedSize]byte) *SigningKey {
	digest := sha512.Sum512(seed[:])
	k := &SigningKey{prefix: [32]byte(digest[32:])}
	if _, err := k.s.SetBytesWithClamping(digest[:32]); err != nil {
		panic(err) // it has the right length
	}
	k.public = [PublicKeySize]byte(new(edwards25519.Point).ScalarBaseMult(&k.s).Bytes())
	clear(digest[:])
	return k
}

// Public returns the public key.
func (k *SigningKey) Public() [PublicKeySize]byte { return k.public }

// Sign returns the signature of a message (RFC 8032, Section 5.1.6).
func (k *SigningKey) Sign(message []byte) (signature [SignatureSize]byte) {
	r := hashToScalar(k.prefix[:], nil, message)
	encoded := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	c := hashToScalar(encoded, k.public[:], message)
	s := new(edwards25519.Scalar).MultiplyAdd(c, &k.s, r)
	r.Set(new(edwards25519.Scalar))
	copy(signature[:], encoded)
	copy(signature[32:], s.Bytes())
	return signature
}

// Verify reports whether signature is one of message under public: whether R is
// the encoding of [S]B - [k]A (RFC 8032, Section 5.1.7, without the cofactor). It
// takes input of any length. What it accepts is what crypto/ed25519 accepts, to
// the bit: public keys that are not reduced, or have the sign of -0, among it.
func Verify(public, message, signature []byte) bool {
	if len(public) != PublicKeySize || len(signature) != SignatureSize {
		return false
	}
	a, err := new(edwards25519.Point).SetBytes(public)
	if err != nil {
		return false
	}
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(signature[32:])
	if err != nil {
		return false
	}
	c := hashToScalar(signature[:32], public, message)
	r := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(c, a.Negate(a), s)
	return [32]byte(r.Bytes()) == [32]byte(signature)
}

// hashToScalar is SHA-512(a || b || message) as a scalar.
func hashToScalar(a, b, message []byte) *edwards25519.Scalar {
	h := sha512.New()
	h.Write(a)
	h.Write(b)
	h.Write(message)
	var digest [64]byte
	z, err := new(edwards25519.Scalar).SetUniformBytes(h.Sum(digest[:0]))
	if err != nil {
		panic(err) // it has the right length
	}
	clear(digest[:])
	return z
}
