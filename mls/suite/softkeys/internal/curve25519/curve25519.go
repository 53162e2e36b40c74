// Package curve25519 is X25519 (RFC 7748, Section 5) and Ed25519 (RFC 8032,
// Section 5.1), with a view to WebAssembly: the limbs of the field are such that it
// multiplies them in one instruction, and tables are computed at the first use
// instead of taking part of the binary. That is faster there than the standard
// library and github.com/cloudflare/circl, which link more besides: the tables of the
// NIST curves, math/big and fmt.
//
// It owns the field, the scalars and the points of the two. Nothing that has to do
// with a private key takes a time or goes to an address that depends on the key.
// What verifies is what crypto/ed25519 verifies. It must not know HPKE, suites or
// what is signed.
package curve25519

// Size is that of private keys, public keys and shared secrets in bytes.
const Size = elementSize

// PublicKey returns the public key of a private key: X25519(private, 9). The
// base point of edwards25519 is mapped to that of curve25519, with
// u = (1+y)/(1-y) (RFC 7748, Section 4.1).
func PublicKey(private *[Size]byte) [Size]byte {
	k := *private
	clamp(&k)
	var p point
	p.mulBase(&k)
	clear(k[:])
	var u, v element
	v.sub(&p.z, &p.y)
	v.invert(&v)
	u.add(&p.z, &p.y)
	u.mul(&u, &v)
	return u.bytes()
}

// clamp is decodeScalar25519 of RFC 7748, Section 5.
func clamp(k *[Size]byte) {
	k[0] &= 0xf8
	k[31] = k[31]&0x7f | 0x40
}

// X25519 returns X25519(private, peer). It is zero for a peer of low order.
func X25519(private, peer *[Size]byte) [Size]byte {
	k := *private
	clamp(&k)
	var x1 element
	x1.setBytes(peer)
	x2, z2, x3, z3 := one, element{}, x1, one
	var swap uint32
	for t := 254; t >= 0; t-- {
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
		z2.mulSmall(&e, 121665) // a24
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
