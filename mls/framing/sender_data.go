package framing

import (
	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// senderDataSize is the size of an encoded SenderData in bytes.
const senderDataSize = 12

// sealSenderData returns the encrypted_sender_data of m, whose ciphertext and
// header are set (RFC 9420, Section 6.3.2).
func sealSenderData(s *suite.Suite, m *message.PrivateMessage, senderDataSecret []byte, data *message.SenderData) []byte {
	key, nonce := schedule.SenderDataKeyNonce(s, senderDataSecret, m.Ciphertext)
	w := wire.NewWriter(senderDataSize)
	data.Marshal(w)
	sealed := s.Seal(key, nonce, senderDataAAD(m), w.Bytes())
	suite.Wipe(key, nonce)
	return sealed
}

// openSenderData decrypts the encrypted_sender_data of m (RFC 9420, Section
// 6.3.2). Codes: DECRYPTION_FAILED, MALFORMED.
func openSenderData(s *suite.Suite, m *message.PrivateMessage, senderDataSecret []byte) (*message.SenderData, error) {
	key, nonce := schedule.SenderDataKeyNonce(s, senderDataSecret, m.Ciphertext)
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
