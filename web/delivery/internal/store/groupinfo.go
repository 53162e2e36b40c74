package store

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go"
)

func groupInfoSubject(group []byte) string { return "mls.groupinfo." + token(group) }

// PublishGroupInfo replaces a group's GroupInfo, without a commit. It must be of
// the epoch the group is at; the current epoch is returned with ErrEpochAhead
// and ErrEpochBehind. A group without a commit takes any epoch, from the user who
// was the first to publish. Who may not publish gets ErrNotMember.
func (s *Store) PublishGroupInfo(ctx context.Context, user string, group []byte, epoch uint64, groupInfo []byte) (current uint64, err error) {
	if len(groupInfo) > s.MaxRecord() {
		return 0, ErrTooLarge
	}
	last, _, err := s.readHead(ctx, group)
	if err != nil {
		return 0, err
	}
	switch {
	case last.exists && epoch > last.next:
		return last.next, ErrEpochAhead
	case last.exists && epoch < last.next:
		return last.next, ErrEpochBehind
	case !last.members.may(user):
		return last.next, ErrNotMember
	}
	msg := nats.NewMsg(groupInfoSubject(group))
	msg.Data = groupInfo
	if !last.exists {
		creator, err := s.creator(ctx, group)
		if err != nil {
			return 0, err
		}
		if creator != "" && creator != memberOf(user) {
			return 0, ErrNotMember
		}
		msg.Header.Set(headerCreator, creatorOf(user))
	}
	msg.Header.Set(headerEpoch, strconv.FormatUint(epoch, 10))
	_, err = s.publish(ctx, msg)
	return last.next, err
}

// GroupInfo returns the GroupInfo of the epoch that a group is at, and that
// epoch: the one published with the last commit, or on its own since. An older
// one is of no use, since a commit made from it would be stale: ErrNoGroupInfo.
func (s *Store) GroupInfo(ctx context.Context, group []byte) (groupInfo []byte, epoch uint64, err error) {
	last, commit, err := s.readHead(ctx, group)
	if err != nil {
		return nil, 0, err
	}
	own, err := readLast(ctx, s.groupInfos, groupInfoSubject(group))
	if err != nil {
		return nil, 0, err
	}
	if own != nil {
		epoch, err := strconv.ParseUint(own.Header.Get(headerEpoch), 10, 64)
		if err != nil {
			return nil, 0, errRecord
		}
		if !last.exists || epoch == last.next {
			return own.Data, epoch, nil
		}
	}
	if commit == nil {
		return nil, 0, ErrNoGroupInfo
	}
	record, err := unmarshalCommitRecord(commit.Data)
	if err != nil {
		return nil, 0, err
	}
	if len(record.GroupInfo) == 0 {
		return nil, 0, ErrNoGroupInfo
	}
	return record.GroupInfo, last.next, nil
}
