package store

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// PastEpochs is how many epochs behind the group an application message may
// be: its sender had not seen the last commits yet, and receivers keep the
// keys of a few past epochs.
const PastEpochs = 16

// Commit is a commit and what is to be delivered if it is accepted.
type Commit struct {
	User      string // its author
	Group     []byte
	Epoch     uint64 // the epoch the commit was made in
	Message   []byte
	GroupInfo []byte // of the next epoch; may be empty
	Welcomes  []Welcome
	// External is set for a commit by which its author joins (RFC 9420,
	// Section 12.4.3.2).
	External bool
	// Members are the users that may publish from now on, beside the author and
	// those who are welcomed; nil leaves those who might before.
	Members []string
}

// Outcome is what became of a commit: accepted with its sequence in the log,
// or not, with the epoch the group is at.
type Outcome struct {
	Accepted bool
	Seq      uint64
	Epoch    uint64
}

// Message is a proposal or an application message.
type Message struct {
	User     string
	Group    []byte
	Epoch    uint64
	Proposal bool
	// External is set for a proposal that its sender does not make as a member
	// (RFC 9420, Section 12.1.8).
	External bool
	Message  []byte
}

// head is the last commit of a group.
type head struct {
	exists bool
	seq    uint64
	next   uint64 // the epoch the commit began: the one the group is at
	id     string
	// members is who may publish; none where the group has no list.
	members members
	// unread is set where it is known only that there is such a commit.
	unread bool
}

// heads remembers the last commits that this process has seen. What it holds
// may be old, never wrong: a commit is accepted only under JetStream's check,
// and nothing is refused before the head has been read again.
type heads struct {
	mu      sync.Mutex
	byGroup map[string]head
	bytes   int // of the lists of members
}

const (
	maxHeads     = 16384
	maxHeadBytes = 64 << 20
)

func (h *heads) get(group string) (head, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, ok := h.byGroup[group]
	if !ok || found.unread {
		return head{}, false
	}
	return found, true
}

// put remembers a head unless a newer one is known already.
func (h *heads) put(group string, new head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.byGroup[group]; ok && (old.seq > new.seq || old.seq == new.seq && new.unread) {
		return
	}
	h.drop(group)
	for any := range h.byGroup {
		if len(h.byGroup) < maxHeads && h.bytes+len(new.members) <= maxHeadBytes {
			break
		}
		h.drop(any)
	}
	h.byGroup[group] = new
	h.bytes += len(new.members)
}

// passed is told of each commit that enters the log, of this process or another:
// who may publish by the head before it may not by the new one. It is kept that
// there is a newer one, so that a read that was on its way does not bring back
// the old one.
func (h *heads) passed(group string, seq uint64) {
	if old, ok := h.get(group); !ok || old.seq < seq {
		h.put(group, head{seq: seq, unread: true})
	}
}

func (h *heads) drop(group string) {
	h.bytes -= len(h.byGroup[group].members)
	delete(h.byGroup, group)
}

func commitSubject(group []byte) string  { return "mls.log." + token(group) + ".commit" }
func messageSubject(group []byte) string { return "mls.log." + token(group) + ".message" }
func logSubject(group []byte) string     { return "mls.log." + token(group) + ".*" }

// readHead reads the group's last commit from the log.
func (s *Store) readHead(ctx context.Context, group []byte) (head, *jetstream.RawStreamMsg, error) {
	msg, err := readLast(ctx, s.log, commitSubject(group))
	if err != nil || msg == nil {
		return head{}, nil, err
	}
	epoch, err := strconv.ParseUint(msg.Header.Get(headerEpoch), 10, 64)
	if err != nil {
		return head{}, nil, errRecord
	}
	record, err := unmarshalCommitRecord(msg.Data)
	if err != nil {
		return head{}, nil, err
	}
	h := head{exists: true, seq: msg.Sequence, next: epoch + 1, id: msg.Header.Get(headerID),
		members: members(strings.Clone(string(record.Members)))}
	s.heads.put(token(group), h)
	return h, msg, nil
}

