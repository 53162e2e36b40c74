package message_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// seed of all random values. A failure prints it with the number of the value.
const seed = 9420

// codec is a value that encodes and decodes itself.
type codec interface {
	wire.Marshaler
	wire.Unmarshaler
}

// kind is a struct of the RFC, with how to make one.
type kind struct {
	name   string
	fresh  func() codec
	random func(g *generator) codec
}

// of describes the kind whose values make returns.
func of[T any, P interface {
	*T
	codec
}](name string, random func(g *generator) T) kind {
	return kind{
		name:  name,
		fresh: func() codec { return P(new(T)) },
		random: func(g *generator) codec {
			v := random(g)
			return P(&v)
		},
	}
}

// kinds has every struct that this package decodes, and the two that are part
// of its structs or of its messages but live elsewhere.
var kinds = []kind{
	of("MLSMessage", (*generator).mlsMessage),
	of("PublicMessage", (*generator).publicMessage),
	of("PrivateMessage", (*generator).privateMessage),
	of("FramedContent", (*generator).framedContent),
	of("AuthenticatedContent", (*generator).authenticatedContent),
	of("FramedContentAuthData", (*generator).authData),
	of("Sender", (*generator).sender),
	of("SenderData", (*generator).senderData),
	of("Welcome", (*generator).welcome),
	of("GroupInfo", (*generator).groupInfo),
	of("GroupSecrets", (*generator).groupSecrets),
	of("GroupContext", (*generator).groupContext),
	of("KeyPackage", (*generator).keyPackage),
	of("LeafNode", (*generator).leafNode),
	of("ParentNode", (*generator).parentNode),
	of("Node", (*generator).node),
	of("RatchetTree", (*generator).ratchetTree),
	of("Capabilities", (*generator).capabilities),
	of("Credential", (*generator).credential),
	of("Proposal", (*generator).proposal),
	of("ProposalOrRef", (*generator).proposalOrRef),
	of("Commit", (*generator).commit),
	of("UpdatePath", (*generator).updatePath),
	of("PreSharedKeyID", (*generator).pskID),
	of("Extensions", (*generator).extensions),
	of("RequiredCapabilities", (*generator).requiredCapabilities),
	of("ExternalSenderList", (*generator).externalSenders),
	of("HPKECiphertext", (*generator).ciphertext),
}

// find returns the kind of a name.
func find(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("no kind " + name)
}

// taggedAuth is FramedContentAuthData behind the content type that it goes with.
type taggedAuth struct {
	Type message.ContentType
	Auth message.FramedContentAuthData
}

func (a *taggedAuth) Marshal(w *wire.Writer) {
	w.Uint8(uint8(a.Type))
	a.Auth.MarshalFor(w, a.Type)
}

func (a *taggedAuth) Unmarshal(r *wire.Reader) {
	a.Type = message.ContentType(r.Uint8())
	a.Auth.UnmarshalFor(r, a.Type)
}

// treeNode is an optional<Node>.
type treeNode struct{ message.Node }

func (n *treeNode) Marshal(w *wire.Writer)   { n.MarshalNode(w) }
func (n *treeNode) Unmarshal(r *wire.Reader) { n.Node = message.UnmarshalNode(r) }

// generator makes random values that are well-formed, though seldom valid. Its
// lists are mostly short, and its sizes those at which headers change now and then.
type generator struct{ *rand.Rand }

func newGenerator(stream uint64) *generator {
	return &generator{rand.New(rand.NewPCG(seed, stream))}
}

func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) bytes() []byte {
	n := g.IntN(12)
	switch g.IntN(60) {
	case 0:
		n = 63
	case 1:
		n = 64
	case 2:
		n = 300
	}
	return g.bytesOf(n)
}

func (g *generator) bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// list makes up to max values, mostly fewer.
func list[T any](g *generator, max int, make func(g *generator) T) (out []T) {
	for range g.IntN(max + 1) {
		out = append(out, make(g))
	}
	return out
}

func types[T ~uint16](g *generator) []T {
	return list(g, 4, func(g *generator) T { return T(g.Uint32()) })
}

