package schedule

import (
	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// ConfirmedTranscriptHash returns the confirmed_transcript_hash after a commit,
// KDF.Nh bytes (RFC 9420, Section 8.2). interim is the interim_transcript_hash
// of the epoch in which the commit was sent. The confirmation tag is no part
// of the input and need not be set yet.
func ConfirmedTranscriptHash(s *suite.Suite, interim []byte, commit *message.AuthenticatedContent) []byte {
	content, signature := commit.ConfirmedTranscriptHashInput()
	return s.Hash(interim, content, signature)
}

// InterimTranscriptHash returns the interim_transcript_hash of an epoch, KDF.Nh
// bytes, from its confirmed_transcript_hash, which is empty in epoch 0, and its
// confirmation_tag (RFC 9420, Sections 8.2 and 11).
func InterimTranscriptHash(s *suite.Suite, confirmed, confirmationTag []byte) []byte {
	w := wire.NewWriter(4 + len(confirmationTag))
	w.Opaque(confirmationTag)
	return s.Hash(confirmed, w.Bytes())
}
