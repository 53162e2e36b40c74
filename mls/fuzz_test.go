package mls_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Fuzzing of everything that takes bytes from outside. All of it stands on the
// frozen group, so that an input means the same in every process. The targets
// that forge are given the plaintext: it is signed, tagged and encrypted
// anew, so that what is judged is what stands behind these checks.

// typed checks that an error is one of the table, and none that says that this
// module or its store is at fault.
func typed(t testing.TB, what string, err error) {
	t.Helper()
	e, ok := err.(*mlserr.Error)
	if !ok {
		t.Fatalf("%s: %T: %v", what, err, err)
	}
	info := e.Code.Info()
	if info.Text == "unknown error code" {
		t.Fatalf("%s: a code that is not in the table: %v", what, err)
	}
	if info.Class == mlserr.ClassInternal || info.Class == mlserr.ClassStorage {
		t.Fatalf("%s: a fault: %v", what, err)
	}
	if e.Op == "" {
		t.Fatalf("%s: names no operation: %v", what, err)
	}
}

// target is a party that inputs are tried on. It stays as it was in the frozen
// group: what an input changes is looked at and dropped.
type target struct {
	fz     *frozen
	name   string
	party  *party
	store  *mls.MemoryStore
	group  []byte
	client []byte
}

func newTarget(t testing.TB, fz *frozen, name string) *target {
	x := &target{fz: fz, name: name}
	x.reset(t)
	return x
}

func (x *target) reset(t testing.TB) {
	x.party = x.fz.open(t, x.name)
	x.store = x.party.store.Clone()
	x.client = x.party.client.ClientSnapshot()
	if x.party.group != nil {
		x.group = x.party.group.LiveState()
	}
}

// unchanged checks that the party is as it was.
func (x *target) unchanged(t testing.TB) {
	t.Helper()
	if !x.party.store.Equal(x.store) {
		t.Fatalf("the store of %s has changed", x.name)
	}
	if !bytes.Equal(x.party.client.ClientSnapshot(), x.client) {
		t.Fatalf("the client of %s has changed in memory", x.name)
	}
	if x.party.group != nil && !bytes.Equal(x.party.group.LiveState(), x.group) {
		t.Fatalf("the group of %s has changed in memory", x.name)
	}
}

// receive has the party receive a message. It returns the event, after the
// state that it leads to was found valid, or nil; then nothing has changed.
func (x *target) receive(t testing.TB, b []byte) (*mls.Event, mls.Info) {
	t.Helper()
	x.party.t = t
	before := bytes.Clone(b)
	ev, err := x.party.group.Receive(ctx, b)
	if !bytes.Equal(b, before) {
		t.Fatalf("Receive has changed its input %x", before)
	}
	if err != nil {
		typed(t, "receive", err)
		x.unchanged(t)
		return nil, mls.Info{}
	}
	info := x.valid(t)
	x.reset(t)
	return ev, info
}

// valid checks that the party's group is stored as it is in memory, and that
// its tree is one that a joiner accepts.
func (x *target) valid(t testing.TB) mls.Info {
	t.Helper()
	p := x.party
	p.checkStored()
	info := p.info()
	if info.Status != mls.StatusActive && info.Status != mls.StatusReadOnly {
		return info
	}
	in := p.group.Inside()
	if err := in.Tree.Validate(); err != nil {
		t.Fatalf("the tree is not valid: %v", err)
	}
	if err := in.Tree.VerifyLeaves(ctx, kitKeys, in.GroupID); err != nil {
		t.Fatalf("a leaf is not valid: %v", err)
	}
	if !bytes.Equal(in.Tree.Hash(), in.Context.TreeHash) || in.Tree.Leaf(in.Self) == nil {
		t.Fatal("the tree is not that of the group context, or without the own leaf")
	}
	again, err := tree.Import(in.Suite, in.Tree.Export())
	if err != nil || !bytes.Equal(again.Hash(), in.Tree.Hash()) {
		t.Fatalf("the tree is another when it is imported: %v", err)
	}
	return info
}

// FuzzReceive: any bytes, to a live group, and to one with a pending commit.
func FuzzReceive(f *testing.F) {
	fz := loadFrozen(f)
	for _, name := range sortedNames(fz.blobs) {
		f.Add(fz.blobs[name])
	}
	bob, pending := newTarget(f, fz, "bob"), newTarget(f, fz, "pending")
	f.Fuzz(func(t *testing.T, b []byte) {
		pending.receive(t, b)
		ev, _ := bob.receive(t, b)
		for _, name := range frozenMessages {
			if ev == nil && bytes.Equal(b, fz.blobs[name]) {
				t.Fatalf("the genuine message %q is refused", name)
			}
		}
	})
}