func (g *generator) credential() message.Credential {
	switch g.IntN(3) {
	case 0:
		return message.BasicCredential(g.bytes())
	case 1:
		return message.Credential{Type: message.CredentialX509, Certificates: list(g, 3, (*generator).bytes)}
	}
	return message.Credential{Type: message.CredentialType(3 + g.IntN(65533)), Data: g.bytes()}
}

func (g *generator) capabilities() message.Capabilities {
	return message.Capabilities{
		Versions:     types[message.ProtocolVersion](g),
		CipherSuites: types[suite.ID](g),
		Extensions:   types[message.ExtensionType](g),
		Proposals:    types[message.ProposalType](g),
		Credentials:  types[message.CredentialType](g),
	}
}

func (g *generator) requiredCapabilities() message.RequiredCapabilities {
	return message.RequiredCapabilities{
		Extensions:  types[message.ExtensionType](g),
		Proposals:   types[message.ProposalType](g),
		Credentials: types[message.CredentialType](g),
	}
}

func (g *generator) externalSenders() message.ExternalSenderList {
	return list(g, 3, func(g *generator) message.ExternalSender {
		return message.ExternalSender{SignatureKey: g.bytes(), Credential: g.credential()}
	})
}

// extensions are of different types, GREASE among them. Those that have a
// content have a right one.
func (g *generator) extensions() message.Extensions {
	var list message.Extensions
	for _, t := range g.Perm(8)[:g.IntN(4)] {
		switch message.ExtensionType(t) {
		case message.ExtensionApplicationID:
			list = append(list, message.NewApplicationID(g.bytes()))
		case message.ExtensionExternalPub:
			list = append(list, message.NewExternalPub(g.bytes()))
		case message.ExtensionRequiredCapabilities:
			c := g.requiredCapabilities()
			list = append(list, message.Extension{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&c)})
		case message.ExtensionExternalSenders:
			list = append(list, message.Extension{Type: message.ExtensionExternalSenders, Data: wire.Marshal(g.externalSenders())})
		case 7:
			grease := uint16(0x0a0a + 0x1010*g.IntN(15))
			list = append(list, message.Extension{Type: message.ExtensionType(grease), Data: g.bytes()})
		default:
			list = append(list, message.Extension{Type: message.ExtensionType(0xf000 + t), Data: g.bytes()})
		}
	}
	return list
}

func (g *generator) leafNode() message.LeafNode {
	n := message.LeafNode{
		EncryptionKey: g.bytes(),
		SignatureKey:  g.bytes(),
		Credential:    g.credential(),
		Capabilities:  g.capabilities(),
		Source:        message.LeafNodeSource(1 + g.IntN(3)),
		Extensions:    g.extensions(),
		Signature:     g.bytes(),
	}
	switch n.Source {
	case message.LeafNodeSourceKeyPackage:
		n.Lifetime = message.Lifetime{NotBefore: g.Uint64(), NotAfter: g.Uint64()}
	case message.LeafNodeSourceCommit:
		n.ParentHash = g.bytes()
	}
	return n
}

func (g *generator) parentNode() message.ParentNode {
	n := message.ParentNode{EncryptionKey: g.bytes(), ParentHash: g.bytes()}
	leaf := uint32(0)
	for range g.IntN(5) {
		leaf += g.Uint32N(1 << 20)
		n.UnmergedLeaves = append(n.UnmergedLeaves, treemath.LeafIndex(leaf))
		leaf++
	}
	return n
}

func (g *generator) node() treeNode {
	switch g.IntN(3) {
	case 0:
		n := g.leafNode()
		return treeNode{message.Node{Leaf: &n}}
	case 1:
		n := g.parentNode()
		return treeNode{message.Node{Parent: &n}}
	}
	return treeNode{}
}

// ratchetTree ends in a node that is not blank.
func (g *generator) ratchetTree() message.RatchetTree {
	size := 1 + 2*g.IntN(8)
	tree := make(message.RatchetTree, size)
	for i := range tree {
		switch {
		case i < size-1 && g.one(3):
		case i%2 == 0:
			n := g.leafNode()
			tree[i].Leaf = &n
		default:
			n := g.parentNode()
			tree[i].Parent = &n
		}
	}
	return tree
}

