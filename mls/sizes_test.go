package mls_test

import (
	"bytes"
	"runtime"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// What a hostile message of large numbers may cost (S3, S4, S5, D4): so many
// bytes allocated for each of its own, beside a fixed part, in which a
// ratchet can be followed as far as it is. What is signed is copied a few times.
const sizeCost, sizeFixed = 250, 4 << 20

// allocated returns how many bytes a call of f allocates.
func allocated(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bounded runs f, which handles an input of so many bytes.
func bounded(t *testing.T, what string, size int, f func()) {
	t.Helper()
	got := allocated(f)
	if got > uint64(size)*sizeCost+sizeFixed {
		t.Errorf("%s: %d bytes allocated for an input of %d", what, got, size)
	}
}

// many repeats a proposal.
func many(n int, p message.Proposal) []message.ProposalOrRef {
	list := make([]message.ProposalOrRef, n)
	for i := range list {
		list[i].Proposal = &p
	}
	return list
}

// hostileCount is how many elements the lists below have.
func hostileCount() int {
	if testing.Short() || runtime.GOOS == "js" {
		return 10_000
	}
	return 100_000
}

// TestHostileSizes: a member, or the network, sends what is as large as a field
// allows. All of it is refused, and changes nothing.
func TestHostileSizes(t *testing.T) {
	fz := loadFrozen(t)
	bob := newTarget(t, fz, "bob")
	alice := fz.open(t, "alice")
	f := newForger(t, alice)
	in := f.in
	n := hostileCount()
	generation := func(g uint32) sealHooks {
		return sealHooks{data: func(d *message.SenderData) { d.Generation = g }}
	}
	leaf := func(i treemath.LeafIndex) sealHooks {
		return sealHooks{data: func(d *message.SenderData) { d.Leaf = i }}
	}
	frame := func(c forgedContent) []byte { b, _ := f.frame(c); return b }
	hello := []byte("hello")
	proposal := func(p message.Proposal) []byte {
		return frame(forgedContent{public: true, proposal: &p})
	}
	// commit sends a list in a commit whose path is genuine.
	genuine := f.build(forgedCommit{public: true})
	path := must(message.Parse(bytes.Clone(genuine.message))).Public.Content.Commit.Path
	commit := func(c *message.Commit) []byte {
		return frame(forgedContent{public: true,
			content: func(fc *message.FramedContent) { fc.ContentType, fc.Commit = message.ContentTypeCommit, c },
			signed:  func(a *message.AuthenticatedContent) { a.Auth.ConfirmationTag = make([]byte, in.Suite.HashSize()) },
		})
	}
	list := func(list []message.ProposalOrRef) []byte {
		return commit(&message.Commit{Proposals: list, Path: path})
	}
	references := make([]message.ProposalOrRef, n)
	psks := make([]message.ProposalOrRef, n)
	for i := range references {
		references[i].Reference = []byte{byte(i >> 16), byte(i >> 8), byte(i)}
		psks[i].Proposal = &message.Proposal{Type: message.ProposalPSK, PSK: &message.PreSharedKeyID{
			Type: message.PSKExternal, ID: []byte{byte(i >> 16), byte(i >> 8), byte(i)}, Nonce: make([]byte, 32),
		}}
	}
	longPath, wideNode := *path, *path
	longPath.Nodes = make([]message.UpdatePathNode, n)
	wideNode.Nodes = append([]message.UpdatePathNode(nil), path.Nodes...)
	wideNode.Nodes[0].EncryptedPathSecret = make([]suite.HPKECiphertext, n)
	kp := parseKeyPackage(fz.blobs["key package"])
	capabilities := make([]message.ExtensionType, 65535)
	for i := range capabilities {
		capabilities[i] = message.ExtensionType(i + 1) // the default types too
	}
	outsider := alice.stranger("stranger")
	crowded := outsider.add(func(l *message.LeafNode) { l.Capabilities.Extensions = capabilities }, nil)
	extensions := make(message.Extensions, 60000)
	for i := range extensions {
		extensions[i].Type = message.ExtensionType(0x1000 + i%0xe000)
	}
	required := message.RequiredCapabilities{Extensions: capabilities}

	for _, c := range []struct {
		what string
		b    []byte
		want mlserr.Code
	}{
		{"generation 2^31-1", frame(forgedContent{application: hello, private: generation(1<<31 - 1)}), mlserr.GenerationTooFar},
		{"generation 2^31", frame(forgedContent{application: hello, private: generation(1 << 31)}), mlserr.GenerationTooFar},
		{"generation 2^32-1", frame(forgedContent{application: hello, private: generation(1<<32 - 1)}), mlserr.GenerationTooFar},
		{"handshake generation 2^32-1", frame(forgedContent{proposal: &message.Proposal{Type: message.ProposalRemove, Remove: 2}, private: generation(1<<32 - 1)}), mlserr.GenerationTooFar},
		{"the last generation in reach, by another's key", frame(forgedContent{application: hello, private: generation(1000)}), mlserr.DecryptionFailed},
		{"sender leaf 2^31", frame(forgedContent{application: hello, private: leaf(1 << 31)}), mlserr.InvalidSender},
		{"sender leaf 2^31-1", frame(forgedContent{application: hello, private: leaf(1<<31 - 1)}), mlserr.InvalidSender},
		{"sender leaf 2^32-1", frame(forgedContent{application: hello, private: leaf(1<<32 - 1)}), mlserr.InvalidSender},
		{"sender leaf one beyond the tree", frame(forgedContent{application: hello, private: leaf(treemath.LeafIndex(in.Tree.LeafCount()))}), mlserr.InvalidSender},
		{"public sender leaf 2^31", frame(forgedContent{public: true, proposal: &message.Proposal{Type: message.ProposalRemove, Remove: 2},
			content: func(c *message.FramedContent) { c.Sender.Leaf = 1 << 31 }}), mlserr.InvalidSender},
		{"public sender leaf 2^32-1", frame(forgedContent{public: true, proposal: &message.Proposal{Type: message.ProposalRemove, Remove: 2},
			content: func(c *message.FramedContent) { c.Sender.Leaf = 1<<32 - 1 }}), mlserr.InvalidSender},
		{"external sender 2^32-1", frame(forgedContent{sender: &message.Sender{Type: message.SenderExternal, Index: 1<<32 - 1}, signer: alice.stranger("watcher").key,
			proposal: &message.Proposal{Type: message.ProposalRemove, Remove: 2}}), mlserr.InvalidSender},
		{"remove of leaf 2^31", proposal(message.Proposal{Type: message.ProposalRemove, Remove: 1 << 31}), mlserr.RemoveTargetBlank},
		{"remove of leaf 2^32-1", proposal(message.Proposal{Type: message.ProposalRemove, Remove: 1<<32 - 1}), mlserr.RemoveTargetBlank},
		{"epoch 2^64-1", frame(forgedContent{application: hello, content: func(c *message.FramedContent) { c.Epoch = 1<<64 - 1 }}), mlserr.EpochAhead},
		{"a vector of 2^30-1", append([]byte{0, 1, 0, 1, 0xbf, 0xff, 0xff, 0xff}, make([]byte, 1000)...), mlserr.Malformed},
		{"a ciphertext of 2^30-1", append(append([]byte{0, 1, 0, 2, 14}, frozenID...), append(make([]byte, 7), 3, 1, 0, 0, 0xbf, 0xff, 0xff, 0xff, 1)...), mlserr.Malformed},
		{"a leaf with all capabilities", proposal(crowded), mlserr.DefaultTypeListed},
		{"60,000 extensions, some twice", proposal(message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: extensions}), mlserr.DuplicateExtension},
		{"57,000 extensions", list(many(1, message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: extensions[:57000]})), mlserr.CapabilityMissing},
		{"65,535 required", list(many(1, message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: message.Extensions{{
			Type: message.ExtensionRequiredCapabilities, Data: wire.Marshal(&required)}}})), mlserr.CapabilityMissing},
		{"many removes of one leaf", list(many(n, message.Proposal{Type: message.ProposalRemove, Remove: 2})), mlserr.ProposalListInvalid},
		{"many removes of leaf 2^31", list(many(n, message.Proposal{Type: message.ProposalRemove, Remove: 1 << 31})), mlserr.RemoveTargetBlank},
		{"many references", list(references), mlserr.ProposalUnknown},
		{"one reference many times", list(func() []message.ProposalOrRef {
			list := make([]message.ProposalOrRef, n)
			for i := range list {
				list[i].Reference = []byte(sortedNames(in.Proposals)[0])
			}
			return list
		}()), mlserr.ProposalListInvalid},
		{"many PSKs", list(psks), mlserr.PSKUnknown},
		{"one PSK many times", list(many(n, *psks[0].Proposal)), mlserr.ProposalListInvalid},
		{"many adds of one key package", list(many(n/10, message.Proposal{Type: message.ProposalAdd, Add: kp})), mlserr.InitKeyReused},
		{"many re-inits", list(many(n, message.Proposal{Type: message.ProposalReInit, ReInit: &message.ReInit{Version: message.MLS10, CipherSuite: frozenSuite}})), mlserr.ProposalListInvalid},
		{"many group context extensions", list(many(n, message.Proposal{Type: message.ProposalGroupContextExtensions})), mlserr.ProposalListInvalid},
		{"many external inits", list(many(n, message.Proposal{Type: message.ProposalExternalInit})), mlserr.ProposalListInvalid},
		{"many custom proposals", list(many(n, message.Proposal{Type: 0xf000})), mlserr.ProposalUnsupported},
		{"a path of many nodes", commit(&message.Commit{Path: &longPath}), mlserr.PathInvalid},
		{"a node of many ciphertexts", commit(&message.Commit{Path: &wideNode}), mlserr.PathInvalid},
		{"large application data in the open", frame(forgedContent{public: true, application: make([]byte, 10*n)}), mlserr.WrongWireFormat},
		{"large authenticated data, by a wrong key", frame(forgedContent{application: hello, signer: outsider.key,
			content: func(c *message.FramedContent) { c.AuthenticatedData = make([]byte, 10*n) }}), mlserr.InvalidSignature},
		{"much padding that is not zero", frame(forgedContent{application: hello, private: sealHooks{plaintext: func(b []byte) []byte {
			return append(append(b, make([]byte, 10*n)...), 1)
		}}}), mlserr.PaddingNotZero},
	} {
		bounded(t, c.what, len(c.b), func() {
			_, err := bob.party.group.Receive(ctx, c.b)
			if mlserr.CodeOf(err) != c.want {
				t.Errorf("%s: %v, want %s", c.what, err, c.want)
			}
		})
		bob.unchanged(t)
	}
	// And all is as it was.
	bob.party.t = t
	bob.party.receive(genuine.message)
}

