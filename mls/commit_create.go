package mls

import (
	"bytes"
	"context"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// CommitOptions says what a commit does. The zero value is a plain update: an
// empty list, or the cached proposals, and a path.
type CommitOptions struct {
	Add        [][]byte // MLSMessages with a key package each
	Remove     []treemath.LeafIndex
	PSKs       []message.PreSharedKeyID // without nonces
	Extensions *message.Extensions      // replaces the group context extensions
	ReInit     *message.ReInit
	Custom     []message.Proposal // proposals of types that this module does not know

	// NoPath leaves the path out where RFC 9420, Section 12.4, allows it: the
	// commit is smaller, but heals nothing.
	NoPath bool
	// PublicMessage sends the commit signed and tagged, but not encrypted.
	PublicMessage bool
	// NoRatchetTree leaves the ratchet tree out of the Welcome and the
	// GroupInfo; it must reach the joiners apart (Group.RatchetTree).
	NoRatchetTree bool
	// WithGroupInfo returns a GroupInfo of the new epoch for external joiners.
	WithGroupInfo bool
	// IgnoreProposals leaves the cached proposals out.
	IgnoreProposals   bool
	AuthenticatedData []byte
	// Identity, when not empty, is the identity that this client has in the
	// group from this commit on: another signature key, another credential.
	Identity []byte
	// LeafExtensions, when not nil, replace the extensions of this client's leaf;
	// else they stay. The types must be application_id or listed in Config.Supported.
	LeafExtensions *message.Extensions
	// RenewCapabilities has the leaf list what this client supports today, in
	// the place of what it supported when it joined.
	RenewCapabilities bool
}

// CommitResult is a commit that was created and is not applied yet.
type CommitResult struct {
	Commit    []byte // an MLSMessage for the group
	Welcome   []byte // an MLSMessage for those who were added, or nil
	GroupInfo []byte // an MLSMessage, or nil when it was not asked for
	Epoch     uint64 // the epoch that the commit begins
}

// Commit creates a commit (RFC 9420, Section 12.4.1). It is not applied: it
// becomes the group's state by ApplyPendingCommit, or by Receive when it comes
// back, and is dropped by ClearPendingCommit, or when another commit wins the
// epoch. The Welcome must not be sent before the commit was accepted.
//
// Codes: PENDING_COMMIT, GROUP_READ_ONLY, NOT_A_MEMBER, and those of the rules
// on proposals and leaves.
func (g *Group) Commit(ctx context.Context, opts CommitOptions) (result *CommitResult, err error) {
	defer atOp(&err, "group.commit")
	defer begin(ctx).end(&err)
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		s := l.state
		if err := s.mayChange(); err != nil {
			return nil, err
		}
		identity := s.epoch.identity
		if len(opts.Identity) > 0 {
			if identity, err = g.client.Identity(ctx, opts.Identity); err != nil {
				return nil, err
			}
			if identity.suite != s.suite {
				return nil, mlserr.New(mlserr.InvalidArgument, "identity of another cipher suite")
			}
		}
		pending, out, err := s.commitProposals(ctx, g.client, identity, &opts)
		if err != nil {
			return nil, err
		}
		next := *s
		next.pending = pending
		out.next = &next
		result = pending.result.clone()
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// commitProposals creates a commit of what the caller asks for and of the
// cached proposals. Should these, each valid alone, spoil the list together, the
// commit is made without them: no member can hold up the others by what it proposes.
func (s *state) commitProposals(ctx context.Context, c *Client, identity *Identity, opts *CommitOptions) (*pendingCommit, *outcome, error) {
	list, err := s.proposalsToCommit(ctx, c, opts)
	if err != nil {
		return nil, nil, err
	}
	out := new(outcome)
	pending, err := s.createCommit(ctx, c, list, identity, opts, out)
	if err != nil && list.byReference > 0 && mlserr.CodeOf(err).Info().Class == mlserr.ClassRejected {
		alone := *opts
		alone.IgnoreProposals = true
		return s.commitProposals(ctx, c, identity, &alone)
	}
	return pending, out, err
}

func (r *CommitResult) clone() *CommitResult {
	return &CommitResult{
		Commit:    bytes.Clone(r.Commit),
		Welcome:   bytes.Clone(r.Welcome),
		GroupInfo: bytes.Clone(r.GroupInfo),
		Epoch:     r.Epoch,
	}
}

// mayChange: an active member with no commit pending.
func (s *state) mayChange() error {
	if err := s.mustBeMember(); err != nil {
		return err
	}
	if s.status == StatusReadOnly {
		return mlserr.New(mlserr.GroupReadOnly, "")
	}
	if s.pending != nil {
		return mlserr.New(mlserr.PendingCommit, "")
	}
	return nil
}

func (s *state) mustBeMember() error {
	if s.epoch == nil {
		return mlserr.New(mlserr.NotMember, string(s.status))
	}
	return nil
}

// proposalsToCommit builds the list: what the caller asks for, by value, and
// the cached proposals that go with it, by reference.
func (s *state) proposalsToCommit(ctx context.Context, c *Client, opts *CommitOptions) (*proposalList, error) {
	self := message.Sender{Type: message.SenderMember, Leaf: s.epoch.self()}
	var list proposalList
	byValue := func(p *message.Proposal) { list.add(&listed{proposal: p, sender: self}) }
	if opts.Extensions != nil {
		byValue(&message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: *opts.Extensions})
	}
	for _, i := range opts.Remove {
		byValue(&message.Proposal{Type: message.ProposalRemove, Remove: i})
	}
	for _, b := range opts.Add {
		kp, err := parseKeyPackage(b)
		if err != nil {
			return nil, err
		}
		byValue(&message.Proposal{Type: message.ProposalAdd, Add: kp})
	}
	for i := range opts.PSKs {
		byValue(&message.Proposal{Type: message.ProposalPSK, PSK: newPSKID(s.suite, opts.PSKs[i])})
	}
	if opts.ReInit != nil {
		byValue(&message.Proposal{Type: message.ProposalReInit, ReInit: opts.ReInit})
	}
	for i := range opts.Custom {
		if opts.Custom[i].Type.IsDefault() {
			return nil, mlserr.New(mlserr.InvalidArgument, "custom proposal of a default type")
		}
		byValue(&opts.Custom[i])
	}
	if !opts.IgnoreProposals && opts.ReInit == nil {
		finder := c.pskFinder(s)
		s.selectProposals(&list, func(id *message.PreSharedKeyID) bool {
			_, err := finder.find(ctx, id)
			return err == nil
		})
		return s.withoutSpoilers(&list), nil
	}
	return &list, nil
}

// parseKeyPackage decodes an MLSMessage that must hold a key package. The
// result does not alias b.
func parseKeyPackage(b []byte) (*message.KeyPackage, error) {
	m, err := message.Parse(bytes.Clone(b))
	if err != nil {
		return nil, err
	}
	if m.WireFormat != message.WireFormatKeyPackage {
		return nil, mlserr.New(mlserr.WrongWireFormat, "not a key package")
	}
	return m.KeyPackage, nil
}

// createCommit is RFC 9420, Section 12.4.1. It changes nothing that can be
// reached from s (C16); the handshake generation that a PrivateMessage uses is in
// out. With another identity the commit is signed by the old key, what belongs to
// the new epoch by the new one, and there is always a path (S18).
func (s *state) createCommit(ctx context.Context, c *Client, list *proposalList, identity *Identity, opts *CommitOptions, out *outcome) (pending *pendingCommit, err error) {
	// For each Add two signatures, two keys and a ciphertext, and the path.
	progressOf(ctx).plan(5*len(list.adds) + s.epoch.tree.MemberCount())
	e := s.epoch
	self := e.self()

	// The list is valid, by the same functions that judge received ones. What
	// takes long of that goes on while the commit is made; no commit leaves before
	// it is over, and what it finds is said first.
	checks, err := s.validateMembersList(list, self, c.sentLifetimes())
	if err != nil {
		return nil, err
	}
	welcomed, drop := s.encapsulateAhead(ctx, c, list)
	defer drop()
	checked, drop := ahead(ctx, func(ctx context.Context) error { return checks.run(ctx, c, s.suite) })
	defer drop()
	defer func() {
		if bad := checked(); bad != nil {
			pending, err = nil, bad
		}
	}()
	app := e.apply(list)
	next := &staged{status: StatusActive, committer: self, own: true}
	next.describe(app)

	// The path, and with it the new tree.
	withPath := !opts.NoPath || list.pathRequired() || identity != e.identity || opts.LeafExtensions != nil || opts.RenewCapabilities
	var path *tree.NewPath
	var commitSecret []byte
	private := e.private
	gone, come := app.gone, app.come
	if withPath {
		leaf := c.newLeaf(identity, e.tree.Leaf(self))
		if err := c.reviseLeaf(&leaf, opts.LeafExtensions, opts.RenewCapabilities); err != nil {
			return nil, err
		}
		if err := e.checkOwnNewLeaf(&leaf, app, list); err != nil {
			return nil, err
		}
		path, err = app.editor.CreatePath(ctx, c.keys, self, leaf, identity.key, s.groupID)
		if err != nil {
			return nil, err
		}
		defer path.Wipe()
		commitSecret = path.CommitSecret
		private = path.Private()
		gone = append(gone, e.tree.Leaf(self))
		come = append(come, path.Leaf)
	}
	newTree := app.editor.Tree()
	if !withPath {
		private = private.Prune(e.tree, newTree)
	}
	newCensus := e.census.change(gone, come)
	if err := checkResult(app, newCensus); err != nil {
		return nil, err
	}

	// The commit, signed in the old epoch with the old key.
	provisional := e.provisionalContext(newTree, app.extensions)
	committer := message.Sender{Type: message.SenderMember, Leaf: self}
	commit := &message.Commit{Proposals: list.orRefs(committer)}
	if withPath {
		if commit.Path, err = path.Encrypt(ctx, c.keys, newTree, wire.Marshal(provisional), app.added); err != nil {
			return nil, err
		}
	}
	format := message.WireFormatPrivateMessage
	if opts.PublicMessage {
		format = message.WireFormatPublicMessage
	}
	content, signed, err := framing.Sign(ctx, s.suite, format, message.FramedContent{
		GroupID:           s.groupID,
		Epoch:             e.context.Epoch,
		Sender:            committer,
		AuthenticatedData: opts.AuthenticatedData,
		ContentType:       message.ContentTypeCommit,
		Commit:            commit,
	}, e.identity.key, e.context)
	if err != nil {
		return nil, err
	}

	// The new epoch.
	pskSecrets, err := c.pskSecrets(ctx, s, app.psks)
	if err != nil {
		return nil, err
	}
	t, err := deriveEpoch(s.suite, provisional, e.interim, content, e.secrets.InitSecret, commitSecret, app.psks, pskSecrets)
	if err != nil {
		return nil, err
	}
	defer t.wipe()
	content.Auth.ConfirmationTag = t.epoch.confirmationTag
	next.epoch = t.epoch
	next.complete(c, identity, newTree, newCensus, private)

	result := CommitResult{Epoch: next.epoch.context.Epoch}
	if result.Commit, err = s.protectHandshake(content, out); err != nil {
		return nil, err
	}
	out.sent = [][]byte{digestOf(s.suite, signed)} // the message itself is known by what is pending
	if len(list.adds) > 0 {
		if result.Welcome, err = next.epoch.createWelcome(ctx, c, t, list, app, path, welcomed, opts); err != nil {
			return nil, err
		}
	}
	if opts.WithGroupInfo {
		if result.GroupInfo, err = next.epoch.groupInfo(ctx, c, GroupInfoOptions{NoRatchetTree: opts.NoRatchetTree}); err != nil {
			return nil, err
		}
	}
	return &pendingCommit{result: result, digest: digestOf(s.suite, result.Commit), next: next}, nil
}

// describe copies what the list did into the description of the commit.
func (st *staged) describe(app *applied) {
	st.added, st.removed, st.updated = app.added, app.removed, app.updated
	st.extended = app.extended
	st.psks = len(app.psks)
	st.custom = app.custom
	st.reinit = app.reinit
}

// validateMembersList validates the list of a commit by a member, less the checks
// that it returns.
func (s *state) validateMembersList(list *proposalList, committer treemath.LeafIndex, lifetimes *lifetimeRules) (*leafChecks, error) {
	rules, err := newLeafRules(list.newExtensions(s.epoch.context.Extensions), lifetimes)
	if err != nil {
		return nil, err
	}
	checks := new(leafChecks)
	return checks, s.validateList(list, committer, rules, checks)
}

// checkAndApply validates the list of a received commit by a member and applies it.
// Order: RFC 9420, Section 12.4.2.
func (s *state) checkAndApply(ctx context.Context, c *Client, list *proposalList, committer treemath.LeafIndex) (*applied, error) {
	checks, err := s.validateMembersList(list, committer, c.receivedLifetimes())
	if err != nil {
		return nil, err
	}
	checked, drop := ahead(ctx, func(ctx context.Context) error { return checks.run(ctx, c, s.suite) })
	defer drop()
	app := s.epoch.apply(list)
	if err := checked(); err != nil {
		return nil, err
	}
	return app, nil
}

// newExtensions returns the group context extensions that hold after the list.
func (l *proposalList) newExtensions(old message.Extensions) message.Extensions {
	if len(l.extensions) > 0 {
		return l.extensions[0].proposal.Extensions
	}
	return old
}

// checkResult judges what only the whole new membership can be judged by: L4
// and P17, for a tree that is valid (C11; RFC 9420, Section 7.3 and 12.1.7).
func checkResult(app *applied, c *census) error {
	if !c.credentialsAgree() {
		return mlserr.New(mlserr.CapabilityMissing, "L4: credential types of the members")
	}
	if app.extended {
		return checkGroupExtensions(app.extensions, c)
	}
	return nil
}

// checkOwnNewLeaf judges the leaf of one's own path, so that a commit that the
// others would refuse is never made (L3, L8, L10).
func (e *epoch) checkOwnNewLeaf(leaf *message.LeafNode, app *applied, list *proposalList) error {
	rules, err := newLeafRules(app.extensions, nil)
	if err != nil {
		return err
	}
	if err := rules.check(leaf, leaf.Source); err != nil {
		return err
	}
	return e.checkPathSignatureKey(leaf, e.self(), list)
}

// checkPathSignatureKey is L8 for the leaf of a path.
func (e *epoch) checkPathSignatureKey(leaf *message.LeafNode, committer treemath.LeafIndex, list *proposalList) error {
	if i, ok := e.tree.FindSignatureKey(leaf.SignatureKey); ok && i != committer && !list.removesLeaf(i) && !list.replacesKeyOf(i, leaf.SignatureKey) {
		return mlserr.New(mlserr.SignatureKeyNotUnique, "L8: path leaf")
	}
	for _, p := range list.adds {
		if bytes.Equal(p.proposal.Add.LeafNode.SignatureKey, leaf.SignatureKey) {
			return mlserr.New(mlserr.SignatureKeyNotUnique, "L8: path leaf and an added leaf")
		}
	}
	for _, p := range list.updates {
		if bytes.Equal(p.proposal.Update.SignatureKey, leaf.SignatureKey) {
			return mlserr.New(mlserr.SignatureKeyNotUnique, "L8: path leaf and an updated leaf")
		}
	}
	return nil
}

// replacesKeyOf reports whether an Update in the list gives leaf i another signature key.
func (l *proposalList) replacesKeyOf(i treemath.LeafIndex, key []byte) bool {
	for _, p := range l.updates {
		if p.sender.Leaf == i && !bytes.Equal(p.proposal.Update.SignatureKey, key) {
			return true
		}
	}
	return false
}

// provisionalContext is the context of the next epoch with the old confirmed
// transcript hash: what path secrets are encrypted with (S23; RFC 9420, Section
// 7.6).
func (e *epoch) provisionalContext(t *tree.Tree, extensions message.Extensions) *message.GroupContext {
	next := *e.context
	next.Epoch++
	next.TreeHash = t.Hash()
	next.Extensions = extensions
	return &next
}

// transition is the key schedule between two epochs (RFC 9420, Section 8).
type transition struct {
	epoch        *epoch // context, secrets, interim hash and tag; the rest is the caller's
	joiner       *schedule.Joiner
	intermediate *schedule.Intermediate
}

// wipe forgets what must not outlive the commit (X2; RFC 9420, Section 9.2).
func (t *transition) wipe() {
	t.joiner.Wipe()
	t.intermediate.Wipe()
}

// deriveEpoch runs the key schedule for a commit. content is signed; its
// confirmation tag is not looked at.
func deriveEpoch(s *suite.Suite, provisional *message.GroupContext, interim []byte, content *message.AuthenticatedContent, initSecret, commitSecret []byte, psks []message.PreSharedKeyID, pskSecrets [][]byte) (*transition, error) {
	pskSecret, err := schedule.PSKSecret(s, psks, pskSecrets)
	if err != nil {
		return nil, err
	}
	next := *provisional
	next.ConfirmedTranscriptHash = schedule.ConfirmedTranscriptHash(s, interim, content)
	context, contextBytes := marshaled(&next)
	joiner := schedule.NewJoiner(s, initSecret, commitSecret, contextBytes)
	intermediate := joiner.WithPSK(pskSecret)
	suite.Wipe(pskSecret)
	secrets := intermediate.Epoch(contextBytes)
	tag := secrets.ConfirmationTag(s, next.ConfirmedTranscriptHash)
	return &transition{
		epoch: &epoch{
			suite:           s,
			context:         context,
			contextBytes:    contextBytes,
			secrets:         secrets,
			confirmationTag: tag,
			interim:         schedule.InterimTranscriptHash(s, next.ConfirmedTranscriptHash, tag),
		},
		joiner:       joiner,
		intermediate: intermediate,
	}, nil
}

// startRatchets makes the secret tree of a new epoch and forgets the
// encryption secret (RFC 9420, Section 9).
func (e *epoch) startRatchets(c *Client) {
	e.ratchets = e.secrets.SecretTree(e.suite, e.tree.LeafCount())
	e.ratchets.Limits = c.ratchetLimits()
}

// protectHandshake frames a signed handshake message of this epoch.
func (s *state) protectHandshake(content *message.AuthenticatedContent, out *outcome) ([]byte, error) {
	e := s.epoch
	m := &message.MLSMessage{WireFormat: content.WireFormat}
	if content.WireFormat == message.WireFormatPublicMessage {
		m.Public = framing.ProtectPublic(e.suite, content, e.secrets.MembershipKey, e.context)
		return wire.Marshal(m), nil
	}
	draft := e.ratchets.Draft()
	if s.restored {
		if err := draft.SkipTo(e.self(), schedule.Handshake, restoredJump); err != nil {
			return nil, err
		}
	}
	private, err := framing.ProtectPrivate(e.suite, content, draft, e.secrets.SenderDataSecret, 0)
	if err != nil {
		return nil, err
	}
	out.drafts = append(out.drafts, ratchetDraft{epoch: e.context.Epoch, draft: draft})
	m.Private = private
	return wire.Marshal(m), nil
}

// encapsulateAhead begins with what a Welcome takes most time for, and what needs
// no more than the init keys of those who are added. drop wipes what was not used.
func (s *state) encapsulateAhead(ctx context.Context, c *Client, list *proposalList) (welcomed func() ([]suite.Encapsulation, error), drop func()) {
	if len(list.adds) == 0 {
		return nil, func() {}
	}
	initKeys := make([][]byte, len(list.adds))
	for i, p := range list.adds {
		initKeys[i] = p.proposal.Add.InitKey
	}
	var encapsulations []suite.Encapsulation
	wait, end := ahead(ctx, func(ctx context.Context) (err error) {
		encapsulations, err = s.suite.Encapsulate(ctx, c.keys, initKeys)
		return err
	})
	welcomed = func() ([]suite.Encapsulation, error) {
		err := wait()
		return encapsulations, err
	}
	return welcomed, func() {
		end()
		suite.WipeEncapsulations(encapsulations)
	}
}

// createWelcome is RFC 9420, Section 12.4.3.1, the sender's side.
func (e *epoch) createWelcome(ctx context.Context, c *Client, t *transition, list *proposalList, app *applied, path *tree.NewPath, welcomed func() ([]suite.Encapsulation, error), opts *CommitOptions) ([]byte, error) {
	info, err := e.signedGroupInfo(ctx, c, GroupInfoOptions{NoRatchetTree: opts.NoRatchetTree, NoExternalPub: true})
	if err != nil {
		return nil, err
	}
	key, nonce := t.intermediate.WelcomeKeyNonce()
	defer suite.Wipe(key, nonce)
	w := &message.Welcome{
		CipherSuite:        e.suite.ID(),
		EncryptedGroupInfo: e.suite.Seal(key, nonce, nil, wire.Marshal(info)),
		Secrets:            make([]message.EncryptedGroupSecrets, len(list.adds)),
	}
	plaintexts := make([][]byte, len(list.adds))
	defer func() { suite.Wipe(plaintexts...) }()
	for i, p := range list.adds {
		secrets := message.GroupSecrets{JoinerSecret: t.joiner.Secret(), PSKs: app.psks}
		if path != nil {
			if secret, ok := path.PathSecretFor(app.added[i]); ok {
				secrets.PathSecret = secret
			}
		}
		plaintexts[i] = wire.Marshal(&secrets)
		w.Secrets[i].NewMember = p.proposal.Add.Ref(e.suite)
	}
	encapsulations, err := welcomed()
	if err != nil {
		return nil, err
	}
	sealed, err := e.suite.SealWithLabel(ctx, labelWelcome, w.EncryptedGroupInfo, encapsulations, plaintexts)
	if err != nil {
		return nil, err
	}
	for i := range sealed {
		w.Secrets[i].EncryptedGroupSecrets = sealed[i]
	}
	return wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: w}), nil
}

