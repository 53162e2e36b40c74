// Package der turns ECDSA signatures from the form of MLS into that of
// WebCrypto and back: Ecdsa-Sig-Value in DER (RFC 9420, Section 5.1.2, by way of
// RFC 8446, Section 4.2.3, and RFC 3279, Section 2.2.3), and r and s as
// big-endian integers of the curve's size, one after the other.
//
// It owns this one conversion. It must not know curves, keys or JavaScript.
package der

const (
	tagInteger  = 0x02
	tagSequence = 0x30
)

// Marshal returns the DER encoding of raw, which is r and s of the same size.
// The result is the caller's. It panics when the length of raw is odd or over
// 252: the host's signatures are of one of three sizes, 132 at most.
func Marshal(raw []byte) []byte {
	size := len(raw) / 2
	if len(raw)%2 != 0 || size > 126 {
		panic("der: not a signature of a NIST curve")
	}
	body := make([]byte, 0, len(raw)+8)
	body = appendInteger(body, raw[:size])
	body = appendInteger(body, raw[size:])
	out := make([]byte, 0, len(body)+3)
	out = append(out, tagSequence)
	if len(body) >= 0x80 {
		out = append(out, 0x81)
	}
	out = append(out, byte(len(body)))
	return append(out, body...)
}

// appendInteger appends the DER encoding of a non-negative big-endian integer
// of at most 126 bytes.
func appendInteger(b, integer []byte) []byte {
	for len(integer) > 1 && integer[0] == 0 {
		integer = integer[1:]
	}
	if len(integer) == 0 || integer[0]&0x80 != 0 {
		b = append(b, tagInteger, byte(len(integer)+1), 0)
	} else {
		b = append(b, tagInteger, byte(len(integer)))
	}
	return append(b, integer...)
}

// Unmarshal reads a signature in DER and returns r and s of size bytes each,
// one after the other, in a slice of the caller's own. It accepts the one
// encoding that DER allows and nothing else: no other length form, no further
// zeros, no sign, nothing behind the end. ok is false for anything else and for
// an integer that does not fit into size bytes.
func Unmarshal(signature []byte, size int) (raw []byte, ok bool) {
	body, rest, ok := element(signature, tagSequence)
	if !ok || len(rest) != 0 {
		return nil, false
	}
	raw = make([]byte, 2*size)
	for i := range 2 {
		var integer []byte
		if integer, body, ok = element(body, tagInteger); !ok {
			return nil, false
		}
		if !putInteger(raw[i*size:(i+1)*size], integer) {
			return nil, false
		}
	}
	return raw, len(body) == 0
}

// element splits off one element with a tag. Lengths up to 255 are enough: a
// P-521 signature has 139 bytes at most.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, head := int(b[1]), 2
	switch {
	case n < 0x80:
	case n == 0x81 && len(b) > 2 && b[2] >= 0x80:
		n, head = int(b[2]), 3
	default:
		return nil, nil, false
	}
	if len(b)-head < n {
		return nil, nil, false
	}
	return b[head : head+n], b[head+n:], true
}

// putInteger writes the content of a DER INTEGER, which must be non-negative
// and in its shortest form, right-aligned into out.
func putInteger(out, integer []byte) bool {
	if len(integer) == 0 || integer[0]&0x80 != 0 {
		return false
	}
	if integer[0] == 0 && len(integer) > 1 {
		if integer[1]&0x80 == 0 {
			return false
		}
		integer = integer[1:]
	}
	if len(integer) > len(out) {
		return false
	}
	copy(out[len(out)-len(integer):], integer)
	return true
}
