package tree

import (
	"bytes"
	"context"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// labelUpdatePathNode is the label of encrypted path secrets (RFC 9420, Section 7.6).
const labelUpdatePathNode = "UpdatePathNode"

// NewPath is an update path that was made and not yet encrypted: what a
// committer needs for the UpdatePath, the Welcome, its own new keys and the
// key schedule. It holds path secrets until Wipe.
type NewPath struct {
	// Leaf is the committer's new leaf, as it is in the tree.
	Leaf *message.LeafNode
	// CommitSecret is KDF.Nh bytes (RFC 9420, Section 12.4.1). Wipe wipes it.
	CommitSecret []byte

	suite       *suite.Suite
	self        treemath.LeafIndex
	leafKey     suite.HPKEKey
	steps       []step
	keys        []suite.HPKEKey // of the steps
	pathSecrets [][]byte        // of the steps; for an empty path, the one that CommitSecret comes from
}

// CreatePath makes a new path for the leaf self and puts it into the tree
// (RFC 9420, Sections 7.4 and 7.5): fresh path secrets, one key pair derived
// for each node of the filtered direct path, a fresh key pair for the leaf,
// and the parent hashes. leaf holds what the new leaf node says beside
// EncryptionKey, Source, Lifetime, ParentHash and Signature; signer is the
// private half of its SignatureKey. groupID goes into the signature. On an error the
// editor is as it was. Codes: INVALID_ARGUMENT, and those of k and signer.
func (e *Editor) CreatePath(ctx context.Context, k suite.Keys, self treemath.LeafIndex, leaf message.LeafNode, signer suite.SignatureKey, groupID []byte) (*NewPath, error) {
	if e.Leaf(self) == nil {
		return nil, mlserr.New(mlserr.InvalidArgument, "path of a blank leaf")
	}
	if !bytes.Equal(leaf.SignatureKey, signer.Public()) {
		return nil, mlserr.New(mlserr.InvalidArgument, "the leaf has another signature key than its signer")
	}
	leafKey, err := k.GenerateHPKEKey(ctx, e.suite.ID())
	if err != nil {
		return nil, err
	}
	p := &NewPath{suite: e.suite, self: self, leafKey: leafKey, steps: e.filteredPath(self)}
	p.pathSecrets, p.CommitSecret = derivePathSecrets(e.suite, suite.Random(e.suite.HashSize()), len(p.steps))
	p.keys, err = deriveKeys(ctx, e.suite, k, p.pathSecrets[:len(p.steps)])
	if err != nil {
		p.Wipe()
		return nil, err
	}
	publicKeys := make([][]byte, len(p.keys))
	for i := range publicKeys {
		publicKeys[i] = p.keys[i].Public()
	}
	parents, parentHash := e.newParents(p.steps, publicKeys)
	leaf.EncryptionKey = leafKey.Public()
	leaf.Source = message.LeafNodeSourceCommit
	leaf.Lifetime = message.Lifetime{}
	leaf.ParentHash = parentHash
	if err := leaf.Sign(ctx, e.suite, signer, groupID, self); err != nil {
		p.Wipe()
		return nil, err
	}
	p.Leaf = &leaf
	e.putPath(self, p.steps, parents, p.Leaf)
	return p, nil
}

// derivePathSecrets returns the path secrets for n nodes, of which the given
// one is the first, and the commit secret, which comes from the last
// (S23; RFC 9420, Sections 7.4 and 12.4.1). Also where the path has no node a path
// secret is sampled, and the commit secret derived from it. All are KDF.Nh
// bytes and the caller's to wipe; the first is not copied.
func derivePathSecrets(s *suite.Suite, first []byte, n int) (pathSecrets [][]byte, commitSecret []byte) {
	pathSecrets = append(make([][]byte, 0, n), first)
	for len(pathSecrets) < n {
		pathSecrets = append(pathSecrets, s.DeriveSecret(pathSecrets[len(pathSecrets)-1], "path"))
	}
	return pathSecrets, s.DeriveSecret(pathSecrets[len(pathSecrets)-1], "path")
}

// deriveKeys returns the key pair of the node for each path secret (RFC 9420,
// Section 7.4). The node secrets are wiped here. Codes: those of k.
func deriveKeys(ctx context.Context, s *suite.Suite, k suite.Keys, pathSecrets [][]byte) ([]suite.HPKEKey, error) {
	if len(pathSecrets) == 0 {
		return nil, nil
	}
	nodeSecrets := make([][]byte, len(pathSecrets))
	for i := range nodeSecrets {
		nodeSecrets[i] = s.DeriveSecret(pathSecrets[i], "node")
	}
	defer suite.Wipe(nodeSecrets...)
	keys, err := k.DeriveHPKEKeys(ctx, s.ID(), nodeSecrets)
	if err != nil {
		return nil, err
	}
	if len(keys) != len(nodeSecrets) {
		return nil, mlserr.New(mlserr.Internal, "Keys.DeriveHPKEKeys returned "+
			strconv.Itoa(len(keys))+" of "+strconv.Itoa(len(nodeSecrets)))
	}
	return keys, nil
}

// putPath puts a path into the tree: the direct path blanked, the filtered
// direct path and the leaf set (RFC 9420, Section 7.5).
func (e *Editor) putPath(sender treemath.LeafIndex, steps []step, parents []*message.ParentNode, leaf *message.LeafNode) {
	e.BlankPath(sender)
	for i := range steps {
		e.put(steps[i].node, message.Node{Parent: parents[i]})
	}
	e.put(sender.Node(), message.Node{Leaf: leaf})
	e.placed = treemath.None
}

// Private returns the committer's private keys in the tree with the path: all
// of them, for the nodes of its direct path that are not on the filtered one
// are blank.
func (p *NewPath) Private() *Private {
	path := make(map[treemath.NodeIndex]suite.HPKEKey, len(p.steps))
	for i, s := range p.steps {
		path[s.node] = p.keys[i]
	}
	return &Private{Self: p.self, Leaf: p.leafKey, Path: path}
}

// Encrypt returns the UpdatePath, with each path secret encrypted to the
// resolution of the copath child (RFC 9420, Sections 7.5 and 7.6), all in one
// call of k. t is the tree with the path; groupContext is the serialized
// provisional GroupContext, which has the hash of t; added are the leaves that
// the same commit adds, which get no ciphertext. Codes: INVALID_PUBLIC_KEY, and those of k.
func (p *NewPath) Encrypt(ctx context.Context, k suite.Keys, t *Tree, groupContext []byte, added []treemath.LeafIndex) (*message.UpdatePath, error) {
	isNew := leafSet(added)
	path := &message.UpdatePath{LeafNode: *p.Leaf, Nodes: make([]message.UpdatePathNode, len(p.steps))}
	var recipients []suite.Recipient
	ends := make([]int, len(p.steps)) // in recipients, of each node
	for i, s := range p.steps {
		path.Nodes[i].EncryptionKey = p.keys[i].Public()
		for _, x := range t.recipients(s.copath, isNew) {
			recipients = append(recipients, suite.Recipient{PublicKey: t.node(x).encryptionKey(), Plaintext: p.pathSecrets[i]})
		}
		ends[i] = len(recipients)
	}
	ciphertexts, err := p.suite.EncryptWithLabel(ctx, k, labelUpdatePathNode, groupContext, recipients)
	if err != nil {
		return nil, err
	}
	start := 0
	for i, end := range ends {
		path.Nodes[i].EncryptedPathSecret = ciphertexts[start:end:end]
		start = end
	}
	return path, nil
}

// leafSet returns the nodes of the leaves, as recipients wants them.
func leafSet(leaves []treemath.LeafIndex) map[treemath.NodeIndex]struct{} {
	set := make(map[treemath.NodeIndex]struct{}, len(leaves))
	for _, i := range leaves {
		set[i.Node()] = struct{}{}
	}
	return set
}

// recipients is the resolution of a copath child without the leaves that are
// new: the nodes that a path secret is encrypted to (RFC 9420, Section 7.6).
func (a *array) recipients(copath treemath.NodeIndex, isNew map[treemath.NodeIndex]struct{}) []treemath.NodeIndex {
	resolution := a.Resolution(copath)
	if len(isNew) == 0 {
		return resolution
	}
	old := resolution[:0]
	for _, x := range resolution {
		if _, ok := isNew[x]; !ok {
			old = append(old, x)
		}
	}
	return old
}

// PathSecretFor returns the path secret of the lowest node that is above both
// the committer and a leaf, for that leaf's Welcome (RFC 9420, Section
// 12.4.3.1), and false where the path has no such node, as for the committer
// itself. The caller knows the leaf not to be blank: for a blank one below such
// a node the answer is true all the same. It is KDF.Nh bytes and gone with Wipe.
func (p *NewPath) PathSecretFor(leaf treemath.LeafIndex) ([]byte, bool) {
	i := commonStep(p.steps, p.self, leaf)
	if i < 0 {
		return nil, false
	}
	return p.pathSecrets[i], true
}

// Wipe wipes the path secrets and CommitSecret. The private keys stay, with
// what Private returned.
func (p *NewPath) Wipe() {
	suite.Wipe(p.pathSecrets...)
	suite.Wipe(p.CommitSecret)
}

// MergePath puts a received path into the tree, the public part of processing
// it (RFC 9420, Sections 7.5 and 12.4.2). added are the leaves that the same
// commit adds. The leaf's signature and the rules of Section 7.3 that are not
// the tree's are the caller's to check. On an error the editor is as it was.
// The tree aliases the path. Codes: INVALID_SENDER, PATH_INVALID,
// ENCRYPTION_KEY_REUSED, ENCRYPTION_KEY_NOT_UNIQUE, PARENT_HASH_INVALID.
func (e *Editor) MergePath(sender treemath.LeafIndex, path *message.UpdatePath, added []treemath.LeafIndex) error {
	if e.Leaf(sender) == nil {
		return mlserr.New(mlserr.InvalidSender, leafName(sender))
	}
	steps := e.filteredPath(sender)
	if err := e.checkPathShape(steps, path, added); err != nil {
		return err
	}
	if err := e.checkPathKeys(sender, path); err != nil {
		return err
	}
	publicKeys := make([][]byte, len(path.Nodes))
	for i := range publicKeys {
		publicKeys[i] = path.Nodes[i].EncryptionKey
	}
	parents, parentHash := e.newParents(steps, publicKeys)
	if !bytes.Equal(parentHash, path.LeafNode.ParentHash) {
		return mlserr.New(mlserr.ParentHashInvalid, "C9: "+leafName(sender))
	}
	e.putPath(sender, steps, parents, &path.LeafNode)
	return nil
}

// checkPathShape checks that the path has a node for each of the filtered
// direct path, and a ciphertext for each recipient (C6; RFC 9420, Section
// 7.6). Code: PATH_INVALID.
func (a *array) checkPathShape(steps []step, path *message.UpdatePath, added []treemath.LeafIndex) error {
	if len(path.Nodes) != len(steps) {
		return mlserr.New(mlserr.PathInvalid, "C6: "+strconv.Itoa(len(path.Nodes))+" nodes, "+
			"the filtered direct path has "+strconv.Itoa(len(steps)))
	}
	isNew := leafSet(added)
	for i, s := range steps {
		got, want := len(path.Nodes[i].EncryptedPathSecret), len(a.recipients(s.copath, isNew))
		if got != want {
			return mlserr.New(mlserr.PathInvalid, "C6: "+strconv.Itoa(got)+" ciphertexts for "+nodeName(s.node)+
				", there are "+strconv.Itoa(want)+" recipients")
		}
	}
	return nil
}

// checkPathKeys checks that the leaf brings a new encryption key (C4) and that
// no key of the path is in the tree or twice in the path (C5; RFC 9420,
// Section 12.4.2). Codes: ENCRYPTION_KEY_REUSED, ENCRYPTION_KEY_NOT_UNIQUE.
func (e *Editor) checkPathKeys(sender treemath.LeafIndex, path *message.UpdatePath) error {
	leafKey := path.LeafNode.EncryptionKey
	// A leaf that was placed replaces nothing, and may be the path's own.
	if e.placed != sender.Node() && bytes.Equal(leafKey, e.Leaf(sender).EncryptionKey) {
		return mlserr.New(mlserr.EncryptionKeyReused, "C4: "+leafName(sender))
	}
	if x, ok := e.findEncryptionKey(leafKey, sender.Node()); ok {
		return mlserr.New(mlserr.EncryptionKeyNotUnique, "C5: the path's leaf has the key of "+nodeName(x))
	}
	for i := range path.Nodes {
		key := path.Nodes[i].EncryptionKey
		if x, ok := e.findEncryptionKey(key, treemath.None); ok {
			return mlserr.New(mlserr.EncryptionKeyNotUnique, "C5: path node "+strconv.Itoa(i)+" has the key of "+nodeName(x))
		}
		twice := bytes.Equal(key, leafKey)
		for j := range i {
			twice = twice || bytes.Equal(key, path.Nodes[j].EncryptionKey)
		}
		if twice {
			return mlserr.New(mlserr.EncryptionKeyNotUnique, "C5: path node "+strconv.Itoa(i)+" has a key of the same path")
		}
	}
	return nil
}
