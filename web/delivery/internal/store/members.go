package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sort"
)

// MaxMembers is how many users a group's list has at most.
const MaxMembers = 16384

// members is who may publish in a group: a part of the hash of each user's name,
// sorted, so that a list of thousands is small and is searched where it lies. The
// empty list is none: everybody may.
type members string

const memberSize = 16

func memberOf(user string) string {
	sum := sha256.Sum256([]byte(user))
	return string(sum[:memberSize])
}

func (m members) at(i int) string { return string(m[memberSize*i : memberSize*(i+1)]) }

func (m members) has(member string) bool {
	n := len(m) / memberSize
	i := sort.Search(n, func(i int) bool { return m.at(i) >= member })
	return i < n && m.at(i) == member
}

// may tells whether a user may publish.
func (m members) may(user string) bool { return m == "" || m.has(memberOf(user)) }

// with is the list and what is added to it: at most MaxMembers, else ErrTooMany.
// The empty list counts as one of nobody.
func (m members) with(added ...string) (members, error) {
	all := make(map[string]struct{}, len(m)/memberSize+len(added))
	for i := range len(m) / memberSize {
		all[m.at(i)] = struct{}{}
	}
	for _, member := range added {
		all[member] = struct{}{}
	}
	if len(all) > MaxMembers {
		return "", ErrTooMany
	}
	sorted := make([]string, 0, len(all))
	for member := range all {
		sorted = append(sorted, member)
	}
	sort.Strings(sorted)
	b := make([]byte, 0, memberSize*len(sorted))
	for _, member := range sorted {
		b = append(b, member...)
	}
	return members(b), nil
}

// membersAfter is who may publish after a commit: who might before, its author
// and whom it welcomes. Instead of who might before, the commit may name users.
//
// The list begins with a group's first commit, or with the first one that names
// users: of a group that has had commits without a list, the service does not
// know who else is in it, and to guess would shut members out.
//
// Who may not publish may still join by an external commit, where the group has
// a GroupInfo at the service; this adds the author and nothing else. Otherwise
// ErrNotMember.
func (s *Store) membersAfter(ctx context.Context, last head, c Commit) (members, error) {
	before := last.members
	author := memberOf(c.User)
	if !last.exists {
		creator, err := s.creator(ctx, c.Group)
		if err != nil {
			return "", err
		}
		if creator == "" && !c.External {
			creator = author
		}
		if creator != "" {
			before = members(creator)
		}
	}
	switch {
	case last.exists && before == "" && c.Members == nil:
		return "", nil
	case before == "" && last.exists, before.has(author):
	case c.External:
		if err := s.mayJoin(ctx, c.Group); err != nil {
			return "", err
		}
		return before.with(author)
	default:
		return "", ErrNotMember
	}
	if c.Members != nil {
		before = ""
	}
	added := []string{author}
	for _, name := range c.Members {
		added = append(added, memberOf(name))
	}
	for _, welcome := range c.Welcomes {
		for _, to := range welcome.To {
			user, _ := to.Split()
			added = append(added, memberOf(user))
		}
	}
	return before.with(added...)
}

// mayJoin tells whether those who are not members may join a group by themselves:
// its members keep the GroupInfo of its epoch at the service. Else ErrNotMember.
func (s *Store) mayJoin(ctx context.Context, group []byte) error {
	_, _, err := s.GroupInfo(ctx, group)
	if errors.Is(err, ErrNoGroupInfo) {
		return ErrNotMember
	}
	return err
}

func creatorOf(user string) string { return hex.EncodeToString([]byte(memberOf(user))) }

// creator is who was the first to publish in a group without a commit, "" where
// that is not known: the author of its first message, or else of its GroupInfo.
func (s *Store) creator(ctx context.Context, group []byte) (string, error) {
	first, err := readNext(ctx, s.log, messageSubject(group), 1)
	if err != nil {
		return "", err
	}
	if first == nil || first.Header.Get(headerCreator) == "" {
		if first, err = readLast(ctx, s.groupInfos, groupInfoSubject(group)); err != nil || first == nil {
			return "", err
		}
	}
	creator, err := hex.DecodeString(first.Header.Get(headerCreator))
	if err != nil || len(creator) != 0 && len(creator) != memberSize {
		return "", errRecord
	}
	return string(creator), nil
}
