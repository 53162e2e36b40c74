package mls_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// The message kit: a member who has all secrets of its group and does not keep
// to the rules. It builds commits, welcomes and private messages by code of its
// own, from RFC 9420 and the packages below mls, so that one field can be wrong
// in a message that is perfect otherwise: signed, tagged and encrypted anew. A
// message on which nothing was changed is accepted, which shows that it is
// the one field that a refusal is for.

var kitKeys = softkeys.New()

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// quick reports whether the dearest tests do less: in a short run, and as wasm,
// where everything takes several times as long.
func quick() bool { return testing.Short() || runtime.GOARCH == "wasm" }

// policy is an Authenticator that has something to refuse: identities that
// begin with "refused", and another identity in the place of the old one unless it is
// the same up to a "+", as in "bob+laptop".
type policy struct{}

func (policy) Authenticate(_ context.Context, claims []mls.Claim) error {
	for _, c := range claims {
		if bytes.HasPrefix(c.Credential.Identity, []byte("refused")) {
			return errors.New("refused by policy")
		}
	}
	return nil
}

func (policy) Succeeds(_ context.Context, old, next mls.Claim) error {
	base := func(c mls.Claim) string {
		name, _, _ := strings.Cut(string(c.Credential.Identity), "+")
		return name
	}
	if base(old) != base(next) {
		return errors.New("another person")
	}
	return nil
}

