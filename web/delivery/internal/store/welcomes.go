package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func welcomeSubjects(a Address) string { return "mls.welcomes." + a.token() + ".*" }

func welcomeSubject(a Address, id string) string { return "mls.welcomes." + a.token() + "." + id }

// PendingWelcome is a Welcome that its device has not acknowledged.
type PendingWelcome struct {
	ID      string // "<sequence of the commit>-<index of the welcome>", the same however often it is delivered
	Group   []byte
	Seq     uint64 // of the commit that added the device: the log goes on behind it
	Welcome []byte
}

// welcomeAckWait is how long the welcomes of a commit wait where the process that
// took it died before it was done. A process at work renews its claim.
const welcomeAckWait = 3 * time.Second

// startWelcomes starts to hand out the welcomes of accepted commits. All
// processes share one durable consumer on the commits, so each commit is taken
// by one of them; it is taken again if that one dies before it is done.
func (s *Store) startWelcomes(ctx, running context.Context) error {
	consumer, err := s.log.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       "welcomes",
		Description:   "queues the welcomes of accepted commits",
		FilterSubject: "mls.log.*.commit",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       welcomeAckWait,
		MaxDeliver:    -1,
		MaxAckPending: 64,
	})
	if err != nil {
		return fmt.Errorf("consumer of the welcomes: %w", err)
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) { s.queueWelcomes(running, msg) },
		jetstream.PullMaxMessages(8), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return fmt.Errorf("consumer of the welcomes: %w", err)
	}
	s.done.Go(func() {
		<-running.Done()
		consuming.Stop()
		<-consuming.Closed()
	})
	return nil
}

// queueWelcomes puts a pointer to each of a commit's welcomes into the queue of
// each of its devices. Doing it twice does no harm: a pointer's subject is made
// of the commit's sequence and the welcome's index.
func (s *Store) queueWelcomes(running context.Context, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	seq := meta.Sequence.Stream
	record, err := unmarshalCommitRecord(msg.Data())
	if err != nil {
		s.logger.Error("a commit record does not parse; its welcomes are lost", "seq", seq)
		_ = msg.Term()
		return
	}
	ctx, cancel := context.WithTimeout(running, 30*time.Second)
	defer cancel()
	go func() {
		for {
			select {
			case <-time.After(welcomeAckWait / 3):
				_ = msg.InProgress()
			case <-ctx.Done():
				return
			}
		}
	}()
	if err := s.pointToWelcomes(ctx, seq, record); err != nil {
		if running.Err() == nil {
			s.logger.Warn("welcomes not queued, trying again", "seq", seq, "error", err)
			_ = msg.NakWithDelay(time.Second)
		}
		return
	}
	_ = msg.Ack()
}

func (s *Store) pointToWelcomes(ctx context.Context, seq uint64, record *commitRecord) error {
	var acks []jetstream.PubAckFuture
	for index, welcome := range record.Welcomes {
		id := welcomeID(seq, index)
		for _, to := range welcome.To {
			ack, err := s.js.PublishMsgAsync(nats.NewMsg(welcomeSubject(to, id)),
				jetstream.WithExpectLastSequencePerSubject(0),
				jetstream.WithMsgID(publishID("welcome", string(to), []byte(id))))
			if err != nil {
				return err
			}
			acks = append(acks, ack)
		}
	}
	for _, ack := range acks {
		if err := wait(ctx, ack); err != nil && !isWrongLastSequence(err) {
			return err
		}
	}
	return nil
}

// CheckWelcomeQueues returns ErrFull if a device has limit welcomes or more. It
// is asked before a commit is accepted; afterwards a welcome is never refused,
// so commits that race may exceed the limit.
func (s *Store) CheckWelcomeQueues(ctx context.Context, welcomes []Welcome, limit int) error {
	for _, welcome := range welcomes {
		for _, to := range welcome.To {
			n, err := count(ctx, s.welcomes, welcomeSubjects(to))
			if err != nil {
				return err
			}
			if n >= limit {
				return ErrFull
			}
		}
	}
	return nil
}

// FollowWelcomes reads a device's queue: first what is there, then what comes.
func (s *Store) FollowWelcomes(a Address) *Cursor[PendingWelcome] {
	return newCursor(s.welcomeTail, welcomeSubjects(a), 1, 0, s.pendingWelcome)
}

// pendingWelcome follows the pointer into the log.
func (s *Store) pendingWelcome(ctx context.Context, msg *jetstream.RawStreamMsg) (PendingWelcome, bool, error) {
	id := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]
	seq, index, err := parseWelcomeID(id)
	if err != nil {
		s.logger.Error("a queued welcome has no usable id", "seq", msg.Sequence)
		return PendingWelcome{}, false, nil
	}
	commit, err := s.log.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		// Retention took it: the welcome is as old, and nobody can join by it.
		s.logger.Warn("the commit of a queued welcome is gone", "seq", seq)
		return PendingWelcome{}, false, s.welcomes.DeleteMsg(ctx, msg.Sequence)
	}
	if err != nil {
		return PendingWelcome{}, false, err
	}
	group, err := fromToken(subjectKey(commit.Subject))
	if err != nil {
		return PendingWelcome{}, false, err
	}
	record, err := unmarshalCommitRecord(commit.Data)
	if err != nil || index >= len(record.Welcomes) {
		s.logger.Error("the commit of a queued welcome does not hold it", "seq", seq)
		return PendingWelcome{}, false, nil
	}
	return PendingWelcome{ID: id, Group: group, Seq: seq, Welcome: record.Welcomes[index].Message}, true, nil
}

// AcknowledgeWelcome takes a welcome out of its device's queue. To acknowledge
// one twice is no error. ok is false for what is not the id of a welcome.
func (s *Store) AcknowledgeWelcome(ctx context.Context, a Address, id string) (ok bool, err error) {
	seq, index, err := parseWelcomeID(id)
	// The id becomes a part of a subject: it must be one of ours exactly.
	if err != nil || id != welcomeID(seq, index) {
		return false, nil
	}
	return true, s.welcomes.Purge(ctx, jetstream.WithPurgeSubject(welcomeSubject(a, id)))
}

func welcomeID(seq uint64, index int) string { return fmt.Sprintf("%d-%d", seq, index) }

func parseWelcomeID(id string) (seq uint64, index int, err error) {
	first, second, _ := strings.Cut(id, "-")
	if seq, err = strconv.ParseUint(first, 10, 64); err != nil {
		return 0, 0, err
	}
	small, err := strconv.ParseUint(second, 10, 31)
	return seq, int(small), err
}
