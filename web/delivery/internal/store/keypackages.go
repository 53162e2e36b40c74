package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func keyPackageSubjects(a Address) string { return "mls.keypackages." + a.token() + ".*" }

func lastResortSubject(a Address) string { return "mls.lastresort." + a.token() }

// PublishKeyPackages adds to a device's key packages. One that is there already
// is not added again. ErrFull, and nothing added, if the device would then have
// more than limit; requests of one device that race may exceed it together by
// what one of them adds.
func (s *Store) PublishKeyPackages(ctx context.Context, a Address, keyPackages [][]byte, limit int) error {
	have, err := s.CountKeyPackages(ctx, a)
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
		msg := nats.NewMsg("mls.keypackages." + a.token() + "." + hex.EncodeToString(hash[:]))
		msg.Data = keyPackage
		ack, err := s.js.PublishMsgAsync(msg,
			jetstream.WithExpectLastSequencePerSubject(0),
			jetstream.WithMsgID(publishID("keypackage", string(a), nil, keyPackage)))
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

// PublishLastResort replaces a device's key package of last resort (RFC 9420,
// Section 16.8), which is given to those who come when the others are used up,
// to each of them the same one.
func (s *Store) PublishLastResort(ctx context.Context, a Address, keyPackage []byte) error {
	if len(keyPackage) > s.MaxRecord() {
		return ErrTooLarge
	}
	msg := nats.NewMsg(lastResortSubject(a))
	msg.Data = keyPackage
	_, err := s.publish(ctx, msg)
	return err
}

// HasLastResort tells whether a device has a key package of last resort.
func (s *Store) HasLastResort(ctx context.Context, a Address) (bool, error) {
	msg, err := readLast(ctx, s.users, lastResortSubject(a))
	return msg != nil, err
}

// ClaimKeyPackage takes the oldest key package of a device. No two calls return
// the same one, whatever the processes: a key package belongs to the call whose
// deletion of it succeeded. Where the answer to a deletion is lost, so is the
// key package. If there is none left, it returns the one of last resort, which
// stays, and lastResort is true; ErrNoKeyPackage if there is none of these either.
func (s *Store) ClaimKeyPackage(ctx context.Context, a Address) (keyPackage []byte, lastResort bool, err error) {
	from := uint64(1)
	for {
		msg, err := readNext(ctx, s.keyPackages, keyPackageSubjects(a), from)
		if err != nil {
			return nil, false, err
		}
		if msg == nil {
			break
		}
		err = s.keyPackages.DeleteMsg(ctx, msg.Sequence)
		if err == nil {
			s.hintStock(a)
			return msg.Data, false, nil
		}
		if !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return nil, false, err
		}
		from = msg.Sequence + 1 // another claim was faster
	}
	keyPackage, err = s.LastResort(ctx, a)
	if err != nil {
		return nil, false, err
	}
	s.hintStock(a)
	return keyPackage, true, nil
}

// LastResort returns a device's key package of last resort. ErrNoKeyPackage if it
// has none.
func (s *Store) LastResort(ctx context.Context, a Address) ([]byte, error) {
	msg, err := readLast(ctx, s.users, lastResortSubject(a))
	if err != nil {
		return nil, err
	}
	if msg == nil {
		return nil, ErrNoKeyPackage
	}
	return msg.Data, nil
}

// CountKeyPackages is the number of a device's key packages not yet claimed,
// the one of last resort aside.
func (s *Store) CountKeyPackages(ctx context.Context, a Address) (int, error) {
	return count(ctx, s.keyPackages, keyPackageSubjects(a))
}
