package message

import "webmls/mls/wire"

// Header is what the outside of an MLSMessage shows to anyone, such as a
// delivery service. Nothing in it is authenticated.
type Header struct {
	WireFormat WireFormat
	// GroupID, Epoch and ContentType are set for PublicMessage and
	// PrivateMessage; GroupID and Epoch for GroupInfo.
	GroupID     []byte
	Epoch       uint64
	ContentType ContentType
	// Sender is the sender's type. It is set for PublicMessage.
	Sender SenderType
}

// PeekHeader reads the outside of an MLSMessage without decoding what is in
// it. It costs no more for a large message than for a small one. GroupID
// aliases b. Codes: MALFORMED, UNKNOWN_VERSION, UNKNOWN_WIRE_FORMAT.
func PeekHeader(b []byte) (Header, error) {
	r := wire.NewReader(b)
	h := Header{WireFormat: unmarshalHeader(r)}
	switch h.WireFormat {
	case WireFormatPublicMessage:
		h.GroupID = r.Opaque()
		h.Epoch = r.Uint64()
		var s Sender
		s.Unmarshal(r)
		h.Sender = s.Type
		r.Opaque() // authenticated_data
		h.ContentType = unmarshalContentType(r)
	case WireFormatPrivateMessage:
		h.GroupID = r.Opaque()
		h.Epoch = r.Uint64()
		h.ContentType = unmarshalContentType(r)
	case WireFormatGroupInfo:
		r.Uint16() // version
		r.Uint16() // cipher suite
		h.GroupID = r.Opaque()
		h.Epoch = r.Uint64()
	}
	if err := r.Err(); err != nil {
		return Header{}, err
	}
	return h, nil
}
