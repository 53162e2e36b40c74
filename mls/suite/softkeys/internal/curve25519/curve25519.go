// Package curve25519 is X25519 (RFC 7748, Section 5) and Ed25519 (RFC 8032,
// Section 5.1) on the field and the group of filippo.io/edwards25519, which is
// what crypto/ed25519 is made of. In WebAssembly it stands for crypto/ecdh,
// crypto/ed25519 and circl's dh/x25519, which link the tables of the NIST curves,
// math/big and fmt with it.
//
// It owns the Montgomery ladder and the two signature equations. Nothing that has
// to do with a private key takes a time or goes to an address that depends on the
// key. What verifies is what crypto/ed25519 verifies. It must not know HPKE,
// suites or what is signed.
package curve25519

import (
	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Size is that of private keys, public keys and shared secrets in bytes.
const Size = 32

// PublicKey returns the public key of a private key: X25519(private, 9). The
// base point of edwards25519 is mapped to that of curve25519 (RFC 7748, Section
// 4.1).
func PublicKey(private *[Size]byte) [Size]byte {
	// Clamped, and taken modulo the order of the base point.
	k, err := new(edwards25519.Scalar).SetBytesWithClamping(private[:])
	if err != nil {
		panic(err) // it has the right length
	}
	return [Size]byte(new(edwards25519.Point).ScalarBaseMult(k).BytesMontgomery())
}

// PublicKeys is PublicKey for each of a list, with one inversion for all of them: it
// takes a fifth of the time of each.
func PublicKeys(private []*[Size]byte) [][Size]byte {
	// u = (Z+Y)/(Z-Y). The inverse of the product of all Z-Y gives that of each
	// (Montgomery's trick). None is zero, as no clamped scalar is a multiple of the
	// order l of the base point: it is one of 8, and less than 8l.
	numerators, denominators, products := make([]field.Element, len(private)), make([]field.Element, len(private)), make([]field.Element, len(private))
	product := new(field.Element).One()
	for i := range private {
		k, err := new(edwards25519.Scalar).SetBytesWithClamping(private[i][:])
		if err != nil {
			panic(err) // it has the right length
		}
		_, y, z, _ := new(edwards25519.Point).ScalarBaseMult(k).ExtendedCoordinates()
		numerators[i].Add(z, y)
		denominators[i].Subtract(z, y)
		products[i].Set(product)
		product.Multiply(product, &denominators[i])
	}
	product.Invert(product)
	public := make([][Size]byte, len(private))
	for i := len(private) - 1; i >= 0; i-- {
		u := new(field.Element).Multiply(product, &products[i])
		product.Multiply(product, &denominators[i])
		public[i] = [Size]byte(u.Multiply(u, &numerators[i]).Bytes())
	}
	return public
}

// X25519 returns X25519(private, peer). It is zero for a peer of low order.
func X25519(private, peer *[Size]byte) [Size]byte {
	k := *private
	k[0] &= 0xf8 // decodeScalar25519 of RFC 7748, Section 5
	k[31] = k[31]&0x7f | 0x40
	var x1, x2, z2, x3, z3 field.Element
	if _, err := x1.SetBytes(peer[:]); err != nil {
		panic(err) // it has the right length
	}
	x2.One()
	x3.Set(&x1)
	z3.One()
	swap := 0
	for t := 254; t >= 0; t-- {
		bit := int(k[t/8] >> (t % 8) & 1)
		x2.Swap(&x3, swap^bit)
		z2.Swap(&z3, swap^bit)
		swap = bit

		var a, aa, b, bb, e, c, d field.Element
		a.Add(&x2, &z2)
		aa.Square(&a)
		b.Subtract(&x2, &z2)
		bb.Square(&b)
		e.Subtract(&aa, &bb)
		c.Add(&x3, &z3)
		d.Subtract(&x3, &z3)
		d.Multiply(&d, &a)
		c.Multiply(&c, &b)
		x3.Add(&d, &c)
		x3.Square(&x3)
		z3.Subtract(&d, &c)
		z3.Square(&z3)
		z3.Multiply(&z3, &x1)
		x2.Multiply(&aa, &bb)
		z2.Mult32(&e, 121665) // a24
		z2.Add(&z2, &aa)
		z2.Multiply(&z2, &e)
	}
	x2.Swap(&x3, swap)
	z2.Swap(&z3, swap)
	clear(k[:])
	z2.Invert(&z2)
	return [Size]byte(x2.Multiply(&x2, &z2).Bytes())
}
