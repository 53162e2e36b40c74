package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func keyPackageSubjects(user string) string { return "mls.keypackages." + token([]byte(user)) + ".*" }

// PublishKeyPackages adds to a user's key packages. One that is there already
// is not added again. ErrFull, and nothing added, if the user would then have
// more than limit; requests of one user that race may exceed it together by
// what one of them adds.
func (s *Store) PublishKeyPackages(ctx context.Context, user string, keyPackages [][]byte, limit int) error {
	have, err := s.CountKeyPackages(ctx, user)
	if err != nil {
		return err
	}
	if have+len(keyPackages) > limit {
		return ErrFull
	}
	acks := make([]jetstream.PubAckFuture, 0, len(keyPackages))
	for _, keyPackage := range keyPackages {
		if len(keyPackage) > s.MaxRecord() {
			return ErrTooLarge
		}
		hash := sha256.Sum256(keyPackage)
		msg := nats.NewMsg("mls.keypackages." + token([]byte(user)) + "." + hex.EncodeToString(hash[:]))
		msg.Data = keyPackage
		ack, err := s.js.PublishMsgAsync(msg,
			jetstream.WithExpectLastSequencePerSubject(0),
			jetstream.WithMsgID(publishID("keypackage", user, nil, keyPackage)))
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		// A refused publish is one of a key package that is there already.
		if err := wait(ctx, ack); err != nil && !isWrongLastSequence(err) && !isDuplicateInFlight(err) {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ClaimKeyPackage takes the oldest key package of a user. No two calls return
// the same one, whatever the processes: a key package belongs to the call whose
// deletion of it succeeded. Where the answer to a deletion is lost, so is the
// key package. ErrNoKeyPackage if there is none left.
func (s *Store) ClaimKeyPackage(ctx context.Context, user string) ([]byte, error) {
	from := uint64(1)
	for {
		msg, err := readNext(ctx, s.keyPackages, keyPackageSubjects(user), from)
		if err != nil {
			return nil, err
		}
		if msg == nil {
			return nil, ErrNoKeyPackage
		}
		err = s.keyPackages.DeleteMsg(ctx, msg.Sequence)
		if err == nil {
			return msg.Data, nil
		}
		if !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return nil, err
		}
		from = msg.Sequence + 1 // another claim was faster
	}
}

// CountKeyPackages is the number of a user's key packages not yet claimed.
func (s *Store) CountKeyPackages(ctx context.Context, user string) (int, error) {
	return count(ctx, s.keyPackages, keyPackageSubjects(user))
}
