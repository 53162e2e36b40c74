package mls

import (
	"bytes"
	"context"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
)

// Group is one group of a client. Methods may be called from many goroutines;
// they run one after the other, in the order in which they are called, and what is
// sent, or received, while others wait is stored together.
type Group struct {
	client *Client
	id     []byte
	scope  Scope
	queue  queue
	live   *live // nil: to be loaded
	heard  revisionMark
	tenure tenure

	rejected lastRejected
}

func newGroup(c *Client, id []byte) *Group {
	return &Group{client: c, id: bytes.Clone(id), scope: GroupScope(id)}
}

// lock waits for the group's turn. Code: CANCELLED.
func (g *Group) lock(ctx context.Context) error {
	p := new(place)
	g.queue.enter(ctx, p)
	return g.queue.wait(ctx, p)
}

func (g *Group) unlock() { g.queue.next() }

// close drops the group from memory.
func (g *Group) close() {
	g.lock(context.Background()) // which does not end
	g.settle()
	g.drop()
	g.unlock()
}

// drop wipes what is in memory of the group. The caller has the group's lock.
func (g *Group) drop() {
	if g.live == nil {
		return
	}
	g.live.state.wipe()
	g.live.reserve.wipe()
	g.live = nil
}

// ID returns the group id.
func (g *Group) ID() []byte { return bytes.Clone(g.id) }

// CreateGroup makes a group of one member (RFC 9420, Section 11). Codes:
// IDENTITY_NOT_FOUND, GROUP_EXISTS, GROUP_EXTENSION_INVALID, and those of the
// store.
func (c *Client) CreateGroup(ctx context.Context, identityID []byte, opts GroupOptions) (g *Group, err error) {
	defer atOp(&err, "createGroup")
	identity, err := c.Identity(ctx, identityID)
	if err != nil {
		return nil, err
	}
	id := bytes.Clone(opts.GroupID)
	if len(id) == 0 {
		id = suite.Random(32)
	}
	e, err := c.firstEpoch(ctx, identity, id, opts.Extensions, opts.LeafExtensions)
	if err != nil {
		return nil, err
	}
	return c.adopt(ctx, id, &state{status: StatusActive, suite: e.suite, groupID: id, epoch: e}, false, nil, nil)
}

// firstEpoch is epoch 0 of a group of one (RFC 9420, Section 11).
func (c *Client) firstEpoch(ctx context.Context, identity *Identity, id []byte, extensions, leafExtensions message.Extensions) (*epoch, error) {
	s := identity.suite
	leafKey, err := c.keys.GenerateHPKEKey(ctx, s.ID())
	if err != nil {
		return nil, err
	}
	leaf := c.newLeaf(identity, nil)
	leaf.Source = message.LeafNodeSourceKeyPackage
	leaf.EncryptionKey = leafKey.Public()
	if err := c.reviseLeaf(&leaf, &leafExtensions, false); err != nil {
		return nil, err
	}
	now := c.now()
	leaf.Lifetime = message.Lifetime{
		NotBefore: uint64(now.Add(-lifetimeBackdate).Unix()),
		NotAfter:  uint64(now.Add(defaultLifetime).Unix()),
	}
	rules, err := newLeafRules(extensions, nil)
	if err != nil {
		return nil, err
	}
	if err := rules.check(&leaf, leaf.Source); err != nil {
		return nil, err
	}
	if err := leaf.Sign(ctx, s, identity.key, nil, 0); err != nil {
		return nil, err
	}
	t := tree.New(s, &leaf)
	members := newCensus(t)
	if err := checkGroupExtensions(extensions, members); err != nil {
		return nil, err
	}
	var checks leafChecks
	st := state{groupID: id}
	if err := st.validateExtensions(extensions, &checks); err != nil {
		return nil, err
	}
	if err := checks.run(ctx, c, s); err != nil {
		return nil, err
	}
	context, contextBytes := marshaled(&message.GroupContext{
		Version:     message.MLS10,
		CipherSuite: s.ID(),
		GroupID:     id,
		TreeHash:    t.Hash(),
		Extensions:  extensions,
	})
	e := &epoch{
		suite:        s,
		context:      context,
		contextBytes: contextBytes,
		tree:         t,
		census:       members,
		private:      &tree.Private{Self: 0, Leaf: leafKey},
		secrets:      schedule.NewEpoch(s, suite.Random(s.HashSize())),
		identity:     identity,
	}
	e.confirmationTag = e.secrets.ConfirmationTag(s, nil)
	e.interim = schedule.InterimTranscriptHash(s, nil, e.confirmationTag)
	e.startRatchets(c)
	return e, nil
}

