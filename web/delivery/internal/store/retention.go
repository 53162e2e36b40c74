package store

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leastRetain is the shortest time messages may be kept: longer than a publish
// may be repeated, and than clients are offline between two trains.
const leastRetain = time.Hour

// sweepInterval is how often one of the processes removes what is too old.
const sweepInterval = time.Hour

func horizonSubject(group []byte) string { return "mls.horizon." + token(group) }

// keepSweeping removes old messages from the log until the store closes. A
// stream's own age limit would not do: it would remove the last commit of a
// group that was quiet for long, and with it the epoch that the group is at.
func (s *Store) keepSweeping(running context.Context, retain time.Duration) {
	for {
		// Anywhere in a tenth of the interval, so that the processes of a
		// cluster do not all ask at once.
		wait := sweepInterval/10 + rand.N(sweepInterval/10)
		select {
		case <-time.After(wait):
		case <-running.Done():
			return
		}
		mine, err := s.takeTurn(running, "sweep", sweepInterval)
		if err == nil && mine {
			err = s.Sweep(running, time.Now().Add(-retain))
		}
		if err != nil && running.Err() == nil {
			s.logger.Warn("old messages were not all removed", "error", err)
		}
	}
}

// takeTurn tells whether this process is the one of all that does a task now:
// nobody took the turn within the interval, and of those who ask now it is first.
func (s *Store) takeTurn(ctx context.Context, task string, interval time.Duration) (bool, error) {
	subject := "mls.service." + task
	last, err := readLast(ctx, s.users, subject)
	if err != nil {
		return false, err
	}
	var seq uint64
	if last != nil {
		if time.Since(last.Time) < interval {
			return false, nil
		}
		seq = last.Sequence
	}
	_, err = s.js.PublishMsg(ctx, nats.NewMsg(subject), jetstream.WithExpectLastSequencePerSubject(seq))
	if isWrongLastSequence(err) {
		return false, nil
	}
	return err == nil, err
}

// aged is what a group's log has from before the cutoff: sequences, 0 for none.
type aged struct{ message, commit, commitBefore uint64 }

// Sweep removes messages stored before the cutoff from the log, of each group
// all but its last commit, which is its epoch and holds its GroupInfo. What it
// is about to remove it first writes down as the group's horizon.
func (s *Store) Sweep(ctx context.Context, cutoff time.Time) error {
	groups, err := s.agedGroups(ctx, cutoff)
	if err != nil {
		return err
	}
	for group, old := range groups {
		if err := s.sweepGroup(ctx, group, old); err != nil {
			return err
		}
	}
	return nil
}

// agedGroups reads the headers of all messages before the cutoff, by the token of
// their group. After the first run these are few beside the last commits of
// groups at rest.
func (s *Store) agedGroups(ctx context.Context, cutoff time.Time) (map[string]aged, error) {
	info, err := s.log.Info(ctx)
	if err != nil || info.State.Msgs == 0 || !info.State.FirstTime.Before(cutoff) {
		return nil, err
	}
	consumer, err := s.log.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	groups := make(map[string]aged)
	for {
		msg, err := messages.Next()
		if err != nil {
			return nil, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		if !meta.Timestamp.Before(cutoff) {
			return groups, nil
		}
		key := subjectKey(msg.Subject())
		old := groups[key]
		if strings.HasSuffix(msg.Subject(), ".commit") {
			old.commitBefore, old.commit = old.commit, meta.Sequence.Stream
		} else {
			old.message = meta.Sequence.Stream
		}
		groups[key] = old
		if meta.NumPending == 0 {
			return groups, nil
		}
	}
}

func (s *Store) sweepGroup(ctx context.Context, key string, old aged) error {
	group, err := fromToken(key)
	if err != nil {
		return err
	}
	last, _, err := s.readHead(ctx, group)
	if err != nil {
		return err
	}
	if old.commit == last.seq {
		old.commit = old.commitBefore
	}
	horizon := max(old.message, old.commit)
	if horizon == 0 {
		return nil
	}
	msg := nats.NewMsg(horizonSubject(group))
	msg.Data = strconv.AppendUint(nil, horizon, 10)
	if _, err := s.publish(ctx, msg); err != nil {
		return err
	}
	for subject, seq := range map[string]uint64{messageSubject(group): old.message, commitSubject(group): old.commit} {
		if seq == 0 {
			continue
		}
		if err := s.log.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(seq+1)); err != nil {
			return err
		}
	}
	return nil
}
