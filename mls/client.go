package mls

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// Config is what a Client needs. Keys, Store and Authenticator are required.
type Config struct {
	Keys          suite.Keys
	Store         Store
	Authenticator Authenticator
	Now           func() time.Time // default time.Now
	// After is called for what is to be done when no send has followed another for
	// a while, and returns what gives that up. The default waits so long.
	After     func(d time.Duration, f func()) (stop func())
	Limits    Limits
	Supported Supported
}

// Client is one device: its identities, its key packages and its groups.
// Methods may be called from many goroutines.
type Client struct {
	keys   suite.Keys
	store  Store
	locker Locker // the store, or nil where it is none
	auth   Authenticator
	now    func() time.Time
	after  func(time.Duration, func()) (stop func())
	limits Limits

	supported Supported

	mu     sync.Mutex // guards what follows; taken after a group's lock
	state  *clientState
	groups map[string]*Group
	closed bool

	heard revisionMark // of the client's scope
}

// clientState is what ClientScope holds.
type clientState struct {
	rev         Rev
	format      byte                      // of the stored records; 0 when there are none
	identities  map[string]*Identity      // by id
	keyPackages map[string]*ownKeyPackage // by KeyPackageRef
	psks        map[string][]byte         // external PSKs by id
	groups      map[string]bool           // by group id
}

// Identity is a credential with its signature key: what this client is in a group.
type Identity struct {
	id         []byte
	suite      *suite.Suite
	credential message.Credential
	key        suite.SignatureKey
}

// ID returns the name of the identity in this client's store: 16 random bytes.
func (i *Identity) ID() []byte { return bytes.Clone(i.id) }

// Suite returns the cipher suite that the signature key is for.
func (i *Identity) Suite() suite.ID { return i.suite.ID() }

// Credential returns the credential.
func (i *Identity) Credential() message.Credential { return i.credential }

// SignatureKey returns the SignaturePublicKey.
func (i *Identity) SignatureKey() []byte { return bytes.Clone(i.key.Public()) }

// KeyStorage returns where the private signature key lives.
func (i *Identity) KeyStorage() suite.KeyStorage { return suite.StorageOf(i.key) }

