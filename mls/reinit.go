package mls

import (
	"bytes"
	"context"
	"slices"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/wire"
)

// SuccessorOptions say what a group that follows from another is like, beyond
// what the RFC fixes.
type SuccessorOptions struct {
	// Identity of the creator in the new group. Empty: the one in the old
	// group, which must be of the new group's cipher suite.
	Identity []byte
	// NoRatchetTree: see CommitOptions.
	NoRatchetTree bool
	WithGroupInfo bool
	// LeafExtensions are those of the creator's leaf in the new group: see
	// KeyPackageOptions.
	LeafExtensions message.Extensions
}

// ReInit creates the group that this group was reinitialized to (RFC 9420,
// Section 11.2): step 3, after a commit of a ReInit proposal has made this
// group read-only. keyPackages are those of all other members, of the cipher
// suite of the ReInit. The new group has the commit that adds them pending; it
// is sent to nobody, but stands for the Welcome: apply it, then send the
// Welcome. Codes: REINIT_INVALID, and those of Commit.
func (g *Group) ReInit(ctx context.Context, keyPackages [][]byte, opts SuccessorOptions) (next *Group, result *CommitResult, err error) {
	defer atOp(&err, "group.reInit")
	defer begin(ctx).end(&err)
	var s *state
	if err := g.viewMember(ctx, func(st *state) error { s = st; return nil }); err != nil {
		return nil, nil, err
	}
	if s.reinit == nil {
		return nil, nil, mlserr.New(mlserr.ReInitInvalid, "the group was not reinitialized")
	}
	r := s.reinit
	if r.Version != message.MLS10 {
		return nil, nil, mlserr.New(mlserr.ReInitInvalid, "protocol version")
	}
	return g.found(ctx, s, founding{
		groupID:     r.GroupID,
		suite:       r.CipherSuite,
		extensions:  r.Extensions,
		usage:       message.ResumptionReInit,
		everyone:    true,
		keyPackages: keyPackages,
	}, opts)
}

// founding is a new group that follows from an old one.
type founding struct {
	groupID     []byte
	suite       suite.ID
	extensions  message.Extensions
	usage       message.ResumptionPSKUsage
	everyone    bool // all members of the old group must be in the new one
	keyPackages [][]byte
}