// TestLargeAccepted: what is large and right is accepted, in proportion.
func TestLargeAccepted(t *testing.T) {
	fz := loadFrozen(t)
	bob := newTarget(t, fz, "bob")
	alice := fz.open(t, "alice")
	f := newForger(t, alice)
	outsider := alice.stranger("stranger")
	n := hostileCount()
	own := make([]message.ExtensionType, 65535-5)
	for i := range own {
		own[i] = message.ExtensionType(i + 6) // without the default types
	}
	crowded := outsider.keyPackage(func(l *message.LeafNode) {
		l.Capabilities.Extensions = append(own, 0)
		l.Lifetime = message.Lifetime{NotBefore: uint64(frozenNow.Unix()), NotAfter: uint64(frozenNow.Unix()) + 1000}
	}, nil)
	far := uint32(1000)
	for what, b := range map[string][]byte{
		"a member with 65,531 capabilities": f.build(forgedCommit{proposals: value(message.Proposal{Type: message.ProposalAdd, Add: crowded})}).message,
		"large application data":            must1(f.frame(forgedContent{application: make([]byte, 10*n)})),
		"much padding":                      must1(f.frame(forgedContent{application: []byte("hello"), private: sealHooks{padding: 10 * n}})),
		"large authenticated data":          must1(f.frame(forgedContent{application: []byte("hello"), content: func(c *message.FramedContent) { c.AuthenticatedData = make([]byte, 10*n) }})),
		"the last generation in reach":      must1(f.frame(forgedContent{application: []byte("hello"), private: sealHooks{generation: &far}})),
	} {
		bounded(t, what, len(b), func() {
			if _, err := bob.party.group.Receive(ctx, b); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
		bob.valid(t)
		bob.reset(t)
	}
}

// must1 returns the message of forger.frame.
func must1(b, _ []byte) []byte { return b }

// TestMaxMessage: what is longer than the limit is not even decoded.
func TestMaxMessage(t *testing.T) {
	fz := loadFrozen(t)
	store := fz.stores["bob"].Clone()
	const limit = 4096
	client := openWith(t, store, func(c *mls.Config) { atFrozenNow(c); c.Limits.MaxMessage = limit })
	group := must(client.Group(ctx, frozenID))
	must(group.Info(ctx))
	large, small := make([]byte, limit+1), make([]byte, limit)
	dave := fz.open(t, "dave")
	outside := openWith(t, dave.store, func(c *mls.Config) { atFrozenNow(c); c.Limits.MaxMessage = limit })
	for what, f := range map[string]func(b []byte) error{
		"receive": func(b []byte) error { _, err := group.Receive(ctx, b); return err },
		"join":    func(b []byte) error { _, err := outside.JoinGroup(ctx, b, mls.JoinOptions{}); return err },
		"tree": func(b []byte) error {
			_, err := outside.JoinGroup(ctx, fz.blobs["welcome"], mls.JoinOptions{RatchetTree: b})
			if len(b) <= limit && err == nil {
				err = mlserr.New(mlserr.UnknownVersion, "") // joined: the Welcome has its tree
			}
			return err
		},
		"inspect": func(b []byte) error { _, err := outside.InspectWelcome(ctx, b); return err },
		"join externally": func(b []byte) error {
			_, _, err := outside.JoinExternal(ctx, dave.id.ID(), b, mls.ExternalOptions{})
			return err
		},
	} {
		if err := f(large); mlserr.CodeOf(err) != mlserr.TooLarge {
			t.Errorf("%s: %v", what, err)
		}
		if got := allocated(func() { f(large) }); got > limit {
			t.Errorf("%s: %d bytes allocated", what, got)
		}
		if err := f(small); mlserr.CodeOf(err) != mlserr.UnknownVersion {
			t.Errorf("%s, at the limit: %v", what, err)
		}
	}
}

// blanks is a tree of n nodes that is blank between its first leaf and its last.
func blanks(n int, first, last *message.LeafNode) message.RatchetTree {
	nodes := make(message.RatchetTree, n|1)
	nodes[0].Leaf, nodes[len(nodes)-1].Leaf = first, last
	return nodes
}

// TestHostileTrees: a joiner is given trees that are large and say little.
func TestHostileTrees(t *testing.T) {
	fz := loadFrozen(t)
	alice := fz.open(t, "alice")
	in := alice.group.Inside()
	s := in.Suite
	dave := newTarget(t, fz, "dave")
	kp := parseKeyPackage(fz.blobs["key package"])
	n := hostileCount()
	signer, own := in.Tree.Leaf(0), &kp.LeafNode

	// Unmerged leaves as many and as deep as there can be: every parent lists
	// every leaf below it.
	crowded := func(leaves int) message.RatchetTree {
		nodes := make(message.RatchetTree, 2*leaves-1)
		for i := range nodes {
			x := treemath.NodeIndex(i)
			if x.IsLeaf() {
				nodes[i].Leaf = signer
				continue
			}
			first, last := treemath.SubtreeLeafRange(x)
			parent := &message.ParentNode{EncryptionKey: []byte{byte(i >> 8), byte(i)}}
			for leaf := first; leaf <= last; leaf++ {
				parent.UnmergedLeaves = append(parent.UnmergedLeaves, leaf)
			}
			nodes[i].Parent = parent
		}
		return nodes
	}
	outside := crowded(4)
	outside[1].Parent.UnmergedLeaves = []treemath.LeafIndex{1 << 31}
	long := crowded(4)
	for i := range 1000 {
		long[1].Parent.UnmergedLeaves = append(long[1].Parent.UnmergedLeaves, treemath.LeafIndex(10+i))
	}
	for _, c := range []struct {
		what   string
		nodes  message.RatchetTree
		signer treemath.LeafIndex
		want   mlserr.Code
	}{
		// It is well-formed; the members' signatures and the secrets are the
		// first that do not fit, for the frozen group has another tree.
		{"blank nodes", blanks(n, signer, own), 0, ""},
		{"blank nodes but the own leaf", func() message.RatchetTree { t := blanks(n, nil, own); return t }(), 0, mlserr.InvalidSender},
		{"nothing but blank nodes", blanks(n, nil, nil), 0, mlserr.MalformedTree},
		{"an even number of blank nodes", make(message.RatchetTree, n&^1), 0, mlserr.MalformedTree},
		{"more nodes than there may be", blanks(1<<21+1, signer, own), 0, mlserr.TooLarge},
		{"signer 2^31", blanks(9, signer, own), 1 << 31, mlserr.InvalidSender},
		{"signer 2^32-1", blanks(9, signer, own), 1<<32 - 1, mlserr.InvalidSender},
		{"all leaves unmerged everywhere", crowded(4096), 0, mlserr.EncryptionKeyNotUnique},
		{"unmerged leaf 2^31", outside, 0, mlserr.UnmergedLeaves},
		{"unmerged leaves that the tree does not have", long, 0, mlserr.UnmergedLeaves},
		{"a member many times", func() message.RatchetTree {
			t := make(message.RatchetTree, 8191)
			for i := 0; i < len(t); i += 2 {
				t[i].Leaf = signer
			}
			return t
		}(), 0, mlserr.EncryptionKeyNotUnique},
	} {
		if c.what == "more nodes than there may be" && n < 100_000 {
			continue // takes memory
		}
		secrets := message.GroupSecrets{JoinerSecret: make([]byte, s.HashSize())}
		next := schedule.JoinerFromSecret(s, bytes.Clone(secrets.JoinerSecret)).WithPSK(make([]byte, s.HashSize()))
		info := &message.GroupInfo{GroupContext: *in.Context, Signer: c.signer}
		info.GroupContext.GroupID = []byte("another group")
		info.Extensions = message.Extensions{
			message.NewExternalPub(own.EncryptionKey),
			{Type: message.ExtensionRatchetTree, Data: wire.Marshal(c.nodes)},
		}
		fixed(t, joinHash|joinTag|joinSign, info, in, func(group *message.GroupContext) []byte {
			return next.Epoch(wire.Marshal(group)).ConfirmationTag(s, group.ConfirmedTranscriptHash)
		})
		key, nonce := next.WelcomeKeyNonce()
		w := &message.Welcome{CipherSuite: s.ID(), EncryptedGroupInfo: s.Seal(key, nonce, nil, wire.Marshal(info))}
		sealed, err := s.EncryptWithLabel(ctx, kitKeys, "Welcome", w.EncryptedGroupInfo, []suite.Recipient{{PublicKey: kp.InitKey, Plaintext: wire.Marshal(&secrets)}})
		if err != nil {
			t.Fatal(err)
		}
		// Ours is the last of many entries.
		w.Secrets = append(make([]message.EncryptedGroupSecrets, n/10), message.EncryptedGroupSecrets{NewMember: kp.Ref(s), EncryptedGroupSecrets: sealed[0]})
		b := wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: w})
		bounded(t, "inspect: "+c.what, len(b), func() { dave.party.client.InspectWelcome(ctx, b) })
		dave.unchanged(t)
		bounded(t, "join: "+c.what, len(b), func() {
			_, err := dave.party.client.JoinGroup(ctx, b, mls.JoinOptions{})
			if got := mlserr.CodeOf(err); err == nil || c.want != "" && got != c.want {
				t.Errorf("%s: %v, want %s", c.what, err, c.want)
			}
		})
		dave.unchanged(t)
		b = wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatGroupInfo, GroupInfo: info})
		bounded(t, "join externally: "+c.what, len(b), func() {
			_, _, err := dave.party.client.JoinExternal(ctx, dave.party.id.ID(), b, mls.ExternalOptions{})
			if got := mlserr.CodeOf(err); err == nil || c.want != "" && got != c.want {
				t.Errorf("%s: %v, want %s", c.what, err, c.want)
			}
		})
		dave.unchanged(t)
	}

	// Secrets that name many PSKs, and a Welcome of entries for others only.
	psks := make([]message.PreSharedKeyID, n)
	for i := range psks {
		psks[i] = message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte{byte(i >> 16), byte(i >> 8), byte(i)}, Nonce: make([]byte, s.HashSize())}
	}
	raw := wire.Marshal(&message.GroupSecrets{JoinerSecret: make([]byte, s.HashSize()), PSKs: psks})
	w := &message.Welcome{CipherSuite: s.ID(), EncryptedGroupInfo: make([]byte, 100)}
	sealed := must(s.EncryptWithLabel(ctx, kitKeys, "Welcome", w.EncryptedGroupInfo, []suite.Recipient{{PublicKey: kp.InitKey, Plaintext: raw}}))
	w.Secrets = []message.EncryptedGroupSecrets{{NewMember: kp.Ref(s), EncryptedGroupSecrets: sealed[0]}}
	for _, want := range []mlserr.Code{mlserr.PSKUnknown, mlserr.NoMatchingKeyPackage} {
		what := "many PSKs"
		if want == mlserr.NoMatchingKeyPackage {
			what, w.Secrets = "entries for others", make([]message.EncryptedGroupSecrets, n)
		}
		b := wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: w})
		bounded(t, what, len(b), func() {
			if _, err := dave.party.client.JoinGroup(ctx, b, mls.JoinOptions{}); mlserr.CodeOf(err) != want {
				t.Errorf("%s: %v, want %s", what, err, want)
			}
		})
		dave.unchanged(t)
	}
}