const labelWelcome = "Welcome"

// PendingCommit returns the commit that waits to be applied, or nil. It can be
// sent again after a crash.
func (g *Group) PendingCommit(ctx context.Context) (result *CommitResult, err error) {
	defer atOp(&err, "group.pendingCommit")
	err = g.look(ctx, func(l *live) error {
		if p := l.state.pending; p != nil {
			result = p.result.clone()
		}
		return nil
	})
	return result, err
}

// PendingRatchetTree returns the tree of the epoch that the pending commit
// begins, as RatchetTree does for the current one: for joiners that get it apart,
// together with the Welcome. Code: NO_PENDING_COMMIT.
func (g *Group) PendingRatchetTree(ctx context.Context) (nodes []byte, err error) {
	defer atOp(&err, "group.pendingRatchetTree")
	err = g.view(ctx, func(s *state) error {
		if s.pending == nil {
			return mlserr.New(mlserr.NoPendingCommit, "")
		}
		nodes = wire.Marshal(s.pending.next.epoch.tree.Export())
		return nil
	})
	return nodes, err
}

// ApplyPendingCommit makes the pending commit the state of the group: the
// delivery service has accepted it. Code: NO_PENDING_COMMIT.
func (g *Group) ApplyPendingCommit(ctx context.Context) (ev *Event, err error) {
	defer atOp(&err, "group.applyPendingCommit")
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		if l.state.pending == nil {
			return nil, mlserr.New(mlserr.NoPendingCommit, "")
		}
		var out *outcome
		ev, out = l.state.applyPending(g.client)
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	return ev, nil
}

