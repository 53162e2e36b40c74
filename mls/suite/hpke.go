package suite

import (
	"context"
	"strconv"

	"webmls/mls/mlserr"
	"webmls/mls/suite/internal/spread"
	"webmls/mls/wire"
)

// HPKE (RFC 9180) in base mode, over a shared secret that Keys or an HPKEKey
// gives. MLS seals one message in each context, so that there is no sequence
// number: the nonce is always the base nonce.

// HPKECiphertext is RFC 9420, Section 7.6.
type HPKECiphertext struct {
	KEMOutput  []byte // kem_output
	Ciphertext []byte // ciphertext
}

// Marshal appends the encoding.
func (c *HPKECiphertext) Marshal(w *wire.Writer) {
	w.Opaque(c.KEMOutput)
	w.Opaque(c.Ciphertext)
}

// Unmarshal reads the encoding. The fields alias the input.
func (c *HPKECiphertext) Unmarshal(r *wire.Reader) {
	c.KEMOutput = r.Opaque()
	c.Ciphertext = r.Opaque()
}

// Recipient is a public key and what is encrypted to it.
type Recipient struct {
	PublicKey []byte // HPKEPublicKey
	Plaintext []byte
}

// EncryptWithLabel is RFC 9420, Section 5.1.3, for a list of recipients under
// one label and context. It makes one call of k.Encapsulate for the whole
// list. The result has the order of the list and is the caller's. Codes:
// INVALID_PUBLIC_KEY with the index in the detail, and those of k.
func (s *Suite) EncryptWithLabel(ctx context.Context, k Keys, label string, context []byte, recipients []Recipient) ([]HPKECiphertext, error) {
	if len(recipients) == 0 {
		return nil, nil
	}
	publicKeys, plaintexts := make([][]byte, len(recipients)), make([][]byte, len(recipients))
	for i := range recipients {
		publicKeys[i], plaintexts[i] = recipients[i].PublicKey, recipients[i].Plaintext
	}
	encapsulations, err := s.Encapsulate(ctx, k, publicKeys)
	if err != nil {
		return nil, err
	}
	return s.SealWithLabel(ctx, label, context, encapsulations, plaintexts)
}