// Flags of the forging targets.
const (
	forgePublic = 1 << iota // as a PublicMessage
	forgeInner              // sign the key packages and leaves inside anew
	forgeTag                // with a confirmation tag of another length
	forgeNoPath             // a commit without a path
	forgePlain              // do not decode: the bytes are the plaintext
)

// innerly signs anew the key packages and leaves that are in a proposal, so
// that only the rules behind their signatures can refuse them.
func innerly(t testing.TB, p *message.Proposal, by *stranger, in *mls.Inside) {
	t.Helper()
	switch p.Type {
	case message.ProposalAdd:
		leaf := &p.Add.LeafNode
		leaf.SignatureKey = by.key.Public()
		if err := leaf.Sign(ctx, by.suite, by.key, in.GroupID, 0); err != nil {
			t.Fatal(err)
		}
		if err := p.Add.Sign(ctx, by.suite, by.key); err != nil {
			t.Fatal(err)
		}
	case message.ProposalUpdate:
		p.Update.SignatureKey = in.Key.Public()
		if err := p.Update.Sign(ctx, in.Suite, in.Key, in.GroupID, in.Self); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzReceiveSigned: any content, of any kind of sender, signed by a key that
// is right for it, tagged and encrypted. A commit gets this far but for its
// confirmation tag and, mostly, its path.
func FuzzReceiveSigned(f *testing.F) {
	fz := loadFrozen(f)
	bob := newTarget(f, fz, "bob")
	alice := fz.open(f, "alice")
	watcher, outsider := alice.stranger("watcher"), alice.stranger("stranger")
	content := func(name string) (sender, kind byte, body []byte) {
		m, err := message.Parse(fz.blobs[name])
		if err != nil || m.Public == nil {
			f.Fatalf("%q: %v", name, err)
		}
		var w wire.Writer
		m.Public.Content.MarshalContent(&w)
		return byte(m.Public.Content.Sender.Type), byte(m.Public.Content.ContentType), w.Bytes()
	}
	for _, name := range []string{"public commit", "external commit", "external add", "external remove", "remove"} {
		sender, kind, body := content(name)
		for _, flags := range []byte{0, forgePublic, forgePublic | forgeInner, forgeInner} {
			f.Add(sender, kind, flags, body)
		}
	}
	for _, p := range []message.Proposal{
		{Type: message.ProposalUpdate, Update: alice.group.Inside().Tree.Leaf(0)},
		{Type: message.ProposalPSK, PSK: &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk"), Nonce: make([]byte, 32)}},
		{Type: message.ProposalReInit, ReInit: &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: frozenSuite}},
		{Type: message.ProposalGroupContextExtensions, Extensions: alice.group.Inside().Context.Extensions},
		{Type: message.ProposalExternalInit, ExternalInit: make([]byte, 32)},
		{Type: 0xf000, Custom: []byte("custom")},
	} {
		f.Add(byte(message.SenderMember), byte(message.ContentTypeProposal), byte(forgeInner), wire.Marshal(&p))
		f.Add(byte(message.SenderExternal), byte(message.ContentTypeProposal), byte(forgePublic), wire.Marshal(&p))
	}
	f.Add(byte(1), byte(1), byte(0), []byte("\x05hello"))
	f.Add(byte(1), byte(1), byte(forgePlain), []byte("\x05hello\x02xx\x00\x00"))
	f.Add(byte(1), byte(3), byte(forgePlain), make([]byte, 100))
	f.Fuzz(func(t *testing.T, sender, kind, flags byte, body []byte) {
		alice.t = t
		forger := newForger(t, alice)
		in := forger.in
		c := message.FramedContent{ContentType: 1 + message.ContentType(kind-1)%3}
		r := wire.NewReader(body)
		c.UnmarshalContent(r)
		who := message.Sender{Type: 1 + message.SenderType(sender-1)%4}
		fc := forgedContent{public: flags&forgePublic != 0}
		if r.Finish() != nil || flags&forgePlain != 0 {
			// No such content: the plaintext itself, under the AEAD of a member.
			b, _ := forger.frame(forgedContent{
				content: func(fc *message.FramedContent) {
					fc.ContentType, fc.ApplicationData = message.ContentTypeApplication, nil
				},
				private: sealHooks{
					ratchet:   ratchetOf(c.ContentType),
					header:    func(m *message.PrivateMessage) { m.ContentType = c.ContentType },
					plaintext: func([]byte) []byte { return body },
				},
			})
			bob.receive(t, b)
			return
		}
		var leaf *message.LeafNode // whose key signs, for new members
		switch who.Type {
		case message.SenderExternal:
			fc.signer = watcher.key
		case message.SenderNewMemberProposal, message.SenderNewMemberCommit:
			fc.signer = outsider.key
			if c.Proposal != nil && c.Proposal.Add != nil {
				leaf = &c.Proposal.Add.LeafNode
			} else if c.Commit != nil && c.Commit.Path != nil {
				leaf = &c.Commit.Path.LeafNode
			}
		}
		if flags&forgeInner != 0 {
			if c.Proposal != nil {
				innerly(t, c.Proposal, outsider, in)
			}
			if c.Commit != nil {
				for i := range c.Commit.Proposals {
					if p := c.Commit.Proposals[i].Proposal; p != nil {
						innerly(t, p, outsider, in)
					}
				}
				if path := c.Commit.Path; path != nil {
					key, place := in.Key, in.Self
					if who.Type == message.SenderNewMemberCommit {
						key = outsider.key
						edit := in.Tree.Edit()
						place = edit.Place(&path.LeafNode)
					}
					path.LeafNode.SignatureKey = key.Public()
					if err := path.LeafNode.Sign(ctx, in.Suite, key, in.GroupID, place); err != nil {
						t.Fatal(err)
					}
				}
			}
		} else if leaf != nil {
			leaf.SignatureKey = outsider.key.Public()
		}
		if who.Type != message.SenderMember {
			fc.sender = &who
		}
		fc.content = func(fc *message.FramedContent) {
			fc.ContentType, fc.ApplicationData, fc.Proposal, fc.Commit = c.ContentType, c.ApplicationData, c.Proposal, c.Commit
		}
		fc.signed = func(a *message.AuthenticatedContent) {
			if c.ContentType == message.ContentTypeCommit {
				a.Auth.ConfirmationTag = make([]byte, in.Suite.HashSize()-int(flags&forgeTag))
			}
		}
		b, _ := forger.frame(fc)
		ev, _ := bob.receive(t, b)
		if ev != nil && c.ContentType == message.ContentTypeCommit && ev.Type != mls.EventRemoved {
			t.Fatalf("a commit without a confirmation tag is accepted: %+v", ev)
		}
		if ev != nil && c.ContentType == message.ContentTypeApplication && (who.Type != message.SenderMember || !bytes.Equal(ev.Content, c.ApplicationData)) {
			t.Fatalf("application data of %+v: %+v", who, ev)
		}
	})
}

func ratchetOf(t message.ContentType) *schedule.Ratchet {
	r := schedule.Handshake
	if t == message.ContentTypeApplication {
		r = schedule.Application
	}
	return &r
}

// FuzzReceiveCommit: a commit with any list of proposals, all else of which is
// right: its path, its secrets, its tags. When it is accepted, the epoch is the
// one that the committer has derived.
func FuzzReceiveCommit(f *testing.F) {
	fz := loadFrozen(f)
	bob := newTarget(f, fz, "bob")
	alice := fz.open(f, "alice")
	outsider := alice.stranger("stranger")
	kp := parseKeyPackage(fz.blobs["key package"])
	psk := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk"), Nonce: make([]byte, 32)}
	resumption := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: frozenID, Epoch: alice.info().Epoch, Nonce: make([]byte, 32)}
	psks := map[string][]byte{psk.Key(): []byte("a secret")}
	own := alice.group.Inside()
	var byReference []message.ProposalOrRef
	for _, ref := range sortedNames(own.Proposals) {
		byReference = append(byReference, message.ProposalOrRef{Reference: []byte(ref)})
	}
	add := message.Proposal{Type: message.ProposalAdd, Add: kp}
	for _, list := range [][]message.ProposalOrRef{
		nil,
		value(add),
		value(message.Proposal{Type: message.ProposalRemove, Remove: 2}),
		value(message.Proposal{Type: message.ProposalRemove, Remove: 1}),
		value(add, message.Proposal{Type: message.ProposalPSK, PSK: &psk}),
		value(message.Proposal{Type: message.ProposalPSK, PSK: &resumption}),
		value(message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: own.Context.Extensions}),
		value(message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{{Type: 0xf000}}}),
		value(message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: frozenSuite}}),
		value(message.Proposal{Type: 0xf000, Custom: []byte("custom")}, message.Proposal{Type: message.ProposalExternalInit}),
		value(message.Proposal{Type: message.ProposalUpdate, Update: own.Tree.Leaf(0)}),
		byReference,
		append(byReference[:1:1], value(add, message.Proposal{Type: message.ProposalRemove, Remove: 3})...),
	} {
		b := wire.Marshal(&message.Commit{Proposals: list})
		for _, flags := range []byte{0, forgeInner, forgeInner | forgeNoPath, forgePublic} {
			f.Add(flags, b)
		}
	}
	f.Fuzz(func(t *testing.T, flags byte, body []byte) {
		var c message.Commit
		if wire.Unmarshal(body, &c) != nil || len(c.Proposals) > 100 {
			return
		}
		alice.t = t
		forger := newForger(t, alice)
		if flags&forgeInner != 0 {
			for i := range c.Proposals {
				if p := c.Proposals[i].Proposal; p != nil {
					innerly(t, p, outsider, forger.in)
				}
			}
		}
		b := forger.build(forgedCommit{
			public:    flags&forgePublic != 0,
			noPath:    flags&forgeNoPath != 0,
			proposals: c.Proposals,
			psks:      psks,
		})
		ev, info := bob.receive(t, b.message)
		if ev == nil || ev.Type == mls.EventRemoved {
			return
		}
		if ev.Type != mls.EventGroupUpdate || info.Epoch != b.context.Epoch ||
			!bytes.Equal(info.EpochAuthenticator, b.secrets.EpochAuthenticator) || !bytes.Equal(info.TreeHash, b.tree.Hash()) {
			t.Fatalf("bob is not in the epoch of the committer: %+v", ev)
		}
	})
}

