package curve448

import "sync"

// A point of edwards448, x^2 + y^2 = 1 + dxxyy, in projective coordinates: x/z,
// y/z (RFC 8032, Section 5.2).
type point struct{ x, y, z element }

// minusD is -d. It is no square, so that the formulas below hold for all points.
const minusD = 39081

// affine is a point with z = 1.
type affine struct{ x, y element }

// base is the base point.
var base = func() point {
	p := point{z: one}
	p.x.setBytes(&[elementSize]byte{
		0x5e, 0xc0, 0x0c, 0xc7, 0x2b, 0xa8, 0x26, 0x26, 0x8e, 0x93, 0x00, 0x8b, 0xe1, 0x80,
		0x3b, 0x43, 0x11, 0x65, 0xb6, 0x2a, 0xf7, 0x1a, 0xae, 0x12, 0x64, 0xa4, 0xd3, 0xa3,
		0x24, 0xe3, 0x6d, 0xea, 0x67, 0x17, 0x0f, 0x47, 0x70, 0x65, 0x14, 0x9e, 0xda, 0x36,
		0xbf, 0x22, 0xa6, 0x15, 0x1d, 0x22, 0xed, 0x0d, 0xed, 0x6b, 0xc6, 0x70, 0x19, 0x4f,
	})
	p.y.setBytes(&[elementSize]byte{
		0x14, 0xfa, 0x30, 0xf2, 0x5b, 0x79, 0x08, 0x98, 0xad, 0xc8, 0xd7, 0x4e, 0x2c, 0x13,
		0xbd, 0xfd, 0xc4, 0x39, 0x7c, 0xe6, 0x1c, 0xff, 0xd3, 0x3a, 0xd7, 0xc2, 0xa0, 0x05,
		0x1e, 0x9c, 0x78, 0x87, 0x40, 0x98, 0xa3, 0x6c, 0x73, 0x73, 0xea, 0x4b, 0x62, 0xc7,
		0xc9, 0x56, 0x37, 0x20, 0x76, 0x88, 0x24, 0xbc, 0xb6, 0x6e, 0x71, 0x46, 0x3f, 0x69,
	})
	return p
}

func identity() point { return point{y: one, z: one} }

// add sets r to p+q.
func (r *point) add(p, q *point) {
	var a element
	a.mul(&p.z, &q.z)
	r.join(p, &q.x, &q.y, &a)
}

// addAffine sets r to p+q.
func (r *point) addAffine(p *point, q *affine) {
	r.join(p, &q.x, &q.y, &p.z)
}

// join sets r to the sum of p and the point x, y, z, where a is p.z*z: RFC 8032,
// Section 5.2.4.
func (r *point) join(p *point, x, y, a *element) {
	var b, c, d, e, f, g, h, t element
	b.square(a)
	c.mul(&p.x, x)
	d.mul(&p.y, y)
	e.mul(&c, &d)
	e.mulSmall(&e, minusD)
	f.add(&b, &e)
	g.sub(&b, &e)
	h.add(&p.x, &p.y)
	t.add(x, y)
	h.mul(&h, &t)
	h.sub(&h, &c)
	h.sub(&h, &d)
	d.sub(&d, &c)
	h.mul(&h, &f)
	d.mul(&d, &g)
	r.x.mul(&h, a)
	r.y.mul(&d, a)
	r.z.mul(&f, &g)
}

// double sets r to p+p.
func (r *point) double(p *point) {
	var b, c, d, e, h, j element
	b.add(&p.x, &p.y)
	b.square(&b)
	c.square(&p.x)
	d.square(&p.y)
	e.add(&c, &d)
	h.square(&p.z)
	h.add(&h, &h)
	j.sub(&e, &h)
	b.sub(&b, &e)
	c.sub(&c, &d)
	r.x.mul(&b, &j)
	r.y.mul(&e, &c)
	r.z.mul(&e, &j)
}

// negate sets r to -p.
func (r *point) negate(p *point) {
	*r = *p
	r.x.sub(&element{}, &p.x)
}

// bytes encodes p (RFC 8032, Section 5.2.2).
func (p *point) bytes() (b [PublicKeySize]byte) {
	var inverse, x, y element
	inverse.invert(&p.z)
	x.mul(&p.x, &inverse)
	y.mul(&p.y, &inverse)
	encoded := y.bytes()
	copy(b[:], encoded[:])
	b[PublicKeySize-1] = x.bytes()[0] << 7
	return b
}

// setBytes decodes a point and reports whether it is one, in the one form that
// bytes gives it (RFC 8032, Section 5.2.3).
func (p *point) setBytes(b *[PublicKeySize]byte) bool {
	y := [elementSize]byte(b[:])
	p.y.setBytes(&y)
	p.z = one
	sign := b[PublicKeySize-1]
	if p.y.bytes() != y || sign&0x7f != 0 {
		return false
	}
	// x^2 = (y^2-1) / (dy^2-1), and the lower half is nowhere 0.
	var u, v element
	v.square(&p.y)
	u.sub(&one, &v)
	v.mulSmall(&v, minusD)
	v.add(&v, &one)
	if !p.x.root(&u, &v) {
		return false
	}
	x := p.x.bytes()
	if x == [elementSize]byte{} {
		return sign == 0
	}
	if x[0]&1 != sign>>7 {
		p.negate(p)
	}
	return true
}

