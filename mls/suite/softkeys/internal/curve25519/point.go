package curve25519

import "sync"

// A point of edwards25519, -x^2 + y^2 = 1 + dxxyy, in extended coordinates: x/z,
// y/z, and t = xy/z (RFC 8032, Section 5.1.4). All are tight.
type point struct{ x, y, z, t element }

// addend is a point with z = 1 as addition wants it: (y-x)/2, (y+x)/2 and dxy.
type addend struct{ minus, plus, product element }

// factors is a point with any z as addition wants it, with all of it doubled: y-x, y+x, 2dt and 2z.
type factors struct {
	addend
	z element
}

// edwardsD is d = -121665/121666. It is no square, so that the formulas below hold for
// all points.
var edwardsD = sync.OnceValue(func() (d element) {
	d.mulSmall(&one, 121666)
	d.invert(&d)
	d.mulSmall(&d, 121665)
	d.sub(&element{}, &d)
	d.tighten()
	return d
})

func identity() point { return point{y: one, z: one} }

// base returns the base point.
func base() point {
	p := point{z: one}
	p.x.setBytes(&[elementSize]byte{
		0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
		0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21,
	})
	var four, five element
	five.mulSmall(&one, 5)
	four.mulSmall(&one, 4)
	five.invert(&five)
	p.y.mul(&four, &five)
	p.t.mul(&p.x, &p.y)
	return p
}

// add sets r to p+q, whatever points they are: RFC 8032, Section 5.1.4, with all
// of the sum halved.
func (r *point) add(p *point, q *addend) { r.sum(p, q, &p.z) }

// addFactors sets r to p+q, whatever points they are.
func (r *point) addFactors(p *point, q *factors) {
	var z element
	z.mul(&p.z, &q.z)
	r.sum(p, &q.addend, &z)
}

// sum sets r to p+q, where z is the product of the two's z.
func (r *point) sum(p *point, q *addend, z *element) {
	var a, b, c, e, f, g, h element
	a.sub(&p.y, &p.x)
	a.mul(&a, &q.minus)
	b.add(&p.y, &p.x)
	b.mul(&b, &q.plus)
	c.mul(&p.t, &q.product)
	e.sub(&b, &a)
	f.sub(z, &c)
	g.add(z, &c)
	h.add(&b, &a)
	r.join(&e, &f, &g, &h)
}

// factors returns p for addFactors.
func (p *point) factors() (q factors) {
	d := edwardsD()
	q.minus.sub(&p.y, &p.x)
	q.minus.tighten()
	q.plus.add(&p.y, &p.x)
	q.plus.tighten()
	q.product.mul(&p.t, &d)
	q.product.mulSmall(&q.product, 2)
	q.z.mulSmall(&p.z, 2)
	return q
}

// negate sets q to -q.
func (q *addend) negate() {
	q.minus, q.plus = q.plus, q.minus
	q.product.sub(&element{}, &q.product)
	q.product.tighten()
}

// double sets r to p+p: RFC 8032, Section 5.1.4, with all of the sum negated.
func (r *point) double(p *point) {
	var a, b, c, e, f, g, h element
	a.square(&p.x)
	b.square(&p.y)
	c.square(&p.z)
	c.mulSmall(&c, 2)
	h.add(&a, &b)
	h.tighten()
	e.add(&p.x, &p.y)
	e.square(&e)
	e.sub(&e, &h)
	g.sub(&b, &a)
	g.tighten()
	f.sub(&c, &g)
	r.join(&e, &f, &g, &h)
}

// join sets r to the point of ef, gh, fg and eh.
func (r *point) join(e, f, g, h *element) {
	r.x.mul(e, f)
	r.y.mul(g, h)
	r.z.mul(f, g)
	r.t.mul(e, h)
}

// The comb: bit i of a scalar, i = 64*tooth + 16*table + step, is bit tooth of an
// index into a table, so that 16 steps of four additions take in all 256.
const (
	teeth  = 4
	tables = 4
	steps  = 8 * Size / teeth / tables
)

// comb holds for each table and index the sum of 2^(64*tooth + 16*table) times the
// base point over the index's bits.
var comb = sync.OnceValue(func() []addend {
	powers, power := make([]point, 0, teeth*tables), base()
	for range teeth * tables {
		powers = append(powers, power)
		for range steps {
			power.double(&power)
		}
	}
	addends := normalize(powers)
	sums := make([]point, tables<<teeth)
	for table := range tables {
		t := sums[table<<teeth:]
		t[0] = identity()
		for tooth := range teeth {
			for i := range 1 << tooth {
				t[1<<tooth|i].add(&t[i], &addends[tooth*tables+table])
			}
		}
	}
	return normalize(sums)
})

// normalize returns points as addends, at the price of one inversion.
func normalize(points []point) []addend {
	// products[i] is the product of z of the points before i.
	products, product := make([]element, len(points)), one
	for i := range points {
		products[i] = product
		product.mul(&product, &points[i].z)
	}
	var inverse, half element
	inverse.invert(&product)
	half.mulSmall(&one, 2)
	half.invert(&half)
	d := edwardsD()

	out := make([]addend, len(points))
	for i := len(points) - 1; i >= 0; i-- {
		var x, y, z element
		z.mul(&inverse, &products[i])
		inverse.mul(&inverse, &points[i].z)
		x.mul(&points[i].x, &z)
		y.mul(&points[i].y, &z)
		out[i].minus.sub(&y, &x)
		out[i].minus.mul(&out[i].minus, &half)
		out[i].plus.add(&y, &x)
		out[i].plus.mul(&out[i].plus, &half)
		out[i].product.mul(&x, &y)
		out[i].product.mul(&out[i].product, &d)
	}
	return out
}

// mulBase sets r to k times the base point. Its time does not depend on k, which
// is little-endian.
func (r *point) mulBase(k *[Size]byte) {
	c := comb()
	*r = identity()
	for step := steps - 1; step >= 0; step-- {
		r.double(r)
		for table := range tables {
			var index uint32
			for tooth := range teeth {
				bit := (tooth*tables+table)*steps + step
				index |= uint32(k[bit/8]>>(bit%8)&1) << tooth
			}
			var term addend
			for i := range 1 << teeth {
				term.addWhere(uint32(i), index, &c[table<<teeth|i])
			}
			r.add(r, &term)
		}
	}
}

// addWhere adds to the limbs of p those of q if i is j, in the same time if not.
func (p *addend) addWhere(i, j uint32, q *addend) {
	mask := uint32((uint64(i^j) - 1) >> 32) // all ones where they are the same
	for k := range p.plus {
		p.minus[k] |= mask & q.minus[k]
		p.plus[k] |= mask & q.plus[k]
		p.product[k] |= mask & q.product[k]
	}
}
