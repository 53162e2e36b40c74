// Package x509auth is an Authenticator for X.509 credentials (RFC 9420, Section
// 5.3): it accepts a chain that leads to a root of the application's, by
// crypto/x509 and RFC 5280.
//
// It owns path validation and the comparison of identities in certificates.
// That the leaf certificate's key is the leaf node's signature key is checked
// by package mls itself, before anyone is asked. In a browser it is a program of
// its own (wasm/x509): crypto/x509 would add 0.44 MB of brotli to webmls.wasm.
package x509auth

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"strconv"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
)

// maxChain is the largest number of certificates in a credential.
const maxChain = 10

// maxRSABits is the size of the largest RSA key, as crypto/tls has it: whoever
// makes a chain chooses its keys, and the time for a signature grows with
// the square of their size.
const maxRSABits = 8192

// Authenticator implements mls.Authenticator and mls.Identifier. Roots is
// required.
type Authenticator struct {
	// Roots are the trust anchors. The system's roots are never used.
	Roots *x509.CertPool
	// KeyUsages are the extended key usages of which a leaf certificate needs
	// one. Default: any.
	KeyUsages []x509.ExtKeyUsage
	// Now is the time at which chains are judged. Default: time.Now.
	Now func() time.Time
	// Name returns what the application calls the client of a certificate.
	// Default: SubjectName.
	Name func(*x509.Certificate) ([]byte, error)
	// Other is asked about credentials of other types. Default: they are refused.
	Other mls.Authenticator
}

// SubjectName names a client by the URIs, DNS names and mail addresses in its
// subject alternative name, or by its subject when it has none.
func SubjectName(c *x509.Certificate) ([]byte, error) {
	var names []string
	for _, u := range c.URIs {
		names = append(names, "uri:"+u.String())
	}
	for _, n := range c.DNSNames {
		names = append(names, "dns:"+n)
	}
	for _, n := range c.EmailAddresses {
		names = append(names, "mail:"+n)
	}
	if names == nil {
		return c.RawSubject, nil
	}
	slices.Sort(names)
	var id []byte
	for _, n := range names {
		id = strconv.AppendQuote(id, n) // no name can be made to look like two
	}
	return id, nil
}

// Authenticate implements mls.Authenticator. Code: CREDENTIAL_REJECTED.
func (a *Authenticator) Authenticate(ctx context.Context, claims []mls.Claim) error {
	var others []mls.Claim
	for i := range claims {
		if claims[i].Credential.Type != message.CredentialX509 {
			others = append(others, claims[i])
			continue
		}
		if _, err := a.verify(&claims[i]); err != nil {
			return err
		}
	}
	if others == nil {
		return nil
	}
	if a.Other == nil {
		return mlserr.New(mlserr.CredentialRejected, "not an X.509 credential")
	}
	return a.Other.Authenticate(ctx, others)
}

// Succeeds implements mls.Authenticator: a client takes its own place only.
// The old certificate may have expired; the new one is judged by Authenticate.
func (a *Authenticator) Succeeds(ctx context.Context, old, next mls.Claim) error {
	oldX509, nextX509 := old.Credential.Type == message.CredentialX509, next.Credential.Type == message.CredentialX509
	if !oldX509 && !nextX509 && a.Other != nil {
		return a.Other.Succeeds(ctx, old, next)
	}
	if !oldX509 || !nextX509 {
		return mlserr.New(mlserr.SuccessorRejected, "another type of credential")
	}
	before, err := a.nameOf(&old)
	if err != nil {
		return err
	}
	after, err := a.nameOf(&next)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return mlserr.New(mlserr.SuccessorRejected, "the certificate names another client")
	}
	return nil
}

// Identify implements mls.Identifier.
func (a *Authenticator) Identify(ctx context.Context, claim mls.Claim) ([]byte, error) {
	if claim.Credential.Type == message.CredentialX509 {
		return a.nameOf(&claim)
	}
	if other, ok := a.Other.(mls.Identifier); ok {
		return other.Identify(ctx, claim)
	}
	return claim.Credential.Identity, nil
}

func (a *Authenticator) nameOf(claim *mls.Claim) ([]byte, error) {
	chain, err := parse(claim)
	if err != nil {
		return nil, err
	}
	return a.name(chain[0])
}

func (a *Authenticator) name(c *x509.Certificate) ([]byte, error) {
	if a.Name != nil {
		return a.Name(c)
	}
	return SubjectName(c)
}

// parse decodes the chain of a credential.
func parse(claim *mls.Claim) ([]*x509.Certificate, error) {
	ders := claim.Credential.Certificates
	if len(ders) == 0 || len(ders) > maxChain {
		return nil, mlserr.New(mlserr.CredentialRejected, "certificates in the chain: "+strconv.Itoa(len(ders)))
	}
	chain := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, mlserr.Wrap(mlserr.CredentialRejected, "certificate "+strconv.Itoa(i), err)
		}
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return nil, mlserr.New(mlserr.CredentialRejected, "certificate "+strconv.Itoa(i)+": RSA key of "+strconv.Itoa(key.N.BitLen())+" bits")
		}
		chain[i] = c
	}
	return chain, nil
}

// verify builds and checks a path from the first certificate to a root.
func (a *Authenticator) verify(claim *mls.Claim) (*x509.Certificate, error) {
	chain, err := parse(claim)
	if err != nil {
		return nil, err
	}
	if a.Roots == nil {
		return nil, mlserr.New(mlserr.CredentialRejected, "no roots")
	}
	// Each certificate certifies the one before it (RFC 9420, Section 5.3).
	for i := 1; i < len(chain); i++ {
		if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
			return nil, mlserr.Wrap(mlserr.CredentialRejected, "certificate "+strconv.Itoa(i), err)
		}
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	usages := a.KeyUsages
	if usages == nil {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	now := time.Now()
	if a.Now != nil {
		now = a.Now()
	}
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots:         a.Roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     usages,
	})
	if err != nil {
		return nil, mlserr.Wrap(mlserr.CredentialRejected, "path validation", err)
	}
	return chain[0], nil
}
