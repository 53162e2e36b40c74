package curve448

// limbBits is the width of a limb: the product of two limbs, sixteen times over,
// fits into one integer of 64 bits, which is what WebAssembly multiplies.
const (
	limbBits = 28
	limbMask = 1<<limbBits - 1
)

// An element of the field of p = 2^448 - 2^224 - 1, little-endian in limbs of 28
// bits. A limb may be larger, up to 2^28 + 2^18, and the whole may be p or more;
// bytes gives the one form that is neither. No operation's time depends on
// elements. Results may be one of the operands.
type element [16]uint32

// elementSize is the size of an element in bytes.
const elementSize = 56

var one = element{1}

// setBytes reads a little-endian integer of 56 bytes, which may be p or more.
func (z *element) setBytes(b *[elementSize]byte) {
	for i := range 8 {
		var v uint64
		for j := range 7 {
			v |= uint64(b[7*i+j]) << (8 * j)
		}
		z[2*i], z[2*i+1] = uint32(v&limbMask), uint32(v>>limbBits)
	}
}

// bytes returns x as a little-endian integer less than p.
func (x *element) bytes() (b [elementSize]byte) {
	z := *x
	z.carry() // less than 2p
	var borrow int64
	for i := range z {
		borrow += int64(z[i]) - int64(prime(i))
		z[i] = uint32(borrow & limbMask)
		borrow >>= limbBits
	}
	// borrow is -1 where x was less than p, and else 0.
	var sum uint64
	for i := range z {
		sum += uint64(z[i]) + uint64(prime(i)&uint32(borrow))
		z[i] = uint32(sum & limbMask)
		sum >>= limbBits
	}
	for i := range 8 {
		v := uint64(z[2*i]) | uint64(z[2*i+1])<<limbBits
		for j := range 7 {
			b[7*i+j] = byte(v >> (8 * j))
		}
	}
	return b
}

// prime is a limb of p.
func prime(i int) uint32 {
	if i == 8 {
		return limbMask - 1
	}
	return limbMask
}

// carry makes every limb less than 2^28 + 8, of limbs less than 2^31.
func (z *element) carry() {
	top := z[15] >> limbBits // times 2^448, which is 2^224 + 1
	for i := 15; i > 0; i-- {
		z[i] = z[i]&limbMask + z[i-1]>>limbBits
	}
	z[0] = z[0]&limbMask + top
	z[8] += top
}

// add sets z to x+y.
func (z *element) add(x, y *element) {
	for i := range z {
		z[i] = x[i] + y[i]
	}
	z.carry()
}

// sub sets z to x-y.
func (z *element) sub(x, y *element) {
	for i := range z {
		z[i] = x[i] + 2*limbMask - y[i]
	}
	z[8] -= 2 // 2p was added
	z.carry()
}

// mul sets z to x*y: with h = 2^224, whose square is h+1, (a+bh)(c+dh) is
// ac+bd + ((a+b)(c+d)-ac)h, which takes three products of half the size.
func (z *element) mul(x, y *element) {
	var low, high, both [16]uint64
	var s, t [8]uint32
	for i := range s {
		s[i], t[i] = x[i]+x[i+8], y[i]+y[i+8]
	}
	multiply(&low, (*[8]uint32)(x[:8]), (*[8]uint32)(y[:8]))
	multiply(&high, (*[8]uint32)(x[8:]), (*[8]uint32)(y[8:]))
	multiply(&both, &s, &t)
	z.join(&low, &high, &both)
}

// square sets z to x*x.
func (z *element) square(x *element) {
	var low, high, both [16]uint64
	var s [8]uint32
	for i := range s {
		s[i] = x[i] + x[i+8]
	}
	square(&low, (*[8]uint32)(x[:8]))
	square(&high, (*[8]uint32)(x[8:]))
	square(&both, &s)
	z.join(&low, &high, &both)
}

// squareTimes sets z to x to the power of 2^n.
func (z *element) squareTimes(x *element, n int) {
	*z = *x
	for range n {
		z.square(z)
	}
}

// join sets z to low + high + (both-low)*2^224, of products of eight limbs. With limbs
// of the factors of 2^28 + 2^18 no sum reaches 2^63: eight products count
// five times at most.
func (z *element) join(low, high, both *[16]uint64) {
	var carry, carry2 uint64
	for i := range 8 {
		top := both[i+8] - low[i+8] // times 2^448
		sum := low[i] + high[i] + top + carry
		sum2 := both[i] - low[i] + low[i+8] + high[i+8] + top + carry2
		z[i], carry = uint32(sum&limbMask), sum>>limbBits
		z[i+8], carry2 = uint32(sum2&limbMask), sum2>>limbBits
	}
	sum := uint64(z[0]) + carry2
	sum2 := uint64(z[8]) + carry + carry2
	z[0], z[8] = uint32(sum&limbMask), uint32(sum2&limbMask)
	z[1] += uint32(sum >> limbBits)
	z[9] += uint32(sum2 >> limbBits)
}

