package framing

import (
	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// senderDataSize is the size of an encoded SenderData in bytes.
const senderDataSize = 12

// SenderDataKeyNonce derives the key, AEAD.Nk bytes, and the nonce, AEAD.Nn
// bytes, of the sender data that goes with a ciphertext: from its first KDF.Nh
// bytes, or all of it where it is shorter (RFC 9420, Section 6.3.2). Both are the
// caller's to wipe.
func SenderDataKeyNonce(s *suite.Suite, senderDataSecret, ciphertext []byte) (key, nonce []byte) {
	sample := ciphertext[:min(len(ciphertext), s.HashSize())]
	key = s.ExpandWithLabel(senderDataSecret, "key", sample, s.KeySize())
	nonce = s.ExpandWithLabel(senderDataSecret, "nonce", sample, s.NonceSize())
	return key, nonce
}

// sealSenderData returns the encrypted_sender_data of m, whose ciphertext and
// header are set (RFC 9420, Section 6.3.2).
func sealSenderData(s *suite.Suite, m *message.PrivateMessage, senderDataSecret []byte, data *message.SenderData) []byte {
	key, nonce := SenderDataKeyNonce(s, senderDataSecret, m.Ciphertext)
	w := wire.NewWriter(senderDataSize)
	data.Marshal(w)
	sealed := s.Seal(key, nonce, senderDataAAD(m), w.Bytes())
	suite.Wipe(key, nonce)
	return sealed
}

// openSenderData decrypts the encrypted_sender_data of m (RFC 9420, Section
// 6.3.2). Codes: DECRYPTION_FAILED, MALFORMED.
func openSenderData(s *suite.Suite, m *message.PrivateMessage, senderDataSecret []byte) (*message.SenderData, error) {
	key, nonce := SenderDataKeyNonce(s, senderDataSecret, m.Ciphertext)
	plaintext, err := s.Open(key, nonce, senderDataAAD(m), m.EncryptedSenderData)
	suite.Wipe(key, nonce)
	if err != nil {
		return nil, err
	}
	data := new(message.SenderData)
	if err := wire.Unmarshal(plaintext, data); err != nil {
		return nil, err
	}
	return data, nil
}

// senderDataAAD is SenderDataAAD (RFC 9420, Section 6.3.2).
func senderDataAAD(m *message.PrivateMessage) []byte {
	w := wire.NewWriter(len(m.GroupID) + 13)
	m.MarshalSenderDataAAD(w)
	return w.Bytes()
}
