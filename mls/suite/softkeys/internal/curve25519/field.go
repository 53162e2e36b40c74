package curve25519

import "sync"

// An element of the field of p = 2^255 - 19, little-endian in limbs of 26 and 25
// bits by turns: the product of two, nineteen and more times over, fits into one
// integer of 64 bits, which is what WebAssembly multiplies. A limb may be
// larger: tight elements, as all but add and sub make them, have limbs up to
// 2^26 + 2^18 and 2^25 + 2^18, and loose ones three times that. bytes gives
// the one form that is less than p. No operation's time depends on
// elements. Results may be one of the operands.
type element [10]uint32

// elementSize is the size of an element in bytes.
const elementSize = 32

var one = element{1}

// limbBits is the width of limb i.
func limbBits(i int) int { return 26 - i&1 }

// setBytes reads a little-endian integer of 255 bits, which may be p or more; the
// top bit is ignored.
func (z *element) setBytes(b *[elementSize]byte) {
	var v uint64
	bits, at := 0, 0
	for i := range z {
		for ; bits < 26 && at < elementSize; at++ {
			v |= uint64(b[at]) << bits
			bits += 8
		}
		n := limbBits(i)
		z[i] = uint32(v & (1<<n - 1))
		v >>= n
		bits -= n
	}
}

// bytes returns x, which is tight, as a little-endian integer less than p.
func (x *element) bytes() (b [elementSize]byte) {
	// x is p or more where x+19 reaches 2^255, and less than 2p.
	over := uint32(19)
	for i := range x {
		over = (x[i] + over) >> limbBits(i)
	}
	carry := 19 * over
	var v uint64
	bits, at := 0, 0
	for i := range x {
		n := limbBits(i)
		carry += x[i]
		v |= uint64(carry&(1<<n-1)) << bits
		carry >>= n
		bits += n
		for ; bits >= 8 || i == 9 && bits > 0; at++ {
			b[at] = byte(v)
			v >>= 8
			bits -= 8
		}
	}
	return b
}

// add sets z to x+y, which are tight; z is loose.
func (z *element) add(x, y *element) {
	for i := range z {
		z[i] = x[i] + y[i]
	}
}

// sub sets z to x-y, which are tight; z is loose.
func (z *element) sub(x, y *element) {
	for i := range z {
		z[i] = x[i] + 2*(1<<limbBits(i)-1) - y[i]
	}
	z[0] -= 36 // 2p was added
}

// mul sets z to x*y, which may be loose. Limb i stands for 2^(25.5*i), rounded up:
// two odd ones have a product of twice their place, and what is from 2^255 on
// comes back times 19.
func (z *element) mul(x, y *element) {
	x0, x1, x2, x3, x4 := uint64(x[0]), uint64(x[1]), uint64(x[2]), uint64(x[3]), uint64(x[4])
	x5, x6, x7, x8, x9 := uint64(x[5]), uint64(x[6]), uint64(x[7]), uint64(x[8]), uint64(x[9])
	y0, y1, y2, y3, y4 := uint64(y[0]), uint64(y[1]), uint64(y[2]), uint64(y[3]), uint64(y[4])
	y5, y6, y7, y8, y9 := uint64(y[5]), uint64(y[6]), uint64(y[7]), uint64(y[8]), uint64(y[9])
	d1, d3, d5, d7, d9 := 2*x1, 2*x3, 2*x5, 2*x7, 2*x9
	w1, w2, w3, w4, w5 := 19*y1, 19*y2, 19*y3, 19*y4, 19*y5
	w6, w7, w8, w9 := 19*y6, 19*y7, 19*y8, 19*y9
	z0 := x0*y0 + d1*w9 + x2*w8 + d3*w7 + x4*w6 + d5*w5 + x6*w4 + d7*w3 + x8*w2 + d9*w1
	z1 := x0*y1 + x1*y0 + x2*w9 + x3*w8 + x4*w7 + x5*w6 + x6*w5 + x7*w4 + x8*w3 + x9*w2
	z2 := x0*y2 + d1*y1 + x2*y0 + d3*w9 + x4*w8 + d5*w7 + x6*w6 + d7*w5 + x8*w4 + d9*w3
	z3 := x0*y3 + x1*y2 + x2*y1 + x3*y0 + x4*w9 + x5*w8 + x6*w7 + x7*w6 + x8*w5 + x9*w4
	z4 := x0*y4 + d1*y3 + x2*y2 + d3*y1 + x4*y0 + d5*w9 + x6*w8 + d7*w7 + x8*w6 + d9*w5
	z5 := x0*y5 + x1*y4 + x2*y3 + x3*y2 + x4*y1 + x5*y0 + x6*w9 + x7*w8 + x8*w7 + x9*w6
	z6 := x0*y6 + d1*y5 + x2*y4 + d3*y3 + x4*y2 + d5*y1 + x6*y0 + d7*w9 + x8*w8 + d9*w7
	z7 := x0*y7 + x1*y6 + x2*y5 + x3*y4 + x4*y3 + x5*y2 + x6*y1 + x7*y0 + x8*w9 + x9*w8
	z8 := x0*y8 + d1*y7 + x2*y6 + d3*y5 + x4*y4 + d5*y3 + x6*y2 + d7*y1 + x8*y0 + d9*w9
	z9 := x0*y9 + x1*y8 + x2*y7 + x3*y6 + x4*y5 + x5*y4 + x6*y3 + x7*y2 + x8*y1 + x9*y0
	z.carry(z0, z1, z2, z3, z4, z5, z6, z7, z8, z9)
}

