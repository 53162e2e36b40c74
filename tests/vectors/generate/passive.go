package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// A scene is a group of clients, into which a passive member is welcomed, and
// the case that is written down of it.
type scene struct {
	suite   *suite.Suite
	c       vectors.PassiveClient
	clients []*party // the active members, the group's creator first
	made    int      // clients so far
	psks    []vectors.ExternalPSK
}

// A party is an active member of a scene.
type party struct {
	name     string
	client   *mls.Client
	identity []byte
	group    *mls.Group
}

// newScene is a group of its creator alone.
func newScene(s *suite.Suite) *scene {
	sc := &scene{suite: s, c: vectors.PassiveClient{
		CipherSuite:  uint16(s.ID()),
		ExternalPSKs: []vectors.ExternalPSK{},
		Epochs:       []vectors.PassiveClientEpoch{},
	}}
	creator := sc.newParty()
	creator.group = must(creator.client.CreateGroup(ctx, creator.identity, mls.GroupOptions{}))
	sc.clients = []*party{creator}
	return sc
}

// newParty is a client that is in no group yet and knows the scene's PSKs.
func (sc *scene) newParty() *party {
	p := &party{name: "client " + strconv.Itoa(sc.made)}
	sc.made++
	p.client = must(mls.Open(ctx, mls.Config{Keys: keys, Store: mls.NewMemoryStore(), Authenticator: trustAll{}}))
	p.identity = must(p.client.CreateIdentity(ctx, sc.suite.ID(), message.BasicCredential([]byte(p.name)))).ID()
	for _, psk := range sc.psks {
		check(p.client.StorePSK(ctx, psk.PSKID, psk.PSK))
	}
	return p
}

// newPSK is an external pre-shared key that all have.
func (sc *scene) newPSK() message.PreSharedKeyID {
	psk := vectors.ExternalPSK{PSKID: suite.Random(8), PSK: suite.Random(sc.suite.HashSize())}
	sc.psks = append(sc.psks, psk)
	sc.c.ExternalPSKs = append(sc.c.ExternalPSKs, psk)
	for _, p := range sc.clients {
		check(p.client.StorePSK(ctx, psk.PSKID, psk.PSK))
	}
	return message.PreSharedKeyID{Type: message.PSKExternal, ID: psk.PSKID}
}

// keyPackage is one of p's, as a message.
func (sc *scene) keyPackage(p *party) []byte {
	return must(p.client.CreateKeyPackages(ctx, p.identity, 1, mls.KeyPackageOptions{}))[0]
}

// deliver lets all active members but the sender receive a message.
func (sc *scene) deliver(sender *party, data []byte) {
	for _, p := range sc.clients {
		if p != sender {
			must(p.group.Receive(ctx, data))
		}
	}
}

// propose sends a proposal and returns its message.
func (sc *scene) propose(p *party, options mls.ProposeOptions) vectors.Hex {
	result := must(p.group.Propose(ctx, options))
	sc.deliver(p, result.Message)
	return result.Message
}

// commit makes and applies a commit; joining are those whom it adds.
func (sc *scene) commit(p *party, options mls.CommitOptions, joining ...*party) *mls.CommitResult {
	result := must(p.group.Commit(ctx, options))
	sc.deliver(p, result.Commit)
	must(p.group.ApplyPendingCommit(ctx))
	for _, j := range joining {
		j.group = must(j.client.JoinGroup(ctx, result.Welcome, mls.JoinOptions{}))
		sc.clients = append(sc.clients, j)
	}
	return result
}

// authenticator is the epoch authenticator on which all active members agree.
func (sc *scene) authenticator() vectors.Hex {
	first := must(sc.clients[0].group.Info(ctx)).EpochAuthenticator
	for _, p := range sc.clients[1:] {
		if !slices.Equal(must(p.group.Info(ctx)).EpochAuthenticator, first) {
			panic("the members disagree")
		}
	}
	return first
}

// leaf is the leaf of an active member.
func (sc *scene) leaf(p *party) treemath.LeafIndex {
	return must(p.group.Info(ctx)).OwnLeaf
}

// grow adds active members up to n, each by the one before.
func (sc *scene) grow(n int) {
	for len(sc.clients) < n {
		p := sc.newParty()
		sc.commit(sc.clients[len(sc.clients)-1], mls.CommitOptions{Add: [][]byte{sc.keyPackage(p)}}, p)
	}
}

// welcome has the creator add the passive member, of whom the case begins.
func (sc *scene) welcome(options mls.CommitOptions) {
	m := newMember(sc.suite, "passive client")
	sc.c.KeyPackage = wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatKeyPackage, KeyPackage: m.keyPackage})
	sc.c.SignaturePriv = m.signature.Reference()
	sc.c.EncryptionPriv = m.encryption.Reference()
	sc.c.InitPriv = m.init.Reference()

	options.Add = append(options.Add, sc.c.KeyPackage)
	sc.c.Welcome = sc.commit(sc.clients[0], options).Welcome
	if options.NoRatchetTree {
		tree := vectors.Hex(must(sc.clients[0].group.RatchetTree(ctx)))
		sc.c.RatchetTree = &tree
	}
	sc.c.InitialEpochAuthenticator = sc.authenticator()
}

