package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// OIDCConfig says whose ID tokens are taken (OpenID Connect Core 1.0, Section 2).
type OIDCConfig struct {
	Issuer   string // its URL, as in the tokens
	Audience string // the client id that the tokens are for
	// NameClaim is the claim that is the user's name: "sub", where empty. It
	// must be one that the provider gives to one user only and that users cannot
	// choose. "email" is taken only where "email_verified" is true.
	NameClaim string
}

// OIDC verifies tokens of an OpenID Connect provider.
type OIDC struct {
	verifier *oidc.IDTokenVerifier
	claim    string
}

// NewOIDC asks the provider for its configuration (OpenID Connect Discovery 1.0).
// The keys are fetched when they are needed, and again when they change.
func NewOIDC(ctx context.Context, config OIDCConfig) (*OIDC, error) {
	client := &http.Client{Timeout: 10 * time.Second}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("provider of accounts: %w", err)
	}
	var about struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&about); err != nil {
		return nil, fmt.Errorf("provider of accounts: %w", err)
	}
	// The set of keys outlives the context of the start.
	client = &http.Client{Timeout: client.Timeout, Transport: &sparing{
		base: http.DefaultTransport, limit: rate.NewLimiter(rate.Every(fetchInterval), fetchBurst)}}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), about.Keys)
	return newOIDC(config, remoteKeys{keys}, asymmetric(about.Algorithms)), nil
}

func newOIDC(config OIDCConfig, keys oidc.KeySet, algorithms []string) *OIDC {
	claim := config.NameClaim
	if claim == "" {
		claim = "sub"
	}
	return &OIDC{
		verifier: oidc.NewVerifier(config.Issuer, keys, &oidc.Config{
			ClientID:             config.Audience,
			SupportedSigningAlgs: algorithms,
		}),
		claim: claim,
	}
}

// asymmetric leaves out algorithms that a token of a set of public keys cannot
// have: "none", and those whose key the service would share.
func asymmetric(algorithms []string) []string {
	var kept []string
	for _, algorithm := range algorithms {
		switch algorithm {
		case oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
			oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA:
			kept = append(kept, algorithm)
		}
	}
	if len(kept) == 0 {
		return []string{oidc.RS256} // which every provider has
	}
	return kept
}

// errKeys says that a token could not be checked, for want of the provider's keys.
var errKeys = errors.New("accounts: the provider's keys could not be fetched")

// The provider is asked for its keys for each token that the known ones have not
// signed, which anybody can make up: so many times at once, and then this often.
const (
	fetchBurst    = 8
	fetchInterval = 5 * time.Second
)

// sparing asks a server for one thing, and not too often: in between it gives the
// last answer again.
type sparing struct {
	base  http.RoundTripper
	limit *rate.Limiter

	mu   sync.Mutex
	last []byte
}

// RoundTrip implements http.RoundTripper.
func (s *sparing) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last != nil && !s.limit.Allow() {
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: make(http.Header), ContentLength: int64(len(last)), Body: io.NopCloser(bytes.NewReader(last)), Request: r,
		}, nil
	}
	response, err := s.base.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.last = body
	s.mu.Unlock()
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

type keysFailed struct{}

// remoteKeys notes in the context where fetching the keys failed, which the
// verifier's error does not tell from a bad signature.
type remoteKeys struct{ oidc.KeySet }

func (k remoteKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, token)
	if err != nil && strings.Contains(err.Error(), "fetching keys") {
		if failed, ok := ctx.Value(keysFailed{}).(*bool); ok {
			*failed = true
		}
	}
	return payload, err
}

// Authenticate implements Authenticator.
func (o *OIDC) Authenticate(ctx context.Context, name, token string) (Account, error) {
	failed := false
	verified, err := o.verifier.Verify(context.WithValue(ctx, keysFailed{}, &failed), token)
	switch {
	case failed:
		return Account{}, errKeys
	case err != nil && ctx.Err() != nil:
		return Account{}, ctx.Err()
	case err != nil:
		return Account{}, ErrToken
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		return Account{}, ErrToken
	}
	own, _ := claims[o.claim].(string)
	if o.claim == "email" && claims["email_verified"] != true {
		return Account{}, ErrToken
	}
	switch {
	case !ValidName(own):
		return Account{}, ErrName
	case name != "" && name != own:
		return Account{}, ErrToken
	}
	return Account{Name: own, Expires: verified.Expiry}, nil
}
