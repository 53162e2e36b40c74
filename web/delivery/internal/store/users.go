package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ClaimUser gives a name to the first token that asks for it, and afterwards
// tells whether a token is that one. Stored is the token's hash.
func (s *Store) ClaimUser(ctx context.Context, user, userToken string) (bool, error) {
	subject := "mls.users." + token([]byte(user))
	hash := sha256.Sum256([]byte(userToken))
	for {
		claimed, err := readLast(ctx, s.users, subject)
		if err != nil {
			return false, err
		}
		if claimed != nil {
			return subtle.ConstantTimeCompare(claimed.Data, hash[:]) == 1, nil
		}
		msg := nats.NewMsg(subject)
		msg.Data = hash[:]
		_, err = s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
		switch {
		case err == nil:
			return true, nil
		case !isWrongLastSequence(err):
			return false, err
		}
		if err := pause(ctx); err != nil {
			return false, err
		}
	}
}
