package x509auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/x509auth"
)

// named issues a certificate to a subject, with what else a template says.
func (a *authority) named(template x509.Certificate) message.Credential {
	a.t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c := issue(a.t, &template, a.cert, public, a.key)
	return message.Credential{Type: message.CredentialX509, Certificates: append([][]byte{c.Raw}, a.up...)}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// others is an Authenticator and Identifier of basic credentials that remembers what it is asked.
type others struct {
	asked  []mls.Claim
	answer error
}

func (o *others) Authenticate(_ context.Context, claims []mls.Claim) error {
	o.asked = append(o.asked, claims...)
	return o.answer
}

func (o *others) Succeeds(_ context.Context, old, next mls.Claim) error {
	o.asked = append(o.asked, old, next)
	return o.answer
}

func (o *others) Identify(_ context.Context, claim mls.Claim) ([]byte, error) {
	return append([]byte("other:"), claim.Credential.Identity...), o.answer
}

// notIdentifier hides that others is an Identifier.
type notIdentifier struct{ mls.Authenticator }

func claimOf(c message.Credential) mls.Claim { return mls.Claim{Credential: c} }

func basic(name string) mls.Claim { return claimOf(message.BasicCredential([]byte(name))) }

// TestIdentify: a client is called by its alternative names in order, whatever their order in
// the certificate, and by its subject when it has none; no name can be made to look like two.
func TestIdentify(t *testing.T) {
	root := newRoot(t, "root")
	a := &x509auth.Authenticator{}
	identify := func(c x509.Certificate) string {
		t.Helper()
		id, err := a.Identify(ctx, claimOf(root.named(c)))
		if err != nil {
			t.Fatal(err)
		}
		return string(id)
	}
	want := `"dns:a.example""dns:b.example""mail:a@example.com""uri:https://example.com/a"`
	for _, dns := range [][]string{{"a.example", "b.example"}, {"b.example", "a.example"}} {
		got := identify(x509.Certificate{
			Subject: pkix.Name{CommonName: "ignored"}, DNSNames: dns, EmailAddresses: []string{"a@example.com"},
			URIs: []*url.URL{mustURL(t, "https://example.com/a")},
		})
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	one, two := identify(x509.Certificate{DNSNames: []string{`a""dns:b`}}), identify(x509.Certificate{DNSNames: []string{"a", "b"}})
	if one == two {
		t.Errorf("one name and two are both %s", one)
	}
	alice, bob := identify(x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}), identify(x509.Certificate{Subject: pkix.Name{CommonName: "bob"}})
	if alice == bob || !bytes.Contains([]byte(alice), []byte("alice")) {
		t.Errorf("subjects %q and %q", alice, bob)
	}

	_, err := a.Identify(ctx, claimOf(message.Credential{Type: message.CredentialX509, Certificates: [][]byte{{0x30, 0}}}))
	wantCode(t, err, mlserr.CredentialRejected)
	_, err = a.Identify(ctx, claimOf(message.Credential{Type: message.CredentialX509}))
	wantCode(t, err, mlserr.CredentialRejected)

	// Other types are the other's to name, if it names any.
	if id, err := a.Identify(ctx, basic("bob")); err != nil || string(id) != "bob" {
		t.Errorf("nobody to ask: %q %v", id, err)
	}
	a.Other = &others{}
	if id, err := a.Identify(ctx, basic("bob")); err != nil || string(id) != "other:bob" {
		t.Errorf("an Identifier: %q %v", id, err)
	}
	a.Other = notIdentifier{a.Other}
	if id, err := a.Identify(ctx, basic("bob")); err != nil || string(id) != "bob" {
		t.Errorf("no Identifier: %q %v", id, err)
	}
}

// TestSucceeds: a client takes its own place, whatever it is called by; what is called
// nothing, or has another type of credential, takes nobody's.
func TestSucceeds(t *testing.T) {
	root := newRoot(t, "root")
	device := func(serial string) mls.Claim {
		return claimOf(root.named(x509.Certificate{Subject: pkix.Name{CommonName: "alice", SerialNumber: serial}}))
	}
	first, second := device("1"), device("2")
	a := &x509auth.Authenticator{}
	wantCode(t, a.Succeeds(ctx, first, second), mlserr.SuccessorRejected)
	if err := a.Succeeds(ctx, first, first); err != nil {
		t.Error(err)
	}

	a.Name = func(c *x509.Certificate) ([]byte, error) { return []byte(c.Subject.CommonName), nil }
	if err := a.Succeeds(ctx, first, second); err != nil {
		t.Errorf("the same name of the application's: %v", err)
	}
	nameless := errors.New("nameless")
	a.Name = func(c *x509.Certificate) ([]byte, error) {
		if c.Subject.SerialNumber == "2" {
			return nil, nameless
		}
		return []byte("x"), nil
	}
	for _, pair := range [][2]mls.Claim{{first, second}, {second, first}} {
		if err := a.Succeeds(ctx, pair[0], pair[1]); !errors.Is(err, nameless) {
			t.Errorf("no name: %v", err)
		}
	}

	other := &others{}
	a.Other = other
	wantCode(t, a.Succeeds(ctx, first, basic("alice")), mlserr.SuccessorRejected)
	wantCode(t, a.Succeeds(ctx, basic("alice"), first), mlserr.SuccessorRejected)
	if other.asked != nil {
		t.Error("the other is asked about certificates")
	}
	if err := a.Succeeds(ctx, basic("alice"), basic("alice")); err != nil || len(other.asked) != 2 {
		t.Errorf("%v, of %d claims", err, len(other.asked))
	}
	a.Other = nil
	wantCode(t, a.Succeeds(ctx, basic("alice"), basic("alice")), mlserr.SuccessorRejected)
}

// TestAuthenticateOptions: without roots nobody is accepted; usages and the time are the
// application's; the other is asked about exactly what is no certificate.
func TestAuthenticateOptions(t *testing.T) {
	root := newRoot(t, "root")
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	good := claimOf(root.named(x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}))
	authenticate := func(a *x509auth.Authenticator, claims ...mls.Claim) error { return a.Authenticate(ctx, claims) }

	wantCode(t, authenticate(&x509auth.Authenticator{}, good), mlserr.CredentialRejected)
	if err := authenticate(&x509auth.Authenticator{Roots: roots}, good); err != nil {
		t.Error(err)
	}
	usages := func(u x509.ExtKeyUsage) []x509.ExtKeyUsage { return []x509.ExtKeyUsage{u} }
	if err := authenticate(&x509auth.Authenticator{Roots: roots, KeyUsages: usages(x509.ExtKeyUsageClientAuth)}, good); err != nil {
		t.Error(err)
	}
	wantCode(t, authenticate(&x509auth.Authenticator{Roots: roots, KeyUsages: usages(x509.ExtKeyUsageServerAuth)}, good), mlserr.CredentialRejected)
	for _, at := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		a := &x509auth.Authenticator{Roots: roots, Now: func() time.Time { return time.Now().Add(at) }}
		wantCode(t, authenticate(a, good), mlserr.CredentialRejected)
	}

	wantCode(t, authenticate(&x509auth.Authenticator{Roots: roots}, good, basic("bob")), mlserr.CredentialRejected)
	other := &others{}
	if err := authenticate(&x509auth.Authenticator{Roots: roots, Other: other}, basic("alice"), good, basic("bob")); err != nil {
		t.Error(err)
	}
	if len(other.asked) != 2 || string(other.asked[0].Credential.Identity) != "alice" || string(other.asked[1].Credential.Identity) != "bob" {
		t.Errorf("the other was asked about %v", other.asked)
	}
	other.answer = mlserr.New(mlserr.CredentialRejected, "unknown")
	wantCode(t, authenticate(&x509auth.Authenticator{Roots: roots, Other: other}, good, basic("bob")), mlserr.CredentialRejected)

	// A chain of ten certificates is read, one of eleven is not.
	long := good.Credential
	for len(long.Certificates) < 11 {
		long.Certificates = append(long.Certificates, root.cert.Raw)
	}
	ten := long
	ten.Certificates = ten.Certificates[:10]
	if err := authenticate(&x509auth.Authenticator{Roots: roots}, claimOf(ten)); err != nil {
		t.Errorf("ten: %v", err)
	}
	wantCode(t, authenticate(&x509auth.Authenticator{Roots: roots}, claimOf(long)), mlserr.CredentialRejected)
}
