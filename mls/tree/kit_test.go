package tree_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"strconv"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// fastKeys is suite.Keys with a KEM and signatures made of hashes: anyone can
// break them, but they tell one key, message and context from another as well as
// the real ones do, so that tests can afford long histories.
type fastKeys struct{}

func digest(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		h.Write(p)
	}
	return h.Sum(nil)
}

type fastHPKE struct{ private, public []byte }

func newFastHPKE(private []byte) suite.HPKEKey {
	return &fastHPKE{private, digest([]byte("hpke"), private)}
}
func (k *fastHPKE) Public() []byte    { return k.public }
func (k *fastHPKE) Reference() []byte { return k.private }
func (k *fastHPKE) Name() string      { return "" }
func (k *fastHPKE) Decapsulate(_ context.Context, enc []byte) ([]byte, error) {
	return digest([]byte("kem"), k.public, enc), nil
}

type fastSigner struct{ private, public []byte }

func (k *fastSigner) Public() []byte    { return k.public }
func (k *fastSigner) Reference() []byte { return k.private }
func (k *fastSigner) Name() string      { return "" }
func (k *fastSigner) Sign(_ context.Context, message []byte) ([]byte, error) {
	return digest([]byte("signature"), k.public, message), nil
}
func (k *fastSigner) SignAll(ctx context.Context, messages [][]byte) ([][]byte, error) {
	list := make([][]byte, len(messages))
	for i, b := range messages {
		list[i], _ = k.Sign(ctx, b)
	}
	return list, nil
}

func (fastKeys) Supports(suite.ID) bool { return true }
func (k fastKeys) GenerateSignatureKey(ctx context.Context, id suite.ID) (suite.SignatureKey, error) {
	return k.SignatureKey(ctx, id, suite.Random(32))
}
func (fastKeys) SignatureKey(_ context.Context, _ suite.ID, reference []byte) (suite.SignatureKey, error) {
	return &fastSigner{reference, digest([]byte("signer"), reference)}, nil
}
func (fastKeys) GenerateHPKEKey(context.Context, suite.ID) (suite.HPKEKey, error) {
	return newFastHPKE(suite.Random(32)), nil
}
func (fastKeys) HPKEKey(_ context.Context, _ suite.ID, reference []byte) (suite.HPKEKey, error) {
	return newFastHPKE(reference), nil
}
func (fastKeys) DeriveHPKEKeys(_ context.Context, _ suite.ID, ikm [][]byte) ([]suite.HPKEKey, error) {
	list := make([]suite.HPKEKey, len(ikm))
	for i := range ikm {
		list[i] = newFastHPKE(digest([]byte("derive"), ikm[i]))
	}
	return list, nil
}
func (fastKeys) Verify(_ context.Context, _ suite.ID, list []suite.Verification) (int, error) {
	for i, v := range list {
		if !bytes.Equal(v.Signature, digest([]byte("signature"), v.PublicKey, v.Message)) {
			return i, nil
		}
	}
	return -1, nil
}
func (fastKeys) Encapsulate(_ context.Context, _ suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	list := make([]suite.Encapsulation, len(publicKeys))
	for i, key := range publicKeys {
		if len(key) != 32 {
			return nil, mlserr.New(mlserr.InvalidPublicKey, strconv.Itoa(i))
		}
		enc := suite.Random(32)
		list[i] = suite.Encapsulation{Enc: enc, SharedSecret: digest([]byte("kem"), key, enc)}
	}
	return list, nil
}
func (fastKeys) ValidateHPKEKeys(_ context.Context, _ suite.ID, publicKeys [][]byte) (int, error) {
	for i, key := range publicKeys {
		if len(key) != 32 {
			return i, nil
		}
	}
	return -1, nil
}

var testSuite = must(suite.Lookup(suite.X25519AES128SHA256Ed25519))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var groupID = []byte("group")

// client is a member or one that may become a member.
type client struct {
	signer  suite.SignatureKey
	private *tree.Private // of a member
	leaf    *message.LeafNode
	key     suite.HPKEKey // of leaf
}

func newClient(k suite.Keys) *client {
	ctx := context.Background()
	c := &client{signer: must(k.GenerateSignatureKey(ctx, testSuite.ID()))}
	c.freshLeaf(k, message.LeafNodeSourceKeyPackage, 0)
	return c
}

// freshLeaf gives the client a new leaf node and key, signed for a place.
func (c *client) freshLeaf(k suite.Keys, source message.LeafNodeSource, i treemath.LeafIndex) {
	ctx := context.Background()
	c.key = must(k.GenerateHPKEKey(ctx, testSuite.ID()))
	c.leaf = &message.LeafNode{
		EncryptionKey: c.key.Public(),
		SignatureKey:  c.signer.Public(),
		Credential:    message.BasicCredential(c.signer.Public()[:8]),
		Capabilities: message.Capabilities{
			Versions:     []message.ProtocolVersion{message.MLS10},
			CipherSuites: []suite.ID{testSuite.ID()},
			Credentials:  []message.CredentialType{message.CredentialBasic},
		},
		Source: source,
	}
	if err := c.leaf.Sign(ctx, testSuite, c.signer, groupID, i); err != nil {
		panic(err)
	}
}

