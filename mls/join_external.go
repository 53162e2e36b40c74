package mls

import (
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

// ExternalOptions are options of Client.JoinExternal.
type ExternalOptions struct {
	// RatchetTree is the tree where the GroupInfo does not have it.
	RatchetTree []byte
	// Resync removes this client's own former leaf in the same commit: the
	// one that has the identity's signature key, or whose place the
	// Authenticator lets the identity take (RFC 9420, Section 12.4.3.2).
	Resync            bool
	PSKs              []message.PreSharedKeyID // without nonces
	AuthenticatedData []byte
	WithGroupInfo     bool
	// LeafExtensions are those of this client's leaf: see KeyPackageOptions.
	LeafExtensions message.Extensions
}

// JoinExternal makes a commit that joins a group by its GroupInfo (RFC 9420,
// Section 12.4.3.2). This client is a member once the commit was accepted:
// by Group.ApplyPendingCommit, or when Group.Receive gets it back. A group
// that is held already stays as it is until then, with Resync; without it the
// code is GROUP_EXISTS. Other codes: GROUP_INFO_INVALID, TREE_MISSING, and
// those of the rules on a tree and its leaves.
func (c *Client) JoinExternal(ctx context.Context, identityID, groupInfo []byte, opts ExternalOptions) (g *Group, result *CommitResult, err error) {
	defer atOp(&err, "joinExternal")
	if len(opts.RatchetTree) > c.limits.MaxMessage {
		return nil, nil, mlserr.New(mlserr.TooLarge, "ratchet tree")
	}
	p := begin(ctx)
	defer p.end(&err)
	identity, err := c.Identity(ctx, identityID)
	if err != nil {
		return nil, nil, err
	}
	info, err := c.parseGroupInfo(groupInfo)
	if err != nil {
		return nil, nil, err
	}
	pending, err := c.createExternalCommit(ctx, identity, info, &opts)
	if err != nil {
		return nil, nil, err
	}
	id := info.GroupContext.GroupID
	if g, err = c.handle(ctx, id); err != nil {
		return nil, nil, err
	}
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		switch l.state.status {
		case "", StatusRemoved, StatusJoining:
			joining := &state{status: StatusJoining, suite: identity.suite, groupID: id, pending: pending}
			return &outcome{next: joining, create: true, client: creation(id, true), wipe: l.state.wipers()}, nil
		}
		if !opts.Resync {
			return nil, mlserr.New(mlserr.GroupExists, "W5")
		}
		if l.state.suite != identity.suite {
			return nil, mlserr.New(mlserr.GroupExists, "W5: of another cipher suite")
		}
		next := *l.state
		next.pending = pending
		out := &outcome{next: &next}
		if p := l.state.pending; p != nil {
			out.wipe = []func(){p.next.epoch.wipe}
		}
		return out, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return g, pending.result.clone(), nil
}

// createExternalCommit is RFC 9420, Section 12.4.3.2, the joiner's side.
func (c *Client) createExternalCommit(ctx context.Context, identity *Identity, info *message.GroupInfo, opts *ExternalOptions) (*pendingCommit, error) {
	s := identity.suite
	nodes, err := treeOf(info, opts.RatchetTree)
	if err != nil {
		return nil, err
	}
	leaves, keys := countNodes(nodes)
	progressOf(ctx).plan(leaves + keys + leaves) // each signature, each key, and what the path is encrypted to
	checked, err := c.checkGroupInfo(ctx, s, info, nodes)
	if err != nil {
		return nil, err
	}
	defer checked.drop()
	if err := checked.accepted(); err != nil {
		return nil, err
	}
	t, members := checked.tree, checked.census
	externalPub, ok, err := info.Extensions.ExternalPub()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, mlserr.New(mlserr.GroupInfoInvalid, "E9: no external_pub")
	}
	kemOutput, initSecret, err := s.EncapsulateExport(ctx, c.keys, externalPub, labelExternalInit, s.HashSize())
	if err != nil {
		return nil, err
	}
	defer suite.Wipe(initSecret)

	// The group as its members see it, as far as a joiner needs it.
	group := info.GroupContext
	context, contextBytes := marshaled(&group)
	e := &epoch{
		suite:        s,
		context:      context,
		contextBytes: contextBytes,
		tree:         t,
		census:       members,
		interim:      schedule.InterimTranscriptHash(s, group.ConfirmedTranscriptHash, info.ConfirmationTag),
	}
	list, err := c.externalProposals(ctx, e, identity, kemOutput, opts)
	if err != nil {
		return nil, err
	}
	app := e.apply(list)
	leaf := c.newLeaf(identity, nil)
	if err := c.reviseLeaf(&leaf, &opts.LeafExtensions, false); err != nil {
		return nil, err
	}
	rules, err := newLeafRules(group.Extensions, nil)
	if err != nil {
		return nil, err
	}
	if err := rules.check(&leaf, leaf.Source); err != nil {
		return nil, err
	}
	if i, ok := t.FindSignatureKey(leaf.SignatureKey); ok && !list.removesLeaf(i) {
		return nil, mlserr.New(mlserr.SignatureKeyNotUnique, "L8: a member has this identity; Resync removes its leaf")
	}
	self := app.editor.Place(&leaf)
	path, err := app.editor.CreatePath(ctx, c.keys, self, leaf, identity.key, group.GroupID)
	if err != nil {
		return nil, err
	}
	defer path.Wipe()
	newTree := app.editor.Tree()
	newCensus := members.change(app.gone, []*message.LeafNode{path.Leaf})
	if err := checkResult(app, newCensus); err != nil {
		return nil, err
	}
	provisional := e.provisionalContext(newTree, app.extensions)
	committer := message.Sender{Type: message.SenderNewMemberCommit}
	commit := &message.Commit{Proposals: list.orRefs(committer)}
	if commit.Path, err = path.Encrypt(ctx, c.keys, newTree, wire.Marshal(provisional), nil); err != nil {
		return nil, err
	}
	content, _, err := framing.Sign(ctx, s, message.WireFormatPublicMessage, message.FramedContent{
		GroupID:           group.GroupID,
		Epoch:             group.Epoch,
		Sender:            committer,
		AuthenticatedData: opts.AuthenticatedData,
		ContentType:       message.ContentTypeCommit,
		Commit:            commit,
	}, identity.key, context)
	if err != nil {
		return nil, err
	}
	pskSecrets, err := c.pskSecrets(ctx, nil, app.psks)
	if err != nil {
		return nil, err
	}
	d, err := deriveEpoch(s, provisional, e.interim, content, initSecret, path.CommitSecret, app.psks, pskSecrets)
	if err != nil {
		return nil, err
	}
	defer d.wipe()
	content.Auth.ConfirmationTag = d.epoch.confirmationTag
	next := &staged{status: StatusActive, epoch: d.epoch, committer: self, own: true, external: true, added: []treemath.LeafIndex{self}, removed: app.removed, psks: len(app.psks)}
	next.complete(c, identity, newTree, newCensus, path.Private())
	result := CommitResult{
		Commit: wire.Marshal(&message.MLSMessage{
			WireFormat: message.WireFormatPublicMessage,
			Public:     framing.ProtectPublic(s, content, nil, context),
		}),
		Epoch: next.epoch.context.Epoch,
	}
	if opts.WithGroupInfo {
		if result.GroupInfo, err = next.epoch.groupInfo(ctx, c, GroupInfoOptions{}); err != nil {
			return nil, err
		}
	}
	return &pendingCommit{result: result, digest: digestOf(s, result.Commit), next: next}, nil
}

