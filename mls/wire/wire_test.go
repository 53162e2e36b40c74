package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// seed of the random tests. A failure prints it.
const seed = 9420

// written returns what f writes.
func written(f func(w *wire.Writer)) []byte {
	var w wire.Writer
	f(&w)
	return w.Bytes()
}

func wantCode(t *testing.T, what string, err error, code mlserr.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: error %v, want %s", what, err, code)
	}
}

// wantDetail checks for MALFORMED with a detail, so that an input is refused
// for the reason that the test is about.
func wantDetail(t *testing.T, what string, err error, detail string) {
	t.Helper()
	var e *mlserr.Error
	if !errors.As(err, &e) || e.Code != mlserr.Malformed || !strings.Contains(e.Detail, detail) {
		t.Errorf("%s: error %v, want MALFORMED: %s", what, err, detail)
	}
}

func TestIntegers(t *testing.T) {
	b := written(func(w *wire.Writer) {
		w.Uint8(0x01)
		w.Uint16(0x0203)
		w.Uint32(0x04050607)
		w.Uint64(0x08090a0b0c0d0e0f)
		w.Raw([]byte{0x10, 0x11})
		w.Optional(false)
		w.Optional(true)
	})
	want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0, 1}
	if !bytes.Equal(b, want) {
		t.Fatalf("wrote %x, want %x", b, want)
	}
	r := wire.NewReader(b)
	if v := r.Uint8(); v != 0x01 {
		t.Errorf("Uint8: %x", v)
	}
	if v := r.Uint16(); v != 0x0203 {
		t.Errorf("Uint16: %x", v)
	}
	if v := r.Uint32(); v != 0x04050607 {
		t.Errorf("Uint32: %x", v)
	}
	if v := r.Uint64(); v != 0x08090a0b0c0d0e0f {
		t.Errorf("Uint64: %x", v)
	}
	if v := r.Raw(2); !bytes.Equal(v, []byte{0x10, 0x11}) {
		t.Errorf("Raw: %x", v)
	}
	if r.Optional() || !r.Optional() {
		t.Error("Optional")
	}
	if !r.Empty() || r.Len() != 0 {
		t.Errorf("%d bytes left", r.Len())
	}
	if err := r.Finish(); err != nil {
		t.Error(err)
	}
}

// Every primitive, on every input that is too short for it, fails and gives
// the zero value.
func TestShortInput(t *testing.T) {
	for _, p := range []struct {
		name string
		size int
		read func(r *wire.Reader) bool // reports whether the result is zero
	}{
		{"Uint8", 1, func(r *wire.Reader) bool { return r.Uint8() == 0 }},
		{"Uint16", 2, func(r *wire.Reader) bool { return r.Uint16() == 0 }},
		{"Uint32", 4, func(r *wire.Reader) bool { return r.Uint32() == 0 }},
		{"Raw", 3, func(r *wire.Reader) bool { return r.Raw(3) == nil }},
		{"Optional", 1, func(r *wire.Reader) bool { return !r.Optional() }},
		{"Varint", 1, func(r *wire.Reader) bool { return r.Varint() == 0 }},
		{"Opaque", 1, func(r *wire.Reader) bool { return r.Opaque() == nil }},
	} {
		for n := range p.size {
			r := wire.NewReader(bytes.Repeat([]byte{0xff}, n))
			if !p.read(r) {
				t.Errorf("%s of %d bytes gives a value", p.name, n)
			}
			wantDetail(t, p.name, r.Err(), "unexpected end")
		}
	}
	// Uint64 reads in two halves: what it gives where the second is missing
	// is not defined, but the failure is.
	for n := range 8 {
		r := wire.NewReader(bytes.Repeat([]byte{0xff}, n))
		r.Uint64()
		wantDetail(t, "Uint64", r.Err(), "unexpected end")
	}
}