// PublishCommit adds a commit to its group's log if the group is at the
// commit's epoch and no other commit of that epoch is in the log. For a group
// without a commit, the first one fixes the epoch.
//
// The order rests on JetStream: the commit is written only if the last message
// on the group's commit subject is still the one whose epoch was read. Of any
// number of racing processes one succeeds; the others read again and find that
// the epoch has passed.
//
// A commit that is in the log already, as the last one, is accepted again with
// the same sequence: its author did not get the answer.
//
// Who may publish after the commit is part of what is written, made from what the
// last commit says: the same check keeps the one in step with the other. A commit
// of another epoch is not accepted, whoever asks; of the group's epoch, one by who
// may not publish is ErrNotMember.
func (s *Store) PublishCommit(ctx context.Context, c Commit) (Outcome, error) {
	record := commitRecord{Commit: c.Message, GroupInfo: c.GroupInfo, Welcomes: c.Welcomes}
	// Of what was asked, without what the log adds to it: a repeated request has
	// the same id whatever became of the first one.
	parts := [][]byte{record.marshal()}
	if c.Members != nil {
		for _, name := range c.Members {
			parts = append(parts, []byte(name))
		}
		parts = append(parts, nil)
	}
	id := publishID("commit", c.User, c.Group, parts...)

	last, known := s.heads.get(token(c.Group))
	fresh := false
	for {
		if !known {
			var err error
			if last, _, err = s.readHead(ctx, c.Group); err != nil {
				return Outcome{}, err
			}
			fresh = true
		}
		if last.exists && last.id == id {
			return Outcome{Accepted: true, Seq: last.seq, Epoch: last.next}, nil
		}
		if last.exists && last.next != c.Epoch {
			if !fresh {
				known = false
				continue
			}
			return Outcome{Epoch: last.next}, nil
		}
		after, err := s.membersAfter(ctx, last, c)
		if errors.Is(err, ErrNotMember) && !fresh {
			known = false
			continue
		}
		if err != nil {
			return Outcome{}, err
		}
		record.Members = []byte(after)
		data := record.marshal()
		if len(data) > s.MaxRecord() {
			return Outcome{}, ErrTooLarge
		}

		msg := nats.NewMsg(commitSubject(c.Group))
		msg.Data = data
		msg.Header.Set(headerEpoch, strconv.FormatUint(c.Epoch, 10))
		msg.Header.Set(headerID, id)
		ack, err := s.attempt(ctx, msg,
			jetstream.WithExpectLastSequencePerSubject(last.seq), jetstream.WithMsgID(id))
		switch {
		case err == nil:
			s.heads.put(token(c.Group), head{exists: true, seq: ack.Sequence, next: c.Epoch + 1, id: id, members: after})
			return Outcome{Accepted: true, Seq: ack.Sequence, Epoch: c.Epoch + 1}, nil
		case isWrongLastSequence(err), isDuplicateInFlight(err), isNoAnswer(err) && ctx.Err() == nil:
			// Another commit is in the log, or on its way into it; the
			// pause lets the latter arrive. Or there was no answer: then
			// the head tells whether the commit is in, and the id and the
			// expected sequence keep it from getting in twice.
			known = false
			if err := pause(ctx); err != nil {
				return Outcome{}, err
			}
		case errors.Is(err, nats.ErrMaxPayload):
			return Outcome{}, ErrTooLarge
		default:
			return Outcome{}, err
		}
	}
}

// PublishMessage adds a proposal or an application message to its group's log
// and returns its sequence. A proposal must be of the epoch the group is at,
// since no later commit can refer to it; an application message may be up to
// PastEpochs behind. A group without a commit takes any epoch, from anybody. The
// current epoch is returned with ErrEpochAhead and ErrEpochBehind; of an epoch
// that fits, one by who may not publish is ErrNotMember.
func (s *Store) PublishMessage(ctx context.Context, m Message) (seq, epoch uint64, err error) {
	if len(m.Message) > s.MaxRecord() {
		return 0, 0, ErrTooLarge
	}
	last, known := s.heads.get(token(m.Group))
	err = s.checkMessage(ctx, last, m)
	if !known || err != nil {
		if last, _, err = s.readHead(ctx, m.Group); err != nil {
			return 0, 0, err
		}
		err = s.checkMessage(ctx, last, m)
	}
	if err != nil {
		return 0, last.next, err
	}
	msg := nats.NewMsg(messageSubject(m.Group))
	msg.Data = m.Message
	if !last.exists {
		msg.Header.Set(headerCreator, creatorOf(m.User))
	}
	ack, err := s.publish(ctx, msg, jetstream.WithMsgID(publishID("message", m.User, m.Group, m.Message)))
	if err != nil {
		return 0, 0, err
	}
	return ack.Sequence, last.next, nil
}

