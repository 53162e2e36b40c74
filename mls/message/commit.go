package message

import (
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// UpdatePathNode is RFC 9420, Section 7.6.
type UpdatePathNode struct {
	EncryptionKey []byte
	// EncryptedPathSecret has one element for each node of the copath child's
	// resolution, less the leaves that the same commit adds.
	EncryptedPathSecret []suite.HPKECiphertext
}

// UpdatePath is RFC 9420, Section 7.6.
type UpdatePath struct {
	LeafNode LeafNode
	Nodes    []UpdatePathNode // the filtered direct path, from the leaf's side to the root
}

// Marshal implements wire.Marshaler.
func (p *UpdatePath) Marshal(w *wire.Writer) {
	p.LeafNode.Marshal(w)
	w.Vector(func(w *wire.Writer) {
		for i := range p.Nodes {
			n := &p.Nodes[i]
			w.Opaque(n.EncryptionKey)
			w.Vector(func(w *wire.Writer) {
				for j := range n.EncryptedPathSecret {
					n.EncryptedPathSecret[j].Marshal(w)
				}
			})
		}
	})
}

// Unmarshal implements wire.Unmarshaler.
func (p *UpdatePath) Unmarshal(r *wire.Reader) {
	p.LeafNode.Unmarshal(r)
	r.Vector(func(r *wire.Reader) {
		var n UpdatePathNode
		n.EncryptionKey = r.Opaque()
		r.Vector(func(r *wire.Reader) {
			var ct suite.HPKECiphertext
			ct.Unmarshal(r)
			n.EncryptedPathSecret = append(n.EncryptedPathSecret, ct)
		})
		p.Nodes = append(p.Nodes, n)
	})
}

// Commit is RFC 9420, Section 12.4.
type Commit struct {
	Proposals []ProposalOrRef
	Path      *UpdatePath // or nil
}

// Marshal implements wire.Marshaler.
func (c *Commit) Marshal(w *wire.Writer) {
	w.Vector(func(w *wire.Writer) {
		for i := range c.Proposals {
			c.Proposals[i].Marshal(w)
		}
	})
	w.Optional(c.Path != nil)
	if c.Path != nil {
		c.Path.Marshal(w)
	}
}

// Unmarshal implements wire.Unmarshaler.
func (c *Commit) Unmarshal(r *wire.Reader) {
	r.Vector(func(r *wire.Reader) {
		var p ProposalOrRef
		p.Unmarshal(r)
		c.Proposals = append(c.Proposals, p)
	})
	if r.Optional() {
		c.Path = new(UpdatePath)
		c.Path.Unmarshal(r)
	}
}
