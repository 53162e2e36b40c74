// Package curve448 is X448 (RFC 7748, Section 5) and Ed448 (RFC 8032, Section
// 5.2), with a view to WebAssembly: the limbs of the field are such that it
// multiplies them in one instruction, and the tables are computed at the first
// use instead of taking part of the binary. Elsewhere github.com/cloudflare/circl
// is used, against which this is tested: in WebAssembly it links math/big, fmt and
// encoding/asn1, 0.1 MB of brotli that every page would load for suites 4 and 6.
//
// It owns the field, the scalars and the points of the two. Nothing that has to do
// with a private key takes a time or goes to an address that depends on the key.
// It must not know HPKE, suites or what is signed.
package curve448

import "crypto/sha3"

// Sizes in bytes.
const (
	X448Size      = elementSize // private keys, public keys and shared secrets
	SeedSize      = 57
	PublicKeySize = 57
	SignatureSize = 114
)

// X448PublicKey returns the public key of an X448 private key: X448(private, 5).
// The base point of edwards448 is mapped to that of curve448, with
// u = y^2/x^2 (RFC 7748, Section 4.2).
func X448PublicKey(private *[X448Size]byte) (public [X448Size]byte) {
	var k scalar
	k.clamp(private)
	var p point
	p.mulBase(&k)
	clear(k[:])
	var u, v element
	v.square(&p.x)
	v.invert(&v)
	u.square(&p.y)
	u.mul(&u, &v)
	return u.bytes()
}

// X448 returns X448(private, peer). It is zero for a peer of low order.
func X448(private, peer *[X448Size]byte) (shared [X448Size]byte) {
	k := *private
	clampBytes(&k)
	var x1 element
	x1.setBytes(peer)
	x2, z2, x3, z3 := one, element{}, x1, one
	var swap uint32
	for t := 447; t >= 0; t-- {
		bit := -uint32(k[t/8] >> (t % 8) & 1)
		swap ^= bit
		x2.swapWhere(&x3, swap)
		z2.swapWhere(&z3, swap)
		swap = bit

		var a, aa, b, bb, e, c, d element
		a.add(&x2, &z2)
		aa.square(&a)
		b.sub(&x2, &z2)
		bb.square(&b)
		e.sub(&aa, &bb)
		c.add(&x3, &z3)
		d.sub(&x3, &z3)
		d.mul(&d, &a)
		c.mul(&c, &b)
		x3.add(&d, &c)
		x3.square(&x3)
		z3.sub(&d, &c)
		z3.square(&z3)
		z3.mul(&z3, &x1)
		x2.mul(&aa, &bb)
		z2.mulSmall(&e, 39081) // a24, which is -d
		z2.add(&z2, &aa)
		z2.mul(&z2, &e)
	}
	x2.swapWhere(&x3, swap)
	z2.swapWhere(&z3, swap)
	clear(k[:])
	z2.invert(&z2)
	x2.mul(&x2, &z2)
	return x2.bytes()
}

// clampBytes is decodeScalar448 of RFC 7748, Section 5; the last byte but one, as
// RFC 8032, Section 5.2.5 counts.
func clampBytes(k *[X448Size]byte) {
	k[0] &= 0xfc
	k[X448Size-1] |= 0x80
}

// clamp sets z to a clamped private key modulo the order.
func (z *scalar) clamp(private *[X448Size]byte) {
	k := *private
	clampBytes(&k)
	z.reduce(limbs(k[:]))
	clear(k[:])
}

// A SigningKey is an Ed448 private key.
type SigningKey struct {
	s      scalar
	prefix [SeedSize]byte
	public [PublicKeySize]byte
}

// NewSigningKey returns the key of a seed (RFC 8032, Section 5.2.5).
func NewSigningKey(seed *[SeedSize]byte) *SigningKey {
	h := sha3.NewSHAKE256()
	h.Write(seed[:])
	var digest [2 * SeedSize]byte
	h.Read(digest[:])
	k := &SigningKey{prefix: [SeedSize]byte(digest[SeedSize:])}
	k.s.clamp((*[X448Size]byte)(digest[:X448Size]))
	clear(digest[:])
	var a point
	a.mulBase(&k.s)
	k.public = a.bytes()
	return k
}

// Public returns the public key.
func (k *SigningKey) Public() [PublicKeySize]byte { return k.public }

// Sign returns the signature of a message with an empty context (RFC 8032, Section 5.2.6).
func (k *SigningKey) Sign(message []byte) (signature [SignatureSize]byte) {
	r := hashToScalar(k.prefix[:], nil, message)
	var p point
	p.mulBase(&r)
	encoded := p.bytes()
	c := hashToScalar(encoded[:], k.public[:], message)
	var s scalar
	s.mulAdd(&c, &k.s, &r)
	clear(r[:])
	last := s.bytes()
	copy(signature[:], encoded[:])
	copy(signature[PublicKeySize:], last[:])
	return signature
}

// Verify reports whether signature is one of message under public, with an empty
// context: whether R is the encoding of [S]B - [k]A (RFC 8032, Section 5.2.7),
// where A loses its part of low order, if it has one. That is what circl does, to
// the bit, so that no signature verifies here and not there. It takes input of any length.
func Verify(public, message, signature []byte) bool {
	if len(public) != PublicKeySize || len(signature) != SignatureSize {
		return false
	}
	var a point
	var s scalar
	if !a.setBytes((*[PublicKeySize]byte)(public)) || !s.setBytes((*[scalarSize]byte)(signature[PublicKeySize:])) {
		return false
	}
	c := hashToScalar(signature[:PublicKeySize], public, message)
	// [4]A has no part of low order, and [k/4][4]A is [k]A but for it.
	a.negate(&a)
	a.double(&a)
	a.double(&a)
	c.mulAdd(&c, &quarter, &scalar{})
	a.mulPublic(&s, &c, &a)
	return a.bytes() == [PublicKeySize]byte(signature)
}

// hashToScalar is SHAKE256(dom4(0, "") || a || b || message, 114) as a scalar.
func hashToScalar(a, b, message []byte) (z scalar) {
	h := sha3.NewSHAKE256()
	h.Write([]byte("SigEd448\x00\x00"))
	h.Write(a)
	h.Write(b)
	h.Write(message)
	var digest [2 * SeedSize]byte
	h.Read(digest[:])
	z.reduce(limbs(digest[:]))
	clear(digest[:])
	return z
}