// menu makes a proposal of two bytes, so that fuzzing combines proposals that
// make sense by themselves.
type menu struct {
	in        *mls.Inside
	strangers []*stranger
	psks      map[string][]byte // that the committer knows
}

const customProposal = message.ProposalType(0xf000)

func newMenu(in *mls.Inside) *menu {
	m := &menu{in: in, psks: map[string][]byte{}}
	for _, name := range []string{"xavier", "yan", "zoe", "refused", "carol+2"} {
		m.strangers = append(m.strangers, newStranger(in.Suite, name))
	}
	return m
}

// leaf changes the leaf of a stranger by a byte.
func (m *menu) leaf(arg byte) func(*message.LeafNode) {
	return func(leaf *message.LeafNode) {
		now := uint64(frozenNow.Unix())
		leaf.Lifetime = message.Lifetime{NotBefore: now - 10, NotAfter: now + 10}
		switch arg % 8 {
		case 1:
			leaf.Capabilities.Proposals = []message.ProposalType{customProposal}
			leaf.Capabilities.Extensions = []message.ExtensionType{0xf000}
		case 2:
			leaf.Lifetime.NotAfter = now - 5
		case 3:
			leaf.Capabilities.Credentials = nil
		case 4:
			leaf.EncryptionKey = m.in.Tree.Leaf(2).EncryptionKey
		case 5:
			leaf.Extensions = message.Extensions{message.NewApplicationID([]byte("id"))}
		case 6:
			leaf.EncryptionKey = leaf.EncryptionKey[1:]
		}
	}
}

