package curve

// maxLimbs is what an element of the largest field takes: 521 bits.
const maxLimbs = 17

// An element of a field, little-endian in limbs of 32 bits, times 2^(32*limbs)
// modulo p (the form of Montgomery), and less than p. The product of two limbs
// fits into one integer of 64 bits, which is what WebAssembly multiplies.
type element [maxLimbs]uint32

// field is the integers modulo p. Its methods take the same time for all
// elements; results may be one of the operands.
type field struct {
	limbs int
	size  int // of an element in bytes
	p     element
	one   element // in the form of Montgomery
	rr    element // 2^(64*limbs) modulo p: takes an integer into that form
}

// newField makes the field of a prime, which must be -1 modulo 2^32, as the
// primes of all three curves are: then the factor of Montgomery's reduction is 1.
func newField(p []byte) *field {
	f := &field{limbs: (len(p) + 3) / 4, size: len(p)}
	f.p = limbs(p)
	if f.p[0] != 1<<32-1 {
		panic("curve: not a prime of a NIST curve")
	}
	r := element{1}
	for i := range 64 * f.limbs {
		if i == 32*f.limbs {
			f.one = r
		}
		f.add(&r, &r, &r)
	}
	f.rr = r
	return f
}

// limbs reads a big-endian integer.
func limbs(b []byte) (x element) {
	for i, v := range b {
		at := len(b) - 1 - i
		x[at/4] |= uint32(v) << (at % 4 * 8)
	}
	return x
}

// setBytes reads a big-endian integer of size bytes. It reports whether that
// is less than p; if not, z is not to be used.
func (f *field) setBytes(z *element, b []byte) bool {
	x := limbs(b)
	var borrow uint64
	for i := range f.limbs {
		borrow = (uint64(x[i]) - uint64(f.p[i]) - borrow) >> 63
	}
	f.mul(z, &x, &f.rr)
	return borrow == 1
}

// appendBytes appends an element as a big-endian integer of size bytes.
func (f *field) appendBytes(b []byte, x *element) []byte {
	var plain element
	f.mul(&plain, x, &element{1})
	for at := f.size - 1; at >= 0; at-- {
		b = append(b, byte(plain[at/4]>>(at%4*8)))
	}
	return b
}

// add sets z to x+y.
func (f *field) add(z, x, y *element) {
	var sum element
	var carry uint64
	for i := range f.limbs {
		s := uint64(x[i]) + uint64(y[i]) + carry
		sum[i], carry = uint32(s), s>>32
	}
	f.reduce(z, &sum, uint32(carry))
}

// sub sets z to x-y.
func (f *field) sub(z, x, y *element) {
	var difference element
	var borrow uint64
	for i := range f.limbs {
		d := uint64(x[i]) - uint64(y[i]) - borrow
		difference[i], borrow = uint32(d), d>>63
	}
	mask := -uint32(borrow)
	var carry uint64
	for i := range f.limbs {
		s := uint64(difference[i]) + uint64(f.p[i]&mask) + carry
		z[i], carry = uint32(s), s>>32
	}
}

// reduce sets z to x, which is less than 2p and has one more limb, modulo p.
func (f *field) reduce(z, x *element, top uint32) {
	var less element
	var borrow uint64
	for i := range f.limbs {
		d := uint64(x[i]) - uint64(f.p[i]) - borrow
		less[i], borrow = uint32(d), d>>63
	}
	keep := -uint32((uint64(top) - borrow) >> 63) // all ones where x < p
	for i := range f.limbs {
		z[i] = x[i]&keep | less[i]&^keep
	}
}

// mul sets z to x*y: Montgomery's product, limb by limb of x.
func (f *field) mul(z, x, y *element) {
	n := f.limbs
	var t [maxLimbs]uint32
	var top uint32 // the limb above t
	for i := range n {
		xi, carry := uint64(x[i]), uint64(0)
		for j := range n {
			s := xi*uint64(y[j]) + uint64(t[j]) + carry // 2^64-1 at most
			t[j], carry = uint32(s), s>>32
		}
		high := uint64(top) + carry
		// Add q*p, which makes the lowest limb zero, and drop that: q and
		// q*(2^32-1) are q*2^32.
		q := uint64(t[0])
		carry = q
		for j := 1; j < n; j++ {
			s := q*uint64(f.p[j]) + uint64(t[j]) + carry
			t[j-1], carry = uint32(s), s>>32
		}
		high += carry
		t[n-1], top = uint32(high), uint32(high>>32)
	}
	f.reduce(z, (*element)(&t), top)
}

// invert sets z to 1/x, or 0 for 0: x to the power of p-2, which is no secret.
func (f *field) invert(z, x *element) {
	base, result := *x, f.one
	exponent := f.p
	exponent[0] -= 2
	for i := 32*f.limbs - 1; i >= 0; i-- {
		f.mul(&result, &result, &result)
		if exponent[i/32]>>(i%32)&1 == 1 {
			f.mul(&result, &result, &base)
		}
	}
	*z = result
}

// equal reports whether x is y.
func (f *field) equal(x, y *element) bool {
	var different uint32
	for i := range f.limbs {
		different |= x[i] ^ y[i]
	}
	return different == 0
}
