// Package wire is the presentation language of RFC 9420, Section 2: fixed-size
// integers in network byte order, variable-size vectors with a minimal varint
// length header, and optional values.
//
// It owns byte order, length headers and bounds. It must not know any struct
// of the protocol. Both halves follow the shape of
// golang.org/x/crypto/cryptobyte, without what that package links.
package wire

import (
	"slices"

	"webmls/mls/mlserr"
)

// MaxVector is the largest length, in bytes, that a vector header can carry
// (RFC 9420, Section 2.1.2).
const MaxVector = 1<<30 - 1

// MaxElements is how many vector elements one Reader decodes, those of all
// vectors together (D4). An element may take much more room in memory than on
// the wire, a blank tree node 16 bytes instead of one; so it is this, and not
// the length of the input alone, that bounds what a message of many small
// elements costs its receiver. It is twice the nodes of the largest tree.
const MaxElements = 1 << 22

// Marshaler is a value with a presentation-language encoding.
type Marshaler interface {
	// Marshal appends the encoding to w.
	Marshal(w *Writer)
}

// Unmarshaler is a value that decodes itself from the presentation language.
type Unmarshaler interface {
	// Unmarshal reads one value. A failure is kept in r.
	Unmarshal(r *Reader)
}

// Marshal returns the encoding of v in a slice of its own.
func Marshal(v Marshaler) []byte {
	var w Writer
	v.Marshal(&w)
	return w.Bytes()
}

// Unmarshal decodes b into v and refuses trailing bytes. Byte fields of v
// alias b. Codes: MALFORMED and those that the fields of v add.
func Unmarshal(b []byte, v Unmarshaler) error {
	r := NewReader(b)
	v.Unmarshal(r)
	return r.Finish()
}

// Writer appends encodings to a buffer. The zero value is ready for use.
type Writer struct {
	buf []byte
}

// NewWriter returns a Writer whose buffer holds capacity bytes before it grows.
func NewWriter(capacity int) *Writer {
	return &Writer{buf: make([]byte, 0, capacity)}
}

// Bytes returns what was written. The slice is the Writer's own until the
// Writer is dropped.
func (w *Writer) Bytes() []byte { return w.buf }

// Reset drops what was written and keeps the buffer for what comes next.
func (w *Writer) Reset() { w.buf = w.buf[:0] }

// Len returns the number of bytes written.
func (w *Writer) Len() int { return len(w.buf) }

// Uint8 appends a uint8.
func (w *Writer) Uint8(v uint8) { w.buf = append(w.buf, v) }

// Uint16 appends a uint16 in network byte order.
func (w *Writer) Uint16(v uint16) { w.buf = append(w.buf, byte(v>>8), byte(v)) }

