package mls

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// JoinOptions are options of Client.JoinGroup.
type JoinOptions struct {
	// RatchetTree is the tree where the Welcome does not have it: what
	// Group.RatchetTree returned.
	RatchetTree []byte
}

// JoinGroup joins a group by a Welcome (RFC 9420, Section 12.4.3.1). The key
// package is consumed in the same batch that stores the group, unless it is one
// of last resort (K7, W17). Codes:
// NO_MATCHING_KEY_PACKAGE, GROUP_EXISTS, TREE_MISSING, and those of the rules
// on a GroupInfo, a tree and its leaves. A Welcome that is refused changes
// nothing; the key package is still there.
func (c *Client) JoinGroup(ctx context.Context, welcome []byte, opts JoinOptions) (g *Group, err error) {
	defer atOp(&err, "joinGroup")
	if len(opts.RatchetTree) > c.limits.MaxMessage {
		return nil, mlserr.New(mlserr.TooLarge, "ratchet tree")
	}
	p := begin(ctx)
	defer p.end(&err)
	j, entry, err := c.openWelcome(ctx, welcome)
	if err != nil {
		return nil, err
	}
	defer j.wipe()
	nodes, err := treeOf(&j.info, opts.RatchetTree)
	if err != nil {
		return nil, err
	}
	leaves, keys := countNodes(nodes)
	p.plan(leaves + keys) // each signature, each key
	st, checked, err := j.join(ctx, nodes)
	if err != nil {
		return nil, err
	}
	defer checked.drop()
	if j.own.lastResort {
		st.sharedLeaf = j.own.leafName
	}
	g, err = c.adopt(ctx, st.groupID, st, j.reinitializes(), checked.accepted, func(change *clientChange) {
		ref := string(entry.NewMember)
		change.group, change.consumed = string(st.groupID), ref
		free := change.condition
		change.condition = func(s *clientState) error {
			if kp := s.keyPackages[ref]; kp == nil || kp.retired { // another join was faster (K7)
				return mlserr.New(mlserr.NoMatchingKeyPackage, "W1")
			}
			return free(s)
		}
	})
	if err != nil {
		st.wipe()
		return nil, err
	}
	return g, nil
}

// findKeyPackage finds the entry of a Welcome that is for this client (W1).
func (c *Client) findKeyPackage(ctx context.Context, w *message.Welcome) (own *ownKeyPackage, entry *message.EncryptedGroupSecrets, err error) {
	find := func(s *clientState) error {
		for i := range w.Secrets {
			if kp := s.keyPackages[string(w.Secrets[i].NewMember)]; kp != nil && !kp.retired {
				// A copy: the join of another Welcome may consume it meanwhile.
				clone := *kp
				clone.initKey, clone.leafKey = bytes.Clone(kp.initKey), bytes.Clone(kp.leafKey)
				own, entry = &clone, &w.Secrets[i]
				return nil
			}
		}
		return mlserr.New(mlserr.NoMatchingKeyPackage, "W1")
	}
	if err = c.view(ctx, find); mlserr.CodeOf(err) == mlserr.NoMatchingKeyPackage {
		// Another instance over the same store may have made it.
		if err = c.reload(ctx); err == nil {
			err = c.view(ctx, find)
		}
	}
	return own, entry, err
}

// joining is a Welcome being turned into the state of a group.
type joining struct {
	client       *Client
	suite        *suite.Suite
	own          *ownKeyPackage
	secrets      message.GroupSecrets
	intermediate *schedule.Intermediate
	info         message.GroupInfo
}

func (j *joining) wipe() {
	suite.Wipe(j.secrets.JoinerSecret, j.secrets.PathSecret, j.own.initKey)
	if j.intermediate != nil {
		j.intermediate.Wipe()
	}
}

// open decrypts the group secrets and the group info (W1 to W3).
func (j *joining) open(ctx context.Context, w *message.Welcome, entry *message.EncryptedGroupSecrets) error {
	initKey, err := j.client.keys.HPKEKey(ctx, j.suite.ID(), j.own.initKey)
	if err != nil {
		return err
	}
	plain, err := j.suite.DecryptWithLabel(ctx, initKey, labelWelcome, w.EncryptedGroupInfo, entry.EncryptedGroupSecrets)
	if err != nil {
		return err
	}
	if err := wire.Unmarshal(plain, &j.secrets); err != nil {
		return err
	}
	if len(j.secrets.JoinerSecret) != j.suite.HashSize() {
		return mlserr.New(mlserr.WelcomeInvalid, "joiner secret length")
	}
	if err := j.checkPSKs(); err != nil {
		return err
	}
	pskSecrets, err := j.client.pskSecrets(ctx, nil, j.secrets.PSKs)
	if err != nil {
		return err
	}
	pskSecret, err := schedule.PSKSecret(j.suite, j.secrets.PSKs, pskSecrets)
	if err != nil {
		return err
	}
	j.intermediate = schedule.JoinerFromSecret(j.suite, j.secrets.JoinerSecret).WithPSK(pskSecret)
	suite.Wipe(pskSecret)
	key, nonce := j.intermediate.WelcomeKeyNonce()
	defer suite.Wipe(key, nonce)
	info, err := j.suite.Open(key, nonce, nil, w.EncryptedGroupInfo)
	if err != nil {
		return mlserr.Wrap(mlserr.DecryptionFailed, "W3", err)
	}
	return wire.Unmarshal(info, &j.info)
}

