package tree

import (
	"bytes"
	"context"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// Private is what one member knows of the tree's private keys: its leaf's and
// some on its direct path (RFC 9420, Section 4.2). It is immutable; keys are
// forgotten by dropping the value.
type Private struct {
	Self treemath.LeafIndex
	Leaf suite.HPKEKey
	Path map[treemath.NodeIndex]suite.HPKEKey
}

// WithLeaf returns p with another leaf key, as after one's own Update
// (RFC 9420, Section 12.1.2).
func (p *Private) WithLeaf(key suite.HPKEKey) *Private {
	return &Private{Self: p.Self, Leaf: key, Path: p.Path}
}

// Prune returns p without the keys of nodes that are blank in t or have
// another public key there (RFC 9420, Section 7.5). p belongs to old.
func (p *Private) Prune(old, t *Tree) *Private {
	path := make(map[treemath.NodeIndex]suite.HPKEKey, len(p.Path))
	for x, key := range p.Path {
		n := t.Parent(x)
		if n != nil && (n == old.Parent(x) || bytes.Equal(n.EncryptionKey, key.Public())) {
			path[x] = key
		}
	}
	return &Private{Self: p.Self, Leaf: p.Leaf, Path: path}
}

// key returns the private key of a node, and false where p has none or not
// that of the public key in t.
func (p *Private) key(t *Tree, x treemath.NodeIndex) (suite.HPKEKey, bool) {
	key, ok := p.Path[x]
	if x == p.Self.Node() {
		key, ok = p.Leaf, p.Leaf != nil
	}
	return key, ok && bytes.Equal(key.Public(), t.node(x).encryptionKey())
}

// DecryptPath is the private part of processing a path, after MergePath
// (RFC 9420, Section 7.5): it opens the path secret that is meant for p,
// derives those above it, and compares the key pairs that they give with the
// tree. t is the tree with the path: below the path's nodes it is the same as
// before. groupContext is the serialized provisional GroupContext. The path
// secrets are wiped here; the commit secret, KDF.Nh bytes, is the caller's to
// wipe; the new private keys replace p. Codes: DECRYPTION_FAILED (C7),
// PATH_KEY_MISMATCH (C8), PATH_INVALID, and those of k and the key.
func DecryptPath(ctx context.Context, k suite.Keys, t *Tree, p *Private, sender treemath.LeafIndex, path *message.UpdatePath, groupContext []byte, added []treemath.LeafIndex) (commitSecret []byte, next *Private, err error) {
	commitSecret, next, check, err := OpenPath(ctx, k, t, p, sender, path, groupContext, added)
	if err != nil {
		return nil, nil, err
	}
	if err := check(); err != nil {
		clear(commitSecret)
		return nil, nil, err
	}
	return commitSecret, next, nil
}

// OpenPath is DecryptPath but for the comparison with the tree (C8), for which
// there is a public key to compute for each private one: check makes it, and
// waits for nothing. Before it has, nothing that rests on the path may be stored
// or released. Codes: those of DecryptPath; of check PATH_KEY_MISMATCH.
func OpenPath(ctx context.Context, k suite.Keys, t *Tree, p *Private, sender treemath.LeafIndex, path *message.UpdatePath, groupContext []byte, added []treemath.LeafIndex) (commitSecret []byte, next *Private, check func() error, err error) {
	steps := t.filteredPath(sender)
	first := commonStep(steps, p.Self, sender)
	if first < 0 || len(path.Nodes) != len(steps) {
		return nil, nil, nil, mlserr.New(mlserr.PathInvalid, "no path secret for "+leafName(p.Self))
	}
	recipients := t.recipients(steps[first].copath, leafSet(added))
	ciphertexts := path.Nodes[first].EncryptedPathSecret
	if len(ciphertexts) != len(recipients) {
		return nil, nil, nil, mlserr.New(mlserr.PathInvalid, "C6: "+nodeName(steps[first].node))
	}
	for i, x := range recipients {
		key, ok := p.key(t, x)
		if !ok {
			continue
		}
		pathSecret, err := t.suite.DecryptWithLabel(ctx, key, labelUpdatePathNode, groupContext, ciphertexts[i])
		if err != nil {
			return nil, nil, nil, err
		}
		return p.withPath(ctx, k, t, steps[first:], pathSecret)
	}
	return nil, nil, nil, mlserr.New(mlserr.PathInvalid, "no path secret for "+leafName(p.Self))
}

// JoinPrivate returns the private keys of a member that joins by a Welcome
// (RFC 9420, Section 12.4.3.1): that of its leaf, and those that pathSecret
// gives, from the lowest common ancestor of self and signer to the root (W13).
// pathSecret is nil where the Welcome has none; otherwise it is wiped here, as are
// the secrets derived from it. Codes: LEAF_MISMATCH, PATH_KEY_MISMATCH, and
// those of k.
func JoinPrivate(ctx context.Context, k suite.Keys, t *Tree, self treemath.LeafIndex, leafKey suite.HPKEKey, signer treemath.LeafIndex, pathSecret []byte) (*Private, error) {
	leaf := t.Leaf(self)
	if leaf == nil || !bytes.Equal(leaf.EncryptionKey, leafKey.Public()) {
		return nil, mlserr.New(mlserr.LeafMismatch, leafName(self))
	}
	p := &Private{Self: self, Leaf: leafKey}
	if pathSecret == nil {
		return p, nil
	}
	steps := t.filteredPath(signer)
	first := commonStep(steps, self, signer)
	if first < 0 {
		clear(pathSecret)
		return nil, mlserr.New(mlserr.PathKeyMismatch, "W13: "+leafName(signer)+" has no path above "+leafName(self))
	}
	commitSecret, p, check, err := p.withPath(ctx, k, t, steps[first:], pathSecret)
	clear(commitSecret)
	if err != nil {
		return nil, err
	}
	if err := check(); err != nil {
		return nil, err
	}
	return p, nil
}

// withPath returns the commit secret, and p with the keys that a path secret
// gives for the first of the steps and all after it. Keys that are not those
// of t any more are dropped. It wipes the path secrets. check compares the keys
// with t. Codes: PATH_KEY_MISMATCH where the path secret has not the right
// length, and those of k; of check PATH_KEY_MISMATCH where a derived public key is not the one in t.
func (p *Private) withPath(ctx context.Context, k suite.Keys, t *Tree, steps []step, pathSecret []byte) (commitSecret []byte, next *Private, check func() error, err error) {
	if len(pathSecret) != t.suite.HashSize() {
		clear(pathSecret)
		return nil, nil, nil, mlserr.New(mlserr.PathKeyMismatch, "C8: a path secret that is not KDF.Nh bytes")
	}
	pathSecrets, commitSecret := derivePathSecrets(t.suite, pathSecret, len(steps))
	keys, err := deriveKeys(ctx, t.suite, k, pathSecrets)
	suite.Wipe(pathSecrets...)
	if err != nil {
		clear(commitSecret)
		return nil, nil, nil, err
	}
	next = p.Prune(t, t)
	for i, s := range steps {
		next.Path[s.node] = keys[i]
	}
	return commitSecret, next, func() error {
		for i, s := range steps {
			n := t.Parent(s.node)
			if n == nil || !bytes.Equal(n.EncryptionKey, keys[i].Public()) {
				return mlserr.New(mlserr.PathKeyMismatch, "C8: "+nodeName(s.node))
			}
		}
		return nil
	}, nil
}