func TestVarint(t *testing.T) {
	for _, c := range []struct {
		n    int
		want []byte
	}{
		{0, []byte{0x00}},
		{1, []byte{0x01}},
		{37, []byte{0x25}}, // the examples of RFC 9000, Section A.1, as far as they are minimal here
		{63, []byte{0x3f}},
		{64, []byte{0x40, 0x40}},
		{15293, []byte{0x7b, 0xbd}},
		{16383, []byte{0x7f, 0xff}},
		{16384, []byte{0x80, 0x00, 0x40, 0x00}},
		{494878333, []byte{0x9d, 0x7f, 0x3e, 0x7d}},
		{1<<30 - 1, []byte{0xbf, 0xff, 0xff, 0xff}},
	} {
		got := wire.AppendVarint([]byte("before"), c.n)
		if !bytes.Equal(got, append([]byte("before"), c.want...)) {
			t.Errorf("%d is written as %x, want %x", c.n, got[6:], c.want)
		}
		r := wire.NewReader(append(c.want[:len(c.want):len(c.want)], 0xee))
		if n := r.Varint(); n != c.n || r.Len() != 1 || r.Err() != nil {
			t.Errorf("%x is read as %d, %d bytes left, error %v", c.want, n, r.Len(), r.Err())
		}
		for i := range c.want {
			r := wire.NewReader(c.want[:i])
			if n := r.Varint(); n != 0 {
				t.Errorf("prefix %x is read as %d", c.want[:i], n)
			}
			wantDetail(t, "prefix of a varint", r.Err(), "unexpected end")
		}
	}
}

// D1: everything that is longer than need be, and the prefix 11.
func TestVarintRefused(t *testing.T) {
	notMinimal := func(b ...byte) {
		t.Helper()
		r := wire.NewReader(append(b, make([]byte, 70000)...))
		if n := r.Varint(); n != 0 {
			t.Errorf("%x is read as %d", b, n)
		}
		wantDetail(t, fmt.Sprintf("%x", b), r.Err(), "D1: varint not minimal")
	}
	for n := range 64 {
		notMinimal(0x40, byte(n))
	}
	for n := range 16384 {
		if n < 70 || n%512 == 0 || n > 16380 {
			notMinimal(0x80, 0, byte(n>>8), byte(n))
		}
	}
	for first := 0xc0; first <= 0xff; first++ {
		r := wire.NewReader(append([]byte{byte(first)}, make([]byte, 16)...))
		if n := r.Varint(); n != 0 {
			t.Errorf("first byte %x is read as %d", first, n)
		}
		wantDetail(t, fmt.Sprintf("first byte %x", first), r.Err(), "D1: varint prefix 11")
	}
}

func TestVarintRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 100000 {
		n := rng.IntN(1 << (1 + rng.IntN(30)))
		b := wire.AppendVarint(nil, n)
		r := wire.NewReader(b)
		if got := r.Varint(); got != n || r.Finish() != nil {
			t.Fatalf("seed %d: %d is written as %x and read as %d, %v", seed, n, b, got, r.Err())
		}
	}
}

// Each sequence of one to four bytes is either refused, or what its value is
// written as: no number has two encodings.
func TestVarintUnique(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed, 2))
	check := func(b []byte) {
		r := wire.NewReader(b)
		n := r.Varint()
		if r.Finish() == nil && !bytes.Equal(wire.AppendVarint(nil, n), b) {
			t.Fatalf("%x is read as %d, which is written as %x", b, n, wire.AppendVarint(nil, n))
		}
	}
	for a := range 256 {
		check([]byte{byte(a)})
		for b := range 256 {
			check([]byte{byte(a), byte(b)})
		}
	}
	for range 200000 {
		v := rng.Uint32() >> rng.IntN(32)
		check([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		check([]byte{0x80 | byte(v>>24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
}

func TestVarintOutOfRange(t *testing.T) {
	for _, n := range []int{-1, wire.MaxVector + 1, -wire.MaxVector} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AppendVarint of %d does not panic", n)
				}
			}()
			wire.AppendVarint(nil, n)
		}()
	}
}

func TestOpaque(t *testing.T) {
	for _, n := range []int{0, 1, 62, 63, 64, 65, 16382, 16383, 16384, 16385, 70000} {
		body := bytes.Repeat([]byte{0xab}, n)
		b := written(func(w *wire.Writer) { w.Opaque(body); w.Uint8(7) })
		r := wire.NewReader(b)
		got := r.Opaque()
		if !bytes.Equal(got, body) || r.Uint8() != 7 || r.Finish() != nil {
			t.Errorf("opaque of %d bytes: got %d, error %v", n, len(got), r.Err())
		}
		// What is returned cannot grow into what comes after it.
		if cap(got) != n {
			t.Errorf("opaque of %d bytes has capacity %d", n, cap(got))
		}
		if n > 0 && n < 100 {
			for i := range len(b) - 1 {
				r := wire.NewReader(b[:i])
				if got := r.Opaque(); got != nil {
					t.Errorf("prefix of %d bytes gives %x", i, got)
				}
				wantDetail(t, "prefix of an opaque", r.Finish(), "unexpected end")
			}
		}
	}
}

// A Vector is written as an Opaque of what is in it is, whatever the size of
// its header, and also behind other data.
func TestVectorHeader(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 16383, 16384, 20000} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(i * 7)
		}
		got := written(func(w *wire.Writer) {
			w.Uint16(0xffee)
			w.Vector(func(w *wire.Writer) { w.Raw(body) })
			w.Uint8(0xdd)
		})
		want := written(func(w *wire.Writer) {
			w.Uint16(0xffee)
			w.Opaque(body)
			w.Uint8(0xdd)
		})
		if !bytes.Equal(got, want) {
			t.Errorf("vector of %d bytes is written differently from an opaque", n)
		}
	}
}

