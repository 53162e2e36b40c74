package mls

import (
	"context"

	"webmls/mls/message"
)

// BranchOptions say what a subgroup is like.
type BranchOptions struct {
	SuccessorOptions
	GroupID    []byte // default 32 random bytes
	Extensions message.Extensions
}

// Branch creates a group of some of the members of this one, with the same
// version and cipher suite, linked to this epoch by a resumption PSK (RFC 9420,
// Section 11.3). keyPackages are those of the other members of the subgroup.
// As with ReInit, apply the pending commit of the new group, then send the
// Welcome. Codes: WELCOME_INVALID when a key package is not of a member, and
// those of Commit.
func (g *Group) Branch(ctx context.Context, keyPackages [][]byte, opts BranchOptions) (next *Group, result *CommitResult, err error) {
	defer atOp(&err, "group.branch")
	defer begin(ctx).end(&err)
	var s *state
	if err := g.viewMember(ctx, func(st *state) error { s = st; return nil }); err != nil {
		return nil, nil, err
	}
	return g.found(ctx, s, founding{
		groupID:     opts.GroupID,
		suite:       s.suite.ID(),
		extensions:  opts.Extensions,
		usage:       message.ResumptionBranch,
		keyPackages: keyPackages,
	}, opts.SuccessorOptions)
}
