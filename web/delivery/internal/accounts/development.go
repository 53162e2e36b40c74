package accounts

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What tokens of the development issuer say of themselves.
const (
	developmentIssuer   = "webmls-development"
	developmentAudience = "webmls"
	developmentLifetime = time.Hour
)

// Development is an issuer of tokens for those who have none: whoever names a
// user first is that user, by a secret of its own. It is no place for real
// accounts. A client gets a token for name and secret over HTTP and says hello
// with it, as it would with one of a real provider; it is checked by the same
// code. The secret itself is taken in place of a token.
type Development struct {
	names  FirstUse
	tokens *OIDC
	signer jose.Signer
}

// NewDevelopment makes the issuer whose key has a seed of 32 bytes: processes
// with the same seed take each other's tokens.
func NewDevelopment(seed []byte, names Names) (*Development, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("accounts: a seed of another size")
	}
	key := ed25519.NewKeyFromSeed(seed)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	if err != nil {
		return nil, err
	}
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Public()}}
	return &Development{
		names:  FirstUse{names},
		tokens: newOIDC(OIDCConfig{Issuer: developmentIssuer, Audience: developmentAudience}, keys, []string{oidc.EdDSA}),
		signer: signer,
	}, nil
}

// Issue makes a token for a name, if the secret is the name's.
func (d *Development) Issue(ctx context.Context, name, secret string) (token string, expires time.Time, err error) {
	if _, err := d.names.Authenticate(ctx, name, secret); err != nil {
		return "", time.Time{}, err
	}
	now := time.Now()
	expires = now.Add(developmentLifetime).Truncate(time.Second)
	token, err = jwt.Signed(d.signer).Claims(jwt.Claims{
		Issuer:   developmentIssuer,
		Audience: jwt.Audience{developmentAudience},
		Subject:  name,
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(expires),
	}).Serialize()
	return token, expires, err
}

// Authenticate implements Authenticator. What looks like a token is one, and
// everything else a secret.
func (d *Development) Authenticate(ctx context.Context, name, token string) (Account, error) {
	if strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2 {
		return d.tokens.Authenticate(ctx, name, token)
	}
	return d.names.Authenticate(ctx, name, token)
}

// ServeHTTP issues tokens: POST of {"name", "secret"} gives {"token", "expires"},
// the latter in seconds since 1970. It insists on JSON, which a page of another
// origin cannot send unasked.
func (d *Development) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "the body has to be application/json", http.StatusUnsupportedMediaType)
		return
	}
	var asked struct{ Name, Secret string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&asked); err != nil {
		http.Error(w, "not a name and a secret", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	token, expires, err := d.Issue(ctx, asked.Name, asked.Secret)
	switch {
	case errors.Is(err, ErrTaken):
		http.Error(w, "the name belongs to another secret", http.StatusForbidden)
	case errors.Is(err, ErrName), errors.Is(err, ErrToken):
		http.Error(w, "not a name and a secret of 16 to 256 bytes", http.StatusBadRequest)
	case err != nil:
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(struct {
			Token   string `json:"token"`
			Expires int64  `json:"expires"`
		}{token, expires.Unix()})
	}
}
