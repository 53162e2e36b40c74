package x509auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/treemath"
	"webmls/mls/x509auth"
)

var ctx = context.Background()

// authority is a root, or an intermediate, that issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  ed25519.PrivateKey
	up   [][]byte // certificates from this one to below the root
}

func newRoot(t *testing.T, name string) *authority {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := caTemplate(name)
	return &authority{t: t, cert: issue(t, template, template, public, key), key: key}
}

func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

func issue(t *testing.T, template, parent *x509.Certificate, public any, key ed25519.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) intermediate(name string) *authority {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	c := issue(a.t, caTemplate(name), a.cert, public, a.key)
	return &authority{t: a.t, cert: c, key: key, up: append([][]byte{c.Raw}, a.up...)}
}

// credential issues a chain for a key.
func (a *authority) credential(mail string, public any, until time.Duration) message.Credential {
	c := issue(a.t, &x509.Certificate{
		SerialNumber:   big.NewInt(time.Now().UnixNano()),
		EmailAddresses: []string{mail},
		NotBefore:      time.Now().Add(-time.Hour),
		NotAfter:       time.Now().Add(until),
		KeyUsage:       x509.KeyUsageDigitalSignature,
	}, a.cert, public, a.key)
	return message.Credential{Type: message.CredentialX509, Certificates: append([][]byte{c.Raw}, a.up...)}
}

// publicKey reads a SignaturePublicKey as crypto/x509 knows it.
func publicKey(t *testing.T, key suite.SignatureKey) any {
	switch b := key.Public(); len(b) {
	case ed25519.PublicKeySize:
		return ed25519.PublicKey(b)
	default:
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
		if err != nil {
			t.Fatal(err)
		}
		return public
	}
}

func newClient(t *testing.T, root *authority) *mls.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	c, err := mls.Open(ctx, mls.Config{
		Keys: softkeys.New(), Store: mls.NewMemoryStore(), Authenticator: &x509auth.Authenticator{Roots: roots},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newIdentity(t *testing.T, c *mls.Client, id suite.ID, a *authority, mail string, until time.Duration) *mls.Identity {
	t.Helper()
	identity, err := c.IssueIdentity(ctx, id, func(_ context.Context, key suite.SignatureKey) (message.Credential, error) {
		return a.credential(mail, publicKey(t, key), until), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func keyPackage(t *testing.T, c *mls.Client, identity *mls.Identity) []byte {
	t.Helper()
	list, err := c.CreateKeyPackages(ctx, identity.ID(), 1, mls.KeyPackageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

func wantCode(t *testing.T, err error, code mlserr.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want %s", err, code)
	}
}

func TestGroupOfCertificates(t *testing.T) {
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.P256AES128SHA256P256} {
		t.Run(id.String(), func(t *testing.T) {
			root := newRoot(t, "root")
			a := root.intermediate("first").intermediate("second")
			alice, bob := newClient(t, root), newClient(t, root)
			aliceID := newIdentity(t, alice, id, a, "alice@example.com", time.Hour)
			group, err := alice.CreateGroup(ctx, aliceID.ID(), mls.GroupOptions{})
			if err != nil {
				t.Fatal(err)
			}
			bobID := newIdentity(t, bob, id, a, "bob@example.com", time.Hour)
			r, err := group.Add(ctx, keyPackage(t, bob, bobID))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := group.ApplyPendingCommit(ctx); err != nil {
				t.Fatal(err)
			}
			bobs, err := bob.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
			if err != nil {
				t.Fatal(err)
			}

			// Bob renews his certificate, with another key; then he tries to become Alice.
			renewed := newIdentity(t, bob, id, root, "bob@example.com", time.Hour)
			r, err = bobs.Commit(ctx, mls.CommitOptions{Identity: renewed.ID()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := group.Receive(ctx, r.Commit); err != nil {
				t.Fatal(err)
			}
			if _, err := bobs.ApplyPendingCommit(ctx); err != nil {
				t.Fatal(err)
			}
			mallory := newIdentity(t, bob, id, root, "alice@example.com", time.Hour)
			r, err = bobs.Commit(ctx, mls.CommitOptions{Identity: mallory.ID()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = group.Receive(ctx, r.Commit)
			wantCode(t, err, mlserr.SuccessorRejected)
		})
	}
}

func TestRefused(t *testing.T) {
	const id = suite.X25519AES128SHA256Ed25519
	root, stranger := newRoot(t, "root"), newRoot(t, "root")
	alice := newClient(t, root)
	aliceID := newIdentity(t, alice, id, root, "alice@example.com", time.Hour)
	group, err := alice.CreateGroup(ctx, aliceID.ID(), mls.GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bob := newClient(t, root)
	for name, a := range map[string]struct {
		authority *authority
		until     time.Duration
	}{
		"another root":                  {stranger, time.Hour},
		"expired":                       {root, -time.Minute},
		"an intermediate of a stranger": {stranger.intermediate("x"), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bobID := newIdentity(t, bob, id, a.authority, "bob@example.com", a.until)
			_, err := group.Add(ctx, keyPackage(t, bob, bobID))
			wantCode(t, err, mlserr.CredentialRejected)
		})
	}
	t.Run("a basic credential", func(t *testing.T) {
		bobID, err := bob.CreateIdentity(ctx, id, message.BasicCredential([]byte("bob")))
		if err != nil {
			t.Fatal(err)
		}
		_, err = group.Add(ctx, keyPackage(t, bob, bobID))
		wantCode(t, err, mlserr.CredentialRejected)
	})
	t.Run("the certificate of another key", func(t *testing.T) { // L13, S8
		_, err := bob.CreateIdentity(ctx, id, aliceID.Credential())
		wantCode(t, err, mlserr.CredentialRejected)
	})
	t.Run("RSA keys that take long", func(t *testing.T) {
		auth := &x509auth.Authenticator{Roots: x509.NewCertPool()}
		auth.Roots.AddCert(root.cert)
		for bits, refused := range map[uint]bool{8192: false, 8193: true, 1 << 17: true} {
			n := new(big.Int).Lsh(big.NewInt(1), bits-1)
			key := &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
			err := auth.Authenticate(ctx, []mls.Claim{{Credential: root.credential("bob@example.com", key, time.Hour)}})
			if (err != nil) != refused {
				t.Errorf("%d bits: %v", bits, err)
			}
			if refused {
				wantCode(t, err, mlserr.CredentialRejected)
			}
		}
	})
	t.Run("certificates that do not follow from each other", func(t *testing.T) {
		other := root.intermediate("other")
		_, key, _ := ed25519.GenerateKey(nil)
		c := root.credential("bob@example.com", key.Public(), time.Hour)
		c.Certificates = append(c.Certificates, other.cert.Raw)
		auth := &x509auth.Authenticator{Roots: x509.NewCertPool()}
		auth.Roots.AddCert(root.cert)
		err := auth.Authenticate(ctx, []mls.Claim{{Credential: c, Leaf: treemath.LeafIndex(0)}})
		wantCode(t, err, mlserr.CredentialRejected)
	})
}