// square sets z to x*x; x may be loose.
func (z *element) square(x *element) {
	x0, x1, x2, x3, x4 := uint64(x[0]), uint64(x[1]), uint64(x[2]), uint64(x[3]), uint64(x[4])
	x5, x6, x7, x8, x9 := uint64(x[5]), uint64(x[6]), uint64(x[7]), uint64(x[8]), uint64(x[9])
	d0, d1, d2, d3, d4 := 2*x0, 2*x1, 2*x2, 2*x3, 2*x4
	d5, d6, d7, d8, d9 := 2*x5, 2*x6, 2*x7, 2*x8, 2*x9
	q1, q3, q5, q7 := 4*x1, 4*x3, 4*x5, 4*x7
	w5, w6, w7, w8, w9 := 19*x5, 19*x6, 19*x7, 19*x8, 19*x9
	z0 := x0*x0 + q1*w9 + d2*w8 + q3*w7 + d4*w6 + d5*w5
	z1 := d0*x1 + d2*w9 + d3*w8 + d4*w7 + d5*w6
	z2 := d0*x2 + d1*x1 + q3*w9 + d4*w8 + q5*w7 + x6*w6
	z3 := d0*x3 + d1*x2 + d4*w9 + d5*w8 + d6*w7
	z4 := d0*x4 + q1*x3 + x2*x2 + q5*w9 + d6*w8 + d7*w7
	z5 := d0*x5 + d1*x4 + d2*x3 + d6*w9 + d7*w8
	z6 := d0*x6 + q1*x5 + d2*x4 + d3*x3 + q7*w9 + x8*w8
	z7 := d0*x7 + d1*x6 + d2*x5 + d3*x4 + d8*w9
	z8 := d0*x8 + q1*x7 + d2*x6 + q3*x5 + x4*x4 + d9*w9
	z9 := d0*x9 + d1*x8 + d2*x7 + d3*x6 + d4*x5
	z.carry(z0, z1, z2, z3, z4, z5, z6, z7, z8, z9)
}

// mulSmall sets z to x*n, with n less than 2^17; x may be loose.
func (z *element) mulSmall(x *element, n uint64) {
	z.carry(n*uint64(x[0]), n*uint64(x[1]), n*uint64(x[2]), n*uint64(x[3]), n*uint64(x[4]),
		n*uint64(x[5]), n*uint64(x[6]), n*uint64(x[7]), n*uint64(x[8]), n*uint64(x[9]))
}