func (g *generator) keyPackage() message.KeyPackage {
	return message.KeyPackage{
		Version:     message.MLS10,
		CipherSuite: suite.ID(g.Uint32()),
		InitKey:     g.bytes(),
		LeafNode:    g.leafNode(),
		Extensions:  g.extensions(),
		Signature:   g.bytes(),
	}
}

func (g *generator) groupContext() message.GroupContext {
	return message.GroupContext{
		Version:                 message.MLS10,
		CipherSuite:             suite.ID(g.Uint32()),
		GroupID:                 g.bytes(),
		Epoch:                   g.Uint64(),
		TreeHash:                g.bytes(),
		ConfirmedTranscriptHash: g.bytes(),
		Extensions:              g.extensions(),
	}
}

func (g *generator) pskID() message.PreSharedKeyID {
	if g.one(2) {
		return message.PreSharedKeyID{Type: message.PSKExternal, ID: g.bytes(), Nonce: g.bytes()}
	}
	return message.PreSharedKeyID{
		Type:    message.PSKResumption,
		Usage:   message.ResumptionPSKUsage(1 + g.IntN(3)),
		GroupID: g.bytes(),
		Epoch:   g.Uint64(),
		Nonce:   g.bytes(),
	}
}

func (g *generator) proposal() message.Proposal {
	p := message.Proposal{Type: message.ProposalType(1 + g.IntN(8))}
	switch p.Type {
	case message.ProposalAdd:
		kp := g.keyPackage()
		p.Add = &kp
	case message.ProposalUpdate:
		leaf := g.leafNode()
		p.Update = &leaf
	case message.ProposalRemove:
		p.Remove = treemath.LeafIndex(g.Uint32())
	case message.ProposalPSK:
		id := g.pskID()
		p.PSK = &id
	case message.ProposalReInit:
		p.ReInit = &message.ReInit{
			GroupID:     g.bytes(),
			Version:     message.ProtocolVersion(g.Uint32()),
			CipherSuite: suite.ID(g.Uint32()),
			Extensions:  g.extensions(),
		}
	case message.ProposalExternalInit:
		p.ExternalInit = g.bytes()
	case message.ProposalGroupContextExtensions:
		p.Extensions = g.extensions()
	default:
		p.Type = message.ProposalType(8 + g.IntN(65528))
		p.Custom = g.bytes()
	}
	return p
}

func (g *generator) proposalOrRef() message.ProposalOrRef {
	if g.one(3) {
		return message.ProposalOrRef{Reference: g.bytes()}
	}
	p := g.proposal()
	return message.ProposalOrRef{Proposal: &p}
}

func (g *generator) ciphertext() suite.HPKECiphertext {
	return suite.HPKECiphertext{KEMOutput: g.bytes(), Ciphertext: g.bytes()}
}

func (g *generator) updatePath() message.UpdatePath {
	return message.UpdatePath{LeafNode: g.leafNode(), Nodes: list(g, 4, func(g *generator) message.UpdatePathNode {
		return message.UpdatePathNode{EncryptionKey: g.bytes(), EncryptedPathSecret: list(g, 3, (*generator).ciphertext)}
	})}
}

func (g *generator) commit() message.Commit {
	c := message.Commit{Proposals: list(g, 4, (*generator).proposalOrRef)}
	if g.one(2) {
		path := g.updatePath()
		c.Path = &path
	}
	return c
}

func (g *generator) sender() message.Sender {
	switch s := (message.Sender{Type: message.SenderType(1 + g.IntN(4))}); s.Type {
	case message.SenderMember:
		s.Leaf = treemath.LeafIndex(g.Uint32())
		return s
	case message.SenderExternal:
		s.Index = g.Uint32()
		return s
	default:
		return s
	}
}

func (g *generator) senderData() message.SenderData {
	return message.SenderData{Leaf: treemath.LeafIndex(g.Uint32()), Generation: g.Uint32(), ReuseGuard: [4]byte(g.bytesOf(4))}
}

func (g *generator) framedContent() message.FramedContent {
	c := message.FramedContent{
		GroupID:           g.bytes(),
		Epoch:             g.Uint64(),
		Sender:            g.sender(),
		AuthenticatedData: g.bytes(),
		ContentType:       message.ContentType(1 + g.IntN(3)),
	}
	switch c.ContentType {
	case message.ContentTypeApplication:
		c.ApplicationData = g.bytes()
	case message.ContentTypeProposal:
		p := g.proposal()
		c.Proposal = &p
	case message.ContentTypeCommit:
		commit := g.commit()
		c.Commit = &commit
	}
	return c
}