// nest writes random nested vectors and keeps what it wrote.
type nest struct {
	leaf     []byte
	children []nest
}

func randomNest(rng *rand.Rand, depth int) nest {
	if depth == 0 || rng.IntN(3) == 0 {
		b := make([]byte, rng.IntN(100))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return nest{leaf: b}
	}
	n := nest{children: []nest{}}
	for range rng.IntN(5) {
		n.children = append(n.children, randomNest(rng, depth-1))
	}
	return n
}

func (n nest) Marshal(w *wire.Writer) {
	w.Optional(n.children != nil)
	if n.children == nil {
		w.Opaque(n.leaf)
		return
	}
	w.Vector(func(w *wire.Writer) {
		for _, c := range n.children {
			c.Marshal(w)
		}
	})
}

func (n *nest) Unmarshal(r *wire.Reader) {
	if !r.Optional() {
		n.leaf = r.Opaque()
		return
	}
	n.children = []nest{}
	r.Vector(func(r *wire.Reader) {
		var c nest
		c.Unmarshal(r)
		n.children = append(n.children, c)
	})
}

func (n nest) equal(m nest) bool {
	if (n.children == nil) != (m.children == nil) || len(n.children) != len(m.children) || !bytes.Equal(n.leaf, m.leaf) {
		return false
	}
	for i := range n.children {
		if !n.children[i].equal(m.children[i]) {
			return false
		}
	}
	return true
}

func TestNestedVectors(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for i := range 2000 {
		n := randomNest(rng, 5)
		b := wire.Marshal(n)
		var got nest
		if err := wire.Unmarshal(b, &got); err != nil {
			t.Fatalf("seed %d, value %d: %v", seed, i, err)
		}
		if !got.equal(n) {
			t.Fatalf("seed %d, value %d: %+v is read as %+v", seed, i, n, got)
		}
		if again := wire.Marshal(got); !bytes.Equal(again, b) {
			t.Fatalf("seed %d, value %d: %x is encoded again as %x", seed, i, b, again)
		}
		if err := wire.Unmarshal(append(b, 0), new(nest)); err == nil {
			t.Fatalf("seed %d, value %d: a trailing byte is accepted", seed, i)
		} else {
			wantDetail(t, "trailing byte", err, "trailing bytes")
		}
		if i < 50 {
			for k := range b {
				if wire.Unmarshal(b[:k], new(nest)) == nil {
					t.Fatalf("seed %d, value %d: prefix of %d of %d bytes is accepted", seed, i, k, len(b))
				}
			}
		}
	}
}