func (m *menu) psk(arg byte) *message.PreSharedKeyID {
	id := &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk"), Nonce: make([]byte, m.in.Suite.HashSize())}
	if arg&1 != 0 {
		*id = message.PreSharedKeyID{Type: message.PSKResumption, Usage: 1, GroupID: frozenID, Epoch: m.in.Context.Epoch, Nonce: id.Nonce}
	}
	switch arg >> 1 % 8 {
	case 1:
		id.ID = []byte("unknown")
		id.Epoch--
	case 2:
		id.Nonce = id.Nonce[1:]
	case 3:
		id.Usage = message.ResumptionBranch
	case 4:
		id.GroupID = []byte("another group")
	}
	return id
}

func (m *menu) extensions(arg byte) message.Extensions {
	same := m.in.Context.Extensions
	switch arg % 8 {
	case 0:
		return same
	case 1:
		return nil
	case 2:
		return message.Extensions{{Type: 0xf000}}
	case 3:
		return message.Extensions{{Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&message.RequiredCapabilities{Proposals: []message.ProposalType{customProposal}})}}
	case 4:
		return message.Extensions{{Type: message.ExtensionExternalSenders, Data: []byte{7}}}
	case 5:
		return message.Extensions{message.NewExternalPub([]byte("no extension of a group"))}
	case 6:
		return message.Extensions{{Type: message.ExtensionExternalSenders, Data: wire.Marshal(message.ExternalSenderList{
			{SignatureKey: []byte("no key"), Credential: message.BasicCredential([]byte("refused"))}})}}
	}
	return same[:1]
}