func (g *generator) authFor(t message.ContentType) message.FramedContentAuthData {
	a := message.FramedContentAuthData{Signature: g.bytes()}
	if t == message.ContentTypeCommit {
		a.ConfirmationTag = g.bytes()
	}
	return a
}

func (g *generator) authData() taggedAuth {
	t := message.ContentType(1 + g.IntN(3))
	return taggedAuth{t, g.authFor(t)}
}

func (g *generator) authenticatedContent() message.AuthenticatedContent {
	c := g.framedContent()
	return message.AuthenticatedContent{
		WireFormat: message.WireFormat(1 + g.IntN(2)),
		Content:    c,
		Auth:       g.authFor(c.ContentType),
	}
}

func (g *generator) publicMessage() message.PublicMessage {
	c := g.framedContent()
	m := message.PublicMessage{Content: c, Auth: g.authFor(c.ContentType)}
	if c.Sender.Type == message.SenderMember {
		m.MembershipTag = g.bytes()
	}
	return m
}

func (g *generator) privateMessage() message.PrivateMessage {
	return message.PrivateMessage{
		GroupID:             g.bytes(),
		Epoch:               g.Uint64(),
		ContentType:         message.ContentType(1 + g.IntN(3)),
		AuthenticatedData:   g.bytes(),
		EncryptedSenderData: g.bytes(),
		Ciphertext:          g.bytes(),
	}
}

func (g *generator) welcome() message.Welcome {
	return message.Welcome{
		CipherSuite: suite.ID(g.Uint32()),
		Secrets: list(g, 4, func(g *generator) message.EncryptedGroupSecrets {
			return message.EncryptedGroupSecrets{NewMember: g.bytes(), EncryptedGroupSecrets: g.ciphertext()}
		}),
		EncryptedGroupInfo: g.bytes(),
	}
}

func (g *generator) groupInfo() message.GroupInfo {
	extensions := g.extensions()
	if g.one(2) {
		extensions = append(extensions, message.Extension{Type: message.ExtensionRatchetTree, Data: wire.Marshal(g.ratchetTree())})
		if !extensions.Unique() {
			extensions = extensions[:len(extensions)-1]
		}
	}
	return message.GroupInfo{
		GroupContext:    g.groupContext(),
		Extensions:      extensions,
		ConfirmationTag: g.bytes(),
		Signer:          treemath.LeafIndex(g.Uint32()),
		Signature:       g.bytes(),
	}
}

func (g *generator) groupSecrets() message.GroupSecrets {
	s := message.GroupSecrets{JoinerSecret: g.bytes(), PSKs: list(g, 3, (*generator).pskID)}
	if g.one(2) {
		s.PathSecret = g.bytes() // perhaps present and empty
	}
	return s
}

func (g *generator) mlsMessage() message.MLSMessage {
	m := message.MLSMessage{WireFormat: message.WireFormat(1 + g.IntN(5))}
	switch m.WireFormat {
	case message.WireFormatPublicMessage:
		v := g.publicMessage()
		m.Public = &v
	case message.WireFormatPrivateMessage:
		v := g.privateMessage()
		m.Private = &v
	case message.WireFormatWelcome:
		v := g.welcome()
		m.Welcome = &v
	case message.WireFormatGroupInfo:
		v := g.groupInfo()
		m.GroupInfo = &v
	case message.WireFormatKeyPackage:
		v := g.keyPackage()
		m.KeyPackage = &v
	}
	return m
}

// same compares two values; nil and empty slices are the same.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

func wantCode(t *testing.T, what string, err error, code mlserr.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: error %v, want %s", what, err, code)
	}
}

// rounds is how many values of each kind a test makes.
func rounds() int {
	if testing.Short() {
		return 100
	}
	return 400
}