// The comb: bit i of a scalar, i = 112*tooth + 28*table + step, is bit tooth of an
// index into a table, so that 28 steps of four additions take in all 448.
const (
	teeth  = 4
	tables = 4
	steps  = 448 / teeth / tables
)

// comb holds for each table and index the sum of 2^(112*tooth + 28*table) times the
// base point over the index's bits. It takes two milliseconds in a browser, once.
var comb = sync.OnceValue(func() *[tables][1 << teeth]affine {
	var sums [tables * 1 << teeth]point
	power := base()
	for tooth := range teeth {
		for table := range tables {
			t := sums[table<<teeth : (table+1)<<teeth]
			t[0] = identity()
			for i := range 1 << tooth {
				t[1<<tooth|i].add(&t[i], &power)
			}
			for range steps {
				power.double(&power)
			}
		}
	}
	normalized := normalize(sums[:])
	var out [tables][1 << teeth]affine
	for i := range normalized {
		out[i>>teeth][i&(1<<teeth-1)] = normalized[i]
	}
	return &out
})

// normalize returns points with z = 1, at the price of one inversion.
func normalize(points []point) []affine {
	// products[i] is the product of z of the points before i.
	products, product := make([]element, len(points)), one
	for i := range points {
		products[i] = product
		product.mul(&product, &points[i].z)
	}
	var inverse element
	inverse.invert(&product)
	out := make([]affine, len(points))
	for i := len(points) - 1; i >= 0; i-- {
		var z element
		z.mul(&inverse, &products[i])
		out[i].x.mul(&points[i].x, &z)
		out[i].y.mul(&points[i].y, &z)
		inverse.mul(&inverse, &points[i].z)
	}
	return out
}

// mulBase sets r to k times the base point. Its time does not depend on k.
func (r *point) mulBase(k *scalar) {
	c := comb()
	*r = identity()
	for step := steps - 1; step >= 0; step-- {
		r.double(r)
		for table := range tables {
			var index uint32
			for tooth := range teeth {
				bit := (tooth*tables+table)*steps + step
				index |= k[bit/32] >> (bit % 32) & 1 << tooth
			}
			var term affine
			for i := range c[table] {
				term.addWhere(uint32(i), index, &c[table][i])
			}
			r.addAffine(r, &term)
		}
	}
}

// addWhere adds to the limbs of p those of q if i is j, in the same time if not.
func (p *affine) addWhere(i, j uint32, q *affine) {
	mask := uint32((uint64(i^j) - 1) >> 32) // all ones where they are the same
	for k := range p.x {
		p.x[k] |= mask & q.x[k]
		p.y[k] |= mask & q.y[k]
	}
}

// The widths of the windows of mulPublic.
const (
	baseWidth  = 7
	pointWidth = 5
)

// baseMultiples are the odd multiples of the base point, for mulPublic.
var baseMultiples = sync.OnceValue(func() []affine {
	b := base()
	return normalize(oddMultiples(&b, 1<<(baseWidth-2)))
})

// oddMultiples returns p, 3p, 5p and so on.
func oddMultiples(p *point, n int) []point {
	var twice point
	twice.double(p)
	out := make([]point, n)
	out[0] = *p
	for i := 1; i < n; i++ {
		out[i].add(&out[i-1], &twice)
	}
	return out
}

// mulPublic sets r to m times the base point plus n*p. Its time depends on all
// of them.
func (r *point) mulPublic(m, n *scalar, p *point) {
	ofBase, ofPoint := baseMultiples(), oddMultiples(p, 1<<(pointWidth-2))
	baseDigits, pointDigits := m.digits(baseWidth), n.digits(pointWidth)
	sum := identity()
	for i := len(baseDigits) - 1; i >= 0; i-- {
		sum.double(&sum)
		if d := pointDigits[i]; d > 0 {
			sum.add(&sum, &ofPoint[d/2])
		} else if d < 0 {
			var minus point
			minus.negate(&ofPoint[-d/2])
			sum.add(&sum, &minus)
		}
		if d := baseDigits[i]; d > 0 {
			sum.addAffine(&sum, &ofBase[d/2])
		} else if d < 0 {
			minus := ofBase[-d/2]
			minus.x.sub(&element{}, &minus.x)
			sum.addAffine(&sum, &minus)
		}
	}
	*r = sum
}

// digits writes x as a sum of digits times powers of two: digits are 0 or odd, less
// than 2^(width-1) from 0, and behind one that is not 0 come width-1 that are.
func (x *scalar) digits(width int) (out [448]int8) {
	carry := 0
	for i := 0; i < len(out); {
		window := carry
		for j := range min(width, len(out)-i) {
			window += int(x[(i+j)/32]>>((i+j)%32)&1) << j
		}
		if window&1 == 0 {
			i++ // and the carry stays: x[i] and it were both 1, or both 0
			continue
		}
		carry = window >> (width - 1)
		out[i] = int8(window - carry<<width)
		i += width
	}
	return out
}
