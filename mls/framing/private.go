package framing

import (
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Generations give out what the messages of a ratchet are sealed with: each key
// and nonce once. *schedule.Draft is one.
type Generations interface {
	// Next is as Draft.Next.
	Next(leaf treemath.LeafIndex, r schedule.Ratchet) (generation uint32, key, nonce []byte, err error)
}

// ProtectPrivate returns signed content as a PrivateMessage (RFC 9420, Section
// 6.3) under the next generation of the sender's ratchet, which it consumes. c is what Sign returned for WireFormatPrivateMessage, and has its
// confirmation tag by now where it is a Commit. padding is the number of zero bytes
// to add. The message must not leave before it is stored that the generation is consumed (S12);
// should it do so all the same, a random reuse guard keeps the nonces apart (F15).
// Codes: WRONG_WIRE_FORMAT, SENDER_NOT_ALLOWED, CONTENT_TYPE_INVALID,
// INVALID_ARGUMENT for a padding below zero, TOO_LARGE, and those of Draft.Next.
func ProtectPrivate(s *suite.Suite, c *message.AuthenticatedContent, from Generations, senderDataSecret []byte, padding int) (*message.PrivateMessage, error) {
	if c.WireFormat != message.WireFormatPrivateMessage {
		return nil, mlserr.New(mlserr.WrongWireFormat, "content signed for another wire format")
	}
	if err := checkSender(c.WireFormat, &c.Content); err != nil {
		return nil, err
	}
	if padding < 0 {
		return nil, mlserr.New(mlserr.InvalidArgument, "padding")
	}
	if padding > maxContent-len(c.Content.ApplicationData) {
		return nil, mlserr.New(mlserr.TooLarge, "padding")
	}
	data := message.SenderData{Leaf: c.Content.Sender.Leaf}
	generation, key, nonce, err := from.Next(data.Leaf, ratchetFor(c.Content.ContentType))
	if err != nil {
		return nil, err
	}
	data.Generation = generation
	copy(data.ReuseGuard[:], suite.Random(len(data.ReuseGuard)))
	guard(nonce, &data)

	m := &message.PrivateMessage{
		GroupID:           c.Content.GroupID,
		Epoch:             c.Content.Epoch,
		ContentType:       c.Content.ContentType,
		AuthenticatedData: c.Content.AuthenticatedData,
	}
	plaintext := marshalContent(c, padding)
	m.Ciphertext = s.SealInPlace(key, nonce, contentAAD(m), plaintext)
	m.EncryptedSenderData = sealSenderData(s, m, senderDataSecret, &data)
	suite.Wipe(key, nonce) // consumed (Section 9.2)
	return m, nil
}

// UnprotectPrivate opens a PrivateMessage (RFC 9420, Section 6.3) and has the
// Draft consume its key; where it fails, the Draft must be dropped. leaf reports
// whether a leaf is not blank. The result has buffers of its own, except for
// group_id and authenticated_data, which alias m. Codes: DECRYPTION_FAILED where
// sender data or content do not open (F5), INVALID_SENDER for a blank leaf or one that the
// tree does not have (F3, S5), those of Draft.Key, MALFORMED and what the content
// adds where it does not decode, PADDING_NOT_ZERO (D6), CONFIRMATION_TAG_INVALID
// (F7), CONTENT_TYPE_INVALID. The content type chooses how the content is read, so
// that the two cannot differ (F13).
func UnprotectPrivate(s *suite.Suite, m *message.PrivateMessage, d *schedule.Draft, senderDataSecret []byte, leaf func(treemath.LeafIndex) bool) (*Unverified, error) {
	if m.ContentType < message.ContentTypeApplication || m.ContentType > message.ContentTypeCommit {
		return nil, mlserr.New(mlserr.ContentTypeInvalid, "")
	}
	data, err := openSenderData(s, m, senderDataSecret)
	if err != nil {
		return nil, err
	}
	if !d.Contains(data.Leaf) || !leaf(data.Leaf) {
		return nil, mlserr.New(mlserr.InvalidSender, "F3: blank leaf")
	}
	key, nonce, err := d.Key(data.Leaf, ratchetFor(m.ContentType), data.Generation)
	if err != nil {
		return nil, err
	}
	guard(nonce, data)
	plaintext, err := s.Open(key, nonce, contentAAD(m), m.Ciphertext)
	suite.Wipe(key, nonce)
	if err != nil {
		return nil, err
	}
	c := &message.AuthenticatedContent{
		WireFormat: message.WireFormatPrivateMessage,
		Content: message.FramedContent{
			GroupID:           m.GroupID,
			Epoch:             m.Epoch,
			Sender:            message.Sender{Type: message.SenderMember, Leaf: data.Leaf},
			AuthenticatedData: m.AuthenticatedData,
			ContentType:       m.ContentType,
		},
	}
	if err := unmarshalContent(plaintext, c); err != nil {
		return nil, err
	}
	if err := checkAuthData(s, c); err != nil {
		return nil, err
	}
	return &Unverified{c}, nil
}

// ratchetFor returns the ratchet for a content type (RFC 9420, Section 6.3.1).
func ratchetFor(t message.ContentType) schedule.Ratchet {
	if t == message.ContentTypeApplication {
		return schedule.Application
	}
	return schedule.Handshake
}

// guard XORs the reuse guard into the first bytes of the nonce (F15; RFC 9420,
// Section 6.3.1).
func guard(nonce []byte, data *message.SenderData) {
	for i, b := range data.ReuseGuard {
		nonce[i] ^= b
	}
}

// contentAAD is PrivateContentAAD (RFC 9420, Section 6.3.1).
func contentAAD(m *message.PrivateMessage) []byte {
	w := wire.NewWriter(len(m.GroupID) + len(m.AuthenticatedData) + 17)
	m.MarshalContentAAD(w)
	return w.Bytes()
}

// marshalContent is PrivateMessageContent (RFC 9420, Section 6.3.1).
func marshalContent(c *message.AuthenticatedContent, padding int) []byte {
	// Application data fits at once; a handshake message may make the buffer grow.
	capacity := len(c.Content.ApplicationData) + len(c.Auth.Signature) + len(c.Auth.ConfirmationTag) + 12 + padding
	w := wire.NewWriter(capacity + suite.TagSize)
	c.Content.MarshalContent(w)
	c.Auth.MarshalFor(w, c.Content.ContentType)
	w.Zeros(padding)
	return w.Bytes()
}

// unmarshalContent reads a PrivateMessageContent into c, whose ContentType is
// set, and refuses padding that is not zero (D6; RFC 9420, Section 6.3.1). c
// aliases plaintext.
func unmarshalContent(plaintext []byte, c *message.AuthenticatedContent) error {
	r := wire.NewReader(plaintext)
	c.Content.UnmarshalContent(r)
	c.Auth.UnmarshalFor(r, c.Content.ContentType)
	if err := r.Err(); err != nil {
		return err
	}
	for _, b := range r.Rest() {
		if b != 0 {
			return mlserr.New(mlserr.PaddingNotZero, "D6")
		}
	}
	return nil
}
