package curve448

// A scalar is an integer modulo the order of the base point, L = 2^446 - c,
// little-endian in limbs of 32 bits, less than L (RFC 8032, Section 5.2). No
// operation's time depends on scalars.
type scalar [14]uint32

// scalarSize is the size of a scalar on the wire in bytes, the last of which is 0.
const scalarSize = 57

// order is L.
var order = scalar{
	0xab5844f3, 0x2378c292, 0x8dc58f55, 0x216cc272, 0xaed63690, 0xc44edb49, 0x7cca23e9,
	0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x3fffffff,
}

// residue is 2^448 modulo L: four times c.
var residue = [8]uint32{
	0x529eec34, 0x721cf5b5, 0xc8e9c2ab, 0x7a4cf635, 0x44a725bf, 0xeec492d9, 0x0cd77058, 0x00000002,
}

// quarter is 1/4.
var quarter = scalar{
	0xaad6113d, 0x48de30a4, 0xa37163d5, 0x085b309c, 0x6bb58da4, 0x7113b6d2, 0xdf3288fa,
	0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x0fffffff,
}

// setBytes reads a little-endian integer of scalarSize bytes and reports whether
// it is less than L.
func (z *scalar) setBytes(b *[scalarSize]byte) bool {
	t := limbs(b[:scalarSize-1])
	copy(z[:], t)
	_, borrow := z.less(&order)
	return b[scalarSize-1] == 0 && borrow == 1
}

// bytes returns x as a little-endian integer.
func (x *scalar) bytes() (b [scalarSize]byte) {
	for i := range b[:scalarSize-1] {
		b[i] = byte(x[i/4] >> (i % 4 * 8))
	}
	return b
}

// limbs reads a little-endian integer, in a slice of the caller's own.
func limbs(b []byte) []uint32 {
	t := make([]uint32, (len(b)+3)/4)
	for i, v := range b {
		t[i/4] |= uint32(v) << (i % 4 * 8)
	}
	return t
}

// reduce sets z to a little-endian integer modulo L, of 29 limbs at most, and wipes it.
func (z *scalar) reduce(t []uint32) {
	var wide [29]uint32
	copy(wide[:], t)
	clear(t)
	// What is above 2^448 comes back times the residue, of 226 bits: 928 bits
	// become 706, 485, 449 (and then less than 2^448 + 2^264), and 448.
	for range 4 {
		var sum [29]uint32
		copy(sum[:], wide[:14])
		for i, x := range wide[14:] {
			var carry uint64
			for j := range sum[i:] {
				carry += uint64(sum[i+j])
				if j < len(residue) {
					carry += uint64(x) * uint64(residue[j])
				}
				sum[i+j] = uint32(carry)
				carry >>= 32
			}
		}
		wide = sum
	}
	*z = scalar(wide[:14])
	clear(wide[:])
	// Less than 2^448, which is 4L and a little.
	for range 4 {
		difference, borrow := z.less(&order)
		mask := -borrow // all ones where z < L
		for i := range z {
			z[i] = z[i]&mask | difference[i]&^mask
		}
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

// mulAdd sets z to x*y + a.
func (z *scalar) mulAdd(x, y, a *scalar) {
	var t [28]uint32
	copy(t[:], a[:])
	for i := range x {
		var carry uint64
		for j := range y {
			carry += uint64(x[i])*uint64(y[j]) + uint64(t[i+j]) // 2^64-1 at most
			t[i+j] = uint32(carry)
			carry >>= 32
		}
		t[i+14] = uint32(carry)
	}
	z.reduce(t[:])
}