// checkPSKs is W2: nonces of the right length, no key twice, and at most one
// resumption PSK of the usages reinit and branch.
func (j *joining) checkPSKs() error {
	seen := make(map[string]bool)
	special := 0
	for i := range j.secrets.PSKs {
		id := &j.secrets.PSKs[i]
		if len(id.Nonce) != j.suite.HashSize() {
			return mlserr.New(mlserr.PSKInvalid, "P14: nonce length")
		}
		if key := id.Key(); seen[key] {
			return mlserr.New(mlserr.PSKInvalid, "P7: pre-shared key")
		} else {
			seen[key] = true
		}
		if id.Type == message.PSKResumption && id.Usage != message.ResumptionApplication {
			special++
		}
	}
	if special > 1 {
		return mlserr.New(mlserr.PSKInvalid, "W2: more than one reinit or branch PSK")
	}
	return nil
}

// treeOf returns the ratchet tree of a GroupInfo, or else the one given apart.
func treeOf(info *message.GroupInfo, apart []byte) (message.RatchetTree, error) {
	nodes, ok, err := info.Extensions.RatchetTree()
	if err != nil {
		return nil, err
	}
	if ok {
		return nodes, nil
	}
	if len(apart) == 0 {
		return nil, mlserr.New(mlserr.TreeMissing, "")
	}
	if err := wire.Unmarshal(bytes.Clone(apart), &nodes); err != nil {
		return nil, err
	}
	return nodes, nil
}

// countNodes returns how many leaves and how many nodes are not blank.
func countNodes(nodes message.RatchetTree) (leaves, all int) {
	for i := range nodes {
		if nodes[i].Leaf != nil {
			leaves++
		}
		if nodes[i] != (message.Node{}) {
			all++
		}
	}
	return leaves, all
}

// checkedTree is the tree of a group to join, which was found good but for what
// accepted tells.
type checkedTree struct {
	tree   *tree.Tree
	census *census
	// accepted waits for the signatures of the leaves, and for what the Authenticator,
	// who was asked meanwhile, says to all leaves (L1, S9). Before it has returned nil,
	// nothing may be stored or released.
	accepted func() error
	// drop, to be deferred, ends what nobody waits for.
	drop func()
}

