// Package accounts decides who a client is, by the token that it shows.
//
// It owns what a token and a name have to look like, the development issuer,
// and the verification of tokens of an OpenID Connect provider. It must not
// know what a user may do, nor how it comes to a connection.
package accounts

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
)

// Account is who showed a token.
type Account struct {
	Name    string
	Expires time.Time // of the token; zero for never
}

// Authenticator finds out whose a token is. name is whom the client says to be,
// and may be empty where the token says it. An error is one of ErrName,
// ErrToken and ErrTaken, or means that it could not be decided now.
type Authenticator interface {
	Authenticate(ctx context.Context, name, token string) (Account, error)
}

var (
	ErrName  = errors.New("accounts: not a name")
	ErrToken = errors.New("accounts: not a valid token of this name")
	ErrTaken = errors.New("accounts: the name belongs to another secret")
)

// NameLimit is the number of bytes a name may have.
const NameLimit = 128

// A secret is short enough to be compared, and long enough not to be guessed.
const (
	secretLeast = 16
	secretLimit = 256
)

// ValidName tells whether a name is one that a person can read and tell from
// others: printable, without a space at its ends.
func ValidName(name string) bool {
	if name == "" || len(name) > NameLimit || strings.TrimSpace(name) != name {
		return false
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

// Names remembers which secret claimed a name first.
type Names interface {
	ClaimUser(ctx context.Context, user, secret string) (same bool, err error)
}

// FirstUse trusts whoever names a user first: the secret that came with the name
// is the user's from then on. It is for development.
type FirstUse struct{ Names Names }

// Authenticate implements Authenticator.
func (f FirstUse) Authenticate(ctx context.Context, name, secret string) (Account, error) {
	switch {
	case !ValidName(name):
		return Account{}, ErrName
	case len(secret) < secretLeast || len(secret) > secretLimit:
		return Account{}, ErrToken
	}
	same, err := f.Names.ClaimUser(ctx, name, secret)
	if err != nil {
		return Account{}, err
	}
	if !same {
		return Account{}, ErrTaken
	}
	return Account{Name: name}, nil
}