// newPartyWith is newParty with another configuration. Keys, Store and
// Authenticator are set.
func newPartyWith(t testing.TB, id suite.ID, name string, configure func(*mls.Config)) *party {
	t.Helper()
	p := &party{t: t, name: name, store: mls.NewMemoryStore()}
	p.client = openWith(t, checker{MemoryStore: p.store}, configure)
	identity, err := p.client.CreateIdentity(ctx, id, message.BasicCredential([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	p.id = identity
	return p
}

func openWith(t testing.TB, store mls.Store, configure func(*mls.Config)) *mls.Client {
	t.Helper()
	config := mls.Config{Keys: kitKeys, Store: store, Authenticator: policy{}}
	if configure != nil {
		configure(&config)
	}
	c, err := mls.Open(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// twin opens a copy of the party's store: the party as it would be after a
// crash at this moment. What happens to the twin does not happen to the party.
func (p *party) twin() *party {
	p.t.Helper()
	q := &party{t: p.t, name: p.name, store: p.store.Clone(), id: p.id}
	q.client = openWith(p.t, q.store, nil)
	if p.group != nil {
		q.group = must(q.client.Group(ctx, p.group.ID()))
	}
	return q
}

// unchanged returns a check that neither the store nor the memory of the party
// has changed since.
func (p *party) unchanged() func(t testing.TB, what string) {
	if p.group != nil {
		p.group.Settle() // else the end of its tenure changes both
	}
	store, client := p.store.Clone(), p.client.ClientSnapshot()
	var group []byte
	if p.group != nil {
		p.info() // loads it
		group = p.group.LiveState()
	}
	return func(t testing.TB, what string) {
		t.Helper()
		if !p.store.Equal(store) {
			t.Fatalf("%s: the store of %s has changed", what, p.name)
		}
		if !bytes.Equal(p.client.ClientSnapshot(), client) {
			t.Fatalf("%s: the client of %s has changed in memory", what, p.name)
		}
		if p.group != nil && !bytes.Equal(p.group.LiveState(), group) {
			t.Fatalf("%s: the group of %s has changed in memory", what, p.name)
		}
	}
}

// refuses receives a message that must be refused with the code and without a
// trace.
func (p *party) refuses(t testing.TB, what string, b []byte, want mlserr.Code) {
	t.Helper()
	check := p.unchanged()
	ev, err := p.group.Receive(ctx, b)
	if err == nil {
		t.Fatalf("%s: accepted: %+v", what, ev)
	}
	if got := mlserr.CodeOf(err); got != want {
		t.Fatalf("%s: %v, want %s", what, err, want)
	}
	check(t, what)
}

// forger builds messages as the member whose group it looks into.
type forger struct {
	t  testing.TB
	in *mls.Inside
}

func newForger(t testing.TB, p *party) *forger {
	p.info() // loads it
	return &forger{t, p.group.Inside()}
}

// forgedCommit is a commit to be built. Each hook is given a part before the
// parts that cover it are made, so that they are made over what the hook left.
type forgedCommit struct {
	public    bool
	proposals []message.ProposalOrRef
	noPath    bool
	// external is the one who joins by the commit. The proposals are its own.
	external *joiner
	psks     map[string][]byte // secrets by PreSharedKeyID.Key

	leaf       func(*message.LeafNode) // its keys and parent hash are set, its signature is not
	leafKey    suite.HPKEKey           // instead of a fresh one
	leafSigner suite.SignatureKey
	leafGroup  []byte
	leafIndex  *treemath.LeafIndex
	signedLeaf func(*message.LeafNode)
	pathKeys   func(public [][]byte) // before the parent hashes cover them
	pathSecret func(node int, secret []byte) []byte
	pathCtx    func(*message.GroupContext) // what path secrets are encrypted with
	path       func(*message.UpdatePath)
	content    func(*message.FramedContent)
	signCtx    func(*message.GroupContext)
	signer     suite.SignatureKey
	format     message.WireFormat // what is signed, where it is not what is sent
	signed     func(*message.AuthenticatedContent)
	secrets    func(initSecret, commitSecret []byte) (i, c []byte)
	newCtx     func(*message.GroupContext)
	tag        func(tag []byte) []byte
	publicMsg  func(*message.PublicMessage)
	private    sealHooks
	msg        func(*message.MLSMessage)
}

// joiner is who makes an external commit.
type joiner struct {
	key     suite.SignatureKey
	leaf    message.LeafNode // what it says beside what the path gives it
	place   treemath.LeafIndex
	kemHook func([]byte) []byte
}

// built is a commit with what it leads to.
type built struct {
	message []byte
	secrets *schedule.Epoch
	joiner  *schedule.Joiner
	next    *schedule.Intermediate
	context *message.GroupContext
	tree    *tree.Tree
	self    treemath.LeafIndex
	steps   []treemath.NodeIndex // the filtered direct path
	path    [][]byte             // its path secrets
	psks    []message.PreSharedKeyID
	added   []treemath.LeafIndex
	tag     []byte
	key     suite.SignatureKey // of the committer
}

// value puts proposals into a commit by value.
func value(list ...message.Proposal) (out []message.ProposalOrRef) {
	for i := range list {
		out = append(out, message.ProposalOrRef{Proposal: &list[i]})
	}
	return out
}

// apply applies the proposals to the tree, in the order of Section 12.3, as
// far as they can be: what breaks a rule is left out.
func (f *forger) apply(edit *tree.Editor, list []message.ProposalOrRef, sender message.Sender) (extensions message.Extensions, added []treemath.LeafIndex, psks []message.PreSharedKeyID) {
	in := f.in
	extensions = in.Context.Extensions
	type item struct {
		*message.Proposal
		sender message.Sender
	}
	var items []item
	for _, p := range list {
		if p.Proposal != nil {
			items = append(items, item{p.Proposal, sender})
		} else if q, ok := in.Proposals[string(p.Reference)]; ok {
			items = append(items, item{q.Proposal, q.Sender})
		}
	}
	each := func(t message.ProposalType, do func(item)) {
		for _, i := range items {
			if i.Type == t {
				do(i)
			}
		}
	}
	each(message.ProposalGroupContextExtensions, func(i item) { extensions = i.Extensions })
	each(message.ProposalUpdate, func(i item) {
		if i.sender != sender {
			edit.Update(i.sender.Leaf, i.Update)
		}
	})
	each(message.ProposalRemove, func(i item) {
		if edit.Leaf(i.Remove) != nil && (sender.Type != message.SenderMember || i.Remove != sender.Leaf) {
			edit.Remove(i.Remove)
		}
	})
	each(message.ProposalAdd, func(i item) { added = append(added, edit.Add(&i.Add.LeafNode)) })
	each(message.ProposalPSK, func(i item) { psks = append(psks, *i.PSK) })
	return extensions, added, psks
}

// build builds the commit.
func (f *forger) build(c forgedCommit) *built {
	f.t.Helper()
	in, s := f.in, f.in.Suite
	b := &built{self: in.Self, key: in.Key}
	sender := message.Sender{Type: message.SenderMember, Leaf: in.Self}
	initSecret := in.Secrets.InitSecret
	if c.external != nil {
		sender = message.Sender{Type: message.SenderNewMemberCommit}
		b.key = c.external.key
		external := must(in.Secrets.ExternalKey(ctx, kitKeys, s))
		kemOutput, secret, err := s.EncapsulateExport(ctx, kitKeys, external.Public(), schedule.ExternalInitSecretLabel, s.HashSize())
		if err != nil {
			f.t.Fatal(err)
		}
		if c.external.kemHook != nil {
			kemOutput = c.external.kemHook(kemOutput)
		}
		initSecret = secret
		for i := range c.proposals {
			if p := c.proposals[i].Proposal; p != nil && p.Type == message.ProposalExternalInit && p.ExternalInit == nil {
				p.ExternalInit = kemOutput
			}
		}
	}

	edit := in.Tree.Edit()
	extensions, added, psks := f.apply(edit, c.proposals, sender)
	b.added, b.psks = added, psks
	template := message.LeafNode{}
	if c.external != nil {
		template = c.external.leaf
		b.self = edit.Place(&template)
		c.external.place = b.self
	} else if leaf := in.Tree.Leaf(in.Self); leaf != nil {
		template = *leaf
	}
	b.tree = edit.Tree()

	provisional := *in.Context
	provisional.Epoch++
	provisional.Extensions = extensions
	commit := &message.Commit{Proposals: c.proposals}
	var commitSecret []byte
	if !c.noPath {
		commit.Path, commitSecret = f.makePath(&c, b, template, &provisional)
	}
	provisional.TreeHash = b.tree.Hash()

	format := message.WireFormatPrivateMessage
	if c.public || c.external != nil {
		format = message.WireFormatPublicMessage
	}
	content := &message.AuthenticatedContent{WireFormat: format, Content: message.FramedContent{
		GroupID:           in.GroupID,
		Epoch:             in.Context.Epoch,
		Sender:            sender,
		AuthenticatedData: []byte("authenticated"),
		ContentType:       message.ContentTypeCommit,
		Commit:            commit,
	}}
	if c.content != nil {
		c.content(&content.Content)
	}
	signer := b.key
	if c.signer != nil {
		signer = c.signer
	}
	signCtx := *in.Context
	if c.signCtx != nil {
		c.signCtx(&signCtx)
	}
	signed := *content
	if c.format != 0 {
		signed.WireFormat = c.format
	}
	if _, err := signed.Sign(ctx, s, signer, &signCtx); err != nil {
		f.t.Fatal(err)
	}
	content.Auth = signed.Auth
	if c.signed != nil {
		c.signed(content)
	}

	// The new epoch.
	b.context = &provisional
	b.context.ConfirmedTranscriptHash = schedule.ConfirmedTranscriptHash(s, in.Interim, content)
	if c.newCtx != nil {
		c.newCtx(b.context)
	}
	if c.secrets != nil {
		initSecret, commitSecret = c.secrets(bytes.Clone(initSecret), bytes.Clone(commitSecret))
	}
	pskSecrets := make([][]byte, len(psks))
	for i := range psks {
		secret, ok := c.psks[psks[i].Key()]
		if !ok && psks[i].Type == message.PSKResumption {
			secret = in.Secrets.ResumptionPSK
		}
		pskSecrets[i] = secret
	}
	pskSecret := must(schedule.PSKSecret(s, psks, pskSecrets))
	contextBytes := wire.Marshal(b.context)
	b.joiner = schedule.NewJoiner(s, initSecret, commitSecret, contextBytes)
	b.next = b.joiner.WithPSK(pskSecret)
	b.secrets = b.next.Epoch(contextBytes)
	b.tag = b.secrets.ConfirmationTag(s, b.context.ConfirmedTranscriptHash)
	content.Auth.ConfirmationTag = b.tag
	if c.tag != nil {
		content.Auth.ConfirmationTag = c.tag(bytes.Clone(b.tag))
	}

	m := &message.MLSMessage{WireFormat: format}
	if format == message.WireFormatPublicMessage {
		m.Public = &message.PublicMessage{Content: content.Content, Auth: content.Auth}
		if content.Content.Sender.Type == message.SenderMember {
			m.Public.MembershipTag = s.MAC(in.Secrets.MembershipKey, content.TBM(in.Context))
		}
		if c.publicMsg != nil {
			c.publicMsg(m.Public)
		}
	} else {
		m.Private = f.seal(content, c.private)
	}
	if c.msg != nil {
		c.msg(m)
	}
	b.message = wire.Marshal(m)
	return b
}

// makePath is the committer's side of RFC 9420, Sections 7.4 to 7.6: it puts
// the path into b.tree and returns the UpdatePath and the commit secret.
func (f *forger) makePath(c *forgedCommit, b *built, leaf message.LeafNode, provisional *message.GroupContext) (*message.UpdatePath, []byte) {
	in, s, t := f.in, f.in.Suite, b.tree
	size := treemath.LeafCount(t.LeafCount())
	copath := make(map[treemath.NodeIndex]treemath.NodeIndex)
	direct := treemath.DirectPath(b.self.Node(), size)
	for i, x := range treemath.CoPath(b.self.Node(), size) {
		copath[direct[i]] = x
	}
	b.steps = t.FilteredDirectPath(b.self)

	secret := suite.Random(s.HashSize())
	nodeSecrets := make([][]byte, len(b.steps))
	for i := range b.steps {
		b.path = append(b.path, secret)
		nodeSecrets[i] = s.DeriveSecret(secret, "node")
		secret = s.DeriveSecret(secret, "path")
	}
	commitSecret := secret
	if len(b.steps) == 0 {
		commitSecret = s.DeriveSecret(secret, "path")
	}
	public := make([][]byte, len(b.steps))
	for i, key := range must(kitKeys.DeriveHPKEKeys(ctx, s.ID(), nodeSecrets)) {
		public[i] = key.Public()
	}
	if c.pathKeys != nil {
		c.pathKeys(public)
	}

	nodes := t.Export()
	for len(nodes) < int(treemath.Width(size)) {
		nodes = append(nodes, message.Node{})
	}
	for _, x := range direct {
		nodes[x] = message.Node{}
	}
	var parentHash []byte
	for i := len(b.steps) - 1; i >= 0; i-- {
		parent := &message.ParentNode{EncryptionKey: public[i], ParentHash: parentHash}
		nodes[b.steps[i]] = message.Node{Parent: parent}
		var w wire.Writer
		w.Opaque(parent.EncryptionKey)
		w.Opaque(parent.ParentHash)
		w.Opaque(t.NodeHash(copath[b.steps[i]]))
		parentHash = s.Hash(w.Bytes())
	}

	key := c.leafKey
	if key == nil {
		key = must(kitKeys.GenerateHPKEKey(ctx, s.ID()))
	}
	leaf.EncryptionKey = key.Public()
	leaf.Source = message.LeafNodeSourceCommit
	leaf.Lifetime = message.Lifetime{}
	leaf.ParentHash = parentHash
	if c.leaf != nil {
		c.leaf(&leaf)
	}
	signer, group, index := b.key, in.GroupID, b.self
	if c.leafSigner != nil {
		signer = c.leafSigner
	}
	if c.leafGroup != nil {
		group = c.leafGroup
	}
	if c.leafIndex != nil {
		index = *c.leafIndex
	}
	if err := leaf.Sign(ctx, s, signer, group, index); err != nil {
		f.t.Fatal(err)
	}
	if c.signedLeaf != nil {
		c.signedLeaf(&leaf)
	}
	nodes[b.self.Node()] = message.Node{Leaf: &leaf}
	for len(nodes) > 0 && nodes[len(nodes)-1] == (message.Node{}) {
		nodes = nodes[:len(nodes)-1]
	}
	b.tree = must(tree.Import(s, nodes))

	path := &message.UpdatePath{LeafNode: leaf}
	encryptCtx := *provisional
	encryptCtx.TreeHash = b.tree.Hash()
	if c.pathCtx != nil {
		c.pathCtx(&encryptCtx)
	}
	for i, x := range b.steps {
		plain := b.path[i]
		if c.pathSecret != nil {
			plain = c.pathSecret(i, bytes.Clone(plain))
		}
		var recipients []suite.Recipient
		for _, y := range b.tree.Resolution(copath[x]) {
			if i, ok := y.Leaf(); ok && contains(b.added, i) {
				continue
			}
			key := []byte(nil)
			if i, ok := y.Leaf(); ok {
				key = b.tree.Leaf(i).EncryptionKey
			} else {
				key = b.tree.Parent(y).EncryptionKey
			}
			recipients = append(recipients, suite.Recipient{PublicKey: key, Plaintext: plain})
		}
		sealed, err := s.EncryptWithLabel(ctx, kitKeys, "UpdatePathNode", wire.Marshal(&encryptCtx), recipients)
		if err != nil {
			f.t.Fatal(err)
		}
		path.Nodes = append(path.Nodes, message.UpdatePathNode{EncryptionKey: public[i], EncryptedPathSecret: sealed})
	}
	if c.path != nil {
		c.path(path)
	}
	return path, commitSecret
}

func contains[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// sealHooks change a PrivateMessage on its way.
type sealHooks struct {
	generation    *uint32                       // whose key is used, instead of the next
	ratchet       *schedule.Ratchet             // instead of that of the content type
	header        func(*message.PrivateMessage) // before either AEAD covers it
	plaintext     func([]byte) []byte
	padding       int
	data          func(*message.SenderData) // what is claimed; the reuse guard is used as it is then
	rawData       []byte                    // instead of sender data
	nonce         func([]byte)              // of the content
	key           func([]byte)
	dataKey       func(key, nonce []byte)
	ciphertext    func([]byte) []byte // before the sender data key is sampled from it
	sealed        func(*message.PrivateMessage)
	plainTypeFrom message.ContentType // the content type by which the plaintext is written
}

// seal is RFC 9420, Section 6.3. No generation is consumed.
func (f *forger) seal(c *message.AuthenticatedContent, h sealHooks) *message.PrivateMessage {
	f.t.Helper()
	in, s := f.in, f.in.Suite
	ratchet := schedule.Handshake
	if c.Content.ContentType == message.ContentTypeApplication {
		ratchet = schedule.Application
	}
	if h.ratchet != nil {
		ratchet = *h.ratchet
	}
	draft := in.Ratchets.Draft()
	generation, key, nonce, err := draft.Next(in.Self, ratchet)
	if h.generation != nil {
		generation = *h.generation
		key, nonce, err = in.Ratchets.Draft().Key(in.Self, ratchet, generation)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	data := message.SenderData{Leaf: in.Self, Generation: generation}
	copy(data.ReuseGuard[:], suite.Random(4))
	if h.data != nil {
		h.data(&data)
	}
	for i, b := range data.ReuseGuard {
		nonce[i] ^= b
	}
	if h.nonce != nil {
		h.nonce(nonce)
	}
	if h.key != nil {
		h.key(key)
	}
	m := &message.PrivateMessage{
		GroupID:           c.Content.GroupID,
		Epoch:             c.Content.Epoch,
		ContentType:       c.Content.ContentType,
		AuthenticatedData: c.Content.AuthenticatedData,
	}
	if h.header != nil {
		h.header(m)
	}
	var w, aad, dataAAD, sd wire.Writer
	c.Content.MarshalContent(&w)
	c.Auth.MarshalFor(&w, c.Content.ContentType)
	plain := append(w.Bytes(), make([]byte, h.padding)...)
	if h.plaintext != nil {
		plain = h.plaintext(plain)
	}
	m.MarshalContentAAD(&aad)
	m.Ciphertext = s.Seal(key, nonce, aad.Bytes(), plain)
	if h.ciphertext != nil {
		m.Ciphertext = h.ciphertext(m.Ciphertext)
	}
	data.Marshal(&sd)
	plain = sd.Bytes()
	if h.rawData != nil {
		plain = h.rawData
	}
	key, nonce = schedule.SenderDataKeyNonce(s, in.Secrets.SenderDataSecret, m.Ciphertext)
	if h.dataKey != nil {
		h.dataKey(key, nonce)
	}
	m.MarshalSenderDataAAD(&dataAAD)
	m.EncryptedSenderData = s.Seal(key, nonce, dataAAD.Bytes(), plain)
	if h.sealed != nil {
		h.sealed(m)
	}
	return m
}

// forgedContent is a proposal or application data to be built.
type forgedContent struct {
	public      bool
	proposal    *message.Proposal
	application []byte
	sender      *message.Sender // instead of the member
	content     func(*message.FramedContent)
	signer      suite.SignatureKey
	signCtx     func(*message.GroupContext)
	format      message.WireFormat
	signed      func(*message.AuthenticatedContent)
	publicMsg   func(*message.PublicMessage)
	private     sealHooks
	msg         func(*message.MLSMessage)
}

// frame builds a proposal or an application message. ref is the ProposalRef.
func (f *forger) frame(c forgedContent) (b, ref []byte) {
	f.t.Helper()
	in, s := f.in, f.in.Suite
	format := message.WireFormatPrivateMessage
	if c.public || c.sender != nil {
		format = message.WireFormatPublicMessage
	}
	content := &message.AuthenticatedContent{WireFormat: format, Content: message.FramedContent{
		GroupID:           in.GroupID,
		Epoch:             in.Context.Epoch,
		Sender:            message.Sender{Type: message.SenderMember, Leaf: in.Self},
		AuthenticatedData: []byte("authenticated"),
		ContentType:       message.ContentTypeApplication,
		ApplicationData:   c.application,
	}}
	if c.proposal != nil {
		content.Content.ContentType = message.ContentTypeProposal
		content.Content.Proposal = c.proposal
	}
	if c.sender != nil {
		content.Content.Sender = *c.sender
	}
	if c.content != nil {
		c.content(&content.Content)
	}
	signer := in.Key
	if c.signer != nil {
		signer = c.signer
	}
	signCtx := *in.Context
	if c.signCtx != nil {
		c.signCtx(&signCtx)
	}
	signed := *content
	if c.format != 0 {
		signed.WireFormat = c.format
	}
	if _, err := signed.Sign(ctx, s, signer, &signCtx); err != nil {
		f.t.Fatal(err)
	}
	content.Auth = signed.Auth
	if c.signed != nil {
		c.signed(content)
	}
	m := &message.MLSMessage{WireFormat: format}
	if format == message.WireFormatPublicMessage {
		m.Public = &message.PublicMessage{Content: content.Content, Auth: content.Auth}
		if content.Content.Sender.Type == message.SenderMember {
			m.Public.MembershipTag = s.MAC(in.Secrets.MembershipKey, content.TBM(in.Context))
		}
		if c.publicMsg != nil {
			c.publicMsg(m.Public)
		}
	} else {
		m.Private = f.seal(content, c.private)
	}
	if c.msg != nil {
		c.msg(m)
	}
	return wire.Marshal(m), s.ProposalRef(wire.Marshal(content))
}

// forgedWelcome is the Welcome of a commit to be built.
type forgedWelcome struct {
	noTree     bool
	secrets    func(*message.GroupSecrets)
	rawSecrets func([]byte) []byte
	nodes      func(message.RatchetTree) message.RatchetTree // the tree hash is made over what it leaves
	context    func(*message.GroupContext)                   // the epoch and its tag are made over it
	info       func(*message.GroupInfo)                      // before it is signed
	signer     suite.SignatureKey
	signed     func(*message.GroupInfo)
	rawInfo    func([]byte) []byte
	welcome    func(*message.Welcome)
	sealInfo   func(key, nonce []byte)
	psks       map[string][]byte // the welcome secret is made with these, in the order of GroupSecrets
}

// welcome builds the Welcome for the key package kp, which b has added first.
func (f *forger) welcome(b *built, kp *message.KeyPackage, h forgedWelcome) []byte {
	f.t.Helper()
	s := f.in.Suite
	nodes := b.tree.Export()
	group := *b.context
	if h.nodes != nil {
		nodes = h.nodes(copyNodes(nodes))
		if t, err := tree.Import(s, nodes); err == nil {
			group.TreeHash = t.Hash()
		}
	}
	if h.context != nil {
		h.context(&group)
	}
	secrets := message.GroupSecrets{JoinerSecret: bytes.Clone(b.joiner.Secret()), PSKs: b.psks}
	if len(b.steps) != 0 {
		x := treemath.CommonAncestor(b.self.Node(), b.added[0].Node())
		for i, y := range b.steps {
			if x == y {
				secrets.PathSecret = bytes.Clone(b.path[i])
			}
		}
	}
	next := b.next
	if h.psks != nil {
		secrets.PSKs = nil
	}
	if h.secrets != nil {
		h.secrets(&secrets)
	}
	if h.psks != nil {
		list := make([][]byte, len(secrets.PSKs))
		for i := range list {
			list[i] = h.psks[secrets.PSKs[i].Key()]
		}
		next = b.joiner.WithPSK(must(schedule.PSKSecret(s, secrets.PSKs, list)))
	}
	epoch := next.Epoch(wire.Marshal(&group))
	info := &message.GroupInfo{
		GroupContext:    group,
		ConfirmationTag: epoch.ConfirmationTag(s, group.ConfirmedTranscriptHash),
		Signer:          b.self,
	}
	if !h.noTree {
		info.Extensions = message.Extensions{{Type: message.ExtensionRatchetTree, Data: wire.Marshal(nodes)}}
	}
	if h.info != nil {
		h.info(info)
	}
	signer := b.key
	if h.signer != nil {
		signer = h.signer
	}
	if err := info.Sign(ctx, s, signer); err != nil {
		f.t.Fatal(err)
	}
	if h.signed != nil {
		h.signed(info)
	}
	plain := wire.Marshal(info)
	if h.rawInfo != nil {
		plain = h.rawInfo(plain)
	}
	key, nonce := next.WelcomeKeyNonce()
	if h.sealInfo != nil {
		h.sealInfo(key, nonce)
	}
	w := &message.Welcome{CipherSuite: s.ID(), EncryptedGroupInfo: s.Seal(key, nonce, nil, plain)}
	raw := wire.Marshal(&secrets)
	if h.rawSecrets != nil {
		raw = h.rawSecrets(raw)
	}
	sealed, err := s.EncryptWithLabel(ctx, kitKeys, "Welcome", w.EncryptedGroupInfo, []suite.Recipient{{PublicKey: kp.InitKey, Plaintext: raw}})
	if err != nil {
		f.t.Fatal(err)
	}
	w.Secrets = []message.EncryptedGroupSecrets{{NewMember: kp.Ref(s), EncryptedGroupSecrets: sealed[0]}}
	if h.welcome != nil {
		h.welcome(w)
	}
	return wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: w})
}

// copyNodes copies a tree so that its nodes may be changed.
func copyNodes(nodes message.RatchetTree) message.RatchetTree {
	var out message.RatchetTree
	if err := wire.Unmarshal(wire.Marshal(nodes), &out); err != nil {
		panic(err)
	}
	return out
}

// parseKeyPackage decodes an MLSMessage that holds a key package.
func parseKeyPackage(b []byte) *message.KeyPackage {
	return must(message.Parse(bytes.Clone(b))).KeyPackage
}

// stranger is someone with a signature key and nothing else.
type stranger struct {
	suite *suite.Suite
	key   suite.SignatureKey
	name  string
}

func newStranger(s *suite.Suite, name string) *stranger {
	return &stranger{s, must(kitKeys.GenerateSignatureKey(ctx, s.ID())), name}
}

// leaf returns a leaf of a key package, signed after change.
func (x *stranger) leaf(change func(*message.LeafNode)) message.LeafNode {
	now := uint64(time.Now().Unix())
	leaf := message.LeafNode{
		EncryptionKey: must(kitKeys.GenerateHPKEKey(ctx, x.suite.ID())).Public(),
		SignatureKey:  x.key.Public(),
		Credential:    message.BasicCredential([]byte(x.name)),
		Capabilities: message.Capabilities{
			Versions:     []message.ProtocolVersion{message.MLS10},
			CipherSuites: []suite.ID{x.suite.ID()},
			Credentials:  []message.CredentialType{message.CredentialBasic, message.CredentialX509},
		},
		Source:   message.LeafNodeSourceKeyPackage,
		Lifetime: message.Lifetime{NotBefore: now - 3600, NotAfter: now + 86400},
	}
	if change != nil {
		change(&leaf)
	}
	if err := leaf.Sign(ctx, x.suite, x.key, nil, 0); err != nil {
		panic(err)
	}
	return leaf
}

// keyPackage returns a key package whose leaf is signed after changeLeaf, and
// which is signed after change.
func (x *stranger) keyPackage(changeLeaf func(*message.LeafNode), change func(*message.KeyPackage)) *message.KeyPackage {
	kp := &message.KeyPackage{
		Version:     message.MLS10,
		CipherSuite: x.suite.ID(),
		InitKey:     must(kitKeys.GenerateHPKEKey(ctx, x.suite.ID())).Public(),
		LeafNode:    x.leaf(changeLeaf),
	}
	if change != nil {
		change(kp)
	}
	if err := kp.Sign(ctx, x.suite, x.key); err != nil {
		panic(err)
	}
	return kp
}

// add is an Add proposal of the stranger.
func (x *stranger) add(changeLeaf func(*message.LeafNode), change func(*message.KeyPackage)) message.Proposal {
	return message.Proposal{Type: message.ProposalAdd, Add: x.keyPackage(changeLeaf, change)}
}

// flip returns b with its last bit changed, and one byte where b is empty.
func flip(b []byte) []byte {
	c := bytes.Clone(b)
	if len(c) == 0 {
		return []byte{1}
	}
	c[len(c)-1] ^= 1
	return c
}

// badLengths returns b cut to nothing, cut by one byte and with one more (S1).
func badLengths(b []byte) map[string][]byte {
	return map[string][]byte{
		"empty":         {},
		"one byte less": b[:len(b)-1],
		"one byte more": append(bytes.Clone(b), 0),
	}
}

func requiredCapabilities(r message.RequiredCapabilities) message.Extension {
	return message.Extension{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&r)}
}

// gone checks that none of the secrets for which gone is true is in the
// party's store any more.
func (p *party) gone(t testing.TB, secrets []mls.Secret, gone func(mls.Secret) bool) {
	t.Helper()
	for _, s := range secrets {
		if where, ok := p.store.Contains(s.Bytes); ok && gone(s) {
			t.Errorf("%s: %s is still stored, in %q", p.name, s.Name, where)
		}
	}
}