// adopt stores a state as a new group of this client. It takes the place of a
// group with the same id that this client is no longer in, or, when succeeds is
// set, of one that was reinitialized to that id (RFC 9420, Section 11.2), and of
// no other (W5, S11); the inbox stays. What accepted refuses, unless it is nil, is not
// stored. more is put into the same batch.
func (c *Client) adopt(ctx context.Context, id []byte, s *state, succeeds bool, accepted func() error, more func(change *clientChange)) (*Group, error) {
	g, err := c.handle(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := g.presumeNew(ctx); err != nil {
		return nil, err
	}
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		old := l.state
		replaceable := old.status == StatusRemoved ||
			succeeds && old.status == StatusReadOnly && old.reinit != nil && bytes.Equal(old.reinit.GroupID, id)
		if l.rev != 0 && old.status != "" && !replaceable {
			return nil, mlserr.New(mlserr.GroupExists, "W5")
		}
		change := creation(id, replaceable)
		if more != nil {
			more(change)
		}
		return &outcome{next: s, create: true, accepted: accepted, client: change, wipe: old.wipers()}, nil
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// presumeNew spares the reading of a group that the client does not hold, which
// is empty as a rule. Where it is not, as after a former membership, the commit
// is STALE and the group is read after all.
func (g *Group) presumeNew(ctx context.Context) error {
	held := false
	err := g.client.view(ctx, func(s *clientState) error {
		held = s.groups[string(g.id)]
		return nil
	})
	if err != nil || held {
		return err
	}
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.unlock()
	if g.live == nil {
		g.live = newLive(g.id)
	}
	return nil
}

// Info returns a summary of the group.
func (g *Group) Info(ctx context.Context) (info Info, err error) {
	defer atOp(&err, "group.info")
	err = g.view(ctx, func(s *state) error {
		info = Info{
			GroupID:          bytes.Clone(g.id),
			Status:           s.status,
			CipherSuite:      s.suite.ID(),
			HasPendingCommit: s.pending != nil,
			PendingProposals: len(s.waiting()),
			ReInit:           s.reinit,
			RolledBack:       s.restored,
		}
		if e := s.epoch; e != nil {
			info.Epoch = e.context.Epoch
			info.OwnLeaf = e.self()
			info.MemberCount = e.tree.MemberCount()
			info.EpochAuthenticator = bytes.Clone(e.secrets.EpochAuthenticator)
			info.TreeHash = bytes.Clone(e.context.TreeHash)
			info.Extensions = e.context.Extensions
		}
		return nil
	})
	return info, err
}

// view runs f on the group's state in the group's turn, and changes nothing.
// Code: GROUP_NOT_FOUND.
func (g *Group) view(ctx context.Context, f func(s *state) error) error {
	return g.look(ctx, func(l *live) error {
		if err := l.exists(); err != nil {
			return err
		}
		return f(l.state)
	})
}

// exists: the group was not deleted. Code: GROUP_NOT_FOUND.
func (l *live) exists() error {
	if l.state.status == "" {
		return mlserr.New(mlserr.GroupNotFound, "")
	}
	return nil
}

// Members lists the members in the order of their leaves. Code: NOT_A_MEMBER.
func (g *Group) Members(ctx context.Context) (list []Member, err error) {
	defer atOp(&err, "group.members")
	err = g.viewMember(ctx, func(s *state) error {
		for i := range s.epoch.tree.Leaves() {
			list = append(list, *s.epoch.member(i))
		}
		return nil
	})
	return list, err
}

// Member returns all that a member's leaf says. Codes: NOT_A_MEMBER, also when
// there is nobody at the leaf.
func (g *Group) Member(ctx context.Context, i treemath.LeafIndex) (details *MemberDetails, err error) {
	defer atOp(&err, "group.member")
	err = g.viewMember(ctx, func(s *state) error {
		leaf := s.epoch.tree.Leaf(i)
		if leaf == nil {
			return mlserr.New(mlserr.NotMember, "nobody at the leaf")
		}
		details = &MemberDetails{
			Member:        *s.epoch.member(i),
			EncryptionKey: leaf.EncryptionKey,
			Capabilities:  leaf.Capabilities,
			Extensions:    leaf.Extensions,
		}
		if leaf.Source == message.LeafNodeSourceKeyPackage {
			lifetime := leaf.Lifetime
			details.Lifetime = &lifetime
		}
		return nil
	})
	return details, err
}

// viewMember is view for what only a member knows.
func (g *Group) viewMember(ctx context.Context, f func(s *state) error) error {
	return g.view(ctx, func(s *state) error {
		if err := s.mustBeMember(); err != nil {
			return err
		}
		return f(s)
	})
}

// Proposals lists the cached proposals of this epoch, in the order of arrival.
func (g *Group) Proposals(ctx context.Context) (list []ProposalInfo, err error) {
	defer atOp(&err, "group.proposals")
	err = g.view(ctx, func(s *state) error {
		for _, p := range s.waiting() {
			list = append(list, *p.info())
		}
		return nil
	})
	return list, err
}

// Inbox lists received application data that was not acknowledged, oldest first.
func (g *Group) Inbox(ctx context.Context) (list []InboxEntry, err error) {
	defer atOp(&err, "group.inbox")
	err = g.look(ctx, func(l *live) error {
		if err := l.exists(); err != nil {
			return err
		}
		for _, id := range l.inboxIDs() {
			list = append(list, *l.inbox[id])
		}
		return nil
	})
	return list, err
}

// Acknowledge drops entries from the inbox: the application has stored what it
// wants of them. Ids that are not there are ignored.
func (g *Group) Acknowledge(ctx context.Context, ids ...uint64) (err error) {
	defer atOp(&err, "group.acknowledge")
	return g.transact(ctx, func(l *live) (*outcome, error) {
		if err := l.exists(); err != nil {
			return nil, err
		}
		var known []uint64
		for _, id := range ids {
			if l.inbox[id] != nil {
				known = append(known, id)
			}
		}
		if known == nil {
			return nil, nil
		}
		return &outcome{acknowledged: known}, nil
	})
}

// Add commits the addition of one or more clients. See Commit.
func (g *Group) Add(ctx context.Context, keyPackages ...[]byte) (*CommitResult, error) {
	return g.Commit(ctx, CommitOptions{Add: keyPackages})
}

// Remove commits the removal of one or more members. See Commit.
func (g *Group) Remove(ctx context.Context, leaves ...treemath.LeafIndex) (*CommitResult, error) {
	return g.Commit(ctx, CommitOptions{Remove: leaves})
}

// Update commits fresh keys of one's own. See Commit.
func (g *Group) Update(ctx context.Context) (*CommitResult, error) {
	return g.Commit(ctx, CommitOptions{})
}