// group is a group over its whole life: the tree, and what each member knows.
type group struct {
	k       suite.Keys
	rng     *rand.Rand
	tree    *tree.Tree
	members map[treemath.LeafIndex]*client
}

func newGroup(k suite.Keys, rng *rand.Rand) *group {
	c := newClient(k)
	c.private = &tree.Private{Leaf: c.key}
	return &group{k, rng, tree.New(testSuite, c.leaf), map[treemath.LeafIndex]*client{0: c}}
}

// commit is what one commit does.
type commit struct {
	by       treemath.LeafIndex
	updates  []treemath.LeafIndex
	removes  []treemath.LeafIndex
	adds     int
	path     bool
	external *client // the joiner of an external commit
}

// random returns a random commit that is valid in the group.
func (g *group) random(largest int) commit {
	var all []treemath.LeafIndex
	for i := range g.tree.Leaves() {
		all = append(all, i)
	}
	g.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	c := commit{by: all[0], path: true}
	others := all[1:]
	if g.rng.IntN(8) == 0 {
		c.external = newClient(g.k)
		if len(others) > 0 && g.rng.IntN(2) == 0 {
			c.removes = others[:1]
		}
		return c
	}
	take := func(n int) []treemath.LeafIndex {
		n = min(g.rng.IntN(n+1), len(others))
		taken := others[:n]
		others = others[n:]
		return taken
	}
	switch g.rng.IntN(6) {
	case 0:
		c.updates = take(3)
	case 1, 2:
		c.removes = take(1 + len(others)/4)
	case 3:
		c.updates, c.removes = take(2), take(2)
	}
	if len(others)+1 < largest {
		c.adds = g.rng.IntN(4)
		if g.rng.IntN(10) == 0 {
			c.adds += g.rng.IntN(20)
		}
	}
	if len(c.updates)+len(c.removes) == 0 && c.adds > 0 {
		c.path = g.rng.IntN(2) == 0
	}
	return c
}

// apply makes the commit and has every member process it, and checks what all
// of them must agree on.
func (g *group) apply(t testing.TB, c commit) {
	t.Helper()
	ctx := context.Background()
	old := g.tree
	var joiners []*client
	for range c.adds {
		joiners = append(joiners, newClient(g.k))
	}
	updated := map[treemath.LeafIndex]*client{}
	for _, i := range c.updates {
		u := &client{signer: g.members[i].signer}
		u.freshLeaf(g.k, message.LeafNodeSourceUpdate, i)
		updated[i] = u
	}
	proposals := func(e *tree.Editor) (added []treemath.LeafIndex) {
		for _, i := range c.updates {
			e.Update(i, updated[i].leaf)
		}
		for _, i := range c.removes {
			e.Remove(i)
		}
		for _, j := range joiners {
			added = append(added, e.Add(j.leaf))
		}
		return added
	}

	// The committer.
	sent := old.Edit()
	added := proposals(sent)
	by, committer := c.by, g.members[c.by]
	if c.external != nil {
		committer = c.external
		by = sent.Place(committer.leaf)
	}
	var made *tree.NewPath
	var path *message.UpdatePath
	var groupContext []byte
	if c.path {
		made = must(sent.CreatePath(ctx, g.k, by, *committer.leaf, committer.signer, groupID))
		provisional := sent.Tree()
		groupContext = append([]byte("context"), provisional.Hash()...)
		path = must(made.Encrypt(ctx, g.k, provisional, groupContext, added))
		// What is sent is what was made.
		var again message.UpdatePath
		if err := wire.Unmarshal(wire.Marshal(path), &again); err != nil {
			t.Fatal(err)
		}
		path = &again
	}
	next := sent.Tree()

	// A receiver, from a tree that it was sent.
	received := must(tree.Import(testSuite, old.Export())).Edit()
	proposals(received)
	if c.external != nil {
		received.Place(&path.LeafNode)
	}
	if c.path {
		if err := received.MergePath(by, path, added); err != nil {
			t.Fatal(err)
		}
	}
	merged := received.Tree()
	if !bytes.Equal(merged.Hash(), next.Hash()) {
		t.Fatal("sender and receiver have different trees")
	}

	// All members.
	members := map[treemath.LeafIndex]*client{}
	var commitSecret []byte
	if c.path {
		commitSecret = made.CommitSecret
		committer.private = made.Private()
		committer.leaf, committer.key = made.Leaf, committer.private.Leaf
		members[by] = committer
	}
	for i, m := range g.members {
		if members[i] != nil || contains(c.removes, i) {
			continue
		}
		p := m.private
		if u := updated[i]; u != nil {
			p = p.WithLeaf(u.key)
			m.leaf, m.key = u.leaf, u.key
		}
		p = p.Prune(old, merged)
		if c.path {
			secret, private, err := tree.DecryptPath(ctx, g.k, merged, p, by, path, groupContext, added)
			if err != nil {
				t.Fatalf("leaf %d: %v", i, err)
			}
			if !bytes.Equal(secret, commitSecret) {
				t.Fatalf("leaf %d has another commit secret", i)
			}
			p = private
		}
		m.private = p
		members[i] = m
	}
	for n, i := range added {
		j := joiners[n]
		imported := must(tree.Import(testSuite, next.Export()))
		var pathSecret []byte
		if c.path {
			secret, ok := made.PathSecretFor(i)
			if !ok {
				t.Fatalf("no path secret for leaf %d", i)
			}
			pathSecret = bytes.Clone(secret)
		}
		var err error
		if j.private, err = tree.JoinPrivate(ctx, g.k, imported, i, j.key, by, pathSecret); err != nil {
			t.Fatalf("joiner %d: %v", i, err)
		}
		if pathSecret != nil && !bytes.Equal(pathSecret, make([]byte, len(pathSecret))) {
			t.Fatal("path secret not wiped")
		}
		members[i] = j
	}
	if made != nil {
		made.Wipe()
	}
	g.tree, g.members = next, members
	g.check(t)
}

