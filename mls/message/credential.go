package message

import (
	"bytes"

	"webmls/mls/wire"
)

// Credential is RFC 9420, Section 5.3. Which field is set depends on Type.
type Credential struct {
	Type         CredentialType
	Identity     []byte   // CredentialBasic
	Certificates [][]byte // CredentialX509: DER, the leaf first
	// Data is the body of any other type, which this module carries as one
	// opaque<V>, as the other implementations do.
	Data []byte
}

// BasicCredential returns a credential of type basic.
func BasicCredential(identity []byte) Credential {
	return Credential{Type: CredentialBasic, Identity: identity}
}

// Marshal implements wire.Marshaler.
func (c *Credential) Marshal(w *wire.Writer) {
	w.Uint16(uint16(c.Type))
	switch c.Type {
	case CredentialBasic:
		w.Opaque(c.Identity)
	case CredentialX509:
		w.Vector(func(w *wire.Writer) {
			for _, cert := range c.Certificates {
				w.Opaque(cert)
			}
		})
	default:
		w.Opaque(c.Data)
	}
}

// Unmarshal implements wire.Unmarshaler.
func (c *Credential) Unmarshal(r *wire.Reader) {
	c.Type = CredentialType(r.Uint16())
	switch c.Type {
	case CredentialBasic:
		c.Identity = r.Opaque()
	case CredentialX509:
		r.Vector(func(r *wire.Reader) {
			c.Certificates = append(c.Certificates, r.Opaque())
		})
	default:
		c.Data = r.Opaque()
	}
}

// Equal reports whether two credentials have the same encoding.
func (c *Credential) Equal(d *Credential) bool {
	return bytes.Equal(wire.Marshal(c), wire.Marshal(d))
}
