// Package curve computes public keys on the NIST curves P-256, P-384 and P-521
// (FIPS 186-5; SP 800-186, Section 3.2.1), and checks points.
//
// It owns the two things that the cipher suites with these curves need and
// that WebCrypto does not do in every browser: Firefox imports no private key
// without its public key, so that one that was derived (RFC 9180, Section 7.1.3)
// needs it from elsewhere; and it tells what is a key. crypto/ecdh would do it, for 0.15 MB of brotli. All
// else about these curves is WebCrypto's; it must not be added here.
//
// Time and memory access do not depend on scalars.
package curve

import "sync"

// Curve is y^2 = x^3 - 3x + b over a prime field. It is immutable.
type Curve struct {
	field *field
	b     element
	order element // as an integer
	teeth int     // the distance in bits between two teeth of the comb
	// comb has the sum of 2^(i*teeth) times the base point for each i whose bit
	// is set in the index. Most programs multiply on no curve or on one: it is
	// made when it is first asked for.
	comb func() *[1 << combTeeth]point
}

const combTeeth = 4

// P256, P384 and P521 return the curves, which are made at the first call.
var (
	P256 = sync.OnceValue(func() *Curve {
		return newCurve("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
			"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
			"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
			"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
			"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
	})
	P384 = sync.OnceValue(func() *Curve {
		return newCurve("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
			"b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
			"aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
			"3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
			"ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
	})
	P521 = sync.OnceValue(func() *Curve {
		return newCurve("01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
			"0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
			"00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
			"011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
			"01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409")
	})
)

func newCurve(p, b, x, y, order string) *Curve {
	f := newField(fromHex(p))
	c := &Curve{field: f, order: limbs(fromHex(order)), teeth: (8*f.size + combTeeth - 1) / combTeeth}
	f.setBytes(&c.b, fromHex(b))
	tooth := point{z: f.one}
	f.setBytes(&tooth.x, fromHex(x))
	f.setBytes(&tooth.y, fromHex(y))
	c.comb = sync.OnceValue(func() *[1 << combTeeth]point {
		var comb [1 << combTeeth]point
		comb[0] = c.infinity()
		for i := range combTeeth {
			for j := range 1 << i {
				c.add(&comb[1<<i|j], &comb[j], &tooth)
			}
			for range c.teeth {
				c.add(&tooth, &tooth, &tooth)
			}
		}
		return &comb
	})
	return c
}

// fromHex reads one of the constants above: lower case, of even length.
// (encoding/hex links package fmt.)
func fromHex(s string) []byte {
	b := make([]byte, len(s)/2)
	for i := range s {
		digit := s[i] - '0'
		if s[i] >= 'a' {
			digit = s[i] - 'a' + 10
		}
		b[i/2] = b[i/2]<<4 | digit
	}
	return b
}

// Size returns the size of a scalar or coordinate in bytes.
func (c *Curve) Size() int { return c.field.size }

// ValidScalar reports whether b is a private key: Size bytes, at least 1 and
// less than the order of the curve.
func (c *Curve) ValidScalar(b []byte) bool {
	if len(b) != c.field.size {
		return false
	}
	k := limbs(b)
	var borrow uint64
	var any uint32
	for i := range c.field.limbs {
		borrow = (uint64(k[i]) - uint64(c.order[i]) - borrow) >> 63
		any |= k[i]
	}
	clear(k[:])
	return borrow == 1 && any != 0
}

// PublicKey returns the product of a scalar and the base point as an
// uncompressed point of 1+2*Size bytes. scalar is big-endian, of Size bytes, at
// least 1 and less than the order of the curve.
func (c *Curve) PublicKey(scalar []byte) []byte {
	k := limbs(scalar)
	bit := func(i int) uint32 {
		if i >= 8*c.field.size {
			return 0
		}
		return k[i/32] >> (i % 32) & 1
	}
	comb, sum := c.comb(), c.infinity()
	for i := c.teeth - 1; i >= 0; i-- {
		c.add(&sum, &sum, &sum)
		var index uint32
		for tooth := range combTeeth {
			index |= bit(i+tooth*c.teeth) << tooth
		}
		var term point
		for j := range comb {
			term.setWhere(uint32(j), index, &comb[j])
		}
		c.add(&sum, &sum, &term)
	}
	clear(k[:])

	f := c.field
	var inverse, x, y element
	f.invert(&inverse, &sum.z)
	f.mul(&x, &sum.x, &inverse)
	f.mul(&y, &sum.y, &inverse)
	out := make([]byte, 0, 1+2*f.size)
	out = append(out, 4) // SEC 1, Section 2.3.3: uncompressed
	return f.appendBytes(f.appendBytes(out, &x), &y)
}

// Valid reports whether b is an uncompressed point of the curve, which is not
// the one at infinity (RFC 9180, Section 7.1.4; SP 800-56A, Section 5.6.2.3.4,
// for curves of cofactor 1).
func (c *Curve) Valid(b []byte) bool {
	f := c.field
	if len(b) != 1+2*f.size || b[0] != 4 {
		return false
	}
	var x, y element
	if !f.setBytes(&x, b[1:1+f.size]) || !f.setBytes(&y, b[1+f.size:]) {
		return false
	}
	var left, right element
	f.mul(&left, &y, &y)
	f.mul(&right, &x, &x)
	for range 3 {
		f.sub(&right, &right, &f.one)
	}
	f.mul(&right, &right, &x) // x(x^2 - 3)
	f.add(&right, &right, &c.b)
	return f.equal(&left, &right)
}

// point is a point in projective coordinates: x/z, y/z; infinity where z is 0.
type point struct{ x, y, z element }

func (c *Curve) infinity() point { return point{y: c.field.one} }

// setWhere sets p to q if i is j, in the same time if not.
func (p *point) setWhere(i, j uint32, q *point) {
	mask := uint32((uint64(i^j) - 1) >> 32) // all ones where they are the same
	for k := range p.x {
		p.x[k] ^= mask & (p.x[k] ^ q.x[k])
		p.y[k] ^= mask & (p.y[k] ^ q.y[k])
		p.z[k] ^= mask & (p.z[k] ^ q.z[k])
	}
}

// add sets r to p+q, whatever points they are: the complete formulas of Renes,
// Costello and Batina, "Complete addition formulas for prime order elliptic
// curves", Algorithm 4. r may be p or q.
func (c *Curve) add(r, p, q *point) {
	f := c.field
	var xx, yy, zz, xy, yz, xz, x, y, z, t element
	f.mul(&xx, &p.x, &q.x)
	f.mul(&yy, &p.y, &q.y)
	f.mul(&zz, &p.z, &q.z)
	cross := func(out, a, b, a2, b2, aa, bb *element) { // a*b2 + b*a2
		var s, u element
		f.add(&s, a, b)
		f.add(&u, a2, b2)
		f.mul(&s, &s, &u)
		f.sub(&s, &s, aa)
		f.sub(out, &s, bb)
	}
	cross(&xy, &p.x, &p.y, &q.x, &q.y, &xx, &yy)
	cross(&yz, &p.y, &p.z, &q.y, &q.z, &yy, &zz)
	cross(&xz, &p.x, &p.z, &q.x, &q.z, &xx, &zz)

	triple := func(out, a *element) {
		f.add(&t, a, a)
		f.add(out, &t, a)
	}
	f.mul(&z, &c.b, &zz)
	f.sub(&x, &xz, &z)
	triple(&x, &x)
	f.sub(&z, &yy, &x)
	f.add(&x, &yy, &x)
	triple(&zz, &zz)
	f.mul(&y, &c.b, &xz)
	f.sub(&y, &y, &zz)
	f.sub(&y, &y, &xx)
	triple(&y, &y)
	triple(&xx, &xx)
	f.sub(&xx, &xx, &zz)

	var u element
	f.mul(&u, &xx, &y)
	f.mul(&t, &yz, &y)
	f.mul(&y, &x, &z)
	f.add(&r.y, &y, &u)
	f.mul(&x, &xy, &x)
	f.sub(&r.x, &x, &t)
	f.mul(&z, &yz, &z)
	f.mul(&t, &xy, &xx)
	f.add(&r.z, &z, &t)
}
