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

// minCiphertext bounds what is allocated for a list of ciphertexts by its length, in bytes.
const minCiphertext = 64

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

// room is what the encoding takes at most, in bytes, where the leaf node is as
// large as most are.
func (p *UpdatePath) room() int {
	n := 1024
	for i := range p.Nodes {
		node := &p.Nodes[i]
		n += 8 + len(node.EncryptionKey)
		for j := range node.EncryptedPathSecret {
			n += 8 + len(node.EncryptedPathSecret[j].KEMOutput) + len(node.EncryptedPathSecret[j].Ciphertext)
		}
	}
	return n
}

// Unmarshal implements wire.Unmarshaler.
func (p *UpdatePath) Unmarshal(r *wire.Reader) {
	p.LeafNode.Unmarshal(r)
	r.Vector(func(r *wire.Reader) {
		var n UpdatePathNode
		n.EncryptionKey = r.Opaque()
		r.Vector(func(r *wire.Reader) {
			var ct suite.HPKECiphertext
			before := r.Len()
			ct.Unmarshal(r)
			if n.EncryptedPathSecret == nil {
				// They are mostly of one size, and there may be a thousand.
				n.EncryptedPathSecret = make([]suite.HPKECiphertext, 0, 1+r.Len()/max(before-r.Len(), minCiphertext))
			}
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
