package schedule

import "webmls/mls/suite"

// SenderDataKeyNonce derives the key, AEAD.Nk bytes, and the nonce, AEAD.Nn
// bytes, of the sender data that goes with a ciphertext: from its first KDF.Nh
// bytes, or all of it where it is shorter (RFC 9420, Section 6.3.2). Both are the
// caller's to wipe.
func SenderDataKeyNonce(s *suite.Suite, senderDataSecret, ciphertext []byte) (key, nonce []byte) {
	sample := ciphertext[:min(len(ciphertext), s.HashSize())]
	key = s.ExpandWithLabel(senderDataSecret, labelKey, sample, s.KeySize())
	nonce = s.ExpandWithLabel(senderDataSecret, labelNonce, sample, s.NonceSize())
	return key, nonce
}