// proposal returns what the two bytes stand for.
func (m *menu) proposal(kind, arg byte) message.ProposalOrRef {
	p := &message.Proposal{Type: message.ProposalType(1 + kind%9)}
	switch p.Type {
	case message.ProposalAdd:
		x := m.strangers[int(arg>>4)%len(m.strangers)]
		p.Add = x.keyPackage(m.leaf(arg), func(kp *message.KeyPackage) {
			if arg%8 == 7 {
				kp.InitKey = kp.LeafNode.EncryptionKey
			}
		})
	case message.ProposalUpdate:
		p.Update = m.in.Tree.Leaf(treemath.LeafIndex(arg % 4))
	case message.ProposalRemove:
		p.Remove = treemath.LeafIndex(arg % 6)
	case message.ProposalPSK:
		p.PSK = m.psk(arg)
	case message.ProposalReInit:
		p.ReInit = &message.ReInit{GroupID: []byte("next"), Version: message.ProtocolVersion(arg % 3), CipherSuite: suite.ID(arg % 9), Extensions: m.extensions(arg)}
	case message.ProposalExternalInit:
	case message.ProposalGroupContextExtensions:
		p.Extensions = m.extensions(arg)
	case 8:
		p.Type = customProposal + message.ProposalType(arg%2)
	default:
		names := sortedNames(m.in.Proposals)
		if i := int(arg) % (len(names) + 1); i < len(names) {
			return message.ProposalOrRef{Reference: []byte(names[i])}
		}
		return message.ProposalOrRef{Reference: make([]byte, 32)}
	}
	return message.ProposalOrRef{Proposal: p}
}

// FuzzReceiveList: a perfect commit, of a member or of one who joins by it, with
// a list of proposals from the menu. Whoever accepts it is where the committer is.
func FuzzReceiveList(f *testing.F) {
	fz := loadFrozen(f)
	bob := newTarget(f, fz, "bob")
	alice := fz.open(f, "alice")
	menu := newMenu(newForger(f, alice).in)
	psk := menu.psk(0)
	psks := map[string][]byte{psk.Key(): []byte("a secret")}
	const external = 16
	f.Add(byte(0), []byte{})
	for kind := range byte(9) {
		for arg := range byte(8) {
			f.Add(byte(arg%2*forgePublic), []byte{kind, arg})
		}
		f.Add(byte(external), []byte{5, 0, kind, 3})
	}
	f.Add(byte(0), []byte{0, 0x00, 0, 0x11, 0, 0x21, 2, 2, 2, 3})
	f.Add(byte(forgeNoPath), []byte{0, 0x10, 3, 0, 3, 1})
	f.Add(byte(0), []byte{8, 0, 8, 1, 0, 0x10})
	f.Add(byte(0), []byte{6, 3, 0, 0x10, 0, 0x21})
	f.Add(byte(external), []byte{5, 0})
	f.Add(byte(external), []byte{5, 0, 3, 0, 2, 2})
	f.Fuzz(func(t *testing.T, flags byte, program []byte) {
		if len(program) > 24 {
			return
		}
		alice.t = t
		forger := newForger(t, alice)
		c := forgedCommit{public: flags&forgePublic != 0, noPath: flags&forgeNoPath != 0, psks: psks}
		for ; len(program) >= 2; program = program[2:] {
			c.proposals = append(c.proposals, menu.proposal(program[0], program[1]))
		}
		if flags&external != 0 {
			x := menu.strangers[int(flags>>5)%len(menu.strangers)]
			c.external = &joiner{key: x.key, leaf: x.leaf(menu.leaf(flags >> 5))}
		}
		b := forger.build(c)
		ev, info := bob.receive(t, b.message)
		if ev == nil || ev.Type == mls.EventRemoved {
			return
		}
		if ev.Type != mls.EventGroupUpdate || info.Epoch != b.context.Epoch ||
			!bytes.Equal(info.EpochAuthenticator, b.secrets.EpochAuthenticator) || !bytes.Equal(info.TreeHash, b.tree.Hash()) {
			t.Fatalf("bob is not in the epoch of the committer: %+v", ev)
		}
		for _, p := range c.proposals {
			if p.Proposal == nil {
				continue
			}
			switch p := p.Proposal; p.Type {
			case message.ProposalUpdate:
				t.Fatal("an Update by value is accepted")
			case message.ProposalExternalInit:
				if c.external == nil {
					t.Fatal("an ExternalInit of a member is accepted")
				}
			case message.ProposalAdd:
				if c.external != nil || string(p.Add.LeafNode.Credential.Identity) == "refused" {
					t.Fatalf("an Add is accepted: %+v", p.Add)
				}
			case message.ProposalReInit:
				if info.Status != mls.StatusReadOnly || len(c.proposals) != 1 {
					t.Fatalf("a ReInit leads to %+v", info)
				}
			}
		}
		if len(c.proposals) > 0 && c.external == nil && c.noPath && info.Status == mls.StatusActive {
			for _, p := range c.proposals {
				if p.Proposal == nil || p.Proposal.Type == message.ProposalRemove || p.Proposal.Type == message.ProposalGroupContextExtensions {
					t.Fatalf("a list that needs a path is accepted without: %+v", c.proposals)
				}
			}
		}
	})
}

