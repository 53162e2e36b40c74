//go:build js && wasm

package main

import (
	"context"
	"strconv"
	"sync"
	"syscall/js"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// issues are the identities of a client whose credentials the application is
// making: for each, by the number that JavaScript gave it, the new key.
type issues struct {
	mu   sync.Mutex
	keys map[int]suite.SignatureKey
}

// issueLane and signLane are lanes of an issue's own: the application may take
// its time over a credential, and signs while it does.
func issueLane(issue int) string { return "issue/" + strconv.Itoa(issue) }
func signLane(issue int) string  { return "sign/" + strconv.Itoa(issue) }

// issuer returns what asks the application for the credential of a new key,
// by the interface HostAuthenticator of js/src/bridge.ts. While it answers,
// signIssue signs with the key. Codes: INVALID_ARGUMENT, CREDENTIAL_REJECTED,
// AUTHENTICATOR_FAILED, CANCELLED.
func (c *client) issuer(issue int) func(context.Context, suite.SignatureKey) (message.Credential, error) {
	return func(ctx context.Context, key suite.SignatureKey) (message.Credential, error) {
		c.issues.set(issue, key)
		defer c.issues.set(issue, nil)
		v, err := await(ctx, c.authenticator, "issue", issue, uint8ArrayOf(key.Public()))
		if err != nil {
			return message.Credential{}, err
		}
		in := &args{object: js.ValueOf(map[string]any{"credential": v})}
		credential := in.credential("credential")
		if in.err != nil {
			return message.Credential{}, in.err
		}
		return credential, nil
	}
}

// signIssue signs what the application gives it, a certificate request say,
// with a key whose credential it is making. It signs no SignContent (RFC 9420,
// Section 5.1.2): whoever issues credentials could have a message signed that
// way. Code: INVALID_ARGUMENT, also when there is no such key, or no longer.
func (c *client) signIssue(ctx context.Context, issue int, content []byte) ([]byte, error) {
	key := c.issues.get(issue)
	if key == nil {
		return nil, mlserr.New(mlserr.InvalidArgument, "sign: the identity is not being made any more")
	}
	if isSignContent(content) {
		return nil, mlserr.New(mlserr.InvalidArgument, "sign: the content may be a part of the protocol")
	}
	return key.Sign(ctx, content)
}

// isSignContent reports whether bytes may be a SignContent: that begins with a
// label, and each label with the same words behind its length of 1 to 4 bytes.
func isSignContent(b []byte) bool {
	const words = "MLS 1.0 "
	for length := 1; length <= 4 && length+len(words) <= len(b); length *= 2 {
		if string(b[length:length+len(words)]) == words {
			return true
		}
	}
	return false
}

func (i *issues) set(issue int, key suite.SignatureKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.keys == nil {
		i.keys = make(map[int]suite.SignatureKey)
	}
	if key == nil {
		delete(i.keys, issue)
		return
	}
	i.keys[issue] = key
}

func (i *issues) get(issue int) suite.SignatureKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[issue]
}