func (s *Store) checkMessage(ctx context.Context, last head, m Message) error {
	if err := checkEpoch(last, m); err != nil {
		return err
	}
	if last.members.may(m.User) {
		return nil
	}
	if !m.External {
		return ErrNotMember
	}
	return s.mayJoin(ctx, m.Group)
}

func checkEpoch(last head, m Message) error {
	switch {
	case !last.exists:
		return nil
	case m.Epoch > last.next:
		return ErrEpochAhead
	case m.Proposal && m.Epoch < last.next, last.next-m.Epoch > PastEpochs:
		return ErrEpochBehind
	}
	return nil
}

// attemptTimeout is how long one publish may take, of which a request makes
// several: a stream whose leader died answers nothing until it has another.
const attemptTimeout = 2 * time.Second

func (s *Store) attempt(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	limited, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	// A message is sent with the headers of its options: each attempt has its own.
	fresh := nats.NewMsg(msg.Subject)
	fresh.Data = msg.Data
	maps.Copy(fresh.Header, msg.Header)
	return s.js.PublishMsg(limited, fresh, opts...)
}

// isNoAnswer tells whether a publish may or may not have been stored.
func isNoAnswer(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// publish tries until there is an answer or ctx ends. What it is given must be
// harmless if stored twice, or have an id by which JetStream knows it again. A
// copy of the same message that is on its way in a cluster is waited out.
func (s *Store) publish(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	for {
		ack, err := s.attempt(ctx, msg, opts...)
		switch {
		case isDuplicateInFlight(err), isNoAnswer(err) && ctx.Err() == nil:
			if err := pause(ctx); err != nil {
				return nil, err
			}
		case errors.Is(err, nats.ErrMaxPayload):
			return nil, ErrTooLarge
		default:
			return ack, err
		}
	}
}

// pause lets what is in flight in a cluster arrive.
func pause(ctx context.Context) error {
	select {
	case <-time.After(10 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LastSequence is the sequence of the newest message in a group's log, 0 where
// there is none.
func (s *Store) LastSequence(ctx context.Context, group []byte) (uint64, error) {
	msg, err := readLast(ctx, s.log, logSubject(group))
	if err != nil || msg == nil {
		return 0, err
	}
	return msg.Sequence, nil
}

// Horizon is the last sequence of a group's log that retention removed, 0 where
// it removed nothing: who has not read up to it has missed something.
func (s *Store) Horizon(ctx context.Context, group []byte) (uint64, error) {
	msg, err := readLast(ctx, s.groupInfos, horizonSubject(group))
	if err != nil || msg == nil {
		return 0, err
	}
	horizon, err := strconv.ParseUint(string(msg.Data), 10, 64)
	if err != nil {
		return 0, errRecord
	}
	return horizon, nil
}

// Entry is one message of a group's log.
type Entry struct {
	Seq     uint64
	Message []byte
}

// FollowLog reads a group's log from a sequence on, in order and without end.
func (s *Store) FollowLog(group []byte, from uint64) *Cursor[Entry] {
	return newCursor(s.logTail, logSubject(group), from, 256, s.logEntry)
}

func (s *Store) logEntry(_ context.Context, msg *jetstream.RawStreamMsg) (Entry, bool, error) {
	if msg.Header.Get(headerEpoch) == "" {
		return Entry{Seq: msg.Sequence, Message: msg.Data}, true, nil
	}
	record, err := unmarshalCommitRecord(msg.Data)
	if err != nil {
		s.logger.Error("a commit record does not parse; readers go past it", "seq", msg.Sequence)
		return Entry{}, false, nil
	}
	return Entry{Seq: msg.Sequence, Message: record.Commit}, true, nil
}
