package peer

import (
	"bytes"
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/interop/proto"
)

// party is one actor of a test: a client with a store of its own.
type party struct {
	client   *mls.Client
	keys     *keys
	identity *mls.Identity
}

// newParty opens a client and makes its identity, a basic credential.
func newParty(ctx context.Context, id suite.ID, name []byte) (*party, error) {
	k := newKeys()
	c, err := mls.Open(ctx, mls.Config{
		Keys:          k,
		Store:         mls.NewMemoryStore(),
		Authenticator: anyone{},
		Limits: mls.Limits{
			// Key packages of other implementations do not end, and scripts
			// reach back further than an application should keep secrets.
			MaxLifetime:       -1,
			MaxPastEpochs:     100,
			MaxResumptionPSKs: 1000,
		},
	})
	if err != nil {
		return nil, err
	}
	identity, err := c.CreateIdentity(ctx, id, message.BasicCredential(name))
	if err != nil {
		return nil, err
	}
	return &party{client: c, keys: k, identity: identity}, nil
}

// anyone is the Authenticator of a test: credentials are what they say they
// are, and an equal credential is the same client, which is how the runner
// names members.
type anyone struct{}

func (anyone) Authenticate(context.Context, []mls.Claim) error { return nil }

func (anyone) Succeeds(_ context.Context, old, next mls.Claim) error {
	if !old.Credential.Equal(&next.Credential) {
		return status.Error(codes.PermissionDenied, "another credential")
	}
	return nil
}

// keyPackage makes a key package of an identity: an MLSMessage.
func (p *party) keyPackage(ctx context.Context, identity *mls.Identity) ([]byte, error) {
	list, err := p.client.CreateKeyPackages(ctx, identity.ID(), 1, mls.KeyPackageOptions{})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// joiner is a transaction: a party with a key package, on its way into a group.
type joiner struct {
	*party
	keyPackage []byte
}

// privateKeys returns the references of the private keys of the key package.
func (j *joiner) privateKeys() (mls.ImportedKeyPackage, error) {
	m, err := message.Parse(j.keyPackage)
	if err != nil {
		return mls.ImportedKeyPackage{}, err
	}
	kp := m.KeyPackage
	return mls.ImportedKeyPackage{
		KeyPackage:   j.keyPackage,
		SignatureKey: j.keys.reference(kp.LeafNode.SignatureKey),
		InitKey:      j.keys.reference(kp.InitKey),
		LeafKey:      j.keys.reference(kp.LeafNode.EncryptionKey),
	}, nil
}

// member is a state: a group of a party.
type member struct {
	*party
	group   *mls.Group
	private bool // handshake messages are PrivateMessages
	// proposals of the current epoch by their bytes, with their references: the
	// runner hands a proposal to a client again and again.
	proposals map[string][]byte
	// committed is what the pending commit was asked to do.
	committed *mls.UpdateInfo
}

func newMember(p *party, g *mls.Group, private bool) *member {
	return &member{party: p, group: g, private: private, proposals: make(map[string][]byte)}
}

// authenticator returns the epoch authenticator.
func (m *member) authenticator(ctx context.Context) ([]byte, error) {
	info, err := m.group.Info(ctx)
	return info.EpochAuthenticator, err
}

// leaf finds a member by the identity of its basic credential.
func (m *member) leaf(ctx context.Context, identity []byte) (treemath.LeafIndex, error) {
	list, err := m.group.Members(ctx)
	if err != nil {
		return 0, err
	}
	for _, member := range list {
		if bytes.Equal(member.Credential.Identity, identity) {
			return member.Leaf, nil
		}
	}
	return 0, noMember(identity)
}

func noMember(identity []byte) error {
	return status.Errorf(codes.NotFound, "no member %q", identity)
}

// leafIn is leaf for who has nothing but the tree.
func leafIn(nodes message.RatchetTree, identity []byte) (treemath.LeafIndex, error) {
	for i := 0; i < len(nodes); i += 2 {
		if leaf := nodes[i].Leaf; leaf != nil && bytes.Equal(leaf.Credential.Identity, identity) {
			return treemath.LeafIndex(i / 2), nil
		}
	}
	return 0, noMember(identity)
}

// treeOf returns the tree that a GroupInfo has, or that came apart.
func treeOf(info *message.GroupInfo, apart []byte) (nodes message.RatchetTree, err error) {
	if nodes, ok, err := info.Extensions.RatchetTree(); ok || err != nil {
		return nodes, err
	}
	err = wire.Unmarshal(apart, &nodes)
	return nodes, err
}

// groupInfoOf decodes an MLSMessage that holds a GroupInfo.
func groupInfoOf(b []byte) (*message.GroupInfo, error) {
	m, err := message.Parse(b)
	if err != nil {
		return nil, err
	}
	if m.GroupInfo == nil {
		return nil, status.Error(codes.InvalidArgument, "not a group info")
	}
	return m.GroupInfo, nil
}

func extensionsOf(list []*proto.Extension) message.Extensions {
	var extensions message.Extensions
	for _, e := range list {
		extensions = append(extensions, message.Extension{Type: message.ExtensionType(e.ExtensionType), Data: e.ExtensionData})
	}
	return extensions
}