// ClearPendingCommit drops the pending commit: the delivery service has not
// accepted it. A group that is only being joined by it is deleted, unless its
// inbox holds what was received in a former membership: then it is as before the
// joining, that of one who was removed. Code: NO_PENDING_COMMIT.
func (g *Group) ClearPendingCommit(ctx context.Context) (err error) {
	defer atOp(&err, "group.clearPendingCommit")
	return g.transact(ctx, func(l *live) (*outcome, error) {
		s := l.state
		if s.pending == nil {
			return nil, mlserr.New(mlserr.NoPendingCommit, "")
		}
		if s.status == StatusJoining && len(l.inbox) == 0 {
			return g.deletion(s), nil
		}
		next := *s
		next.pending = nil
		if s.status == StatusJoining {
			next.status = StatusRemoved
		}
		return &outcome{next: &next, wipe: []func(){s.pending.next.epoch.wipe}}, nil
	})
}

// applyPending is the step behind ApplyPendingCommit and a returning own commit.
func (s *state) applyPending(c *Client) (*Event, *outcome) {
	st := s.pending.next
	ev := &Event{
		Type:    EventGroupUpdate,
		GroupID: s.groupID,
		Epoch:   st.epoch.context.Epoch,
		Update:  st.updateInfo(s.epoch),
	}
	ev.Sender = ev.Update.Committer
	next, drop := s.advance(st, s.pending.digest, &c.limits, c.now().Unix())
	// After a resync nothing of the former membership is left. Its epochs may
	// bear the numbers of the new ones, so that their records must go first.
	return ev, &outcome{next: next, wipe: drop, create: st.external}
}