// forRandom runs check on random values of every kind.
func forRandom(t *testing.T, stream uint64, n int, check func(g *generator, k kind, v codec, b []byte) error) {
	for i, k := range kinds {
		g := newGenerator(stream<<8 | uint64(i))
		for number := range n {
			v := k.random(g)
			if err := check(g, k, v, wire.Marshal(v)); err != nil {
				t.Errorf("%s, seed %d, stream %d, value %d: %v", k.name, seed, stream, number, err)
				break
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	forRandom(t, 1, rounds(), func(_ *generator, k kind, v codec, b []byte) error {
		got := k.fresh()
		if err := wire.Unmarshal(b, got); err != nil {
			return fmt.Errorf("%x: %w", b, err)
		}
		if !same(reflect.ValueOf(v), reflect.ValueOf(got)) {
			return fmt.Errorf("%+v is decoded as %+v", v, got)
		}
		if again := wire.Marshal(got); !bytes.Equal(again, b) {
			return fmt.Errorf("%x is encoded again as %x", b, again)
		}
		return nil
	})
}

// A value cut anywhere is no value.
func TestPrefixesRefused(t *testing.T) {
	forRandom(t, 2, rounds()/20, func(_ *generator, k kind, _ codec, b []byte) error {
		for n := range b {
			if err := wire.Unmarshal(b[:n:n], k.fresh()); err == nil {
				return fmt.Errorf("the first %d bytes of %x are accepted", n, b)
			} else if class := mlserr.CodeOf(err).Info().Class; class != mlserr.ClassMalformed {
				return fmt.Errorf("the first %d bytes of %x: %w", n, b, err)
			}
		}
		return nil
	})
}

// D3: and nothing may come after it.
func TestTrailingByteRefused(t *testing.T) {
	forRandom(t, 3, rounds()/4, func(g *generator, k kind, _ codec, b []byte) error {
		err := wire.Unmarshal(append(b, byte(g.IntN(3))), k.fresh())
		var e *mlserr.Error
		if !errors.As(err, &e) || e.Code != mlserr.Malformed || e.Detail != "trailing bytes" {
			return fmt.Errorf("%x and a byte: %v", b, err)
		}
		return nil
	})
}

// A value with some bytes changed is refused, or is what its bytes say: there
// is one encoding of a value only.
func TestChangedBytes(t *testing.T) {
	accepted := 0
	forRandom(t, 4, rounds(), func(g *generator, k kind, _ codec, b []byte) error {
		for range 1 + g.IntN(3) {
			switch i := g.IntN(len(b)); g.IntN(4) {
			case 0:
				b[i] ^= 1 << g.IntN(8)
			case 1:
				b[i] = byte(g.Uint32())
			case 2:
				b = append(b[:i:i], b[i+1:]...)
			case 3:
				b = append(append(b[:i:i], byte(g.Uint32())), b[i:]...)
			}
			if len(b) == 0 {
				return nil
			}
		}
		got := k.fresh()
		if err := wire.Unmarshal(b, got); err != nil {
			if class := mlserr.CodeOf(err).Info().Class; class != mlserr.ClassMalformed {
				return fmt.Errorf("%x: %w", b, err)
			}
			return nil
		}
		accepted++
		if again := wire.Marshal(got); !bytes.Equal(again, b) {
			return fmt.Errorf("%x is encoded again as %x", b, again)
		}
		return nil
	})
	if accepted < rounds() {
		t.Errorf("only %d changed values decode: the test shows little", accepted)
	}
}

// Decoding does not change its input, and a decoded value can be appended to
// without changing another.
func TestDecodedSlicesEnd(t *testing.T) {
	var walk func(v reflect.Value) error
	walk = func(v reflect.Value) error {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				return walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if err := walk(v.Field(i)); err != nil {
					return fmt.Errorf("%s: %w", v.Type().Field(i).Name, err)
				}
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Uint8 {
				if v.Len() != v.Cap() {
					return fmt.Errorf("%d bytes in a slice of %d", v.Len(), v.Cap())
				}
				return nil
			}
			for i := range v.Len() {
				if err := walk(v.Index(i)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	forRandom(t, 5, rounds()/10, func(_ *generator, k kind, _ codec, b []byte) error {
		before := bytes.Clone(b)
		got := k.fresh()
		if err := wire.Unmarshal(b, got); err != nil {
			return err
		}
		if !bytes.Equal(b, before) {
			return errors.New("decoding has changed its input")
		}
		return walk(reflect.ValueOf(got))
	})
}