// An element cannot reach beyond the end of its vector, though there are bytes.
func TestVectorBounds(t *testing.T) {
	r := wire.NewReader([]byte{3, 0, 1, 0, 2, 0, 3})
	var got []uint16
	r.Vector(func(r *wire.Reader) { got = append(got, r.Uint16()) })
	wantDetail(t, "element across the end", r.Err(), "unexpected end")
	if len(got) != 2 || got[1] != 0 {
		t.Errorf("elements %x", got)
	}

	// The vector's own end hides what is behind it, from Rest too.
	r = wire.NewReader([]byte{2, 'a', 'b', 'c'})
	var rest []byte
	r.Vector(func(r *wire.Reader) {
		if r.Len() != 2 || r.Empty() {
			t.Errorf("%d bytes in the vector", r.Len())
		}
		rest = r.Rest()
	})
	if string(rest) != "ab" || cap(rest) != 2 {
		t.Errorf("rest %q, capacity %d", rest, cap(rest))
	}
	if string(r.Rest()) != "c" || r.Finish() != nil {
		t.Errorf("after the vector: %v", r.Err())
	}

	// Longer than the input.
	r = wire.NewReader([]byte{4, 1, 2, 3})
	r.Vector(func(*wire.Reader) { t.Error("an element is read") })
	wantDetail(t, "vector beyond the input", r.Err(), "unexpected end")
}

func TestElementOfNoSize(t *testing.T) {
	calls := 0
	r := wire.NewReader([]byte{2, 'a', 'b'})
	r.Vector(func(r *wire.Reader) { calls++ })
	wantDetail(t, "element of no size", r.Finish(), "element of no size")
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
	calls = 0
	r = wire.NewReader([]byte{2, 'a', 'b'})
	r.Vector(func(r *wire.Reader) {
		if calls++; calls == 1 {
			r.Uint8()
		}
	})
	wantDetail(t, "second element of no size", r.Finish(), "element of no size")
}

// D4: the elements of all vectors of an input count together.
func TestMaxElements(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 8 MiB")
	}
	half := written(func(w *wire.Writer) { w.Opaque(make([]byte, wire.MaxElements/2)) })
	count := 0
	element := func(r *wire.Reader) { r.Uint8(); count++ }
	r := wire.NewReader(bytes.Repeat(half, 2))
	r.Vector(element)
	r.Vector(element)
	if err := r.Finish(); err != nil || count != wire.MaxElements {
		t.Errorf("%d elements, %v", count, err)
	}
	r = wire.NewReader(append(bytes.Repeat(half, 2), 1, 0))
	r.Vector(element)
	r.Vector(element)
	count = 0
	r.Vector(element)
	wantCode(t, "one element more", r.Finish(), mlserr.TooLarge)
	if count != 0 {
		t.Error("the element is read")
	}
}

// The first failure sticks, and nothing is read after it.
func TestStickyError(t *testing.T) {
	full := bytes.Repeat([]byte{1}, 64)
	first := errors.New("first")
	for name, read := range map[string]func(r *wire.Reader) bool{
		"Uint8":    func(r *wire.Reader) bool { return r.Uint8() == 0 },
		"Uint16":   func(r *wire.Reader) bool { return r.Uint16() == 0 },
		"Uint32":   func(r *wire.Reader) bool { return r.Uint32() == 0 },
		"Uint64":   func(r *wire.Reader) bool { return r.Uint64() == 0 },
		"Raw":      func(r *wire.Reader) bool { return r.Raw(2) == nil },
		"Raw 0":    func(r *wire.Reader) bool { return r.Raw(0) == nil },
		"Opaque":   func(r *wire.Reader) bool { return r.Opaque() == nil },
		"Varint":   func(r *wire.Reader) bool { return r.Varint() == 0 },
		"Optional": func(r *wire.Reader) bool { return !r.Optional() },
		"Rest":     func(r *wire.Reader) bool { return len(r.Rest()) == 0 },
		"Vector": func(r *wire.Reader) bool {
			called := false
			r.Vector(func(*wire.Reader) { called = true })
			return !called
		},
		"Fail":      func(r *wire.Reader) bool { r.Fail(errors.New("second")); return true },
		"Malformed": func(r *wire.Reader) bool { r.Malformed("second"); return true },
	} {
		r := wire.NewReader(full)
		r.Uint8()
		r.Fail(first)
		if !read(r) {
			t.Errorf("%s gives a value after a failure", name)
		}
		if r.Err() != first || r.Finish() != first {
			t.Errorf("%s: error %v", name, r.Err())
		}
		if r.Len() != 0 || !r.Empty() {
			t.Errorf("%s: %d bytes left after a failure", name, r.Len())
		}
	}

	// From inside of a vector it ends all vectors around.
	r := wire.NewReader([]byte{4, 1, 9, 1, 9, 5})
	outer, inner := 0, 0
	r.Vector(func(r *wire.Reader) {
		outer++
		r.Vector(func(r *wire.Reader) { inner++; r.Fail(first) })
	})
	if r.Uint8() != 0 || r.Finish() != first || outer != 1 || inner != 1 {
		t.Errorf("outer %d, inner %d, error %v", outer, inner, r.Err())
	}
}

