package store

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func deviceSubject(a Address) string {
	user, _ := a.Split()
	return "mls.devices." + token([]byte(user)) + "." + a.token()
}

// AddDevice lists a device with its user. ErrDevices if the user would then have
// more than limit; devices that are added at the same time may exceed it.
func (s *Store) AddDevice(ctx context.Context, a Address, limit int) error {
	known, err := readLast(ctx, s.users, deviceSubject(a))
	if err != nil || known != nil {
		return err
	}
	user, _ := a.Split()
	devices, err := s.Devices(ctx, user)
	if err != nil {
		return err
	}
	if len(devices) >= limit {
		return ErrDevices
	}
	_, err = s.publish(ctx, nats.NewMsg(deviceSubject(a)))
	return err
}

// Devices lists a user's devices, in order.
func (s *Store) Devices(ctx context.Context, user string) ([]Address, error) {
	info, err := s.users.Info(ctx, jetstream.WithSubjectFilter("mls.devices."+token([]byte(user))+".*"))
	if err != nil {
		return nil, err
	}
	devices := make([]Address, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		address, err := fromToken(subject[strings.LastIndexByte(subject, '.')+1:])
		if err != nil {
			return nil, err
		}
		devices = append(devices, Address(address))
	}
	slices.Sort(devices)
	return devices, nil
}

// RemoveDevice removes a device with its key packages and its welcomes. That of
// an unknown one is no error.
func (s *Store) RemoveDevice(ctx context.Context, a Address) error {
	// The list is last: as long as the device is on it, the rest can be tried again.
	for _, step := range []struct {
		stream  jetstream.Stream
		subject string
	}{
		{s.keyPackages, keyPackageSubjects(a)},
		{s.users, lastResortSubject(a)},
		{s.welcomes, welcomeSubjects(a)},
		{s.users, deviceSubject(a)},
	} {
		if err := step.stream.Purge(ctx, jetstream.WithPurgeSubject(step.subject)); err != nil {
			return err
		}
	}
	return nil
}

// IssuerSeed is 32 random bytes that all processes on the same state share. The
// first that asks makes them.
func (s *Store) IssuerSeed(ctx context.Context) ([]byte, error) {
	const subject = "mls.service.issuer"
	for {
		known, err := readLast(ctx, s.users, subject)
		if err != nil {
			return nil, err
		}
		if known != nil {
			return known.Data, nil
		}
		msg := nats.NewMsg(subject)
		msg.Data = make([]byte, 32)
		_, _ = rand.Read(msg.Data) // never fails
		_, err = s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
		if err != nil && !isWrongLastSequence(err) {
			return nil, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}
