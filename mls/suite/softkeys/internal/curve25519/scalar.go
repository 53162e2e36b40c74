package curve25519

// A scalar is an integer modulo the order of the base point, L = 2^252 + c (RFC
// 8032, Section 5.1), little-endian in limbs of 32 bits, less than L. No
// operation's time depends on scalars.
type scalar [8]uint32

// order is L.
var order = scalar{0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0x00000000, 0x00000000, 0x00000000, 0x10000000}

// Of Montgomery's product, with R = 2^256: R^2 modulo L, and -1/L modulo 2^32.
var squareR = scalar{0x449c0f01, 0xa40611e3, 0x68859347, 0xd00e1ba7, 0x17f5be65, 0xceec73d2, 0x7c309a3d, 0x0399411b}

const minusInverse = 0x12547e1b

// setBytes reads a little-endian integer and reports whether it is less than L.
func (z *scalar) setBytes(b *[Size]byte) bool {
	for i := range z {
		z[i] = uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24
	}
	_, borrow := z.less(&order)
	return borrow == 1
}

// bytes returns x as a little-endian integer.
func (x *scalar) bytes() (b [Size]byte) {
	for i := range b {
		b[i] = byte(x[i/4] >> (i % 4 * 8))
	}
	return b
}

// reduce sets z to a little-endian integer modulo L.
func (z *scalar) reduce(b *[2 * Size]byte) {
	var low, high scalar
	low.setBytes((*[Size]byte)(b[:Size]))
	high.setBytes((*[Size]byte)(b[Size:]))
	high.montgomery(&high, &squareR) // times R, which is its place
	low.montgomery(&low, &squareR)
	low.montgomery(&low, &scalar{1})
	z.add(&low, &high)
	clear(low[:])
	clear(high[:])
}

// mulAdd sets z to x*y + a. x may be L or more.
func (z *scalar) mulAdd(x, y, a *scalar) {
	var t scalar
	t.montgomery(x, &squareR)
	t.montgomery(&t, y)
	z.add(&t, a)
}

// add sets z to x+y.
func (z *scalar) add(x, y *scalar) {
	var carry uint64
	for i := range z {
		carry += uint64(x[i]) + uint64(y[i])
		z[i] = uint32(carry)
		carry >>= 32
	}
	z.subtractOrder()
}

// montgomery sets z to x*y/R. x may be L or more.
func (z *scalar) montgomery(x, y *scalar) {
	var t scalar
	var top uint32 // the limb above t
	for i := range x {
		var carry uint64
		for j := range y {
			carry += uint64(x[i])*uint64(y[j]) + uint64(t[j]) // 2^64-1 at most
			t[j] = uint32(carry)
			carry >>= 32
		}
		high := uint64(top) + carry
		// Add q*L, which makes the lowest limb zero, and drop that.
		q := uint64(t[0] * minusInverse)
		carry = (q*uint64(order[0]) + uint64(t[0])) >> 32
		for j := 1; j < len(t); j++ {
			carry += q*uint64(order[j]) + uint64(t[j])
			t[j-1] = uint32(carry)
			carry >>= 32
		}
		high += carry
		t[7], top = uint32(high), uint32(high>>32)
	}
	*z = t // less than 2L, which has no limb above
	z.subtractOrder()
}

// subtractOrder makes z, which is less than 2L, less than L.
func (z *scalar) subtractOrder() {
	difference, borrow := z.less(&order)
	mask := -borrow // all ones where z < L
	for i := range z {
		z[i] = z[i]&mask | difference[i]&^mask
	}
}

// less returns x-y and 1 if that is less than zero, or else 0.
func (x *scalar) less(y *scalar) (difference scalar, borrow uint32) {
	var b uint64
	for i := range x {
		d := uint64(x[i]) - uint64(y[i]) - b
		difference[i], b = uint32(d), d>>63
	}
	return difference, uint32(b)
}

// digits writes x as a sum of digits times powers of two: digits are 0 or odd, less
// than 2^(width-1) from 0, and behind one that is not 0 come width-1 that are.
func (x *scalar) digits(width int) (out [256]int8) {
	carry := 0
	for i := 0; i < len(out); {
		window := carry
		for j := range min(width, len(out)-i) {
			window += int(x[(i+j)/32]>>((i+j)%32)&1) << j
		}
		if window&1 == 0 {
			i++ // and the carry stays: the bit and it were both 1, or both 0
			continue
		}
		carry = window >> (width - 1)
		out[i] = int8(window - carry<<width)
		i += width
	}
	return out
}