// epoch writes down what leads the passive member to the next epoch.
func (sc *scene) epoch(proposals []vectors.Hex, commit *mls.CommitResult) {
	if proposals == nil {
		proposals = []vectors.Hex{}
	}
	sc.c.Epochs = append(sc.c.Epochs, vectors.PassiveClientEpoch{
		Proposals:          proposals,
		Commit:             commit.Commit,
		EpochAuthenticator: sc.authenticator(),
	})
}

// passiveClientWelcome joins with the tree in the Welcome, and with the tree
// apart and a pre-shared key, for each suite.
func passiveClientWelcome() any {
	return eachSuite(func(s *suite.Suite) []vectors.PassiveClient {
		plain := newScene(s)
		plain.grow(3)
		plain.welcome(mls.CommitOptions{})

		apart := newScene(s)
		apart.grow(2)
		psk := apart.newPSK()
		apart.welcome(mls.CommitOptions{NoRatchetTree: true, PSKs: []message.PreSharedKeyID{psk}, NoPath: true})

		return []vectors.PassiveClient{plain.c, apart.c}
	})
}

// passiveClientHandlingCommit has a commit of each proposal type, by reference
// and by value, for each suite.
func passiveClientHandlingCommit() any {
	return eachSuite(func(s *suite.Suite) []vectors.PassiveClient {
		sc := newScene(s)
		sc.grow(3)
		sc.welcome(mls.CommitOptions{})
		a, b, c := sc.clients[0], sc.clients[1], sc.clients[2]

		// Nothing but a path.
		sc.epoch(nil, sc.commit(b, mls.CommitOptions{PublicMessage: true}))

		// By reference, one as a PublicMessage, one as a PrivateMessage.
		d := sc.newParty()
		proposals := []vectors.Hex{
			sc.propose(a, mls.ProposeOptions{Add: sc.keyPackage(d), PublicMessage: true}),
			sc.propose(c, mls.ProposeOptions{Update: true}),
		}
		sc.epoch(proposals, sc.commit(b, mls.CommitOptions{}, d))

		// By value, without a path.
		psk, e := sc.newPSK(), sc.newParty()
		sc.epoch(nil, sc.commit(c, mls.CommitOptions{
			Add: [][]byte{sc.keyPackage(e)}, PSKs: []message.PreSharedKeyID{psk}, NoPath: true,
		}, e))

		// The extensions by reference, a removal by value.
		extensions := message.Extensions{{
			Type: message.ExtensionRequiredCapabilities,
			Data: wire.Marshal(&message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialBasic}}),
		}}
		proposals = []vectors.Hex{sc.propose(d, mls.ProposeOptions{Extensions: &extensions})}
		leaf := sc.leaf(e)
		sc.clients = slices.DeleteFunc(sc.clients, func(p *party) bool { return p == e })
		sc.epoch(proposals, sc.commit(a, mls.CommitOptions{Remove: []treemath.LeafIndex{leaf}, PublicMessage: true}))

		return []vectors.PassiveClient{sc.c}
	})
}

// passiveClientRandom is one group of suite 1 over twenty epochs.
func passiveClientRandom() any {
	s := must(suite.Lookup(suite.X25519AES128SHA256Ed25519))
	rng := rand.New(rand.NewPCG(9420, 1))
	sc := newScene(s)
	sc.grow(4)
	sc.welcome(mls.CommitOptions{})
	for range 20 {
		committer := sc.clients[rng.IntN(len(sc.clients))]
		options := mls.CommitOptions{PublicMessage: rng.IntN(2) == 0}
		var proposals []vectors.Hex
		var joining []*party
		if rng.IntN(2) == 0 {
			p := sc.newParty()
			joining = append(joining, p)
			if rng.IntN(2) == 0 {
				options.Add = [][]byte{sc.keyPackage(p)}
			} else {
				proposals = append(proposals, sc.propose(committer, mls.ProposeOptions{Add: sc.keyPackage(p), PublicMessage: true}))
			}
		}
		for _, p := range sc.clients {
			if p != committer && rng.IntN(4) == 0 {
				proposals = append(proposals, sc.propose(p, mls.ProposeOptions{Update: true, PublicMessage: rng.IntN(2) == 0}))
			}
		}
		if rng.IntN(4) == 0 {
			psk := sc.newPSK()
			for _, p := range joining {
				check(p.client.StorePSK(ctx, psk.ID, sc.psks[len(sc.psks)-1].PSK))
			}
			options.PSKs = []message.PreSharedKeyID{psk}
		}
		// Someone who has proposed nothing leaves; the group keeps a few members.
		if len(proposals) == 0 && len(sc.clients) > 4 {
			i := rng.IntN(len(sc.clients))
			if gone := sc.clients[i]; gone != committer {
				options.Remove = []treemath.LeafIndex{sc.leaf(gone)}
				sc.clients = slices.Delete(sc.clients, i, i+1)
			}
		}
		sc.epoch(proposals, sc.commit(committer, options, joining...))
	}
	return []vectors.PassiveClient{sc.c}
}

// trustAll accepts every credential.
type trustAll struct{}

func (trustAll) Authenticate(context.Context, []mls.Claim) error      { return nil }
func (trustAll) Succeeds(context.Context, mls.Claim, mls.Claim) error { return nil }