// join tries a Welcome on one who holds the key package, and reports whether it
// was joined by.
func (x *target) join(t testing.TB, welcome, tree []byte) bool {
	t.Helper()
	p := x.party
	p.t = t
	info, inspectErr := p.client.InspectWelcome(ctx, welcome)
	x.unchanged(t)
	if inspectErr != nil {
		typed(t, "inspect", inspectErr)
	}
	g, err := p.client.JoinGroup(ctx, welcome, mls.JoinOptions{RatchetTree: tree})
	if err != nil {
		typed(t, "join", err)
		x.unchanged(t)
		return false
	}
	if inspectErr != nil {
		t.Fatalf("a Welcome is joined that cannot be inspected: %v", inspectErr)
	}
	p.group = g
	if got := x.valid(t); !bytes.Equal(got.GroupID, info.GroupID) || got.Epoch != info.Epoch || info.HasTree && got.MemberCount != info.MemberCount {
		t.Fatalf("inspected as %+v, joined as %+v", info, got)
	}
	// The key package is gone: nobody joins by it twice.
	_, err = p.client.JoinGroup(ctx, welcome, mls.JoinOptions{RatchetTree: tree})
	if !errors.Is(err, mlserr.NoMatchingKeyPackage) {
		t.Fatalf("joined again: %v", err)
	}
	x.reset(t)
	return true
}

// FuzzJoinGroup: any bytes as a Welcome, and as a tree that comes apart.
func FuzzJoinGroup(f *testing.F) {
	fz := loadFrozen(f)
	for _, name := range sortedNames(fz.blobs) {
		f.Add(fz.blobs[name], []byte{})
	}
	dave := newTarget(f, fz, "dave")
	f.Fuzz(func(t *testing.T, welcome, tree []byte) {
		if !dave.join(t, welcome, tree) && bytes.Equal(welcome, fz.blobs["welcome"]) {
			t.Fatal("the genuine Welcome is refused")
		}
	})
}

// Flags of FuzzJoinForged and FuzzJoinExternal.
const (
	joinSign  = 1 << iota // sign the GroupInfo anew
	joinHash              // the tree hash is that of the tree
	joinTag               // the confirmation tag is right
	joinApart             // the tree comes apart
	joinTags              // 16
)

// fixed makes right what the flags say of a GroupInfo. It returns the tree when
// that is to come apart.
func fixed(t testing.TB, flags byte, info *message.GroupInfo, in *mls.Inside, tag func(group *message.GroupContext) []byte) (apart []byte) {
	t.Helper()
	nodes, ok, err := info.Extensions.RatchetTree()
	if ok && err == nil {
		if flags&joinHash != 0 {
			if imported, err := tree.Import(in.Suite, nodes); err == nil {
				info.GroupContext.TreeHash = imported.Hash()
			}
		}
		if flags&joinApart != 0 {
			apart, _ = info.Extensions.Find(message.ExtensionRatchetTree)
			var rest message.Extensions
			for _, e := range info.Extensions {
				if e.Type != message.ExtensionRatchetTree {
					rest = append(rest, e)
				}
			}
			info.Extensions = rest
		}
	}
	if flags&joinTag != 0 && tag != nil {
		info.ConfirmationTag = tag(&info.GroupContext)
	}
	if flags&joinSign != 0 {
		if err := info.Sign(ctx, in.Suite, in.Key); err != nil {
			t.Fatal(err)
		}
	}
	return apart
}

// FuzzJoinForged: any group secrets and any GroupInfo, encrypted to the joiner.
func FuzzJoinForged(f *testing.F) {
	fz := loadFrozen(f)
	dave := newTarget(f, fz, "dave")
	alice := fz.open(f, "alice")
	in := alice.group.Inside()
	s := in.Suite
	kp := parseKeyPackage(fz.blobs["key package"])
	for _, flags := range []byte{0, joinSign, joinSign | joinHash | joinTag, joinSign | joinTag | joinApart} {
		f.Add(flags, fz.blobs["group secrets"], fz.blobs["welcome's group info"])
	}
	f.Fuzz(func(t *testing.T, flags byte, rawSecrets, rawInfo []byte) {
		var secrets message.GroupSecrets
		var info message.GroupInfo
		genuine := bytes.Equal(rawSecrets, fz.blobs["group secrets"]) && bytes.Equal(rawInfo, fz.blobs["welcome's group info"])
		if wire.Unmarshal(rawSecrets, &secrets) != nil {
			secrets = message.GroupSecrets{}
		}
		pskSecrets := make([][]byte, len(secrets.PSKs))
		for i := range pskSecrets {
			pskSecrets[i] = []byte("a secret")
		}
		pskSecret, err := schedule.PSKSecret(s, secrets.PSKs, pskSecrets)
		if err != nil {
			return
		}
		next := schedule.JoinerFromSecret(s, bytes.Clone(secrets.JoinerSecret)).WithPSK(pskSecret)
		var apart []byte
		if wire.Unmarshal(rawInfo, &info) == nil {
			apart = fixed(t, flags, &info, in, func(group *message.GroupContext) []byte {
				return next.Epoch(wire.Marshal(group)).ConfirmationTag(s, group.ConfirmedTranscriptHash)
			})
			rawInfo = wire.Marshal(&info)
		}
		key, nonce := next.WelcomeKeyNonce()
		w := &message.Welcome{CipherSuite: s.ID(), EncryptedGroupInfo: s.Seal(key, nonce, nil, rawInfo)}
		sealed, err := s.EncryptWithLabel(ctx, kitKeys, "Welcome", w.EncryptedGroupInfo, []suite.Recipient{{PublicKey: kp.InitKey, Plaintext: rawSecrets}})
		if err != nil {
			t.Fatal(err)
		}
		w.Secrets = []message.EncryptedGroupSecrets{{NewMember: kp.Ref(s), EncryptedGroupSecrets: sealed[0]}}
		welcome := wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: w})
		if !dave.join(t, welcome, apart) && genuine && (flags == 0 || flags&joinSign != 0) {
			t.Fatal("the genuine Welcome is refused")
		}
	})
}

