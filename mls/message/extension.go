package message

import (
	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// Extension is RFC 9420, Section 13.4.
type Extension struct {
	Type ExtensionType
	Data []byte
}

// Extensions is a list of extensions, of which no two have one type.
type Extensions []Extension

// Find returns the data of the extension of a type.
func (list Extensions) Find(t ExtensionType) (data []byte, ok bool) {
	for i := range list {
		if list[i].Type == t {
			return list[i].Data, true
		}
	}
	return nil, false
}

// Unique reports whether no two extensions have one type (D7; RFC 9420, Section 13.4).
func (list Extensions) Unique() bool {
	if len(list) < 2 {
		return true
	}
	seen := make(map[ExtensionType]struct{}, len(list))
	for i := range list {
		if _, dup := seen[list[i].Type]; dup {
			return false
		}
		seen[list[i].Type] = struct{}{}
	}
	return true
}

// Marshal implements wire.Marshaler.
func (list Extensions) Marshal(w *wire.Writer) {
	w.Vector(func(w *wire.Writer) {
		for i := range list {
			w.Uint16(uint16(list[i].Type))
			w.Opaque(list[i].Data)
		}
	})
}

// Unmarshal implements wire.Unmarshaler. Code: DUPLICATE_EXTENSION.
func (list *Extensions) Unmarshal(r *wire.Reader) {
	r.Vector(func(r *wire.Reader) {
		if len(*list) > int(^ExtensionType(0)) {
			// There are no more types than these: read no further.
			r.Fail(mlserr.New(mlserr.DuplicateExtension, "D7"))
			return
		}
		*list = append(*list, Extension{Type: ExtensionType(r.Uint16()), Data: r.Opaque()})
	})
	if r.Err() == nil && !list.Unique() {
		r.Fail(mlserr.New(mlserr.DuplicateExtension, "D7"))
	}
}

// RequiredCapabilities is RFC 9420, Section 11.1.
type RequiredCapabilities struct {
	Extensions  []ExtensionType
	Proposals   []ProposalType
	Credentials []CredentialType
}

// Marshal implements wire.Marshaler.
func (c *RequiredCapabilities) Marshal(w *wire.Writer) {
	marshalUint16s(w, c.Extensions)
	marshalUint16s(w, c.Proposals)
	marshalUint16s(w, c.Credentials)
}

// Unmarshal implements wire.Unmarshaler.
func (c *RequiredCapabilities) Unmarshal(r *wire.Reader) {
	c.Extensions = unmarshalUint16s[ExtensionType](r)
	c.Proposals = unmarshalUint16s[ProposalType](r)
	c.Credentials = unmarshalUint16s[CredentialType](r)
}

// RequiredCapabilities decodes the required_capabilities extension. It returns
// nil when the list has none (RFC 9420, Section 11.1).
func (list Extensions) RequiredCapabilities() (*RequiredCapabilities, error) {
	data, ok := list.Find(ExtensionRequiredCapabilities)
	if !ok {
		return nil, nil
	}
	c := new(RequiredCapabilities)
	if err := wire.Unmarshal(data, c); err != nil {
		return nil, err
	}
	return c, nil
}

// ExternalSender is RFC 9420, Section 12.1.8.1.
type ExternalSender struct {
	SignatureKey []byte
	Credential   Credential
}

// ExternalSenderList is the content of the external_senders extension.
type ExternalSenderList []ExternalSender

// Marshal implements wire.Marshaler.
func (list ExternalSenderList) Marshal(w *wire.Writer) {
	w.Vector(func(w *wire.Writer) {
		for i := range list {
			w.Opaque(list[i].SignatureKey)
			list[i].Credential.Marshal(w)
		}
	})
}

// Unmarshal implements wire.Unmarshaler.
func (list *ExternalSenderList) Unmarshal(r *wire.Reader) {
	r.Vector(func(r *wire.Reader) {
		var s ExternalSender
		s.SignatureKey = r.Opaque()
		s.Credential.Unmarshal(r)
		*list = append(*list, s)
	})
}

// ExternalSenders decodes the external_senders extension. It returns nil when
// the list has none (RFC 9420, Section 12.1.8.1).
func (list Extensions) ExternalSenders() (ExternalSenderList, error) {
	data, ok := list.Find(ExtensionExternalSenders)
	if !ok {
		return nil, nil
	}
	var senders ExternalSenderList
	if err := wire.Unmarshal(data, &senders); err != nil {
		return nil, err
	}
	return senders, nil
}

// opaqueExtension decodes an extension whose content is one opaque<V>.
func (list Extensions) opaqueExtension(t ExtensionType) (content []byte, ok bool, err error) {
	data, ok := list.Find(t)
	if !ok {
		return nil, false, nil
	}
	r := wire.NewReader(data)
	content = r.Opaque()
	return content, true, r.Finish()
}

func newOpaqueExtension(t ExtensionType, content []byte) Extension {
	var w wire.Writer
	w.Opaque(content)
	return Extension{Type: t, Data: w.Bytes()}
}

// ExternalPub decodes the external_pub extension: the HPKE public key that
// external commits encapsulate to (RFC 9420, Section 12.4.3.2).
func (list Extensions) ExternalPub() (publicKey []byte, ok bool, err error) {
	return list.opaqueExtension(ExtensionExternalPub)
}

// NewExternalPub returns an external_pub extension.
func NewExternalPub(publicKey []byte) Extension {
	return newOpaqueExtension(ExtensionExternalPub, publicKey)
}

// ApplicationID decodes the application_id extension (RFC 9420, Section 5.3.3).
func (list Extensions) ApplicationID() (id []byte, ok bool, err error) {
	return list.opaqueExtension(ExtensionApplicationID)
}

// NewApplicationID returns an application_id extension.
func NewApplicationID(id []byte) Extension {
	return newOpaqueExtension(ExtensionApplicationID, id)
}

// RatchetTree decodes the ratchet_tree extension (RFC 9420, Section 12.4.3.3).
func (list Extensions) RatchetTree() (nodes RatchetTree, ok bool, err error) {
	data, ok := list.Find(ExtensionRatchetTree)
	if !ok {
		return nil, false, nil
	}
	err = wire.Unmarshal(data, &nodes)
	return nodes, true, err
}