// checkGroupInfo is what a joiner of either kind checks of a GroupInfo and its
// tree (W4, W6 to W11, W15, L1 to L10): the signature of the signer, the tree
// hash, every parent hash, every leaf. It returns while the signatures of the leaves
// are still being verified, which takes longest, and the Authenticator judges the
// leaves, so that the caller can make what rests on both; nobody is let in before (S9).
func (c *Client) checkGroupInfo(ctx context.Context, s *suite.Suite, info *message.GroupInfo, nodes message.RatchetTree) (checked *checkedTree, err error) {
	group := &info.GroupContext
	if group.CipherSuite != s.ID() {
		return nil, mlserr.New(mlserr.GroupInfoInvalid, "W6: cipher suite")
	}
	if len(group.GroupID) == 0 {
		return nil, mlserr.New(mlserr.GroupInfoInvalid, "empty group id")
	}
	verified, drop := ahead(ctx, func(ctx context.Context) error {
		if leaves, _ := countNodes(nodes); leaves > c.limits.MaxMembers {
			return nil // refused below
		}
		return tree.VerifyLeavesOf(ctx, c.keys, s, group.GroupID, nodes)
	})
	defer func() {
		if err != nil {
			drop()
		}
	}()
	t, err := tree.Import(s, nodes)
	if err != nil {
		return nil, err
	}
	if t.MemberCount() > c.limits.MaxMembers {
		return nil, mlserr.New(mlserr.TooLarge, "members")
	}
	if !bytes.Equal(t.Hash(), group.TreeHash) {
		return nil, mlserr.New(mlserr.TreeHashMismatch, "W7")
	}
	signer := t.Leaf(info.Signer)
	if signer == nil {
		return nil, mlserr.New(mlserr.InvalidSender, "W4: signer")
	}
	if err := s.Verify(ctx, c.keys, []suite.Verification{info.Verification(s, signer.SignatureKey)}); err != nil {
		return nil, refused(mlserr.InvalidSignature, "W4: group info", err)
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	members := newCensus(t)
	if err := c.checkTreeLeaves(t, group, members); err != nil {
		return nil, err
	}
	if err := t.ValidateKeys(ctx, c.keys); err != nil {
		return nil, err
	}
	claims, senders := treeClaims(t, group)
	judged, leave := ahead(ctx, func(ctx context.Context) error {
		if senders != nil {
			return senders
		}
		if err := c.auth.Authenticate(ctx, claims); err != nil {
			return refused(mlserr.CredentialRejected, "L1", err)
		}
		return nil
	})
	accepted := sync.OnceValue(func() error {
		if err := verified(); err != nil {
			return err
		}
		return judged()
	})
	return &checkedTree{t, members, accepted, func() { drop(); leave() }}, nil
}

// checkTreeLeaves is W9 and W15: each leaf by the rules of Section 7.3.
// Lifetimes are not looked at: a member who has not renewed its leaf in time
// is the group's to remove, and must not keep others from joining.
func (c *Client) checkTreeLeaves(t *tree.Tree, group *message.GroupContext, members *census) error {
	rules, err := newLeafRules(group.Extensions, nil)
	if err != nil {
		return err
	}
	for i, leaf := range t.Leaves() {
		if err := rules.check(leaf, leaf.Source); err != nil {
			return atLeaf(err, i)
		}
	}
	if !members.credentialsAgree() {
		return mlserr.New(mlserr.CapabilityMissing, "L4: credential types of the members")
	}
	return checkGroupExtensions(group.Extensions, members)
}

// treeClaims are the claims of a tree that is being joined, those of the
// external senders included.
func treeClaims(t *tree.Tree, group *message.GroupContext) ([]Claim, error) {
	claims := make([]Claim, 0, t.MemberCount())
	for i, leaf := range t.Leaves() {
		claims = append(claims, claimOf(group.GroupID, leaf, i, PlaceTree))
	}
	senders, err := group.Extensions.ExternalSenders()
	for i := range senders {
		claims = append(claims, Claim{
			GroupID:      group.GroupID,
			Credential:   senders[i].Credential,
			SignatureKey: senders[i].SignatureKey,
			Place:        PlaceExternalSender,
		})
	}
	return claims, err
}

// join checks the group and derives its state (W4 to W17), which may be stored when
// the tree is accepted.
func (j *joining) join(ctx context.Context, nodes message.RatchetTree) (*state, *checkedTree, error) {
	checked, err := j.client.checkGroupInfo(ctx, j.suite, &j.info, nodes)
	if err != nil {
		return nil, nil, err
	}
	believed := checked.accepted
	checked.accepted = func() error {
		if err := believed(); err != nil {
			return err
		}
		return j.checkResumption(ctx, checked.tree)
	}
	st, err := j.derive(ctx, checked.tree, checked.census)
	if err != nil {
		defer checked.drop()
		if refusal := checked.accepted(); refusal != nil {
			err = refusal // what a group is refused for does not depend on who is faster
		}
		return nil, nil, err
	}
	return st, checked, nil
}

// derive derives the state of a member (W12 to W14) of a group with a tree.
func (j *joining) derive(ctx context.Context, t *tree.Tree, members *census) (*state, error) {
	c, s, info := j.client, j.suite, &j.info
	self, err := j.ownLeaf(t)
	if err != nil {
		return nil, err
	}
	leafKey, err := c.keys.HPKEKey(ctx, s.ID(), j.own.leafKey)
	if err != nil {
		return nil, err
	}
	private, err := tree.JoinPrivate(ctx, c.keys, t, self, leafKey, info.Signer, j.secrets.PathSecret)
	if err != nil {
		return nil, err
	}
	identity, err := c.Identity(ctx, j.own.identity)
	if err != nil {
		return nil, err
	}
	group := info.GroupContext
	context, contextBytes := marshaled(&group)
	secrets := j.intermediate.Epoch(contextBytes)
	if !secrets.VerifyConfirmationTag(s, group.ConfirmedTranscriptHash, info.ConfirmationTag) {
		secrets.Wipe()
		return nil, mlserr.New(mlserr.ConfirmationTag, "W14")
	}
	e := &epoch{
		suite:           s,
		context:         context,
		contextBytes:    contextBytes,
		tree:            t,
		census:          members,
		private:         private,
		secrets:         secrets,
		confirmationTag: info.ConfirmationTag,
		interim:         schedule.InterimTranscriptHash(s, group.ConfirmedTranscriptHash, info.ConfirmationTag),
		identity:        identity,
	}
	e.startRatchets(c)
	return &state{status: StatusActive, suite: s, groupID: group.GroupID, epoch: e, freshSince: group.Epoch}, nil
}

// ownLeaf is W12: the leaf whose content is that of the key package.
func (j *joining) ownLeaf(t *tree.Tree) (treemath.LeafIndex, error) {
	var kp message.KeyPackage
	if err := wire.Unmarshal(j.own.keyPackage, &kp); err != nil {
		return 0, mlserr.Wrap(mlserr.StateCorrupt, "key package", err)
	}
	self, ok := t.FindSignatureKey(kp.LeafNode.SignatureKey)
	if !ok {
		return 0, mlserr.New(mlserr.LeafMismatch, "W12: no leaf with the own signature key")
	}
	if !bytes.Equal(wire.Marshal(t.Leaf(self)), wire.Marshal(&kp.LeafNode)) {
		return 0, mlserr.New(mlserr.LeafMismatch, "W12: leaf "+strconv.FormatUint(uint64(self), 10))
	}
	return self, nil
}
