package message

import (
	"context"
	"slices"

	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Capabilities is RFC 9420, Section 7.2.
type Capabilities struct {
	Versions     []ProtocolVersion
	CipherSuites []suite.ID
	Extensions   []ExtensionType
	Proposals    []ProposalType
	Credentials  []CredentialType
}

// Marshal implements wire.Marshaler.
func (c *Capabilities) Marshal(w *wire.Writer) {
	marshalUint16s(w, c.Versions)
	marshalUint16s(w, c.CipherSuites)
	marshalUint16s(w, c.Extensions)
	marshalUint16s(w, c.Proposals)
	marshalUint16s(w, c.Credentials)
}

// Unmarshal implements wire.Unmarshaler.
func (c *Capabilities) Unmarshal(r *wire.Reader) {
	c.Versions = unmarshalUint16s[ProtocolVersion](r)
	c.CipherSuites = unmarshalUint16s[suite.ID](r)
	c.Extensions = unmarshalUint16s[ExtensionType](r)
	c.Proposals = unmarshalUint16s[ProposalType](r)
	c.Credentials = unmarshalUint16s[CredentialType](r)
}

// HasExtension reports whether the extension type is supported: listed, or a default type.
func (c *Capabilities) HasExtension(t ExtensionType) bool {
	return t.IsDefault() || slices.Contains(c.Extensions, t)
}

// HasProposal reports whether the proposal type is supported: listed, or a default type.
func (c *Capabilities) HasProposal(t ProposalType) bool {
	return t.IsDefault() || slices.Contains(c.Proposals, t)
}

// HasCredential reports whether the credential type is listed.
func (c *Capabilities) HasCredential(t CredentialType) bool {
	return slices.Contains(c.Credentials, t)
}

// Meets reports whether the capabilities hold all that is required (RFC 9420, Section 11.1).
func (c *Capabilities) Meets(required *RequiredCapabilities) bool {
	if required == nil {
		return true
	}
	for _, t := range required.Extensions {
		if !c.HasExtension(t) {
			return false
		}
	}
	for _, t := range required.Proposals {
		if !c.HasProposal(t) {
			return false
		}
	}
	for _, t := range required.Credentials {
		if !c.HasCredential(t) {
			return false
		}
	}
	return true
}

// Lifetime is RFC 9420, Section 7.2, in seconds since the Unix epoch.
type Lifetime struct {
	NotBefore uint64
	NotAfter  uint64
}

// LeafNode is RFC 9420, Section 7.2.
type LeafNode struct {
	EncryptionKey []byte // HPKEPublicKey
	SignatureKey  []byte // SignaturePublicKey
	Credential    Credential
	Capabilities  Capabilities
	Source        LeafNodeSource
	Lifetime      Lifetime // LeafNodeSourceKeyPackage
	ParentHash    []byte   // LeafNodeSourceCommit
	Extensions    Extensions
	Signature     []byte
}

func (n *LeafNode) marshalContent(w *wire.Writer) {
	w.Opaque(n.EncryptionKey)
	w.Opaque(n.SignatureKey)
	n.Credential.Marshal(w)
	n.Capabilities.Marshal(w)
	w.Uint8(uint8(n.Source))
	switch n.Source {
	case LeafNodeSourceKeyPackage:
		w.Uint64(n.Lifetime.NotBefore)
		w.Uint64(n.Lifetime.NotAfter)
	case LeafNodeSourceCommit:
		w.Opaque(n.ParentHash)
	}
	n.Extensions.Marshal(w)
}

// Marshal implements wire.Marshaler.
func (n *LeafNode) Marshal(w *wire.Writer) {
	n.marshalContent(w)
	w.Opaque(n.Signature)
}

// Unmarshal implements wire.Unmarshaler.
func (n *LeafNode) Unmarshal(r *wire.Reader) {
	n.EncryptionKey = r.Opaque()
	n.SignatureKey = r.Opaque()
	n.Credential.Unmarshal(r)
	n.Capabilities.Unmarshal(r)
	n.Source = LeafNodeSource(r.Uint8())
	switch n.Source {
	case LeafNodeSourceKeyPackage:
		n.Lifetime.NotBefore = r.Uint64()
		n.Lifetime.NotAfter = r.Uint64()
	case LeafNodeSourceUpdate:
	case LeafNodeSourceCommit:
		n.ParentHash = r.Opaque()
	default:
		r.Malformed("leaf node source")
	}
	n.Extensions.Unmarshal(r)
	n.Signature = r.Opaque()
}

const labelLeafNode = "LeafNodeTBS"

// tbs is LeafNodeTBS (RFC 9420, Section 7.2). groupID and leaf are part of it
// for the sources update and commit only.
func (n *LeafNode) tbs(groupID []byte, leaf treemath.LeafIndex) []byte {
	w := wire.NewWriter(512)
	n.marshalContent(w)
	if n.Source != LeafNodeSourceKeyPackage {
		w.Opaque(groupID)
		w.Uint32(uint32(leaf))
	}
	return w.Bytes()
}

// Sign sets Signature. key must be the private half of SignatureKey. groupID
// and leaf matter for the sources update and commit only (RFC 9420, Section 7.2).
func (n *LeafNode) Sign(ctx context.Context, s *suite.Suite, key suite.SignatureKey, groupID []byte, leaf treemath.LeafIndex) error {
	sig, err := key.Sign(ctx, s.SignContent(labelLeafNode, n.tbs(groupID, leaf)))
	if err != nil {
		return err
	}
	n.Signature = sig
	return nil
}

// Verification returns the check of Signature under the leaf's own key (RFC 9420, Section 7.3).
func (n *LeafNode) Verification(s *suite.Suite, groupID []byte, leaf treemath.LeafIndex) suite.Verification {
	return suite.Verification{
		PublicKey: n.SignatureKey,
		Message:   s.SignContent(labelLeafNode, n.tbs(groupID, leaf)),
		Signature: n.Signature,
	}
}
