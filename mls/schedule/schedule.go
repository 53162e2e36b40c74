// Package schedule is the key schedule and the secret tree of RFC 9420,
// Sections 8 and 9: from the init secret and the commit secret to the secrets
// of an epoch, and from its encryption secret to the key of every message.
//
// It owns the derivations, their order, and the deletion schedule of Section
// 9.2. Each type offers only what may be derived from it:
//
//	Joiner -> Intermediate -> Epoch -> SecretTree -> Draft -> key and nonce
//
// It must not know the ratchet tree, which gives the commit secret, nor how a
// message is framed. It keeps nothing: what outlives the process leaves as a
// record, in the clear, for the caller to seal and to store.
//
// Secrets are wiped where they are dropped. Every type has a Wipe for the
// caller who drops the whole of it.
package schedule

import "webmls/mls/suite"

// Labels of RFC 9420, Sections 8 and 8.3.
const (
	labelJoiner  = "joiner"
	labelWelcome = "welcome"
	labelEpoch   = "epoch"

	// ExternalInitSecretLabel is the exporter context with which the HPKE
	// context of an external commit gives its init_secret of KDF.Nh bytes
	// (RFC 9420, Section 8.3).
	ExternalInitSecretLabel = "MLS 1.0 external init secret"
)

// Joiner is the joiner_secret, which a committer encrypts to the members that
// join and from which all members reach the new epoch (RFC 9420, Section 8).
type Joiner struct {
	suite  *suite.Suite
	secret []byte
}

// NewJoiner derives the joiner_secret (RFC 9420, Section 8) from the
// init_secret of the last epoch, the commit_secret, where nil stands for
// KDF.Nh zero bytes, and the serialized GroupContext of the new epoch. Both
// secrets stay the caller's to wipe.
func NewJoiner(s *suite.Suite, initSecret, commitSecret, groupContext []byte) *Joiner {
	extracted := s.Extract(initSecret, orZero(s, commitSecret))
	j := &Joiner{s, s.ExpandWithLabel(extracted, labelJoiner, groupContext, s.HashSize())}
	clear(extracted)
	return j
}

// JoinerFromSecret returns the Joiner of a joiner_secret that came in a
// Welcome, KDF.Nh bytes (RFC 9420, Section 12.4.3.1). The Joiner takes a copy;
// the argument stays the caller's to wipe.
func JoinerFromSecret(s *suite.Suite, joinerSecret []byte) *Joiner {
	return &Joiner{s, append([]byte(nil), joinerSecret...)}
}

// Secret returns the joiner_secret, KDF.Nh bytes. The slice is the Joiner's
// until Wipe.
func (j *Joiner) Secret() []byte { return j.secret }

// WithPSK mixes in the psk_secret, where nil stands for KDF.Nh zero bytes (RFC
// 9420, Section 8). The argument stays the caller's to wipe, and so does the
// Joiner.
func (j *Joiner) WithPSK(pskSecret []byte) *Intermediate {
	return &Intermediate{j.suite, j.suite.Extract(j.secret, orZero(j.suite, pskSecret))}
}

// Wipe overwrites the joiner_secret. Call it once the epoch is derived and the
// Welcome, if any, is encrypted.
func (j *Joiner) Wipe() { clear(j.secret) }

// Intermediate is the secret between the joiner_secret and the epoch_secret,
// which has no name of its own in RFC 9420, Section 8.
type Intermediate struct {
	suite  *suite.Suite
	secret []byte
}

// WelcomeKeyNonce derives the key, AEAD.Nk bytes, and the nonce, AEAD.Nn
// bytes, which encrypt the GroupInfo of a Welcome (RFC 9420, Section 12.4.3).
// Both are the caller's to wipe.
func (m *Intermediate) WelcomeKeyNonce() (key, nonce []byte) {
	s := m.suite
	welcomeSecret := s.DeriveSecret(m.secret, labelWelcome)
	key = s.ExpandWithLabel(welcomeSecret, labelKey, nil, s.KeySize())
	nonce = s.ExpandWithLabel(welcomeSecret, labelNonce, nil, s.NonceSize())
	clear(welcomeSecret)
	return key, nonce
}

// Epoch derives the secrets of the epoch that the serialized GroupContext
// describes (RFC 9420, Section 8). Wipe the Intermediate after that.
func (m *Intermediate) Epoch(groupContext []byte) *Epoch {
	s := m.suite
	return NewEpoch(s, s.ExpandWithLabel(m.secret, labelEpoch, groupContext, s.HashSize()))
}

// Wipe overwrites the secret. Call it once the epoch is derived and the
// Welcome, if any, is encrypted or decrypted.
func (m *Intermediate) Wipe() { clear(m.secret) }

// orZero returns secret, or KDF.Nh zero bytes where it is nil: the 0 of the
// diagrams of RFC 9420, Section 8.
func orZero(s *suite.Suite, secret []byte) []byte {
	if secret == nil {
		return make([]byte, s.HashSize())
	}
	return secret
}