// D2: the presence octet is 0 or 1.
func TestOptional(t *testing.T) {
	for v := range 256 {
		r := wire.NewReader([]byte{byte(v)})
		present := r.Optional()
		switch {
		case v < 2 && (r.Finish() != nil || present != (v == 1)):
			t.Errorf("octet %d: %v, %v", v, present, r.Err())
		case v >= 2 && present:
			t.Errorf("octet %d is present", v)
		case v >= 2:
			wantDetail(t, "presence octet", r.Finish(), "D2")
		}
	}
}

func TestRawBounds(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5}
	for _, n := range []int{-1, -1 << 62, 6, wire.MaxVector, 1 << 31, 1 << 62} {
		r := wire.NewReader(b)
		if got := r.Raw(n); got != nil {
			t.Errorf("Raw(%d) gives %x", n, got)
		}
		wantDetail(t, "Raw", r.Err(), "unexpected end")
	}
	r := wire.NewReader(b)
	if got := r.Raw(0); got == nil || len(got) != 0 || cap(got) != 0 {
		t.Errorf("Raw(0): %v, capacity %d", got, cap(got))
	}
	if got := r.Raw(2); !bytes.Equal(got, b[:2]) || cap(got) != 2 {
		t.Errorf("Raw(2): %x, capacity %d", got, cap(got))
	}
	rest := r.Rest()
	if !bytes.Equal(rest, b[2:]) || cap(rest) != 3 || &rest[0] != &b[2] {
		t.Errorf("Rest: %x, capacity %d", rest, cap(rest))
	}
	if rest := r.Rest(); len(rest) != 0 || r.Finish() != nil {
		t.Errorf("Rest again: %x, %v", rest, r.Err())
	}
	if r := wire.NewReader(nil); len(r.Rest()) != 0 || r.Finish() != nil {
		t.Error("Rest of nothing")
	}
}

// A length of 2^30-1 before a few bytes is refused at once: nothing is
// allocated but the error.
func TestHugeLength(t *testing.T) {
	short := append([]byte{0xbf, 0xff, 0xff, 0xff}, make([]byte, 1000)...)
	for name, read := range map[string]func(r *wire.Reader){
		"Opaque": func(r *wire.Reader) { r.Opaque() },
		"Vector": func(r *wire.Reader) { r.Vector(func(*wire.Reader) { t.Error("an element is read") }) },
		"nested": func(r *wire.Reader) {
			r.Uint32()
			r.Vector(func(r *wire.Reader) { r.Uint8() }) // 1000 zero bytes: an empty vector
			r.Raw(wire.MaxVector)
		},
	} {
		once := func() error {
			r := wire.NewReader(short)
			read(r)
			return r.Finish()
		}
		wantCode(t, name, once(), mlserr.Malformed)
		if bytes := allocated(func() { once() }); bytes > 1024 {
			t.Errorf("%s: %d bytes allocated", name, bytes)
		}
	}
}