// externalProposals is the list of an external commit (E1 to E4).
func (c *Client) externalProposals(ctx context.Context, e *epoch, identity *Identity, kemOutput []byte, opts *ExternalOptions) (*proposalList, error) {
	var list proposalList
	byValue := func(p *message.Proposal) {
		list.add(&listed{proposal: p, sender: message.Sender{Type: message.SenderNewMemberCommit}})
	}
	byValue(&message.Proposal{Type: message.ProposalExternalInit, ExternalInit: kemOutput})
	if opts.Resync {
		i, ok := c.formerLeaf(ctx, e.tree, e.context.GroupID, identity)
		if !ok {
			return nil, mlserr.New(mlserr.InvalidArgument, "resync: no former leaf of this identity in the group")
		}
		byValue(&message.Proposal{Type: message.ProposalRemove, Remove: i})
	}
	for i := range opts.PSKs {
		byValue(&message.Proposal{Type: message.ProposalPSK, PSK: newPSKID(e.suite, opts.PSKs[i])})
	}
	s := &state{suite: e.suite, groupID: e.context.GroupID, epoch: e}
	for _, p := range list.psks {
		if err := s.validatePSK(p.proposal.PSK); err != nil {
			return nil, err
		}
	}
	return &list, list.checkPSKsUnique()
}

// formerLeaf finds the leaf that a resync removes.
func (c *Client) formerLeaf(ctx context.Context, t *tree.Tree, groupID []byte, identity *Identity) (treemath.LeafIndex, bool) {
	if i, ok := t.FindSignatureKey(identity.key.Public()); ok {
		return i, true
	}
	next := Claim{GroupID: groupID, Credential: identity.credential, SignatureKey: identity.key.Public(), Place: PlaceExternal}
	for i, leaf := range t.Leaves() {
		if leaf.Credential.Equal(&identity.credential) && c.auth.Succeeds(ctx, claimOf(groupID, leaf, i, PlaceTree), next) == nil {
			return i, true
		}
	}
	return 0, false
}