// FuzzJoinExternal: any GroupInfo, to one who would join or propose by it.
func FuzzJoinExternal(f *testing.F) {
	fz := loadFrozen(f)
	dave := newTarget(f, fz, "dave")
	alice := fz.open(f, "alice")
	in := alice.group.Inside()
	bob := newTarget(f, fz, "bob")
	watcher := alice.identity("watcher")
	for _, flags := range []byte{0, joinSign, joinSign | joinHash, joinSign | joinApart} {
		f.Add(flags, fz.blobs["group info"])
	}
	for _, name := range []string{"welcome", "key package", "public commit"} {
		f.Add(byte(0), fz.blobs[name])
	}
	f.Fuzz(func(t *testing.T, flags byte, b []byte) {
		var apart []byte
		genuine := bytes.Equal(b, fz.blobs["group info"]) && (flags == 0 || flags == joinSign || flags == joinSign|joinApart)
		if m, err := message.Parse(bytes.Clone(b)); err == nil && m.GroupInfo != nil {
			apart = fixed(t, flags, m.GroupInfo, in, nil)
			b = wire.Marshal(m)
		}
		p := dave.party
		p.t = t
		remove := treemath.LeafIndex(1)
		if _, err := alice.client.ProposeExternally(ctx, b, mls.ExternalProposer{Identity: watcher.ID()}, mls.ProposeOptions{Remove: &remove}); err != nil {
			typed(t, "propose externally", err)
		}
		if _, err := p.client.ProposeToJoin(ctx, b, fz.blobs["key package"], nil); err != nil {
			typed(t, "propose to join", err)
		}
		dave.unchanged(t)
		g, result, err := p.client.JoinExternal(ctx, p.id.ID(), b, mls.ExternalOptions{RatchetTree: apart, Resync: flags&joinTags != 0})
		if err != nil {
			typed(t, "join externally", err)
			dave.unchanged(t)
			if genuine {
				t.Fatalf("the genuine group info is refused: %v", err)
			}
			return
		}
		p.group = g
		dave.valid(t)
		// What it leads to is another commit that a member has to judge.
		if ev, _ := bob.receive(t, result.Commit); ev == nil && genuine {
			t.Fatal("the commit by the genuine group info is refused")
		}
		if _, err := p.group.ApplyPendingCommit(ctx); err != nil {
			typed(t, "apply", err)
		}
		dave.valid(t)
		dave.reset(t)
	})
}

// FuzzLoad: any record in the place of a stored one. The group loads and works,
// or says that it does not; nothing panics.
func FuzzLoad(f *testing.F) {
	fz := loadFrozen(f)
	scopes := []mls.Scope{mls.ClientScope, mls.GroupScope(frozenID)}
	type place struct {
		store  string
		scope  mls.Scope
		record string
	}
	var places []place
	for _, store := range []string{"bob", "pending"} {
		for _, scope := range scopes {
			records, _, err := fz.stores[store].Load(ctx, scope)
			if err != nil {
				f.Fatal(err)
			}
			for _, record := range sortedNames(records) {
				places = append(places, place{store, scope, record})
				f.Add(uint8(len(places)-1), records[record])
				f.Add(uint8(len(places)-1), records[record][:len(records[record])/2])
			}
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, data []byte) {
		at := places[int(number)%len(places)]
		store := fz.stores[at.store].Clone()
		_, rev, _ := store.Load(ctx, at.scope)
		change := mls.Change{Scope: at.scope, Base: rev, Put: mls.Records{at.record: data}}
		if err := store.Commit(ctx, mls.Batch{Changes: []mls.Change{change}}); err != nil {
			t.Fatal(err)
		}
		useStored(t, store, fz)
	})
}

