//go:build js && wasm

package main

import (
	"context"
	"strconv"
	"syscall/js"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// hostAuthenticator is mls.Authenticator over the interface HostAuthenticator
// of js/src/runtime.ts: the application's own functions.
type hostAuthenticator struct{ object js.Value }

// hostIdentifier is the same for an application that names its clients across
// groups: mls.Identifier too.
type hostIdentifier struct{ hostAuthenticator }

func newHostAuthenticator(object js.Value, identifies bool) mls.Authenticator {
	if identifies {
		return hostIdentifier{hostAuthenticator{object}}
	}
	return hostAuthenticator{object}
}

// Identify implements mls.Identifier. Where the application gives no name,
// equal credentials are the same client. Code: AUTHENTICATOR_FAILED.
func (a hostIdentifier) Identify(ctx context.Context, claim mls.Claim) ([]byte, error) {
	id, err := await(ctx, a.object, "identify", packClaims(claim))
	if err != nil {
		return nil, err
	}
	if id.IsUndefined() {
		return wire.Marshal(&claim.Credential), nil
	}
	return copyBytes(id), nil
}

// Authenticate implements mls.Authenticator. All claims cross in one call,
// which returns the index of a refused one, or -1. Codes: CREDENTIAL_REJECTED,
// AUTHENTICATOR_FAILED.
func (a hostAuthenticator) Authenticate(ctx context.Context, claims []mls.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	refused, err := await(ctx, a.object, "authenticate", packClaims(claims...))
	if err != nil {
		return err
	}
	if i := refused.Int(); i != -1 {
		return mlserr.New(mlserr.CredentialRejected, "claim "+strconv.Itoa(i)+" of "+strconv.Itoa(len(claims)))
	}
	return nil
}

// Succeeds implements mls.Authenticator. A client may always follow itself
// under the same credential: the new key was authenticated for it. Codes:
// SUCCESSOR_REJECTED, AUTHENTICATOR_FAILED.
func (a hostAuthenticator) Succeeds(ctx context.Context, old, next mls.Claim) error {
	if old.Credential.Equal(&next.Credential) {
		return nil
	}
	accepted, err := await(ctx, a.object, "succeeds", packClaims(old, next))
	if err != nil {
		return err
	}
	if !accepted.Bool() {
		return mlserr.New(mlserr.SuccessorRejected, "")
	}
	return nil
}

// packClaims makes one Uint8Array of claims, which js/src/decode.ts takes apart:
// an object each would cost more than the claim's signature does to verify. A
// claim is its leaf, the type of its credential and the number of byte strings
// that are the credential, then the group, the key, the place and these. Each
// byte string has its length in front; numbers are four bytes, little-endian.
func packClaims(claims ...mls.Claim) js.Value {
	b := make([]byte, 0, 256*len(claims))
	number := func(n int) { b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24)) }
	bytes := func(part []byte) {
		number(len(part))
		b = append(b, part...)
	}
	for i := range claims {
		c := &claims[i]
		contents := c.Credential.Certificates
		switch c.Credential.Type {
		case message.CredentialBasic:
			contents = [][]byte{c.Credential.Identity}
		case message.CredentialX509:
		default:
			contents = [][]byte{c.Credential.Data}
		}
		number(int(c.Leaf))
		number(int(c.Credential.Type))
		number(len(contents))
		bytes(c.GroupID)
		bytes(c.SignatureKey)
		bytes([]byte(c.Place))
		for _, part := range contents {
			bytes(part)
		}
	}
	return uint8ArrayOf(b)
}
