package message

import (
	"context"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Sender is RFC 9420, Section 6.
type Sender struct {
	Type  SenderType
	Leaf  treemath.LeafIndex // SenderMember
	Index uint32             // SenderExternal: an index of external_senders
}

// Marshal implements wire.Marshaler.
func (s *Sender) Marshal(w *wire.Writer) {
	w.Uint8(uint8(s.Type))
	switch s.Type {
	case SenderMember:
		w.Uint32(uint32(s.Leaf))
	case SenderExternal:
		w.Uint32(s.Index)
	}
}

// Unmarshal implements wire.Unmarshaler.
func (s *Sender) Unmarshal(r *wire.Reader) {
	s.Type = SenderType(r.Uint8())
	switch s.Type {
	case SenderMember:
		s.Leaf = treemath.LeafIndex(r.Uint32())
	case SenderExternal:
		s.Index = r.Uint32()
	case SenderNewMemberProposal, SenderNewMemberCommit:
	default:
		r.Malformed("sender type")
	}
}

// FramedContent is RFC 9420, Section 6. Which of the last three fields is set
// depends on ContentType.
type FramedContent struct {
	GroupID           []byte
	Epoch             uint64
	Sender            Sender
	AuthenticatedData []byte
	ContentType       ContentType
	ApplicationData   []byte
	Proposal          *Proposal
	Commit            *Commit
}

// MarshalContent writes the part that ContentType selects: what PrivateMessage
// encrypts first (RFC 9420, Section 6.3.1).
func (c *FramedContent) MarshalContent(w *wire.Writer) {
	switch c.ContentType {
	case ContentTypeApplication:
		w.Opaque(c.ApplicationData)
	case ContentTypeProposal:
		c.Proposal.Marshal(w)
	case ContentTypeCommit:
		c.Commit.Marshal(w)
	}
}

// UnmarshalContent reads the part that ContentType selects.
func (c *FramedContent) UnmarshalContent(r *wire.Reader) {
	switch c.ContentType {
	case ContentTypeApplication:
		c.ApplicationData = r.Opaque()
	case ContentTypeProposal:
		c.Proposal = new(Proposal)
		c.Proposal.Unmarshal(r)
	case ContentTypeCommit:
		c.Commit = new(Commit)
		c.Commit.Unmarshal(r)
	default:
		r.Malformed("content type")
	}
}

// Marshal implements wire.Marshaler.
func (c *FramedContent) Marshal(w *wire.Writer) {
	w.Opaque(c.GroupID)
	w.Uint64(c.Epoch)
	c.Sender.Marshal(w)
	w.Opaque(c.AuthenticatedData)
	w.Uint8(uint8(c.ContentType))
	c.MarshalContent(w)
}

// Unmarshal implements wire.Unmarshaler.
func (c *FramedContent) Unmarshal(r *wire.Reader) {
	c.GroupID = r.Opaque()
	c.Epoch = r.Uint64()
	c.Sender.Unmarshal(r)
	c.AuthenticatedData = r.Opaque()
	c.ContentType = ContentType(r.Uint8())
	c.UnmarshalContent(r)
}

// FramedContentAuthData is RFC 9420, Section 6.1.
type FramedContentAuthData struct {
	Signature       []byte
	ConfirmationTag []byte // ContentTypeCommit: KDF.Nh bytes
}

// MarshalFor writes the encoding that goes with a content type.
func (a *FramedContentAuthData) MarshalFor(w *wire.Writer, t ContentType) {
	w.Opaque(a.Signature)
	if t == ContentTypeCommit {
		w.Opaque(a.ConfirmationTag)
	}
}

// UnmarshalFor reads the encoding that goes with a content type.
func (a *FramedContentAuthData) UnmarshalFor(r *wire.Reader, t ContentType) {
	a.Signature = r.Opaque()
	if t == ContentTypeCommit {
		a.ConfirmationTag = r.Opaque()
	}
}

// AuthenticatedContent is RFC 9420, Section 6.
type AuthenticatedContent struct {
	WireFormat WireFormat
	Content    FramedContent
	Auth       FramedContentAuthData
	// encoded is, of a commit, the encoding of the first two, where it was made to
	// be signed or verified. They do not change after that.
	encoded []byte
}

// Marshal implements wire.Marshaler.
func (a *AuthenticatedContent) Marshal(w *wire.Writer) {
	w.Uint16(uint16(a.WireFormat))
	a.Content.Marshal(w)
	a.Auth.MarshalFor(w, a.Content.ContentType)
}

// Unmarshal implements wire.Unmarshaler.
func (a *AuthenticatedContent) Unmarshal(r *wire.Reader) {
	a.WireFormat = WireFormat(r.Uint16())
	a.Content.Unmarshal(r)
	a.Auth.UnmarshalFor(r, a.Content.ContentType)
}

const labelFramedContent = "FramedContentTBS"

// TBS is FramedContentTBS (RFC 9420, Section 6.1). The group context is part
// of it for senders of type member and new_member_commit.
func (a *AuthenticatedContent) TBS(group *GroupContext) []byte {
	w := wire.NewWriter(a.roomTBS(group))
	a.marshalTBS(w, group)
	return w.Bytes()
}

// signContent is the SignContent of TBS, written once: a chat message is signed
// in the one buffer that it is copied to.
func (a *AuthenticatedContent) signContent(s *suite.Suite, group *GroupContext) []byte {
	w := wire.NewWriter(suite.SignContentRoom + a.roomTBS(group))
	w.Zeros(suite.SignContentRoom)
	a.marshalTBS(w, group)
	return s.SignContentIn(labelFramedContent, w.Bytes())
}

// roomTBS is what TBS takes at most for application data and for a path, in bytes;
// proposals may make the buffer grow.
func (a *AuthenticatedContent) roomTBS(group *GroupContext) int {
	n := 64 + len(a.Content.GroupID) + len(a.Content.AuthenticatedData) + len(a.Content.ApplicationData)
	if a.Content.Commit != nil && a.Content.Commit.Path != nil {
		n += a.Content.Commit.Path.room()
	}
	if group != nil {
		n += 32 + len(group.GroupID) + len(group.TreeHash) + len(group.ConfirmedTranscriptHash)
		for i := range group.Extensions {
			n += 8 + len(group.Extensions[i].Data)
		}
	}
	return n
}

func (a *AuthenticatedContent) marshalTBS(w *wire.Writer, group *GroupContext) {
	w.Uint16(uint16(MLS10))
	start := w.Len()
	w.Uint16(uint16(a.WireFormat))
	a.Content.Marshal(w)
	if a.Content.ContentType == ContentTypeCommit {
		a.encoded = w.Bytes()[start:]
	}
	switch a.Content.Sender.Type {
	case SenderMember, SenderNewMemberCommit:
		group.Marshal(w)
	}
}

// TBM is AuthenticatedContentTBM (RFC 9420, Section 6.2): what the membership
// tag covers.
func (a *AuthenticatedContent) TBM(group *GroupContext) []byte {
	w := wire.NewWriter(640)
	a.marshalTBS(w, group)
	a.Auth.MarshalFor(w, a.Content.ContentType)
	return w.Bytes()
}

// Sign sets Auth.Signature (RFC 9420, Section 6.1) and returns what it is over,
// the SignContent that Verification has. group is the context of the epoch in
// which the content is sent.
func (a *AuthenticatedContent) Sign(ctx context.Context, s *suite.Suite, key suite.SignatureKey, group *GroupContext) (signed []byte, err error) {
	list, err := SignAll(ctx, s, []*AuthenticatedContent{a}, key, group)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// SignAll is Sign for each of a list, with one call of key.
func SignAll(ctx context.Context, s *suite.Suite, list []*AuthenticatedContent, key suite.SignatureKey, group *GroupContext) (signed [][]byte, err error) {
	signed = make([][]byte, len(list))
	for i, a := range list {
		signed[i] = a.signContent(s, group)
	}
	signatures, err := key.SignAll(ctx, signed)
	if err != nil {
		return nil, err
	}
	for i, a := range list {
		a.Auth.Signature = signatures[i]
	}
	return signed, nil
}

// Verification returns the check of Auth.Signature under publicKey (RFC 9420, Section 6.1).
func (a *AuthenticatedContent) Verification(s *suite.Suite, publicKey []byte, group *GroupContext) suite.Verification {
	return suite.Verification{
		PublicKey: publicKey,
		Message:   a.signContent(s, group),
		Signature: a.Auth.Signature,
	}
}

// ConfirmedTranscriptHashInput is RFC 9420, Section 8.2, in parts: what was
// signed is not encoded again.
func (a *AuthenticatedContent) ConfirmedTranscriptHashInput() (content, signature []byte) {
	if content = a.encoded; content == nil {
		w := wire.NewWriter(512)
		w.Uint16(uint16(a.WireFormat))
		a.Content.Marshal(w)
		content = w.Bytes()
	}
	w := wire.NewWriter(4 + len(a.Auth.Signature))
	w.Opaque(a.Auth.Signature)
	return content, w.Bytes()
}

// PublicMessage is RFC 9420, Section 6.2.
type PublicMessage struct {
	Content       FramedContent
	Auth          FramedContentAuthData
	MembershipTag []byte // SenderMember: KDF.Nh bytes
}

// Marshal implements wire.Marshaler.
func (m *PublicMessage) Marshal(w *wire.Writer) {
	m.Content.Marshal(w)
	m.Auth.MarshalFor(w, m.Content.ContentType)
	if m.Content.Sender.Type == SenderMember {
		w.Opaque(m.MembershipTag)
	}
}

// Unmarshal implements wire.Unmarshaler.
func (m *PublicMessage) Unmarshal(r *wire.Reader) {
	m.Content.Unmarshal(r)
	m.Auth.UnmarshalFor(r, m.Content.ContentType)
	if m.Content.Sender.Type == SenderMember {
		m.MembershipTag = r.Opaque()
	}
}

// Authenticated returns the content in the form that is signed and hashed.
func (m *PublicMessage) Authenticated() *AuthenticatedContent {
	return &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: m.Content, Auth: m.Auth}
}

// PrivateMessage is RFC 9420, Section 6.3.
type PrivateMessage struct {
	GroupID             []byte
	Epoch               uint64
	ContentType         ContentType
	AuthenticatedData   []byte
	EncryptedSenderData []byte
	Ciphertext          []byte
}

// Size is what the encoding of an MLSMessage with m takes at most, in bytes.
func (m *PrivateMessage) Size() int {
	return len(m.GroupID) + len(m.AuthenticatedData) + len(m.EncryptedSenderData) + len(m.Ciphertext) + 32
}

// Marshal implements wire.Marshaler.
func (m *PrivateMessage) Marshal(w *wire.Writer) {
	w.Opaque(m.GroupID)
	w.Uint64(m.Epoch)
	w.Uint8(uint8(m.ContentType))
	w.Opaque(m.AuthenticatedData)
	w.Opaque(m.EncryptedSenderData)
	w.Opaque(m.Ciphertext)
}

// Unmarshal implements wire.Unmarshaler.
func (m *PrivateMessage) Unmarshal(r *wire.Reader) {
	m.GroupID = r.Opaque()
	m.Epoch = r.Uint64()
	m.ContentType = unmarshalContentType(r)
	m.AuthenticatedData = r.Opaque()
	m.EncryptedSenderData = r.Opaque()
	m.Ciphertext = r.Opaque()
}

func unmarshalContentType(r *wire.Reader) ContentType {
	t := ContentType(r.Uint8())
	if r.Err() == nil && (t < ContentTypeApplication || t > ContentTypeCommit) {
		r.Malformed("content type")
	}
	return t
}

// MarshalContentAAD writes PrivateContentAAD (RFC 9420, Section 6.3.1).
func (m *PrivateMessage) MarshalContentAAD(w *wire.Writer) {
	w.Opaque(m.GroupID)
	w.Uint64(m.Epoch)
	w.Uint8(uint8(m.ContentType))
	w.Opaque(m.AuthenticatedData)
}

// MarshalSenderDataAAD writes SenderDataAAD (RFC 9420, Section 6.3.2).
func (m *PrivateMessage) MarshalSenderDataAAD(w *wire.Writer) {
	w.Opaque(m.GroupID)
	w.Uint64(m.Epoch)
	w.Uint8(uint8(m.ContentType))
}

// SenderData is RFC 9420, Section 6.3.2.
type SenderData struct {
	Leaf       treemath.LeafIndex
	Generation uint32
	ReuseGuard [4]byte
}

// Marshal implements wire.Marshaler.
func (d *SenderData) Marshal(w *wire.Writer) {
	w.Uint32(uint32(d.Leaf))
	w.Uint32(d.Generation)
	w.Raw(d.ReuseGuard[:])
}

// Unmarshal implements wire.Unmarshaler.
func (d *SenderData) Unmarshal(r *wire.Reader) {
	d.Leaf = treemath.LeafIndex(r.Uint32())
	d.Generation = r.Uint32()
	copy(d.ReuseGuard[:], r.Raw(4))
}

// MLSMessage is RFC 9420, Section 6. Which field is set depends on WireFormat.
type MLSMessage struct {
	WireFormat WireFormat
	Public     *PublicMessage
	Private    *PrivateMessage
	Welcome    *Welcome
	GroupInfo  *GroupInfo
	KeyPackage *KeyPackage
}

// Marshal implements wire.Marshaler.
func (m *MLSMessage) Marshal(w *wire.Writer) {
	w.Uint16(uint16(MLS10))
	w.Uint16(uint16(m.WireFormat))
	switch m.WireFormat {
	case WireFormatPublicMessage:
		m.Public.Marshal(w)
	case WireFormatPrivateMessage:
		m.Private.Marshal(w)
	case WireFormatWelcome:
		m.Welcome.Marshal(w)
	case WireFormatGroupInfo:
		m.GroupInfo.Marshal(w)
	case WireFormatKeyPackage:
		m.KeyPackage.Marshal(w)
	}
}

// Unmarshal implements wire.Unmarshaler. Codes: UNKNOWN_VERSION, UNKNOWN_WIRE_FORMAT (D5).
func (m *MLSMessage) Unmarshal(r *wire.Reader) {
	m.WireFormat = unmarshalHeader(r)
	switch m.WireFormat {
	case WireFormatPublicMessage:
		m.Public = new(PublicMessage)
		m.Public.Unmarshal(r)
	case WireFormatPrivateMessage:
		m.Private = new(PrivateMessage)
		m.Private.Unmarshal(r)
	case WireFormatWelcome:
		m.Welcome = new(Welcome)
		m.Welcome.Unmarshal(r)
	case WireFormatGroupInfo:
		m.GroupInfo = new(GroupInfo)
		m.GroupInfo.Unmarshal(r)
	case WireFormatKeyPackage:
		m.KeyPackage = new(KeyPackage)
		m.KeyPackage.Unmarshal(r)
	}
}

// unmarshalHeader reads the version and the wire format of an MLSMessage.
func unmarshalHeader(r *wire.Reader) WireFormat {
	version := ProtocolVersion(r.Uint16())
	format := WireFormat(r.Uint16())
	switch {
	case r.Err() != nil:
	case version != MLS10:
		r.Fail(mlserr.New(mlserr.UnknownVersion, "D5"))
	case format < WireFormatPublicMessage || format > WireFormatKeyPackage:
		r.Fail(mlserr.New(mlserr.UnknownWireFormat, "D5"))
	}
	return format
}

// Parse decodes one MLSMessage and refuses trailing bytes. The message aliases b.
func Parse(b []byte) (*MLSMessage, error) {
	m := new(MLSMessage)
	if err := wire.Unmarshal(b, m); err != nil {
		return nil, err
	}
	return m, nil
}