// useStored opens a store that may be damaged, and does with its group what can
// be done with one.
func useStored(t *testing.T, store *mls.MemoryStore, fz *frozen) {
	t.Helper()
	// An error is typed; that it is the store's fault is what it may well say.
	check := func(what string, err error) bool {
		t.Helper()
		if err == nil {
			return true
		}
		e, ok := err.(*mlserr.Error)
		if !ok || e.Code.Info().Text == "unknown error code" || e.Code == mlserr.Internal {
			t.Fatalf("%s: %T: %v", what, err, err)
		}
		return false
	}
	config := mls.Config{Keys: kitKeys, Store: store, Authenticator: policy{}}
	atFrozenNow(&config)
	c, err := mls.Open(ctx, config)
	if !check("open", err) {
		return
	}
	list, err := c.Identities(ctx)
	check("identities", err)
	for _, identity := range list {
		_, err := c.KeyPackageCount(ctx, identity.ID())
		check("count", err)
	}
	_, err = c.InspectWelcome(ctx, fz.blobs["welcome"])
	check("inspect", err)
	g, err := c.Group(ctx, frozenID)
	if !check("group", err) {
		return
	}
	if _, err := g.Info(ctx); !check("info", err) {
		return
	}
	_, err = g.Members(ctx)
	check("members", err)
	_, err = g.Proposals(ctx)
	check("proposals", err)
	inbox, err := g.Inbox(ctx)
	if check("inbox", err) {
		for _, entry := range inbox {
			check("acknowledge", g.Acknowledge(ctx, entry.ID))
		}
	}
	_, err = g.RatchetTree(ctx)
	check("tree", err)
	_, err = g.GroupInfo(ctx, mls.GroupInfoOptions{})
	check("group info", err)
	_, err = g.Export(ctx, "label", nil, 32)
	check("export", err)
	for _, name := range []string{"late", "application", "add", "external remove"} {
		_, err = g.Receive(ctx, fz.blobs[name])
		check("receive "+name, err)
	}
	_, err = g.Send(ctx, []byte("text"), mls.SendOptions{})
	check("send", err)
	_, err = g.Propose(ctx, mls.ProposeOptions{Update: true})
	check("propose", err)
	pending, err := g.PendingCommit(ctx)
	if check("pending", err) && pending != nil {
		_, err = g.ApplyPendingCommit(ctx)
		check("apply", err)
	} else {
		_, err = g.Commit(ctx, mls.CommitOptions{IgnoreProposals: true})
		check("commit", err)
		_, err = g.Receive(ctx, fz.blobs["commit"])
		check("receive commit", err)
	}
	_, err = g.Update(ctx)
	check("update", err)
	check("clear", g.ClearPendingCommit(ctx))
	check("delete", c.DeleteGroup(ctx, frozenID))
}

// TestDamagedRecords is FuzzLoad by a system: it takes stored records away,
// empties, exchanges and cuts them, and changes their bytes, as many as there is
// time for.
func TestDamagedRecords(t *testing.T) {
	fz := loadFrozen(t)
	runs := 400
	if testing.Short() || runtime.GOOS == "js" {
		runs = 50
	}
	for _, name := range []string{"bob", "pending"} {
		for _, scope := range []mls.Scope{mls.ClientScope, mls.GroupScope(frozenID)} {
			records, rev, err := fz.stores[name].Load(ctx, scope)
			if err != nil {
				t.Fatal(err)
			}
			try := func(change mls.Change) {
				change.Scope, change.Base = scope, rev
				store := fz.stores[name].Clone()
				if err := store.Commit(ctx, mls.Batch{Changes: []mls.Change{change}}); err != nil {
					t.Fatal(err)
				}
				useStored(t, store, fz)
			}
			total := 0
			for _, b := range records {
				total += len(b)
			}
			step, at := max(1, total*4/runs), 0
			names := sortedNames(records)
			for i, record := range names {
				b := records[record]
				try(mls.Change{Delete: []string{record}})
				try(mls.Change{Put: mls.Records{record: {}}})
				try(mls.Change{Put: mls.Records{record: b[:len(b)/2]}})
				next := names[(i+1)%len(names)]
				try(mls.Change{Put: mls.Records{record: records[next], next: b}})
				for ; at < len(b); at += step {
					damaged := bytes.Clone(b)
					damaged[at] ^= [...]byte{1, 0x80, 0xff, 4}[at%4]
					try(mls.Change{Put: mls.Records{record: damaged}})
				}
				at -= len(b)
			}
		}
	}
}
