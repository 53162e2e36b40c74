//go:build js && wasm

package main

import (
	"context"
	"strconv"
	"syscall/js"

	"webmls/mls"
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
	id, err := await(ctx, a.object, "identify", claimValue(claim))
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
	refused, err := await(ctx, a.object, "authenticate", list(claims, claimValue))
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
	accepted, err := await(ctx, a.object, "succeeds", claimValue(old), claimValue(next))
	if err != nil {
		return err
	}
	if !accepted.Bool() {
		return mlserr.New(mlserr.SuccessorRejected, "")
	}
	return nil
}
