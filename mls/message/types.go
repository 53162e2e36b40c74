// Package message holds the structs of RFC 9420 as data: key packages and leaf
// nodes (Sections 5.3, 7.2, 10), proposals, commits and welcomes (Sections 7.6,
// 8.1, 12), framing (Section 6), the extensions that carry a struct (Sections
// 11.1, 12.1.8, 12.4.3), and what each of them signs.
//
// It owns encoding, decoding and the to-be-signed forms. It knows no state of a
// group: whether a value is right in its place is decided above.
//
// Decoded values alias the input, and are treated as immutable once they are
// decoded or signed.
package message

import "webmls/mls/wire"

// ProtocolVersion is RFC 9420, Section 6.
type ProtocolVersion uint16

// MLS10 is the version of RFC 9420.
const MLS10 ProtocolVersion = 1

// WireFormat is RFC 9420, Section 6 and 17.2.
type WireFormat uint16

// Wire formats.
const (
	WireFormatPublicMessage  WireFormat = 1
	WireFormatPrivateMessage WireFormat = 2
	WireFormatWelcome        WireFormat = 3
	WireFormatGroupInfo      WireFormat = 4
	WireFormatKeyPackage     WireFormat = 5
)

// ContentType is RFC 9420, Section 6.
type ContentType uint8

// Content types.
const (
	ContentTypeApplication ContentType = 1
	ContentTypeProposal    ContentType = 2
	ContentTypeCommit      ContentType = 3
)

// SenderType is RFC 9420, Section 6.
type SenderType uint8

// Sender types.
const (
	SenderMember            SenderType = 1
	SenderExternal          SenderType = 2
	SenderNewMemberProposal SenderType = 3
	SenderNewMemberCommit   SenderType = 4
)

// ProposalType is RFC 9420, Section 12.1 and 17.4.
type ProposalType uint16

// Proposal types.
const (
	ProposalAdd                    ProposalType = 1
	ProposalUpdate                 ProposalType = 2
	ProposalRemove                 ProposalType = 3
	ProposalPSK                    ProposalType = 4
	ProposalReInit                 ProposalType = 5
	ProposalExternalInit           ProposalType = 6
	ProposalGroupContextExtensions ProposalType = 7
)

// IsDefault reports whether every client of RFC 9420 supports the type, so
// that capabilities must not list it (Section 7.2).
func (t ProposalType) IsDefault() bool {
	return t >= ProposalAdd && t <= ProposalGroupContextExtensions
}

// ExtensionType is RFC 9420, Section 13.4 and 17.3.
type ExtensionType uint16

// Extension types.
const (
	ExtensionApplicationID        ExtensionType = 1
	ExtensionRatchetTree          ExtensionType = 2
	ExtensionRequiredCapabilities ExtensionType = 3
	ExtensionExternalPub          ExtensionType = 4
	ExtensionExternalSenders      ExtensionType = 5
)

// IsDefault reports whether every client of RFC 9420 supports the type, so
// that capabilities must not list it (Section 7.2).
func (t ExtensionType) IsDefault() bool {
	return t >= ExtensionApplicationID && t <= ExtensionExternalSenders
}

// CredentialType is RFC 9420, Section 5.3 and 17.5.
type CredentialType uint16

// Credential types.
const (
	CredentialBasic CredentialType = 1
	CredentialX509  CredentialType = 2
)

// LeafNodeSource is RFC 9420, Section 7.2.
type LeafNodeSource uint8

// Leaf node sources.
const (
	LeafNodeSourceKeyPackage LeafNodeSource = 1
	LeafNodeSourceUpdate     LeafNodeSource = 2
	LeafNodeSourceCommit     LeafNodeSource = 3
)

// PSKType is RFC 9420, Section 8.4.
type PSKType uint8

// Types of pre-shared keys.
const (
	PSKExternal   PSKType = 1
	PSKResumption PSKType = 2
)

// ResumptionPSKUsage is RFC 9420, Section 8.4.
type ResumptionPSKUsage uint8

// Usages of resumption PSKs.
const (
	ResumptionApplication ResumptionPSKUsage = 1
	ResumptionReInit      ResumptionPSKUsage = 2
	ResumptionBranch      ResumptionPSKUsage = 3
)

// marshalUint16s writes a vector<V> of 16-bit values.
func marshalUint16s[T ~uint16](w *wire.Writer, list []T) {
	w.Vector(func(w *wire.Writer) {
		for _, v := range list {
			w.Uint16(uint16(v))
		}
	})
}

// unmarshalUint16s reads a vector<V> of 16-bit values.
func unmarshalUint16s[T ~uint16](r *wire.Reader) []T {
	body := r.Opaque()
	if len(body)%2 != 0 {
		r.Malformed("vector of uint16 with an odd length")
		return nil
	}
	if len(body) == 0 {
		return nil
	}
	list := make([]T, len(body)/2)
	for i := range list {
		list[i] = T(uint16(body[2*i])<<8 | uint16(body[2*i+1]))
	}
	return list
}
