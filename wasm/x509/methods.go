//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strconv"
	"syscall/js"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/x509auth"
)

// judge is what this program asks, from open on.
var judge x509auth.Authenticator

// keyUsages are the extended key usages of RFC 5280, Section 4.2.1.12, by
// their names there.
var keyUsages = map[string]x509.ExtKeyUsage{
	"any":             x509.ExtKeyUsageAny,
	"serverAuth":      x509.ExtKeyUsageServerAuth,
	"clientAuth":      x509.ExtKeyUsageClientAuth,
	"codeSigning":     x509.ExtKeyUsageCodeSigning,
	"emailProtection": x509.ExtKeyUsageEmailProtection,
	"timeStamping":    x509.ExtKeyUsageTimeStamping,
	"OCSPSigning":     x509.ExtKeyUsageOCSPSigning,
}

// open takes the roots, each in DER or any number in PEM, and names of key
// usages. Code: INVALID_ARGUMENT.
func open(params []js.Value) (any, error) {
	roots, usages := params[0], params[1]
	opened := x509auth.Authenticator{Roots: x509.NewCertPool()}
	for i := range roots.Length() {
		if err := addRoots(opened.Roots, bytesOf(roots.Index(i))); err != nil {
			return nil, mlserr.Wrap(mlserr.InvalidArgument, "roots["+strconv.Itoa(i)+"]", err)
		}
	}
	for i := range usages.Length() {
		usage, ok := keyUsages[usages.Index(i).String()]
		if !ok {
			return nil, mlserr.New(mlserr.InvalidArgument, "keyUsages["+strconv.Itoa(i)+"]: no such usage")
		}
		opened.KeyUsages = append(opened.KeyUsages, usage)
	}
	judge = opened
	return nil, nil
}

// addRoots adds a certificate in DER, or those of a text in PEM. Unlike
// AppendCertsFromPEM it skips nothing: what was given as a root is one.
func addRoots(pool *x509.CertPool, b []byte) error {
	begun := bytes.Count(b, []byte("-----BEGIN "))
	if begun == 0 {
		return addRoot(pool, b)
	}
	for ; begun > 0; begun-- {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return errors.New("malformed PEM")
		}
		if block.Type != "CERTIFICATE" {
			return errors.New("PEM of a " + block.Type)
		}
		if err := addRoot(pool, block.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func addRoot(pool *x509.CertPool, der []byte) error {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	pool.AddCert(c)
	return nil
}

// authenticate judges a list of chains. It returns an array: for each chain
// null, or why it is refused.
func authenticate(params []js.Value) (any, error) {
	chains := params[0]
	verdicts := make([]any, chains.Length())
	for i := range verdicts {
		claim := claimOf(chains.Index(i))
		if err := judge.Authenticate(context.Background(), []mls.Claim{claim}); err != nil {
			verdicts[i] = faultValue(err)
		}
	}
	return verdicts, nil
}

// succeeds judges whether the client of the second chain may take the place of
// that of the first. Code: SUCCESSOR_REJECTED.
func succeeds(params []js.Value) (any, error) {
	return nil, judge.Succeeds(context.Background(), claimOf(params[0]), claimOf(params[1]))
}

// identify names the client of a chain. Code: CREDENTIAL_REJECTED.
func identify(params []js.Value) (any, error) {
	name, err := judge.Identify(context.Background(), claimOf(params[0]))
	if err != nil {
		return nil, err
	}
	v := uint8Array.New(len(name))
	js.CopyBytesToJS(v, name)
	return v, nil
}

// claimOf is a claim with a chain, an array of certificates. The rest of a
// claim is nothing that x509auth looks at: the leaf's key was compared with
// that of the certificate before (package mls).
func claimOf(chain js.Value) mls.Claim {
	certificates := make([][]byte, chain.Length())
	for i := range certificates {
		certificates[i] = bytesOf(chain.Index(i))
	}
	return mls.Claim{Credential: message.Credential{Type: message.CredentialX509, Certificates: certificates}}
}
