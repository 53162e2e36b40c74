package message

import (
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Proposal is RFC 9420, Section 12.1. Which field is set depends on Type.
type Proposal struct {
	Type         ProposalType
	Add          *KeyPackage
	Update       *LeafNode
	Remove       treemath.LeafIndex
	PSK          *PreSharedKeyID
	ReInit       *ReInit
	ExternalInit []byte     // the kem_output
	Extensions   Extensions // ProposalGroupContextExtensions
	// Custom is the body of any other type, which this module carries as one
	// opaque<V>, as the other implementations do.
	Custom []byte
}

// ReInit is RFC 9420, Section 12.1.5.
type ReInit struct {
	GroupID     []byte
	Version     ProtocolVersion
	CipherSuite suite.ID
	Extensions  Extensions
}

// Marshal implements wire.Marshaler.
func (p *Proposal) Marshal(w *wire.Writer) {
	w.Uint16(uint16(p.Type))
	switch p.Type {
	case ProposalAdd:
		p.Add.Marshal(w)
	case ProposalUpdate:
		p.Update.Marshal(w)
	case ProposalRemove:
		w.Uint32(uint32(p.Remove))
	case ProposalPSK:
		p.PSK.Marshal(w)
	case ProposalReInit:
		w.Opaque(p.ReInit.GroupID)
		w.Uint16(uint16(p.ReInit.Version))
		w.Uint16(uint16(p.ReInit.CipherSuite))
		p.ReInit.Extensions.Marshal(w)
	case ProposalExternalInit:
		w.Opaque(p.ExternalInit)
	case ProposalGroupContextExtensions:
		p.Extensions.Marshal(w)
	default:
		w.Opaque(p.Custom)
	}
}

// Unmarshal implements wire.Unmarshaler.
func (p *Proposal) Unmarshal(r *wire.Reader) {
	p.Type = ProposalType(r.Uint16())
	switch p.Type {
	case ProposalAdd:
		p.Add = new(KeyPackage)
		p.Add.Unmarshal(r)
	case ProposalUpdate:
		p.Update = new(LeafNode)
		p.Update.Unmarshal(r)
	case ProposalRemove:
		p.Remove = treemath.LeafIndex(r.Uint32())
	case ProposalPSK:
		p.PSK = new(PreSharedKeyID)
		p.PSK.Unmarshal(r)
	case ProposalReInit:
		p.ReInit = new(ReInit)
		p.ReInit.GroupID = r.Opaque()
		p.ReInit.Version = ProtocolVersion(r.Uint16())
		p.ReInit.CipherSuite = suite.ID(r.Uint16())
		p.ReInit.Extensions.Unmarshal(r)
	case ProposalExternalInit:
		p.ExternalInit = r.Opaque()
	case ProposalGroupContextExtensions:
		p.Extensions.Unmarshal(r)
	case 0:
		r.Malformed("proposal type 0")
	default:
		p.Custom = r.Opaque()
	}
}

// ProposalOrRef is RFC 9420, Section 12.4: a proposal by value, or by reference
// when Proposal is nil.
type ProposalOrRef struct {
	Proposal  *Proposal
	Reference []byte // KDF.Nh bytes
}

const (
	proposalOrRefProposal  = 1
	proposalOrRefReference = 2
)

// Marshal implements wire.Marshaler.
func (p *ProposalOrRef) Marshal(w *wire.Writer) {
	if p.Proposal != nil {
		w.Uint8(proposalOrRefProposal)
		p.Proposal.Marshal(w)
		return
	}
	w.Uint8(proposalOrRefReference)
	w.Opaque(p.Reference)
}

// Unmarshal implements wire.Unmarshaler.
func (p *ProposalOrRef) Unmarshal(r *wire.Reader) {
	switch r.Uint8() {
	case proposalOrRefProposal:
		p.Proposal = new(Proposal)
		p.Proposal.Unmarshal(r)
	case proposalOrRefReference:
		p.Reference = r.Opaque()
	default:
		r.Malformed("ProposalOrRef type")
	}
}
