package message

import (
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// GroupContext is RFC 9420, Section 8.1.
type GroupContext struct {
	Version                 ProtocolVersion
	CipherSuite             suite.ID
	GroupID                 []byte
	Epoch                   uint64
	TreeHash                []byte // KDF.Nh bytes
	ConfirmedTranscriptHash []byte // KDF.Nh bytes, empty in epoch 0
	Extensions              Extensions
}

// Marshal implements wire.Marshaler.
func (c *GroupContext) Marshal(w *wire.Writer) {
	w.Uint16(uint16(c.Version))
	w.Uint16(uint16(c.CipherSuite))
	w.Opaque(c.GroupID)
	w.Uint64(c.Epoch)
	w.Opaque(c.TreeHash)
	w.Opaque(c.ConfirmedTranscriptHash)
	c.Extensions.Marshal(w)
}

// Unmarshal implements wire.Unmarshaler. Code: UNKNOWN_VERSION.
func (c *GroupContext) Unmarshal(r *wire.Reader) {
	c.Version = ProtocolVersion(r.Uint16())
	if r.Err() == nil && c.Version != MLS10 {
		r.Fail(mlserr.New(mlserr.UnknownVersion, "group context"))
		return
	}
	c.CipherSuite = suite.ID(r.Uint16())
	c.GroupID = r.Opaque()
	c.Epoch = r.Uint64()
	c.TreeHash = r.Opaque()
	c.ConfirmedTranscriptHash = r.Opaque()
	c.Extensions.Unmarshal(r)
}