// multiply sets z to the product of x and y, not carried.
func multiply(z *[16]uint64, x, y *[8]uint32) {
	x0, x1, x2, x3 := uint64(x[0]), uint64(x[1]), uint64(x[2]), uint64(x[3])
	x4, x5, x6, x7 := uint64(x[4]), uint64(x[5]), uint64(x[6]), uint64(x[7])
	y0, y1, y2, y3 := uint64(y[0]), uint64(y[1]), uint64(y[2]), uint64(y[3])
	y4, y5, y6, y7 := uint64(y[4]), uint64(y[5]), uint64(y[6]), uint64(y[7])
	z[0] = x0 * y0
	z[1] = x0*y1 + x1*y0
	z[2] = x0*y2 + x1*y1 + x2*y0
	z[3] = x0*y3 + x1*y2 + x2*y1 + x3*y0
	z[4] = x0*y4 + x1*y3 + x2*y2 + x3*y1 + x4*y0
	z[5] = x0*y5 + x1*y4 + x2*y3 + x3*y2 + x4*y1 + x5*y0
	z[6] = x0*y6 + x1*y5 + x2*y4 + x3*y3 + x4*y2 + x5*y1 + x6*y0
	z[7] = x0*y7 + x1*y6 + x2*y5 + x3*y4 + x4*y3 + x5*y2 + x6*y1 + x7*y0
	z[8] = x1*y7 + x2*y6 + x3*y5 + x4*y4 + x5*y3 + x6*y2 + x7*y1
	z[9] = x2*y7 + x3*y6 + x4*y5 + x5*y4 + x6*y3 + x7*y2
	z[10] = x3*y7 + x4*y6 + x5*y5 + x6*y4 + x7*y3
	z[11] = x4*y7 + x5*y6 + x6*y5 + x7*y4
	z[12] = x5*y7 + x6*y6 + x7*y5
	z[13] = x6*y7 + x7*y6
	z[14] = x7 * y7
}

// square sets z to the square of x, not carried.
func square(z *[16]uint64, x *[8]uint32) {
	x0, x1, x2, x3 := uint64(x[0]), uint64(x[1]), uint64(x[2]), uint64(x[3])
	x4, x5, x6, x7 := uint64(x[4]), uint64(x[5]), uint64(x[6]), uint64(x[7])
	z[0] = x0 * x0
	z[1] = 2 * (x0 * x1)
	z[2] = 2*(x0*x2) + x1*x1
	z[3] = 2 * (x0*x3 + x1*x2)
	z[4] = 2*(x0*x4+x1*x3) + x2*x2
	z[5] = 2 * (x0*x5 + x1*x4 + x2*x3)
	z[6] = 2*(x0*x6+x1*x5+x2*x4) + x3*x3
	z[7] = 2 * (x0*x7 + x1*x6 + x2*x5 + x3*x4)
	z[8] = 2*(x1*x7+x2*x6+x3*x5) + x4*x4
	z[9] = 2 * (x2*x7 + x3*x6 + x4*x5)
	z[10] = 2*(x3*x7+x4*x6) + x5*x5
	z[11] = 2 * (x4*x7 + x5*x6)
	z[12] = 2*(x5*x7) + x6*x6
	z[13] = 2 * (x6 * x7)
	z[14] = x7 * x7
}

// mulSmall sets z to x*n, with n less than 2^17.
func (z *element) mulSmall(x *element, n uint32) {
	var carry uint64
	for i := range z {
		carry += uint64(x[i]) * uint64(n)
		z[i] = uint32(carry & limbMask)
		carry >>= limbBits
	}
	z[0] += uint32(carry)
	z[8] += uint32(carry)
}

// power sets z to x to the power of (p-3)/4 = (2^223-1)*2^223 + 2^222-1.
func (z *element) power(x *element) {
	// x to the power of 2^n - 1: n doubles, and grows by one where 222 has a bit.
	ones, n := *x, 1
	for bit := 6; bit >= 0; bit-- {
		var t element
		t.squareTimes(&ones, n)
		ones.mul(&ones, &t)
		n *= 2
		if 222>>bit&1 == 1 {
			ones.square(&ones)
			ones.mul(&ones, x)
			n++
		}
	}
	var t element
	t.square(&ones)
	t.mul(&t, x)
	t.squareTimes(&t, 223)
	z.mul(&t, &ones)
}

// invert sets z to 1/x, or 0 for 0.
func (z *element) invert(x *element) {
	var t element
	t.power(x)
	t.squareTimes(&t, 2)
	z.mul(&t, x)
}

// root sets z to a square root of u/v and reports whether there is one. Where v is
// 0, it is so for u = 0 alone.
func (z *element) root(u, v *element) bool {
	// u^3 v (u^5 v^3)^((p-3)/4), as in RFC 8032, Section 5.2.3.
	var uu, u3v, t element
	uu.square(u)
	u3v.mul(&uu, u)
	u3v.mul(&u3v, v)
	t.mul(&u3v, &uu)
	uu.square(v)
	t.mul(&t, &uu)
	t.power(&t)
	z.mul(&u3v, &t)

	t.square(z)
	t.mul(&t, v)
	return t.equal(u)
}

// equal reports whether x is y.
func (x *element) equal(y *element) bool {
	return x.bytes() == y.bytes()
}

// swapWhere exchanges x and y where mask is all ones, and not where it is 0.
func (x *element) swapWhere(y *element, mask uint32) {
	for i := range x {
		t := mask & (x[i] ^ y[i])
		x[i] ^= t
		y[i] ^= t
	}
}
