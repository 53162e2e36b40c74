package message

import (
	"context"

	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// GroupInfo is RFC 9420, Section 12.4.3.
type GroupInfo struct {
	GroupContext    GroupContext
	Extensions      Extensions
	ConfirmationTag []byte // KDF.Nh bytes
	Signer          treemath.LeafIndex
	Signature       []byte
}

func (g *GroupInfo) marshalContent(w *wire.Writer) {
	g.GroupContext.Marshal(w)
	g.Extensions.Marshal(w)
	w.Opaque(g.ConfirmationTag)
	w.Uint32(uint32(g.Signer))
}

// Marshal implements wire.Marshaler.
func (g *GroupInfo) Marshal(w *wire.Writer) {
	g.marshalContent(w)
	w.Opaque(g.Signature)
}

// Unmarshal implements wire.Unmarshaler.
func (g *GroupInfo) Unmarshal(r *wire.Reader) {
	g.GroupContext.Unmarshal(r)
	g.Extensions.Unmarshal(r)
	g.ConfirmationTag = r.Opaque()
	g.Signer = treemath.LeafIndex(r.Uint32())
	g.Signature = r.Opaque()
}

const labelGroupInfo = "GroupInfoTBS"

func (g *GroupInfo) tbs() []byte {
	w := wire.NewWriter(512)
	g.marshalContent(w)
	return w.Bytes()
}

// Sign sets Signature (RFC 9420, Section 12.4.3).
func (g *GroupInfo) Sign(ctx context.Context, s *suite.Suite, key suite.SignatureKey) error {
	sig, err := key.Sign(ctx, s.SignContent(labelGroupInfo, g.tbs()))
	if err != nil {
		return err
	}
	g.Signature = sig
	return nil
}

// Verification returns the check of Signature under the signer's key (RFC 9420, Section 12.4.3).
func (g *GroupInfo) Verification(s *suite.Suite, publicKey []byte) suite.Verification {
	return suite.Verification{
		PublicKey: publicKey,
		Message:   s.SignContent(labelGroupInfo, g.tbs()),
		Signature: g.Signature,
	}
}

// GroupSecrets is RFC 9420, Section 12.4.3.1.
type GroupSecrets struct {
	JoinerSecret []byte // KDF.Nh bytes
	PathSecret   []byte // KDF.Nh bytes, or nil when the commit has no path
	PSKs         []PreSharedKeyID
}

// Marshal implements wire.Marshaler.
func (s *GroupSecrets) Marshal(w *wire.Writer) {
	w.Opaque(s.JoinerSecret)
	w.Optional(s.PathSecret != nil)
	if s.PathSecret != nil {
		w.Opaque(s.PathSecret)
	}
	marshalPSKs(w, s.PSKs)
}

// Unmarshal implements wire.Unmarshaler.
func (s *GroupSecrets) Unmarshal(r *wire.Reader) {
	s.JoinerSecret = r.Opaque()
	if r.Optional() {
		s.PathSecret = r.Opaque()
		if s.PathSecret == nil {
			s.PathSecret = []byte{} // present, though empty
		}
	}
	s.PSKs = unmarshalPSKs(r)
}

// EncryptedGroupSecrets is RFC 9420, Section 12.4.3.1.
type EncryptedGroupSecrets struct {
	NewMember             []byte // KeyPackageRef, KDF.Nh bytes
	EncryptedGroupSecrets suite.HPKECiphertext
}

// Welcome is RFC 9420, Section 12.4.3.1.
type Welcome struct {
	CipherSuite        suite.ID
	Secrets            []EncryptedGroupSecrets
	EncryptedGroupInfo []byte
}

// Marshal implements wire.Marshaler.
func (m *Welcome) Marshal(w *wire.Writer) {
	w.Uint16(uint16(m.CipherSuite))
	w.Vector(func(w *wire.Writer) {
		for i := range m.Secrets {
			w.Opaque(m.Secrets[i].NewMember)
			m.Secrets[i].EncryptedGroupSecrets.Marshal(w)
		}
	})
	w.Opaque(m.EncryptedGroupInfo)
}

// Unmarshal implements wire.Unmarshaler.
func (m *Welcome) Unmarshal(r *wire.Reader) {
	m.CipherSuite = suite.ID(r.Uint16())
	r.Vector(func(r *wire.Reader) {
		var s EncryptedGroupSecrets
		s.NewMember = r.Opaque()
		s.EncryptedGroupSecrets.Unmarshal(r)
		m.Secrets = append(m.Secrets, s)
	})
	m.EncryptedGroupInfo = r.Opaque()
}
