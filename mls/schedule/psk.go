package schedule

import (
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

const (
	labelDerivedPSK = "derived psk"

	// maxPSKs is what the count of a PSKLabel holds.
	maxPSKs = 1<<16 - 1
)

// PSKSecret returns the psk_secret for pre-shared keys in the order of the
// commit, KDF.Nh bytes, the caller's to wipe; all zero where there are none
// (RFC 9420, Section 8.4). secrets[i] belongs to ids[i] and stays the caller's.
// Codes: PSK_INVALID for more than 65,535 keys, INVALID_ARGUMENT where the lists
// differ in length.
func PSKSecret(s *suite.Suite, ids []message.PreSharedKeyID, secrets [][]byte) ([]byte, error) {
	if len(ids) != len(secrets) {
		return nil, mlserr.New(mlserr.InvalidArgument, "as many PSKs as ids")
	}
	if len(ids) > maxPSKs {
		return nil, mlserr.New(mlserr.PSKInvalid, strconv.Itoa(len(ids))+" PSKs")
	}
	zero := make([]byte, s.HashSize())
	pskSecret := make([]byte, s.HashSize())
	for i := range ids {
		extracted := s.Extract(zero, secrets[i])
		input := s.ExpandWithLabel(extracted, labelDerivedPSK, pskLabel(&ids[i], i, len(ids)), s.HashSize())
		next := s.Extract(input, pskSecret)
		suite.Wipe(extracted, input, pskSecret)
		pskSecret = next
	}
	return pskSecret, nil
}

// pskLabel is PSKLabel (RFC 9420, Section 8.4).
func pskLabel(id *message.PreSharedKeyID, index, count int) []byte {
	var w wire.Writer
	id.Marshal(&w)
	w.Uint16(uint16(index))
	w.Uint16(uint16(count))
	return w.Bytes()
}