// SealWithLabel is the rest of EncryptWithLabel, where Encapsulate was done before
// what is encrypted was known: each encapsulation carries the plaintext of its
// index, and is spent. It wipes the shared secrets.
func (s *Suite) SealWithLabel(ctx context.Context, label string, context []byte, encapsulations []Encapsulation, plaintexts [][]byte) ([]HPKECiphertext, error) {
	defer WipeEncapsulations(encapsulations)
	keySchedule := s.newKeySchedule(encryptContext(label, context))
	out := make([]HPKECiphertext, len(encapsulations))
	err := spread.Each(ctx, len(encapsulations), func(i int) {
		e := &encapsulations[i]
		key, nonce := keySchedule.keyAndNonce(e.SharedSecret)
		out[i] = HPKECiphertext{e.Enc, s.Seal(key, nonce, nil, plaintexts[i])}
		Wipe(key, nonce)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// WipeEncapsulations wipes the shared secrets.
func WipeEncapsulations(list []Encapsulation) {
	for i := range list {
		clear(list[i].SharedSecret)
	}
}

// DecryptWithLabel is RFC 9420, Section 5.1.3. The plaintext is the caller's.
// Code: DECRYPTION_FAILED for every fault of ct, and those of key.
func (s *Suite) DecryptWithLabel(ctx context.Context, key HPKEKey, label string, context []byte, ct HPKECiphertext) ([]byte, error) {
	sharedSecret, err := key.Decapsulate(ctx, ct.KEMOutput)
	if err != nil {
		return nil, err
	}
	aeadKey, nonce := s.newKeySchedule(encryptContext(label, context)).keyAndNonce(sharedSecret)
	plaintext, err := s.Open(aeadKey, nonce, nil, ct.Ciphertext)
	Wipe(aeadKey, nonce, sharedSecret)
	return plaintext, err
}

// EncapsulateExport sets up a sender's context with empty info for publicKey
// and exports length bytes from it: SetupBaseS and Context.Export, as external
// initialization needs them (RFC 9420, Section 8.3). length is at most
// MaxExpand. Both results are the caller's, secret to wipe. Codes:
// INVALID_PUBLIC_KEY, and those of k.
func (s *Suite) EncapsulateExport(ctx context.Context, k Keys, publicKey []byte, exporterContext string, length int) (kemOutput, secret []byte, err error) {
	encapsulations, err := s.Encapsulate(ctx, k, [][]byte{publicKey})
	if err != nil {
		return nil, nil, err
	}
	e := encapsulations[0]
	secret = s.newKeySchedule(nil).export(e.SharedSecret, exporterContext, length)
	clear(e.SharedSecret)
	return e.Enc, secret, nil
}

// DecapsulateExport is the receiver's side of EncapsulateExport: SetupBaseR
// and Context.Export. The secret is the caller's to wipe. Code:
// DECRYPTION_FAILED when kemOutput is not valid, and those of key.
func (s *Suite) DecapsulateExport(ctx context.Context, key HPKEKey, kemOutput []byte, exporterContext string, length int) ([]byte, error) {
	sharedSecret, err := key.Decapsulate(ctx, kemOutput)
	if err != nil {
		return nil, err
	}
	secret := s.newKeySchedule(nil).export(sharedSecret, exporterContext, length)
	clear(sharedSecret)
	return secret, nil
}

// Encapsulate is k.Encapsulate, and holds k to the length of its answer. Codes:
// INVALID_PUBLIC_KEY with the index in the detail, and those of k.
func (s *Suite) Encapsulate(ctx context.Context, k Keys, publicKeys [][]byte) ([]Encapsulation, error) {
	encapsulations, err := k.Encapsulate(ctx, s.id, publicKeys)
	if err != nil {
		return nil, err
	}
	if len(encapsulations) != len(publicKeys) {
		return nil, mlserr.New(mlserr.Internal, "Keys.Encapsulate returned "+
			strconv.Itoa(len(encapsulations))+" of "+strconv.Itoa(len(publicKeys)))
	}
	return encapsulations, nil
}

// encryptContext is the encoding of EncryptContext (RFC 9420, Section 5.1.3),
// the info of the HPKE context.
func encryptContext(label string, context []byte) []byte {
	b := make([]byte, 0, len(labelPrefix)+len(label)+len(context)+8)
	b = appendLabel(b, labelPrefix, label)
	b = wire.AppendVarint(b, len(context))
	return append(b, context...)
}

// keySchedule is what KeySchedule (RFC 9180, Section 5.1) can compute before
// the shared secret is known. It holds no secret, and many recipients may
// share it.
type keySchedule struct {
	suite   *Suite
	suiteID []byte // suite_id of HPKE, Section 5.1
	context []byte // key_schedule_context of mode_base
}

func (s *Suite) newKeySchedule(info []byte) keySchedule {
	suiteID := []byte{'H', 'P', 'K', 'E',
		byte(s.kem.ID >> 8), byte(s.kem.ID), byte(s.kdfID >> 8), byte(s.kdfID), byte(s.aeadID >> 8), byte(s.aeadID)}
	context := make([]byte, 1, 1+2*s.nh) // mode_base is 0
	context = append(context, labeledExtract(s.nh, suiteID, nil, "psk_id_hash", nil)...)
	context = append(context, labeledExtract(s.nh, suiteID, nil, "info_hash", info)...)
	return keySchedule{s, suiteID, context}
}

// secret is the secret from which all others of the context derive.
func (ks keySchedule) secret(sharedSecret []byte) []byte {
	return labeledExtract(ks.suite.nh, ks.suiteID, sharedSecret, "secret", nil)
}

// keyAndNonce returns key (AEAD.Nk bytes) and base_nonce (AEAD.Nn bytes), the
// caller's to wipe.
func (ks keySchedule) keyAndNonce(sharedSecret []byte) (key, nonce []byte) {
	secret := ks.secret(sharedSecret)
	key = labeledExpand(ks.suite.nh, ks.suiteID, secret, "key", ks.suite.nk, ks.context)
	nonce = labeledExpand(ks.suite.nh, ks.suiteID, secret, "base_nonce", nonceSize, ks.context)
	clear(secret)
	return key, nonce
}

// export is Context.Export (RFC 9180, Section 5.3), the caller's to wipe.
func (ks keySchedule) export(sharedSecret []byte, exporterContext string, length int) []byte {
	secret := ks.secret(sharedSecret)
	exporterSecret := labeledExpand(ks.suite.nh, ks.suiteID, secret, "exp", ks.suite.nh, ks.context)
	out := labeledExpand(ks.suite.nh, ks.suiteID, exporterSecret, "sec", length, []byte(exporterContext))
	Wipe(secret, exporterSecret)
	return out
}

const hpkeVersion = "HPKE-v1"

// labeledExtract is LabeledExtract (RFC 9180, Section 4).
func labeledExtract(nh int, suiteID, salt []byte, label string, ikm []byte) []byte {
	head := make([]byte, 0, 32)
	head = append(head, hpkeVersion...)
	head = append(head, suiteID...)
	head = append(head, label...)
	return mac(nh, make([]byte, 0, nh), salt, head, ikm)
}

// labeledExpand is LabeledExpand (RFC 9180, Section 4) of the concatenation of
// info.
func labeledExpand(nh int, suiteID, secret []byte, label string, length int, info ...[]byte) []byte {
	head := make([]byte, 0, 40)
	head = append(head, byte(length>>8), byte(length))
	head = append(head, hpkeVersion...)
	head = append(head, suiteID...)
	head = append(head, label...)
	return expand(nh, secret, length, append([][]byte{head}, info...)...)
}