func contains(list []treemath.LeafIndex, i treemath.LeafIndex) bool {
	for _, l := range list {
		if l == i {
			return true
		}
	}
	return false
}

// check checks that the tree is valid and that each member knows exactly the
// private keys that the tree says it knows (RFC 9420, Section 4.2).
func (g *group) check(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	for name, tr := range map[string]*tree.Tree{"": g.tree, "imported ": must(tree.Import(testSuite, g.tree.Export()))} {
		if err := tr.Validate(); err != nil {
			t.Fatalf("%s%v", name, err)
		}
		if err := tr.ValidateKeys(ctx, g.k); err != nil {
			t.Fatalf("%s%v", name, err)
		}
		if err := tr.VerifyLeaves(ctx, g.k, groupID); err != nil {
			t.Fatalf("%s%v", name, err)
		}
		sameTree(t, name+"tree", tr, g.tree)
		if tr.MemberCount() != len(g.members) {
			t.Fatalf("%s%d members, want %d", name, tr.MemberCount(), len(g.members))
		}
	}
	for i, m := range g.members {
		if m.private.Self != i || !bytes.Equal(m.private.Leaf.Public(), g.tree.Leaf(i).EncryptionKey) {
			t.Fatalf("leaf %d has the wrong leaf key", i)
		}
		keys := 0
		for _, x := range treemath.DirectPath(i.Node(), treemath.LeafCount(g.tree.LeafCount())) {
			p := g.tree.Parent(x)
			key, known := m.private.Path[x]
			if should := p != nil && !contains(p.UnmergedLeaves, i); known != should {
				t.Fatalf("leaf %d: key of node %d known: %v, want %v", i, x, known, should)
			}
			if known {
				keys++
				if !bytes.Equal(key.Public(), p.EncryptionKey) {
					t.Fatalf("leaf %d has the wrong key of node %d", i, x)
				}
			}
		}
		if keys != len(m.private.Path) {
			t.Fatalf("leaf %d knows keys of nodes that are not above it", i)
		}
	}
}

// sameTree compares two trees in every node and hash.
func sameTree(t testing.TB, what string, got, want *tree.Tree) {
	t.Helper()
	if got.LeafCount() != want.LeafCount() || got.MemberCount() != want.MemberCount() {
		t.Fatalf("%s: %d of %d leaves, want %d of %d", what, got.MemberCount(), got.LeafCount(), want.MemberCount(), want.LeafCount())
	}
	if !bytes.Equal(wire.Marshal(got.Export()), wire.Marshal(want.Export())) {
		t.Fatalf("%s: other nodes", what)
	}
	for x := range treemath.NodeIndex(treemath.Width(treemath.LeafCount(want.LeafCount()))) {
		if !bytes.Equal(got.NodeHash(x), want.NodeHash(x)) {
			t.Fatalf("%s: other hash of node %d", what, x)
		}
	}
	for i, leaf := range want.Leaves() {
		if j, ok := got.FindSignatureKey(leaf.SignatureKey); !ok || j != i {
			t.Fatalf("%s: signature key of leaf %d is found at %d, %v", what, i, j, ok)
		}
		if !got.HasEncryptionKey(leaf.EncryptionKey) {
			t.Fatalf("%s: encryption key of leaf %d is not found", what, i)
		}
	}
}