// Uint32 appends a uint32 in network byte order.
func (w *Writer) Uint32(v uint32) {
	w.buf = append(w.buf, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// Uint64 appends a uint64 in network byte order.
func (w *Writer) Uint64(v uint64) {
	w.Uint32(uint32(v >> 32))
	w.Uint32(uint32(v))
}

// Raw appends b without a length header: opaque b[n] for a constant n.
func (w *Writer) Raw(b []byte) { w.buf = append(w.buf, b...) }

// Zeros appends n zero bytes.
func (w *Writer) Zeros(n int) {
	start := len(w.buf)
	w.buf = slices.Grow(w.buf, n)[:start+n]
	clear(w.buf[start:])
}

// Opaque appends b as opaque<V>.
func (w *Writer) Opaque(b []byte) {
	w.buf = AppendVarint(w.buf, len(b))
	w.buf = append(w.buf, b...)
}

// Vector appends what f writes as one vector<V>.
func (w *Writer) Vector(f func(w *Writer)) {
	start := len(w.buf)
	f(w)
	n := len(w.buf) - start
	header := varintSize(n)
	// The length is known only now: make room in front of the body.
	for i := 0; i < header; i++ {
		w.buf = append(w.buf, 0)
	}
	copy(w.buf[start+header:], w.buf[start:start+n])
	AppendVarint(w.buf[start:start], n)
}

// Optional appends the presence octet of an optional<T> (RFC 9420, Section 2.1.1).
func (w *Writer) Optional(present bool) {
	if present {
		w.Uint8(1)
	} else {
		w.Uint8(0)
	}
}

// AppendVarint appends the minimal varint encoding of n (RFC 9420, Section
// 2.1.2). It panics when n is outside [0, MaxVector]: every caller writes a
// length of bytes that it holds, and no state of this module comes near 1 GiB.
func AppendVarint(b []byte, n int) []byte {
	switch varintSize(n) {
	case 1:
		return append(b, byte(n))
	case 2:
		return append(b, 0x40|byte(n>>8), byte(n))
	default:
		return append(b, 0x80|byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

func varintSize(n int) int {
	switch {
	case n < 0 || n > MaxVector:
		panic("wire: vector length out of range")
	case n < 1<<6:
		return 1
	case n < 1<<14:
		return 2
	default:
		return 4
	}
}

// Reader decodes from a byte slice. The first failure sticks: later reads
// return zero values, so that a decoder reads a struct straight through and
// the caller looks at Err once.
type Reader struct {
	b        []byte
	err      error
	elements int // of vectors, read so far
}

// NewReader returns a Reader over b. Slices that it returns alias b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first failure, or nil.
func (r *Reader) Err() error { return r.err }

// Fail records a failure of the value being read, unless one stands already.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// Malformed records a MALFORMED failure with a detail that names what was read.
func (r *Reader) Malformed(detail string) {
	r.Fail(mlserr.New(mlserr.Malformed, detail))
}

// Finish returns the first failure, or MALFORMED when bytes are left (D3, S3).
func (r *Reader) Finish() error {
	if r.err == nil && len(r.b) != 0 {
		r.Malformed("trailing bytes")
	}
	return r.err
}

// Empty reports whether nothing is left to read, or reading has failed.
func (r *Reader) Empty() bool { return len(r.b) == 0 }

// Len returns the number of bytes left.
func (r *Reader) Len() int { return len(r.b) }

// Rest returns all bytes that are left and consumes them.
func (r *Reader) Rest() []byte {
	b := r.b
	r.b = r.b[len(r.b):]
	return b[:len(b):len(b)]
}

// Raw returns the next n bytes. Whatever n is, it reads no further than the input
// (S3).
func (r *Reader) Raw(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b) {
		r.Malformed("unexpected end")
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// Uint8 reads a uint8.
func (r *Reader) Uint8() uint8 {
	b := r.Raw(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// Uint16 reads a uint16.
func (r *Reader) Uint16() uint16 {
	b := r.Raw(2)
	if b == nil {
		return 0
	}
	return uint16(b[0])<<8 | uint16(b[1])
}

// Uint32 reads a uint32.
func (r *Reader) Uint32() uint32 {
	b := r.Raw(4)
	if b == nil {
		return 0
	}
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// Uint64 reads a uint64.
func (r *Reader) Uint64() uint64 {
	hi := r.Uint32()
	return uint64(hi)<<32 | uint64(r.Uint32())
}

// Varint reads a vector length. It refuses the prefix 11 and any encoding
// that is longer than need be (D1; RFC 9420, Section 2.1.2).
func (r *Reader) Varint() int {
	first := r.Uint8()
	if r.err != nil {
		return 0
	}
	prefix := first >> 6
	if prefix == 3 {
		r.Malformed("D1: varint prefix 11")
		return 0
	}
	size := 1 << prefix
	n := int(first & 0x3f)
	for _, c := range r.Raw(size - 1) {
		n = n<<8 | int(c)
	}
	if r.err != nil {
		return 0
	}
	if varintSize(n) != size {
		r.Malformed("D1: varint not minimal")
		return 0
	}
	return n
}

// Opaque reads an opaque<V>. The slice aliases the input.
func (r *Reader) Opaque() []byte { return r.Raw(r.Varint()) }

// Vector reads a vector<V> and calls f until its bytes are used up. f sees a
// Reader that ends where the vector ends. Each call must consume at least one
// byte, so that no input can make the loop endless. Code: TOO_LARGE for more
// than MaxElements.
func (r *Reader) Vector(f func(r *Reader)) {
	body := r.Opaque()
	if r.err != nil {
		return
	}
	rest := r.b
	r.b = body
	for len(r.b) != 0 {
		if r.elements++; r.elements > MaxElements {
			r.Fail(mlserr.New(mlserr.TooLarge, "D4: vector elements"))
			return
		}
		before := len(r.b)
		f(r)
		if r.err != nil {
			return
		}
		if len(r.b) == before {
			r.Malformed("element of no size")
			return
		}
	}
	r.b = rest
}

// Optional reads the presence octet of an optional<T> and refuses any value
// but 0 and 1 (D2; RFC 9420, Section 2.1.1).
func (r *Reader) Optional() bool {
	switch r.Uint8() {
	case 0:
		return false
	case 1:
		return true
	}
	r.Malformed("D2: presence octet")
	return false
}
