package schedule

import (
	"bytes"
	"context"
	"strconv"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// Labels of RFC 9420, Section 8, Table 4, and Section 8.5.
const (
	labelSenderData     = "sender data"
	labelEncryption     = "encryption"
	labelExporter       = "exporter"
	labelExternal       = "external"
	labelConfirm        = "confirm"
	labelMembership     = "membership"
	labelResumption     = "resumption"
	labelAuthentication = "authentication"
	labelInit           = "init"
	labelExported       = "exported"
)

// maxExportLabel bounds the label of an exporter, in bytes (X6). The RFC's
// vector would hold more; no label that a person chose comes near.
const maxExportLabel = 1<<16 - 1

// Epoch is what is derived from an epoch_secret (RFC 9420, Section 8). Each
// secret has KDF.Nh bytes.
type Epoch struct {
	SenderDataSecret []byte // encrypts sender data (Section 6.3.2)
	// EncryptionSecret is the root of the secret tree (Section 9), which alone
	// keeps it: it is empty once SecretTree has been called, and in an Epoch
	// that was loaded.
	EncryptionSecret   []byte
	ExporterSecret     []byte // for Export (Section 8.5)
	ExternalSecret     []byte // for ExternalKey (Section 8.3)
	ConfirmationKey    []byte // for ConfirmationTag (Section 6.1)
	MembershipKey      []byte // for the membership_tag (Section 6.2)
	ResumptionPSK      []byte // proves membership in this epoch (Section 8.6)
	EpochAuthenticator []byte // not secret among members (Section 8.7)
	InitSecret         []byte // init_secret for the next epoch
}

// NewEpoch derives all secrets of an epoch and wipes epochSecret, KDF.Nh
// bytes. It is the start of a group that is created with a random epoch_secret
// (RFC 9420, Section 11); later epochs come from Intermediate.Epoch.
func NewEpoch(s *suite.Suite, epochSecret []byte) *Epoch {
	e := &Epoch{
		SenderDataSecret:   s.DeriveSecret(epochSecret, labelSenderData),
		EncryptionSecret:   s.DeriveSecret(epochSecret, labelEncryption),
		ExporterSecret:     s.DeriveSecret(epochSecret, labelExporter),
		ExternalSecret:     s.DeriveSecret(epochSecret, labelExternal),
		ConfirmationKey:    s.DeriveSecret(epochSecret, labelConfirm),
		MembershipKey:      s.DeriveSecret(epochSecret, labelMembership),
		ResumptionPSK:      s.DeriveSecret(epochSecret, labelResumption),
		EpochAuthenticator: s.DeriveSecret(epochSecret, labelAuthentication),
		InitSecret:         s.DeriveSecret(epochSecret, labelInit),
	}
	clear(epochSecret)
	return e
}

// SecretTree turns the encryption_secret into the secret tree of a group of
// leafCount leaves, and wipes and empties it here (RFC 9420, Sections 9 and
// 9.2).
func (e *Epoch) SecretTree(s *suite.Suite, leafCount uint32) *SecretTree {
	t := NewSecretTree(s, leafCount, e.EncryptionSecret)
	clear(e.EncryptionSecret)
	e.EncryptionSecret = nil
	return t
}

// ConfirmationTag returns the confirmation_tag of the commit that began this
// epoch, KDF.Nh bytes (RFC 9420, Section 6.1).
func (e *Epoch) ConfirmationTag(s *suite.Suite, confirmedTranscriptHash []byte) []byte {
	return s.MAC(e.ConfirmationKey, confirmedTranscriptHash)
}

// VerifyConfirmationTag reports in constant time whether tag is the whole
// confirmation_tag (RFC 9420, Section 6.1; S1, S13).
func (e *Epoch) VerifyConfirmationTag(s *suite.Suite, confirmedTranscriptHash, tag []byte) bool {
	return s.VerifyMAC(e.ConfirmationKey, tag, confirmedTranscriptHash)
}

// Export is MLS-Exporter (RFC 9420, Section 8.5): length bytes, at most
// 255*KDF.Nh, the caller's. Code: INVALID_ARGUMENT for a length out of bounds
// or a label of more than 65,535 bytes.
func (e *Epoch) Export(s *suite.Suite, label string, context []byte, length int) ([]byte, error) {
	if length < 0 || length > s.MaxExpand() {
		return nil, mlserr.New(mlserr.InvalidArgument, "X6: exporter length "+strconv.Itoa(length))
	}
	if len(label) > maxExportLabel {
		return nil, mlserr.New(mlserr.InvalidArgument, "X6: exporter label too long")
	}
	derived := s.DeriveSecret(e.ExporterSecret, label)
	exported := s.ExpandWithLabel(derived, labelExported, s.Hash(context), length)
	clear(derived)
	return exported, nil
}

// ExternalKey derives the key pair to whose public half, external_pub, a
// client outside encrypts when it joins by an external commit (RFC 9420,
// Sections 8 and 8.3). Codes: those of k.
func (e *Epoch) ExternalKey(ctx context.Context, k suite.Keys, s *suite.Suite) (suite.HPKEKey, error) {
	keys, err := k.DeriveHPKEKeys(ctx, s.ID(), [][]byte{e.ExternalSecret})
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// Wipe overwrites every secret. Call it when the epoch is no longer retained.
func (e *Epoch) Wipe() {
	clear(e.EncryptionSecret)
	for _, secret := range e.stored() {
		clear(*secret)
	}
}

// stored lists what a record of the epoch holds, in its order.
func (e *Epoch) stored() [8]*[]byte {
	return [...]*[]byte{
		&e.SenderDataSecret, &e.ExporterSecret, &e.ExternalSecret, &e.ConfirmationKey,
		&e.MembershipKey, &e.ResumptionPSK, &e.EpochAuthenticator, &e.InitSecret,
	}
}

// Marshal implements wire.Marshaler. It leaves out the encryption_secret, which
// outlives the making of the secret tree nowhere (RFC 9420, Section 9.2). A secret
// that the caller has emptied, such as the init_secret of a past epoch, stays empty.
func (e *Epoch) Marshal(w *wire.Writer) {
	for _, secret := range e.stored() {
		w.Opaque(*secret)
	}
}

// Unmarshal implements wire.Unmarshaler for what Marshal wrote. The secrets
// are copies, so that the record can be wiped. Code: MALFORMED, as of every
// decoder; whoever loads the record knows that it is STATE_CORRUPT.
func (e *Epoch) Unmarshal(r *wire.Reader) {
	size := 0
	for _, secret := range e.stored() {
		b := r.Opaque()
		switch {
		case len(b) == 0:
		case size == 0:
			size = len(b)
		case len(b) != size:
			r.Malformed("epoch secrets of different sizes")
		}
		*secret = bytes.Clone(b)
	}
}
