package mls

import (
	"bytes"
	"context"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// processCommit is RFC 9420, Section 12.4.2, for a commit of another client
// whose signature holds. It touches nothing that can be reached from s. A nil
// staged with a nil error means that the commit removes this client. One check is
// left for staged.check: it takes as long as the store does (see outcome.check).
func (s *state) processCommit(ctx context.Context, c *Client, v *framing.Verified) (processed *staged, err error) {
	content := v.Content()
	if content.Content.Sender.Type == message.SenderNewMemberCommit {
		return s.processExternalCommit(ctx, c, content)
	}
	e := s.epoch
	commit := content.Content.Commit
	committer := content.Content.Sender.Leaf
	if committer == e.self() {
		return nil, mlserr.New(mlserr.OwnMessageUnknown, "C15")
	}
	list, err := s.resolve(commit, content.Content.Sender)
	if err != nil {
		return nil, err
	}
	if commit.Path == nil && list.pathRequired() {
		return nil, mlserr.New(mlserr.PathMissing, "C2")
	}
	app, err := s.checkAndApply(ctx, c, list, committer)
	if err != nil {
		return nil, err
	}
	if commit.Path != nil {
		var checks *leafChecks
		if checks, err = e.checkPathLeaf(commit.Path, committer, list, app); err != nil {
			return nil, err
		}
		// The application is asked while the new epoch is derived; nothing comes of
		// that before it has answered, and what it says is said first.
		checked, drop := ahead(ctx, func(ctx context.Context) error { return checks.run(ctx, c, s.suite) })
		defer drop()
		defer func() {
			if bad := checked(); bad != nil {
				if processed != nil {
					processed.epoch.wipe()
				}
				processed, err = nil, bad
			}
		}()
		if err := app.editor.MergePath(committer, commit.Path, app.added); err != nil {
			return nil, err
		}
		app.gone = append(app.gone, e.tree.Leaf(committer))
		app.come = append(app.come, &commit.Path.LeafNode)
	}
	next := &staged{status: StatusActive, committer: committer}
	next.describe(app)
	newTree := app.editor.Tree()
	newCensus := e.census.change(app.gone, app.come)
	if err := checkResult(app, newCensus); err != nil {
		return nil, err
	}
	if list.removesLeaf(e.self()) {
		return nil, nil // C13: the rest cannot be checked without the new secrets
	}

	private := e.private
	if own := list.ownUpdate(e.self()); own != nil {
		private = &tree.Private{Self: e.self(), Leaf: own.leafKey}
	}
	private = private.Prune(e.tree, newTree)
	provisional := e.provisionalContext(newTree, app.extensions)
	var commitSecret []byte
	var check func() error
	if commit.Path != nil {
		commitSecret, private, check, err = tree.OpenPath(ctx, c.keys, newTree, private, committer, commit.Path, wire.Marshal(provisional), app.added)
		if err != nil {
			return nil, err
		}
		defer suite.Wipe(commitSecret)
	}
	if next.epoch, err = s.confirm(ctx, c, content, provisional, e.secrets.InitSecret, commitSecret, app.psks); err != nil {
		if check != nil {
			if bad := check(); bad != nil {
				return nil, bad // it says why
			}
		}
		return nil, err
	}
	next.check = check
	return next.complete(c, e.identityAfter(list), newTree, newCensus, private), nil
}

// complete fills in what the key schedule does not give. After a ReInit the group
// is read-only (C12).
func (st *staged) complete(client *Client, identity *Identity, t *tree.Tree, c *census, private *tree.Private) *staged {
	st.epoch.tree = t
	st.epoch.census = c
	st.epoch.private = private
	st.epoch.identity = identity
	st.epoch.startRatchets(client)
	if st.reinit != nil {
		st.status = StatusReadOnly
	}
	return st
}

// confirm derives the new epoch and compares the confirmation tag: the last
// check of all (C10).
func (s *state) confirm(ctx context.Context, c *Client, content *message.AuthenticatedContent, provisional *message.GroupContext, initSecret, commitSecret []byte, psks []message.PreSharedKeyID) (*epoch, error) {
	pskSecrets, err := c.pskSecrets(ctx, s, psks)
	if err != nil {
		return nil, err
	}
	t, err := deriveEpoch(s.suite, provisional, s.epoch.interim, content, initSecret, commitSecret, psks, pskSecrets)
	if err != nil {
		return nil, err
	}
	defer t.wipe()
	if !t.epoch.secrets.VerifyConfirmationTag(s.suite, t.epoch.context.ConfirmedTranscriptHash, content.Auth.ConfirmationTag) {
		t.epoch.secrets.Wipe()
		return nil, mlserr.New(mlserr.ConfirmationTag, "C10")
	}
	return t.epoch, nil
}

// ownUpdate returns the cached Update of this member that the list commits, or nil.
func (l *proposalList) ownUpdate(self treemath.LeafIndex) *cachedProposal {
	for _, p := range l.updates {
		if p.sender.Leaf == self && p.cached != nil {
			return p.cached
		}
	}
	return nil
}

// identityAfter returns what this client signs with after the list: an Update
// of its own may bring another identity.
func (e *epoch) identityAfter(list *proposalList) *Identity {
	if own := list.ownUpdate(e.self()); own != nil && own.identity != nil {
		return own.identity
	}
	return e.identity
}

// checkPathLeaf judges the leaf of a member's path (C4; RFC 9420, Section
// 7.3), before it is merged, less the checks that it returns.
func (e *epoch) checkPathLeaf(path *message.UpdatePath, committer treemath.LeafIndex, list *proposalList, app *applied) (*leafChecks, error) {
	old := e.tree.Leaf(committer)
	rules, err := newLeafRules(app.extensions, nil)
	if err != nil {
		return nil, err
	}
	if err := rules.check(&path.LeafNode, message.LeafNodeSourceCommit); err != nil {
		return nil, err
	}
	if bytes.Equal(old.EncryptionKey, path.LeafNode.EncryptionKey) {
		return nil, mlserr.New(mlserr.EncryptionKeyReused, "C4")
	}
	if err := e.checkPathSignatureKey(&path.LeafNode, committer, list); err != nil {
		return nil, err
	}
	checks := new(leafChecks)
	checks.replacement(e.suite, e.context.GroupID, old, &path.LeafNode, committer, PlaceCommit)
	if err := checks.pathKeys(path); err != nil {
		return nil, err
	}
	return checks, nil
}

// processExternalCommit is RFC 9420, Section 12.4.3.2, for the members. Also for
// the one that it removes, who must notice (S7).
func (s *state) processExternalCommit(ctx context.Context, c *Client, content *message.AuthenticatedContent) (*staged, error) {
	e := s.epoch
	commit := content.Content.Commit
	if commit.Path == nil {
		return nil, mlserr.New(mlserr.PathMissing, "E5")
	}
	list, err := s.resolve(commit, content.Content.Sender)
	if err != nil {
		return nil, err
	}
	rules, err := newLeafRules(e.context.Extensions, nil)
	if err != nil {
		return nil, err
	}
	var checks leafChecks
	if err := s.validateExternalList(list, rules, &checks); err != nil {
		return nil, err
	}
	app := e.apply(list)
	leaf := &commit.Path.LeafNode
	joiner := app.editor.Place(leaf)
	if err := e.checkExternalLeaf(leaf, joiner, list, rules, &checks); err != nil {
		return nil, err
	}
	if err := checks.pathKeys(commit.Path); err != nil {
		return nil, err
	}
	if err := checks.run(ctx, c, s.suite); err != nil {
		return nil, err
	}
	if err := app.editor.MergePath(joiner, commit.Path, nil); err != nil {
		return nil, err
	}
	next := &staged{status: StatusActive, committer: joiner, external: true}
	next.describe(app)
	next.added = []treemath.LeafIndex{joiner}
	newTree := app.editor.Tree()
	newCensus := e.census.change(app.gone, append(app.come, leaf))
	if err := checkResult(app, newCensus); err != nil {
		return nil, err
	}
	if list.removesLeaf(e.self()) {
		return nil, nil
	}
	provisional := e.provisionalContext(newTree, app.extensions)
	private := e.private.Prune(e.tree, newTree)
	commitSecret, private, err := tree.DecryptPath(ctx, c.keys, newTree, private, joiner, commit.Path, wire.Marshal(provisional), nil)
	if err != nil {
		return nil, err
	}
	defer suite.Wipe(commitSecret)
	initSecret, err := e.externalInitSecret(ctx, c, list.externalInit[0].proposal.ExternalInit)
	if err != nil {
		return nil, err
	}
	defer suite.Wipe(initSecret)
	if next.epoch, err = s.confirm(ctx, c, content, provisional, initSecret, commitSecret, app.psks); err != nil {
		return nil, err
	}
	return next.complete(c, e.identity, newTree, newCensus, private), nil
}

// checkExternalLeaf judges the joiner's leaf (RFC 9420, Section 7.3 and
// 12.4.3.2). A Remove takes away only what the Authenticator calls the
// joiner's own former leaf (E2, S6).
func (e *epoch) checkExternalLeaf(leaf *message.LeafNode, joiner treemath.LeafIndex, list *proposalList, rules *leafRules, checks *leafChecks) error {
	if err := rules.check(leaf, message.LeafNodeSourceCommit); err != nil {
		return err
	}
	if i, ok := e.tree.FindSignatureKey(leaf.SignatureKey); ok && !list.removesLeaf(i) {
		return mlserr.New(mlserr.SignatureKeyNotUnique, "L8: joiner")
	}
	if e.tree.HasEncryptionKey(leaf.EncryptionKey) {
		return mlserr.New(mlserr.EncryptionKeyNotUnique, "L9: joiner")
	}
	checks.signatures = append(checks.signatures, leaf.Verification(e.suite, e.context.GroupID, joiner))
	checks.hpkeKeys = append(checks.hpkeKeys, leaf.EncryptionKey)
	claim := checks.claim(e.context.GroupID, leaf, joiner, PlaceExternal)
	for _, p := range list.removes {
		i := p.proposal.Remove
		checks.successors = append(checks.successors, [2]Claim{claimOf(e.context.GroupID, e.tree.Leaf(i), i, PlaceTree), claim})
	}
	return nil
}

// externalInitSecret opens a kem_output to the init secret, which takes the place
// of the epoch's (E8; RFC 9420, Section 8.3).
func (e *epoch) externalInitSecret(ctx context.Context, c *Client, kemOutput []byte) ([]byte, error) {
	key, err := e.secrets.ExternalKey(ctx, c.keys, e.suite)
	if err != nil {
		return nil, err
	}
	return e.suite.DecapsulateExport(ctx, key, kemOutput, labelExternalInit, e.suite.HashSize())
}

const labelExternalInit = "MLS 1.0 external init secret"