// carry sets z to the sum of its arguments in the places of the limbs; z is tight.
func (z *element) carry(z0, z1, z2, z3, z4, z5, z6, z7, z8, z9 uint64) {
	const mask26, mask25 = 1<<26 - 1, 1<<25 - 1
	z1 += z0 >> 26
	z2 += z1 >> 25
	z3 += z2 >> 26
	z4 += z3 >> 25
	z5 += z4 >> 26
	z6 += z5 >> 25
	z7 += z6 >> 26
	z8 += z7 >> 25
	z9 += z8 >> 26
	z0 = z0&mask26 + 19*(z9>>25) // of less than 2^39: z0 is less than 2^44
	z[0] = uint32(z0 & mask26)
	z[1] = uint32(z1&mask25 + z0>>26)
	z[2], z[3] = uint32(z2&mask26), uint32(z3&mask25)
	z[4], z[5] = uint32(z4&mask26), uint32(z5&mask25)
	z[6], z[7] = uint32(z6&mask26), uint32(z7&mask25)
	z[8], z[9] = uint32(z8&mask26), uint32(z9&mask25)
}

// squareTimes sets z to x to the power of 2^n.
func (z *element) squareTimes(x *element, n int) {
	*z = *x
	for range n {
		z.square(z)
	}
}

// power sets z to x to the power of 2^250 - 1.
func (z *element) power(x *element) {
	// x to the power of 2^n - 1: n doubles, and grows by one where 250 has a bit.
	ones, n := *x, 1
	var t element
	for bit := 6; bit >= 0; bit-- {
		t.squareTimes(&ones, n)
		ones.mul(&ones, &t)
		n *= 2
		if 250>>bit&1 == 1 {
			ones.square(&ones)
			ones.mul(&ones, x)
			n++
		}
	}
	*z = ones
}

// invert sets z to 1/x, or 0 for 0: x to the power of p-2 = (2^250-1)*2^5 + 11.
func (z *element) invert(x *element) {
	var ones, t element
	ones.power(x)
	ones.squareTimes(&ones, 5)
	t.squareTimes(x, 2)
	t.mul(&t, x)
	t.square(&t)
	t.mul(&t, x) // 11 = 2*(4+1) + 1
	z.mul(&ones, &t)
}

// rootOfMinusOne is 2 to the power of (p-1)/4 = (2^250-1)*2^3 + 3.
var rootOfMinusOne = sync.OnceValue(func() (z element) {
	two := element{2}
	z.power(&two)
	z.squareTimes(&z, 3)
	z.mulSmall(&z, 8)
	return z
})

// root sets z to the even square root of u/v and reports whether there is one. Where
// v is 0, it is so for u = 0 alone. u and v may be loose.
func (z *element) root(u, v *element) bool {
	// u v^3 (u v^7)^((p-5)/8), with (p-5)/8 = (2^250-1)*2^2 + 1, as in RFC
	// 8032, Section 5.1.3.
	var v3, t, check element
	v3.square(v)
	v3.mul(&v3, v)
	t.square(&v3)
	t.mul(&t, v)
	t.mul(&t, u) // uv^7
	z.power(&t)
	z.squareTimes(z, 2)
	z.mul(z, &t)
	z.mul(z, &v3)
	z.mul(z, u)

	check.square(z)
	check.mul(&check, v)
	t.mul(u, &one) // tight
	if check.bytes() != t.bytes() {
		// u/v is a root's square times -1, or no square.
		root := rootOfMinusOne()
		z.mul(z, &root)
		check.sub(&element{}, &check)
		check.tighten()
		if check.bytes() != t.bytes() {
			return false
		}
	}
	if z.bytes()[0]&1 == 1 {
		z.sub(&element{}, z)
		z.tighten()
	}
	return true
}

// tighten makes a loose element tight.
func (z *element) tighten() { z.mulSmall(z, 1) }

// swapWhere exchanges x and y where mask is all ones, and not where it is 0.
func (x *element) swapWhere(y *element, mask uint32) {
	for i := range x {
		t := mask & (x[i] ^ y[i])
		x[i] ^= t
		y[i] ^= t
	}
}