// allocated returns how many bytes a call of f allocates.
func allocated(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := ^uint64(0)
	for range 3 { // the runtime may allocate meanwhile
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestWriter(t *testing.T) {
	w := wire.NewWriter(100)
	if n := testing.AllocsPerRun(10, func() {
		w.Reset()
		for range 10 {
			w.Uint64(1)
		}
		w.Opaque([]byte("0123456789"))
	}); n != 0 {
		t.Errorf("%v allocations within the capacity", n)
	}
	if w.Len() != 91 || len(w.Bytes()) != 91 {
		t.Errorf("length %d", w.Len())
	}
	w.Reset()
	if w.Len() != 0 || len(w.Bytes()) != 0 {
		t.Error("not empty after Reset")
	}
	w.Uint8(5)
	if !bytes.Equal(w.Bytes(), []byte{5}) {
		t.Errorf("after Reset: %x", w.Bytes())
	}
	// Reading allocates nothing at all.
	b := written(func(w *wire.Writer) {
		w.Uint64(3)
		w.Vector(func(w *wire.Writer) { w.Uint32(1); w.Uint32(2) })
		w.Opaque(make([]byte, 300))
	})
	sum := uint32(0)
	if n := testing.AllocsPerRun(10, func() {
		r := wire.NewReader(b)
		r.Uint64()
		r.Vector(func(r *wire.Reader) { sum += r.Uint32() })
		r.Opaque()
		if r.Finish() != nil {
			t.Fatal(r.Err())
		}
	}); n > 1 { // the Reader
		t.Errorf("reading takes %v allocations", n)
	}
	if sum%3 != 0 || sum == 0 {
		t.Errorf("sum %d", sum)
	}
}

// operation is one value of a random sequence of primitives.
type operation struct {
	kind   int
	number uint64
	bytes  []byte
	list   []uint16
}

// TestPrimitivesRoundTrip writes random sequences of all primitives and reads
// them again.
func TestZeros(t *testing.T) {
	w := wire.NewWriter(8)
	w.Raw([]byte{1, 2, 3, 4})
	w.Reset() // what stood in the buffer must not show
	w.Raw([]byte{9})
	w.Zeros(3)
	w.Zeros(100)
	if want := append([]byte{9}, make([]byte, 103)...); !bytes.Equal(w.Bytes(), want) {
		t.Errorf("% x", w.Bytes())
	}
}

func TestPrimitivesRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed, 4))
	for run := range 2000 {
		ops := make([]operation, rng.IntN(12))
		for i := range ops {
			o := operation{kind: rng.IntN(8), number: rng.Uint64() >> rng.IntN(64)}
			o.bytes = make([]byte, rng.IntN(1<<rng.IntN(10)))
			for j := range o.bytes {
				o.bytes[j] = byte(rng.Uint32())
			}
			for range rng.IntN(50) {
				o.list = append(o.list, uint16(rng.Uint32()))
			}
			ops[i] = o
		}
		b := written(func(w *wire.Writer) {
			for _, o := range ops {
				switch o.kind {
				case 0:
					w.Uint8(uint8(o.number))
				case 1:
					w.Uint16(uint16(o.number))
				case 2:
					w.Uint32(uint32(o.number))
				case 3:
					w.Uint64(o.number)
				case 4:
					w.Raw(o.bytes)
				case 5:
					w.Opaque(o.bytes)
				case 6:
					w.Optional(o.number%2 == 1)
				case 7:
					w.Vector(func(w *wire.Writer) {
						for _, v := range o.list {
							w.Uint16(v)
						}
					})
				}
			}
		})
		r := wire.NewReader(b)
		for i, o := range ops {
			same := false
			switch o.kind {
			case 0:
				same = r.Uint8() == uint8(o.number)
			case 1:
				same = r.Uint16() == uint16(o.number)
			case 2:
				same = r.Uint32() == uint32(o.number)
			case 3:
				same = r.Uint64() == o.number
			case 4:
				same = bytes.Equal(r.Raw(len(o.bytes)), o.bytes)
			case 5:
				same = bytes.Equal(r.Opaque(), o.bytes)
			case 6:
				same = r.Optional() == (o.number%2 == 1)
			case 7:
				var got []uint16
				r.Vector(func(r *wire.Reader) { got = append(got, r.Uint16()) })
				same = fmt.Sprint(got) == fmt.Sprint(o.list)
			}
			if !same || r.Err() != nil {
				t.Fatalf("seed %d, run %d: operation %d of %+v is read differently: %v", seed, run, i, ops, r.Err())
			}
		}
		if err := r.Finish(); err != nil {
			t.Fatalf("seed %d, run %d: %v", seed, run, err)
		}
	}
}

// What a Reader makes of any bytes: it never panics, never reads beyond them,
// and nested values that it accepts are encoded again as they were.
func FuzzNested(f *testing.F) {
	rng := rand.New(rand.NewPCG(seed, 5))
	for range 5 {
		f.Add(wire.Marshal(randomNest(rng, 4)))
	}
	f.Add([]byte{1, 0xbf, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<12 {
			return // as deep as it is long
		}
		var n nest
		if err := wire.Unmarshal(b, &n); err != nil {
			if code := mlserr.CodeOf(err); code != mlserr.Malformed {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		if again := wire.Marshal(n); !bytes.Equal(again, b) {
			t.Fatalf("%x is encoded again as %x", b, again)
		}
	})
}