// found creates the new group in epoch 0 with the commit to epoch 1 pending,
// in one batch.
func (g *Group) found(ctx context.Context, old *state, f founding, opts SuccessorOptions) (*Group, *CommitResult, error) {
	c := g.client
	identity := old.epoch.identity
	if len(opts.Identity) > 0 {
		var err error
		if identity, err = c.Identity(ctx, opts.Identity); err != nil {
			return nil, nil, err
		}
	}
	if identity.suite.ID() != f.suite {
		return nil, nil, mlserr.New(mlserr.InvalidArgument, "identity of another cipher suite than the new group's")
	}
	id := f.groupID
	if len(id) == 0 {
		id = suite.Random(32)
	}
	first, err := c.firstEpoch(ctx, identity, id, f.extensions, opts.LeafExtensions)
	if err != nil {
		return nil, nil, err
	}
	s := &state{status: StatusActive, suite: first.suite, groupID: id, epoch: first}
	list, err := s.proposalsToCommit(ctx, c, &CommitOptions{Add: f.keyPackages})
	if err != nil {
		return nil, nil, err
	}
	list.add(&listed{
		proposal: &message.Proposal{Type: message.ProposalPSK, PSK: newPSKID(first.suite, message.PreSharedKeyID{
			Type:    message.PSKResumption,
			Usage:   f.usage,
			GroupID: old.groupID,
			Epoch:   old.epoch.context.Epoch,
		})},
		sender:   message.Sender{Type: message.SenderMember, Leaf: first.self()},
		founding: true,
	})
	pending, err := s.createCommit(ctx, c, list, identity, &CommitOptions{
		NoRatchetTree: opts.NoRatchetTree,
		WithGroupInfo: opts.WithGroupInfo,
		PublicMessage: true, // read by nobody: it costs no generation, and stands in no log
	}, new(outcome))
	if err != nil {
		return nil, nil, err
	}
	if err := c.checkSuccession(ctx, old, pending.next.epoch.tree, id, f.everyone); err != nil {
		return nil, nil, err
	}
	s.pending = pending
	next, err := c.adopt(ctx, id, s, f.usage == message.ResumptionReInit, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	return next, pending.result.clone(), nil
}

// Identifier may be implemented by an Authenticator. It returns what the
// application calls the same client, or the same user, across groups. Without
// it, equal credentials are the same.
type Identifier interface {
	Identify(ctx context.Context, claim Claim) ([]byte, error)
}

// identify names the client of a leaf, for the comparison of two groups.
func (c *Client) identify(ctx context.Context, groupID []byte, leaf *message.LeafNode) (string, error) {
	if who, ok := c.auth.(Identifier); ok {
		id, err := who.Identify(ctx, claimOf(groupID, leaf, 0, PlaceTree))
		if err != nil {
			return "", mlserr.Wrap(mlserr.CredentialRejected, "L1", err)
		}
		return string(id), nil
	}
	return string(wire.Marshal(&leaf.Credential)), nil
}

// checkSuccession is the part of W16 on membership: every member of the new
// group is one of the old; where everyone is asked for, also the other way
// round (RFC 9420, Section 12.4.3.1).
func (c *Client) checkSuccession(ctx context.Context, old *state, t *tree.Tree, groupID []byte, everyone bool) error {
	before := make(map[string]int)
	for _, leaf := range old.epoch.tree.Leaves() {
		id, err := c.identify(ctx, old.groupID, leaf)
		if err != nil {
			return err
		}
		before[id]++
	}
	for _, leaf := range t.Leaves() {
		id, err := c.identify(ctx, groupID, leaf)
		if err != nil {
			return err
		}
		if before[id] == 0 && !everyone {
			return mlserr.New(mlserr.WelcomeInvalid, "W16: a member that is not in the old group")
		}
		before[id]--
	}
	if everyone {
		for _, missing := range before {
			if missing > 0 {
				return mlserr.New(mlserr.ReInitInvalid, "W16: a member of the old group is missing")
			}
		}
	}
	return nil
}

// checkResumption is W16: a group that a reinit or branch PSK leads to is at
// epoch 1 and follows from the old group (RFC 9420, Section 11.2 and 11.3).
func (j *joining) checkResumption(ctx context.Context, t *tree.Tree) error {
	for i := range j.secrets.PSKs {
		id := &j.secrets.PSKs[i]
		if id.Type != message.PSKResumption || id.Usage == message.ResumptionApplication {
			continue
		}
		group := &j.info.GroupContext
		if group.Epoch != 1 {
			return mlserr.New(mlserr.WelcomeInvalid, "W16: epoch")
		}
		old, err := j.client.peek(ctx, id.GroupID)
		if err != nil {
			return mlserr.Wrap(mlserr.PSKUnknown, "W16", err)
		}
		if old.epoch == nil {
			return mlserr.New(mlserr.NotMember, "W16: the old group")
		}
		if id.Usage == message.ResumptionBranch {
			if old.suite != j.suite || old.epoch.context.Version != group.Version {
				return mlserr.New(mlserr.WelcomeInvalid, "W16: a branch with other parameters")
			}
		} else if err := old.checkReInitTo(id, group); err != nil {
			return err
		}
		if err := j.client.checkSuccession(ctx, old, t, group.GroupID, id.Usage == message.ResumptionReInit); err != nil {
			return err
		}
	}
	return nil
}

// reinitializes reports whether the Welcome is for the group that another was
// reinitialized to; checkResumption has compared the two.
func (j *joining) reinitializes() bool {
	return slices.ContainsFunc(j.secrets.PSKs, func(id message.PreSharedKeyID) bool {
		return id.Type == message.PSKResumption && id.Usage == message.ResumptionReInit &&
			bytes.Equal(id.GroupID, j.info.GroupContext.GroupID)
	})
}

// checkReInitTo: the last commit of the old group had a ReInit, and the new
// group is what it proposed.
func (s *state) checkReInitTo(id *message.PreSharedKeyID, group *message.GroupContext) error {
	r := s.reinit
	if r == nil || id.Epoch != s.epoch.context.Epoch {
		return mlserr.New(mlserr.ReInitInvalid, "W16: the old group was not reinitialized")
	}
	if !bytes.Equal(r.GroupID, group.GroupID) || r.Version != group.Version || r.CipherSuite != group.CipherSuite ||
		!bytes.Equal(wire.Marshal(r.Extensions), wire.Marshal(group.Extensions)) {
		return mlserr.New(mlserr.ReInitInvalid, "W16: other parameters than proposed")
	}
	return nil
}