// Open returns a client over a store. Codes: INVALID_ARGUMENT, STATE_CORRUPT,
// STATE_VERSION and those of the store.
func Open(ctx context.Context, config Config) (c *Client, err error) {
	defer atOp(&err, "open")
	if config.Keys == nil || config.Store == nil || config.Authenticator == nil {
		return nil, mlserr.New(mlserr.InvalidArgument, "Keys, Store and Authenticator are required")
	}
	if err := config.Supported.check(); err != nil {
		return nil, err
	}
	c = &Client{
		supported: config.Supported,
		keys:      stepKeys{config.Keys},
		store:     config.Store,
		auth:      config.Authenticator,
		now:       config.Now,
		after:     config.After,
		limits:    config.Limits.withDefaults(),
		groups:    make(map[string]*Group),
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.after == nil {
		c.after = func(d time.Duration, f func()) func() {
			timer := time.AfterFunc(d, f)
			return func() { timer.Stop() }
		}
	}
	c.locker, _ = config.Store.(Locker)
	if err := c.reload(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close drops all state from memory. Calls that come later fail with CLOSED.
func (c *Client) Close() {
	c.mu.Lock()
	groups := c.groups
	c.closed = true
	c.groups = map[string]*Group{}
	c.state = nil
	c.mu.Unlock()
	for _, g := range groups {
		g.close()
	}
}

// reload reads the client's scope again.
func (c *Client) reload(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reloadLocked(ctx)
}

func (c *Client) reloadLocked(ctx context.Context) error {
	if c.closed {
		return mlserr.New(mlserr.Closed, "")
	}
	c.heard.forget()
	records, rev, err := c.store.Load(ctx, ClientScope)
	if err != nil {
		return storeError(err)
	}
	state, err := c.loadClientState(ctx, records)
	if err != nil {
		return err
	}
	state.rev = rev
	c.state = state
	return nil
}

// clientChange is a change of the client's scope.
type clientChange struct {
	put       Records
	delete    []string
	kept      []string
	dropped   []string
	apply     func(s *clientState)       // makes the change in memory once it is stored; or nil
	condition func(s *clientState) error // of the stored state; or nil

	// discarded are the references of key packages that are deleted.
	discarded []string
	// What a group does to key packages: it is joined by one, consumed by its
	// KeyPackageRef, and released has the leaf keys of those of last resort that
	// it uses no longer.
	group       string
	consumed    string
	released    []string
	keyPackages keyPackageChanges
}

// commitWith commits a batch together with a change of the client's scope.
func (c *Client) commitWith(ctx context.Context, b Batch, change *clientChange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return mlserr.New(mlserr.Closed, "")
	}
	if change.condition != nil {
		if err := change.condition(c.state); err != nil {
			return err
		}
	}
	if change.put == nil {
		change.put = Records{}
	}
	c.state.settleKeyPackages(change, c.now())
	if c.state.format != formatVersion {
		change.put[recordFormat] = []byte{formatVersion}
	}
	b.Changes = append(b.Changes, Change{Scope: ClientScope, Base: c.state.rev, Put: change.put, Delete: change.delete})
	b.KeysKept = append(b.KeysKept, change.kept...)
	b.KeysDropped = append(b.KeysDropped, change.dropped...)
	b.settleNames()
	if err := c.store.Commit(ctx, b); err != nil {
		// What is stored now is unknown. The change in memory must follow it.
		if again := c.reloadLocked(ctx); again != nil && !errors.Is(again, mlserr.Closed) {
			return storeError(errors.Join(err, again))
		}
		return err
	}
	c.state.rev++
	c.state.format = formatVersion
	c.state.applyKeyPackages(change.keyPackages)
	if change.apply != nil {
		change.apply(c.state)
	}
	return nil
}

// change commits a change of the client's scope alone; make builds it from the
// state, and is called again when another instance was faster.
func (c *Client) change(ctx context.Context, make func() (*clientChange, error)) error {
	unlock, err := c.lockScope(ctx, ClientScope)
	if err != nil {
		return err
	}
	defer unlock()
	for try := 1; ; try++ {
		change, err := make()
		if err == nil && ctx.Err() != nil {
			err = mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
		}
		if err == nil {
			err = c.commitWith(ctx, Batch{}, change)
		}
		switch {
		case err == nil:
			return nil
		case try == tries:
			return storeError(err)
		case errors.Is(err, mlserr.Stale):
			// commitWith has loaded what the other left.
		case mlserr.CodeOf(err).Info().Class == mlserr.ClassState && c.refresh(ctx):
		default:
			return storeError(err)
		}
	}
}

// view runs f on the client's state under its lock.
func (c *Client) view(ctx context.Context, f func(s *clientState) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return mlserr.New(mlserr.Closed, "")
	}
	if c.heard.outdates(c.state.rev) {
		if err := c.reloadLocked(ctx); err != nil {
			return err
		}
	}
	return f(c.state)
}

// CreateIdentity makes a signature key and keeps it with a credential. Codes:
// UNSUPPORTED_CIPHER_SUITE and those of the store.
func (c *Client) CreateIdentity(ctx context.Context, id suite.ID, credential message.Credential) (identity *Identity, err error) {
	return c.IssueIdentity(ctx, id, func(context.Context, suite.SignatureKey) (message.Credential, error) {
		return credential, nil
	})
}

// IssueIdentity is CreateIdentity for a credential that depends on the key: an
// X.509 chain for it, say. issue gets the key and may sign with it, a
// certificate request for example. Its error is returned as CREDENTIAL_REJECTED.
func (c *Client) IssueIdentity(ctx context.Context, id suite.ID, issue func(ctx context.Context, key suite.SignatureKey) (message.Credential, error)) (identity *Identity, err error) {
	defer atOp(&err, "createIdentity")
	s, err := c.suite(id)
	if err != nil {
		return nil, err
	}
	key, err := c.keys.GenerateSignatureKey(ctx, id)
	if err != nil {
		return nil, err
	}
	credential, err := issue(ctx, key)
	if err != nil {
		return nil, mlserr.Wrap(mlserr.CredentialRejected, "", err)
	}
	return c.newIdentity(ctx, s, credential, key, named(key.Name()))
}

// RenewIdentity makes another identity of the signature key of one that is
// there, under a new credential: a certificate that was renewed for the same
// key, say. The old one stays. Codes: IDENTITY_NOT_FOUND, CREDENTIAL_REJECTED
// when the first certificate of a chain is for another key, and those of the store.
func (c *Client) RenewIdentity(ctx context.Context, id []byte, credential message.Credential) (identity *Identity, err error) {
	defer atOp(&err, "renewIdentity")
	old, err := c.Identity(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.newIdentity(ctx, old.suite, credential, old.key, nil)
}

// newIdentity stores a credential with a key, and with it the names of keys that are to be kept.
func (c *Client) newIdentity(ctx context.Context, s *suite.Suite, credential message.Credential, key suite.SignatureKey, kept []string) (*Identity, error) {
	if err := checkCertificateKey(&message.LeafNode{Credential: credential, SignatureKey: key.Public()}); err != nil {
		return nil, err
	}
	identity := &Identity{id: suite.Random(16), suite: s, credential: credential, key: key}
	err := c.change(ctx, func() (*clientChange, error) {
		return &clientChange{
			put:   Records{recordIdentity + hexName(identity.id): marshalIdentity(identity)},
			kept:  kept,
			apply: func(s *clientState) { s.identities[string(identity.id)] = identity },
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return identity, nil
}

// named returns the names that are not empty.
func named(names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// suite looks up a cipher suite that the keys support.
func (c *Client) suite(id suite.ID) (*suite.Suite, error) {
	s, err := suite.Lookup(id)
	if err != nil {
		return nil, err
	}
	if !c.keys.Supports(id) {
		return nil, mlserr.New(mlserr.UnknownSuite, id.String())
	}
	return s, nil
}

// Identities lists the identities of this client, in the order of their ids.
func (c *Client) Identities(ctx context.Context) (list []*Identity, err error) {
	defer atOp(&err, "identities")
	err = c.view(ctx, func(s *clientState) error {
		for _, identity := range s.identities {
			list = append(list, identity)
		}
		return nil
	})
	sort.Slice(list, func(i, j int) bool { return bytes.Compare(list[i].id, list[j].id) < 0 })
	return list, err
}

// Identity returns an identity by its id. Code: IDENTITY_NOT_FOUND.
func (c *Client) Identity(ctx context.Context, id []byte) (identity *Identity, err error) {
	defer atOp(&err, "identity")
	find := func(s *clientState) error {
		if identity = s.identities[string(id)]; identity == nil {
			return mlserr.New(mlserr.IdentityNotFound, "")
		}
		return nil
	}
	if err = c.view(ctx, find); errors.Is(err, mlserr.IdentityNotFound) {
		// Another instance over the same store may have made it.
		if err = c.reload(ctx); err == nil {
			err = c.view(ctx, find)
		}
	}
	return identity, err
}

// KeyPackageOptions says what key packages are like.
type KeyPackageOptions struct {
	// Lifetime from now on (default 90 days). It begins one hour ago, for the
	// clocks of others (RFC 9420, Section 7.2).
	Lifetime time.Duration
	// LastResort keeps the key package after it was used, so that it may be
	// used again when no other is left (RFC 9420, Section 16.8).
	LastResort bool
	// Extensions of the key package, and of its leaf node. The types in a leaf
	// must be application_id or listed in Config.Supported.
	Extensions, LeafExtensions message.Extensions
}

const (
	defaultLifetime  = 90 * 24 * time.Hour
	lifetimeBackdate = time.Hour
	maxKeyPackages   = 1000 // a call
)

// CreateKeyPackages makes n key packages, each an MLSMessage for the delivery
// service (RFC 9420, Section 10). Their private keys are stored before they are
// returned. Codes: IDENTITY_NOT_FOUND, INVALID_ARGUMENT, and those of the store.
func (c *Client) CreateKeyPackages(ctx context.Context, identityID []byte, n int, opts KeyPackageOptions) (list [][]byte, err error) {
	defer atOp(&err, "createKeyPackages")
	if n < 1 || n > maxKeyPackages {
		return nil, mlserr.New(mlserr.InvalidArgument, "number of key packages")
	}
	identity, err := c.Identity(ctx, identityID)
	if err != nil {
		return nil, err
	}
	p := begin(ctx)
	defer p.end(&err)
	p.plan(n)
	own := make(map[string]*ownKeyPackage, n)
	put := make(Records, n)
	var kept []string
	for i := range n {
		if i%stepSize == 0 {
			if err := pause(ctx); err != nil {
				return nil, err
			}
		}
		kp, record, err := c.newKeyPackage(ctx, identity, opts)
		if err != nil {
			return nil, err
		}
		ref := kp.Ref(identity.suite)
		own[string(ref)] = record
		put[recordKeyPackage+hexName(ref)] = record.marshal()
		kept = append(kept, named(record.initName, record.leafName)...)
		list = append(list, wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatKeyPackage, KeyPackage: kp}))
		p.advance(1)
	}
	err = c.change(ctx, func() (*clientChange, error) {
		return &clientChange{put: put, kept: kept, apply: func(s *clientState) {
			for ref, record := range own {
				s.keyPackages[ref] = record
			}
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// newKeyPackage makes a key package with fresh keys. It is for one use unless the
// options ask for one of last resort (S20).
func (c *Client) newKeyPackage(ctx context.Context, identity *Identity, opts KeyPackageOptions) (*message.KeyPackage, *ownKeyPackage, error) {
	s := identity.suite
	initKey, err := c.keys.GenerateHPKEKey(ctx, s.ID())
	if err != nil {
		return nil, nil, err
	}
	leafKey, err := c.keys.GenerateHPKEKey(ctx, s.ID())
	if err != nil {
		return nil, nil, err
	}
	lifetime := opts.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	if lifetime < 0 {
		return nil, nil, mlserr.New(mlserr.InvalidArgument, "lifetime")
	}
	now := c.now()
	leaf := c.newLeaf(identity, nil)
	leaf.Source = message.LeafNodeSourceKeyPackage
	leaf.EncryptionKey = leafKey.Public()
	leaf.Extensions = opts.LeafExtensions
	if !opts.Extensions.Unique() || !opts.LeafExtensions.Unique() {
		return nil, nil, mlserr.New(mlserr.DuplicateExtension, "D7")
	}
	if err := checkOwnTypes(&leaf); err != nil {
		return nil, nil, err
	}
	leaf.Lifetime = message.Lifetime{
		NotBefore: uint64(now.Add(-lifetimeBackdate).Unix()),
		NotAfter:  uint64(now.Add(lifetime).Unix()),
	}
	if err := leaf.Sign(ctx, s, identity.key, nil, 0); err != nil {
		return nil, nil, err
	}
	kp := &message.KeyPackage{
		Version:     message.MLS10,
		CipherSuite: s.ID(),
		InitKey:     initKey.Public(),
		LeafNode:    leaf,
		Extensions:  opts.Extensions,
	}
	if err := kp.Sign(ctx, s, identity.key); err != nil {
		return nil, nil, err
	}
	return kp, &ownKeyPackage{
		keyPackage: wire.Marshal(kp),
		identity:   identity.id,
		suite:      s,
		initKey:    initKey.Reference(),
		leafKey:    leafKey.Reference(),
		initName:   initKey.Name(),
		leafName:   leafKey.Name(),
		lastResort: opts.LastResort,
		notAfter:   leaf.Lifetime.NotAfter,
	}, nil
}

// newLeaf returns a leaf of an identity without keys of its own, for the path
// of a commit. What the leaf before it said beside, it says again.
func (c *Client) newLeaf(identity *Identity, old *message.LeafNode) message.LeafNode {
	leaf := message.LeafNode{
		SignatureKey: identity.key.Public(),
		Credential:   identity.credential,
		Source:       message.LeafNodeSourceCommit,
	}
	if old != nil && old.Capabilities.HasCredential(identity.credential.Type) {
		leaf.Capabilities = old.Capabilities
		leaf.Extensions = old.Extensions
	} else {
		leaf.Capabilities = c.ownCapabilities(identity.credential.Type)
	}
	return leaf
}

// reviseLeaf changes what a leaf says beside its keys: its extensions, unless they
// are nil, and the capabilities, where they are renewed.
func (c *Client) reviseLeaf(leaf *message.LeafNode, extensions *message.Extensions, renew bool) error {
	if renew {
		leaf.Capabilities = c.ownCapabilities(leaf.Credential.Type)
	}
	if extensions != nil {
		leaf.Extensions = *extensions
	}
	if !leaf.Extensions.Unique() {
		return mlserr.New(mlserr.DuplicateExtension, "D7: leaf")
	}
	return checkOwnTypes(leaf)
}

// KeyPackageCount returns how many unused key packages of an identity are held.
func (c *Client) KeyPackageCount(ctx context.Context, identityID []byte) (n int, err error) {
	defer atOp(&err, "keyPackageCount")
	now := uint64(c.now().Unix())
	err = c.view(ctx, func(s *clientState) error {
		for _, kp := range s.keyPackages {
			if bytes.Equal(kp.identity, identityID) && kp.notAfter >= now {
				n++
			}
		}
		return nil
	})
	return n, err
}

// ImportedKeyPackage is a key package that was made elsewhere.
type ImportedKeyPackage struct {
	KeyPackage []byte // an MLSMessage
	// References of the private keys, as the Keys of this client know them.
	SignatureKey, InitKey, LeafKey []byte
}

// ImportKeyPackage takes over a key package with its private keys, and with it
// an identity: a move from another implementation. Codes: KEY_NOT_FOUND,
// INVALID_ARGUMENT when a private key is not that of the key package.
func (c *Client) ImportKeyPackage(ctx context.Context, in ImportedKeyPackage) (identity *Identity, err error) {
	defer atOp(&err, "importKeyPackage")
	kp, err := parseKeyPackage(in.KeyPackage)
	if err != nil {
		return nil, err
	}
	s, err := c.suite(kp.CipherSuite)
	if err != nil {
		return nil, err
	}
	key, err := c.keys.SignatureKey(ctx, s.ID(), in.SignatureKey)
	if err != nil {
		return nil, err
	}
	initKey, err := c.keys.HPKEKey(ctx, s.ID(), in.InitKey)
	if err != nil {
		return nil, err
	}
	leafKey, err := c.keys.HPKEKey(ctx, s.ID(), in.LeafKey)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(key.Public(), kp.LeafNode.SignatureKey) || !bytes.Equal(initKey.Public(), kp.InitKey) || !bytes.Equal(leafKey.Public(), kp.LeafNode.EncryptionKey) {
		return nil, mlserr.New(mlserr.InvalidArgument, "private key of another key package")
	}
	identity = &Identity{id: suite.Random(16), suite: s, credential: kp.LeafNode.Credential, key: key}
	record := &ownKeyPackage{
		keyPackage: wire.Marshal(kp),
		identity:   identity.id,
		suite:      s,
		initKey:    initKey.Reference(),
		leafKey:    leafKey.Reference(),
		initName:   initKey.Name(),
		leafName:   leafKey.Name(),
		notAfter:   kp.LeafNode.Lifetime.NotAfter,
	}
	ref := kp.Ref(s)
	err = c.change(ctx, func() (*clientChange, error) {
		return &clientChange{
			put: Records{
				recordIdentity + hexName(identity.id): marshalIdentity(identity),
				recordKeyPackage + hexName(ref):       record.marshal(),
			},
			kept: named(key.Name(), record.initName, record.leafName),
			apply: func(s *clientState) {
				s.identities[string(identity.id)] = identity
				s.keyPackages[string(ref)] = record
			},
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return identity, nil
}

// StorePSK keeps an external PSK under an id (RFC 9420, Section 8.4).
func (c *Client) StorePSK(ctx context.Context, id, secret []byte) (err error) {
	defer atOp(&err, "storePSK")
	if len(id) == 0 || len(secret) == 0 {
		return mlserr.New(mlserr.InvalidArgument, "empty PSK or id")
	}
	id, secret = bytes.Clone(id), bytes.Clone(secret)
	return c.change(ctx, func() (*clientChange, error) {
		return &clientChange{
			put:   Records{recordPSK + hexName(id): secret},
			apply: func(s *clientState) { s.psks[string(id)] = secret },
		}, nil
	})
}

// DeletePSK forgets an external PSK.
func (c *Client) DeletePSK(ctx context.Context, id []byte) (err error) {
	defer atOp(&err, "deletePSK")
	id = bytes.Clone(id)
	return c.change(ctx, func() (*clientChange, error) {
		return &clientChange{
			delete: []string{recordPSK + hexName(id)},
			apply: func(s *clientState) {
				suite.Wipe(s.psks[string(id)])
				delete(s.psks, string(id))
			},
		}, nil
	})
}

func (c *Client) externalPSK(ctx context.Context, id []byte) (secret []byte, err error) {
	err = c.view(ctx, func(s *clientState) error {
		// A copy: DeletePSK may wipe the stored one meanwhile.
		secret = bytes.Clone(s.psks[string(id)])
		return nil
	})
	if err == nil && secret == nil {
		err = mlserr.New(mlserr.PSKUnknown, "C3: external PSK")
	}
	return secret, err
}

// sentLifetimes are the rules for leaves that this client adds itself.
func (c *Client) sentLifetimes() *lifetimeRules {
	rules := &lifetimeRules{
		now:  c.now().Unix(),
		skew: int64(c.limits.LifetimeSkew.Seconds()),
		max:  int64(c.limits.MaxLifetime.Seconds()),
	}
	if c.limits.MaxLifetime < 0 {
		rules.max = -1
	}
	return rules
}

// receivedLifetimes are the rules for leaves that others add.
func (c *Client) receivedLifetimes() *lifetimeRules {
	if c.limits.IgnoreReceivedLifetimes {
		return nil
	}
	return c.sentLifetimes()
}

// ratchetLimits are the limits of the secret tree of an epoch.
func (c *Client) ratchetLimits() schedule.Limits {
	return schedule.Limits{MaxForward: c.limits.MaxForward, MaxSkipped: c.limits.MaxSkipped}
}

// GroupOptions says what a new group is like.
type GroupOptions struct {
	GroupID    []byte // default 32 random bytes
	Extensions message.Extensions
	// LeafExtensions are those of this client's leaf: see KeyPackageOptions.
	LeafExtensions message.Extensions
}

// Groups lists the ids of the groups that are held, in byte order.
func (c *Client) Groups(ctx context.Context) (list [][]byte, err error) {
	defer atOp(&err, "groups")
	err = c.view(ctx, func(s *clientState) error {
		for id := range s.groups {
			list = append(list, []byte(id))
		}
		return nil
	})
	sort.Slice(list, func(i, j int) bool { return bytes.Compare(list[i], list[j]) < 0 })
	return list, err
}

// Group returns a group that is held. Code: GROUP_NOT_FOUND.
func (c *Client) Group(ctx context.Context, id []byte) (g *Group, err error) {
	defer atOp(&err, "group")
	find := func(s *clientState) error {
		if !s.groups[string(id)] {
			return mlserr.New(mlserr.GroupNotFound, "")
		}
		g = c.groupLocked(id)
		return nil
	}
	if err = c.view(ctx, find); errors.Is(err, mlserr.GroupNotFound) {
		if err = c.reload(ctx); err == nil {
			err = c.view(ctx, find)
		}
	}
	return g, err
}

// groupLocked returns the one Group value of an id.
func (c *Client) groupLocked(id []byte) *Group {
	g := c.groups[string(id)]
	if g == nil {
		g = newGroup(c, id)
		c.groups[string(id)] = g
	}
	return g
}

// handle returns the one Group value of an id, whether it is held or not.
func (c *Client) handle(ctx context.Context, id []byte) (g *Group, err error) {
	err = c.view(ctx, func(*clientState) error {
		g = c.groupLocked(id)
		return nil
	})
	return g, err
}

// DeleteGroup forgets a group with all its secrets and its inbox. It tells the
// other members nothing. Code: GROUP_NOT_FOUND.
func (c *Client) DeleteGroup(ctx context.Context, id []byte) (err error) {
	defer atOp(&err, "deleteGroup")
	g, err := c.Group(ctx, id)
	if err != nil {
		return err
	}
	return g.transact(ctx, func(l *live) (*outcome, error) { return g.deletion(l.state), nil })
}

// deletion is the outcome that deletes a group.
func (g *Group) deletion(s *state) *outcome {
	id := string(g.id)
	return &outcome{
		forget: true,
		wipe:   s.wipers(),
		client: &clientChange{
			delete: []string{recordGroup + hexName(g.id)},
			apply:  func(s *clientState) { delete(s.groups, id) },
		},
	}
}

// creation is the change of the client's scope that adds a group. It fails
// when the group is there already, unless it may be replaced.
func creation(id []byte, replace bool) *clientChange {
	key := string(id)
	return &clientChange{
		put:   Records{recordGroup + hexName(id): {1}},
		apply: func(s *clientState) { s.groups[key] = true },
		condition: func(s *clientState) error {
			if s.groups[key] && !replace {
				return mlserr.New(mlserr.GroupExists, "W5")
			}
			return nil
		},
	}
}
