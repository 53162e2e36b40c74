package message

import (
	"context"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// KeyPackage is RFC 9420, Section 10.
type KeyPackage struct {
	Version     ProtocolVersion
	CipherSuite suite.ID
	InitKey     []byte // HPKEPublicKey
	LeafNode    LeafNode
	Extensions  Extensions
	Signature   []byte
}

func (p *KeyPackage) marshalContent(w *wire.Writer) {
	w.Uint16(uint16(p.Version))
	w.Uint16(uint16(p.CipherSuite))
	w.Opaque(p.InitKey)
	p.LeafNode.Marshal(w)
	p.Extensions.Marshal(w)
}

// Marshal implements wire.Marshaler.
func (p *KeyPackage) Marshal(w *wire.Writer) {
	p.marshalContent(w)
	w.Opaque(p.Signature)
}

// Unmarshal implements wire.Unmarshaler. An MLSMessage around it can have one
// version only, so that this is also the key package's (K6). Code: UNKNOWN_VERSION.
func (p *KeyPackage) Unmarshal(r *wire.Reader) {
	p.Version = ProtocolVersion(r.Uint16())
	if r.Err() == nil && p.Version != MLS10 {
		r.Fail(mlserr.New(mlserr.UnknownVersion, "K6: key package"))
		return
	}
	p.CipherSuite = suite.ID(r.Uint16())
	p.InitKey = r.Opaque()
	p.LeafNode.Unmarshal(r)
	p.Extensions.Unmarshal(r)
	p.Signature = r.Opaque()
}

const labelKeyPackage = "KeyPackageTBS"

func (p *KeyPackage) tbs() []byte {
	w := wire.NewWriter(640)
	p.marshalContent(w)
	return w.Bytes()
}

// Sign sets Signature (RFC 9420, Section 10).
func (p *KeyPackage) Sign(ctx context.Context, s *suite.Suite, key suite.SignatureKey) error {
	sig, err := key.Sign(ctx, s.SignContent(labelKeyPackage, p.tbs()))
	if err != nil {
		return err
	}
	p.Signature = sig
	return nil
}

// Verification returns the check of Signature under the leaf node's signature
// key (RFC 9420, Section 10.1).
func (p *KeyPackage) Verification(s *suite.Suite) suite.Verification {
	return suite.Verification{
		PublicKey: p.LeafNode.SignatureKey,
		Message:   s.SignContent(labelKeyPackage, p.tbs()),
		Signature: p.Signature,
	}
}

// Ref returns the KeyPackageRef (RFC 9420, Section 5.2), KDF.Nh bytes.
func (p *KeyPackage) Ref(s *suite.Suite) []byte { return s.KeyPackageRef(wire.Marshal(p)) }
