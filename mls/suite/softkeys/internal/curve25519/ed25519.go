package curve25519

import (
	"crypto/sha512"
	"sync"
)

// Sizes of Ed25519 in bytes.
const (
	SeedSize      = 32
	PublicKeySize = 32
	SignatureSize = 64
)

// A SigningKey is an Ed25519 private key.
type SigningKey struct {
	s      scalar // clamped, not less than L
	prefix [32]byte
	public [PublicKeySize]byte
}

// NewSigningKey returns the key of a seed (RFC 8032, Section 5.1.5).
func NewSigningKey(seed *[SeedSize]byte) *SigningKey {
	digest := sha512.Sum512(seed[:])
	k := &SigningKey{prefix: [32]byte(digest[32:])}
	private := (*[Size]byte)(digest[:Size])
	clamp(private)
	k.s.setBytes(private)
	var a point
	a.mulBase(private)
	k.public = a.bytes()
	clear(digest[:])
	return k
}

// Public returns the public key.
func (k *SigningKey) Public() [PublicKeySize]byte { return k.public }

// Sign returns the signature of a message (RFC 8032, Section 5.1.6).
func (k *SigningKey) Sign(message []byte) (signature [SignatureSize]byte) {
	r := hashToScalar(k.prefix[:], nil, message)
	b := r.bytes()
	var p point
	p.mulBase(&b)
	clear(b[:])
	encoded := p.bytes()
	c := hashToScalar(encoded[:], k.public[:], message)
	var s scalar
	s.mulAdd(&k.s, &c, &r)
	clear(r[:])
	last := s.bytes()
	copy(signature[:], encoded[:])
	copy(signature[32:], last[:])
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
	var a point
	var s scalar
	if !a.setBytes((*[PublicKeySize]byte)(public)) || !s.setBytes((*[Size]byte)(signature[32:])) {
		return false
	}
	c := hashToScalar(signature[:32], public, message)
	a.negate()
	a.mulPublic(&s, &c, &a)
	return a.bytes() == [32]byte(signature)
}

// hashToScalar is SHA-512(a || b || message) as a scalar.
func hashToScalar(a, b, message []byte) (z scalar) {
	h := sha512.New()
	h.Write(a)
	h.Write(b)
	h.Write(message)
	var digest [2 * Size]byte
	h.Sum(digest[:0])
	z.reduce(&digest)
	clear(digest[:])
	return z
}

// bytes encodes p (RFC 8032, Section 5.1.2).
func (p *point) bytes() [PublicKeySize]byte {
	var inverse, x, y element
	inverse.invert(&p.z)
	x.mul(&p.x, &inverse)
	y.mul(&p.y, &inverse)
	b := y.bytes()
	b[PublicKeySize-1] |= x.bytes()[0] << 7
	return b
}

// setBytes decodes a point and reports whether it is one (RFC 8032, Section
// 5.1.3, but without the checks that y is reduced and that -0 is not signed).
func (p *point) setBytes(b *[PublicKeySize]byte) bool {
	p.y.setBytes(b)
	p.z = one
	// x^2 = (y^2-1) / (dy^2+1), and the lower half is nowhere 0.
	var u, v, yy element
	d := edwardsD()
	yy.square(&p.y)
	u.sub(&yy, &one)
	v.mul(&yy, &d)
	v.add(&v, &one)
	if !p.x.root(&u, &v) {
		return false
	}
	if p.x.bytes()[0]&1 != b[PublicKeySize-1]>>7 {
		p.x.sub(&element{}, &p.x)
		p.x.tighten()
	}
	p.t.mul(&p.x, &p.y)
	return true
}

// negate sets p to -p.
func (p *point) negate() {
	p.x.sub(&element{}, &p.x)
	p.x.tighten()
	p.t.sub(&element{}, &p.t)
	p.t.tighten()
}

// The widths of the windows of mulPublic.
const (
	baseWidth  = 7
	pointWidth = 5
)

// baseMultiples are the odd multiples of the base point, for mulPublic.
var baseMultiples = sync.OnceValue(func() []addend {
	b := base()
	return normalize(oddMultiples(&b, 1<<(baseWidth-2)))
})

// oddMultiples returns p, 3p, 5p and so on.
func oddMultiples(p *point, n int) []point {
	var twice point
	twice.double(p)
	step := twice.factors()
	out := make([]point, n)
	out[0] = *p
	for i := 1; i < n; i++ {
		out[i].addFactors(&out[i-1], &step)
	}
	return out
}

// mulPublic sets r to m times the base point plus n*p. Its time depends on all
// of them.
func (r *point) mulPublic(m, n *scalar, p *point) {
	ofBase := baseMultiples()
	var ofPoint [1 << (pointWidth - 2)]factors
	for i, q := range oddMultiples(p, len(ofPoint)) {
		ofPoint[i] = q.factors()
	}
	baseDigits, pointDigits := m.digits(baseWidth), n.digits(pointWidth)
	sum := identity()
	for i := len(baseDigits) - 1; i >= 0; i-- {
		sum.double(&sum)
		if d := pointDigits[i]; d > 0 {
			sum.addFactors(&sum, &ofPoint[d/2])
		} else if d < 0 {
			minus := ofPoint[-d/2]
			minus.negate()
			sum.addFactors(&sum, &minus)
		}
		if d := baseDigits[i]; d > 0 {
			sum.add(&sum, &ofBase[d/2])
		} else if d < 0 {
			minus := ofBase[-d/2]
			minus.negate()
			sum.add(&sum, &minus)
		}
	}
	*r = sum
}
