package accounts

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// names is the store's ClaimUser, in memory.
type names struct {
	mu     sync.Mutex
	secret map[string]string
	err    error
}

func (n *names) ClaimUser(_ context.Context, user, secret string) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return false, n.err
	}
	if n.secret == nil {
		n.secret = make(map[string]string)
	}
	if _, ok := n.secret[user]; !ok {
		n.secret[user] = secret
	}
	return n.secret[user] == secret, nil
}

const secret = "0123456789abcdef"

func TestFirstUse(t *testing.T) {
	f := FirstUse{new(names)}
	for _, c := range []struct {
		name, secret string
		want         error
	}{
		{"alice", secret, nil},
		{"alice", secret, nil},
		{"alice", secret + "0", ErrTaken},
		{"bob", secret[:15], ErrToken},
		{"bob", strings.Repeat("s", 257), ErrToken},
		{"bob", strings.Repeat("s", 256), nil},
		{"", secret, ErrName},
		{" alice", secret, ErrName},
		{"al\u202eice", secret, ErrName},
		{strings.Repeat("n", 129), secret, ErrName},
		{strings.Repeat("n", 128), secret, nil},
	} {
		got, err := f.Authenticate(t.Context(), c.name, c.secret)
		if !errors.Is(err, c.want) || err == nil && got != (Account{Name: c.name}) {
			t.Errorf("%q: %+v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func development(t *testing.T, seed byte, n Names) *Development {
	t.Helper()
	d, err := NewDevelopment(bytes.Repeat([]byte{seed}, 32), n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDevelopment(t *testing.T) {
	n := new(names)
	d, other, foreign := development(t, 1, n), development(t, 1, n), development(t, 2, n)
	token, expires, err := d.Issue(t.Context(), "alice", secret)
	if err != nil || time.Until(expires) < developmentLifetime-time.Minute || time.Until(expires) > developmentLifetime {
		t.Fatalf("issued until %v, %v", expires, err)
	}
	for _, name := range []string{"alice", ""} {
		// Another process with the same seed takes it too.
		if got, err := other.Authenticate(t.Context(), name, token); err != nil || got.Name != "alice" || !got.Expires.Equal(expires) {
			t.Errorf("as %q: %+v, %v", name, got, err)
		}
	}
	signature := strings.LastIndexByte(token, '.')
	for what, c := range map[string]struct {
		d           *Development
		name, token string
	}{
		"another key":       {foreign, "alice", token},
		"another name":      {d, "bob", token},
		"no signature":      {d, "alice", token[:signature+1]},
		"changed signature": {d, "alice", token[:signature+1] + "AAAA" + token[signature+5:]},
		"nothing":           {d, "alice", ""},
	} {
		if got, err := c.d.Authenticate(t.Context(), c.name, c.token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if _, _, err := d.Issue(t.Context(), "alice", secret+"x"); !errors.Is(err, ErrTaken) {
		t.Errorf("another secret: %v", err)
	}
	if got, err := d.Authenticate(t.Context(), "alice", secret); err != nil || got.Name != "alice" {
		t.Errorf("the secret itself: %+v, %v", got, err)
	}
	if _, err := NewDevelopment(nil, n); err == nil {
		t.Error("an issuer without a seed")
	}
}

func TestDevelopmentOverHTTP(t *testing.T) {
	n := new(names)
	d := development(t, 1, n)
	post := func(kind, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/development/token", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		return w
	}
	w := post("application/json; charset=utf-8", `{"name":"alice","secret":"`+secret+`"}`)
	var issued struct {
		Token   string
		Expires int64
	}
	if err := json.Unmarshal(w.Body.Bytes(), &issued); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got, err := d.Authenticate(t.Context(), "alice", issued.Token); err != nil || got.Expires.Unix() != issued.Expires {
		t.Errorf("%+v, %v", got, err)
	}
	for body, want := range map[string]int{
		`{"name":"alice","secret":"` + secret + `x"}`:              http.StatusForbidden,
		`{"name":"alice","secret":"short"}`:                        http.StatusBadRequest,
		`{"secret":"` + secret + `"}`:                              http.StatusBadRequest,
		`{"name":"` + strings.Repeat("x", 5000) + `","secret":""}`: http.StatusBadRequest,
		`not json`: http.StatusBadRequest,
	} {
		if w := post("application/json", body); w.Code != want {
			t.Errorf("%.40s: %d", body, w.Code)
		}
	}
	// What a form of any page could send.
	if w := post("text/plain", `{"name":"bob","secret":"`+secret+`"}`); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: %d", w.Code)
	}
	n.err = errors.New("no store")
	if w := post("application/json", `{"name":"alice","secret":"`+secret+`"}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a store: %d", w.Code)
	}
}

// provider is an OpenID Connect provider with one key.
type provider struct {
	*httptest.Server
	key     atomic.Pointer[ecdsa.PrivateKey]
	broken  atomic.Bool
	fetched atomic.Int32 // how often the keys were
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := new(provider)
	p.newKey(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.fetched.Add(1)
		if p.broken.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: p.key.Load().Public(), Algorithm: "ES256", Use: "sig"}}})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) newKey(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.key.Store(key)
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOIDC(t *testing.T) {
	p := newProvider(t)
	verifier := func(claim string) *OIDC {
		o, err := NewOIDC(t.Context(), OIDCConfig{Issuer: p.URL, Audience: "chat", NameClaim: claim})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	bySub, byMail := verifier(""), verifier("email")
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	good := map[string]any{"iss": p.URL, "aud": "chat", "sub": "u-17", "email": "alice@example.com", "email_verified": true, "exp": expires.Unix()}
	but := func(name string, value any) map[string]any {
		claims := make(map[string]any)
		for n, v := range good {
			claims[n] = v
		}
		claims[name] = value
		return claims
	}
	es256 := func(claims map[string]any) string { return sign(t, jose.ES256, p.key.Load(), claims) }

	if got, err := bySub.Authenticate(t.Context(), "", es256(good)); err != nil || got.Name != "u-17" || !got.Expires.Equal(expires) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := byMail.Authenticate(t.Context(), "alice@example.com", es256(good)); err != nil || got.Name != "alice@example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := p.key.Load().PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		o           *OIDC
		name, token string
		want        error
	}{
		"another name":        {bySub, "alice", es256(good), ErrToken},
		"another issuer":      {bySub, "", es256(but("iss", "https://elsewhere.example")), ErrToken},
		"another audience":    {bySub, "", es256(but("aud", "mail")), ErrToken},
		"expired":             {bySub, "", es256(but("exp", time.Now().Add(-time.Minute).Unix())), ErrToken},
		"no name":             {bySub, "", es256(but("sub", "")), ErrName},
		"a name of two lines": {bySub, "", es256(but("sub", "a\nb")), ErrName},
		"a stranger's key":    {bySub, "", sign(t, jose.ES256, stranger, good), ErrToken},
		"another algorithm":   {bySub, "", sign(t, jose.EdDSA, ed, good), ErrToken},
		// The classic: the public key taken for a shared one.
		"a shared key":        {bySub, "", sign(t, jose.HS256, point, good), ErrToken},
		"mail not verified":   {byMail, "", es256(but("email_verified", false)), ErrToken},
		"mail not said to be": {byMail, "", es256(but("email_verified", "true")), ErrToken},
		"no token":            {bySub, "u-17", "0123456789abcdef", ErrToken},
	} {
		if got, err := c.o.Authenticate(t.Context(), c.name, c.token); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}

	// The provider changes its key; while it does not tell, nothing is refused for good.
	p.newKey(t)
	p.broken.Store(true)
	if _, err := bySub.Authenticate(t.Context(), "", es256(good)); err == nil || errors.Is(err, ErrToken) {
		t.Errorf("without the provider's keys: %v", err)
	}
	p.broken.Store(false)
	if got, err := bySub.Authenticate(t.Context(), "", es256(good)); err != nil || got.Name != "u-17" {
		t.Errorf("with the new key: %+v, %v", got, err)
	}
}

// Tokens that anybody makes up do not have the provider asked for each of them; who
// shows a good one meanwhile is let in.
func TestForgedTokensSpareTheProvider(t *testing.T) {
	p := newProvider(t)
	o, err := NewOIDC(t.Context(), OIDCConfig{Issuer: p.URL, Audience: "chat"})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"iss": p.URL, "aud": "chat", "sub": "u-17", "exp": time.Now().Add(time.Hour).Unix()}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged, good := sign(t, jose.ES256, stranger, claims), sign(t, jose.ES256, p.key.Load(), claims)
	for range 50 {
		if _, err := o.Authenticate(t.Context(), "", forged); !errors.Is(err, ErrToken) {
			t.Fatal(err)
		}
		if got, err := o.Authenticate(t.Context(), "", good); err != nil || got.Name != "u-17" {
			t.Fatal(got, err)
		}
	}
	if n := p.fetched.Load(); n > fetchBurst+2 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestOIDCWithoutProvider(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := NewOIDC(t.Context(), OIDCConfig{Issuer: server.URL, Audience: "chat"}); err == nil {
		t.Error("a provider that is none")
	}
}
