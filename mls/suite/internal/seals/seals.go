// Package seals is where a test listens to every AEAD.Seal of package suite
// (RFC 9420, Section 5.1). It owns the hook and nothing else; package suitetest
// sets it. A program that does not import suitetest cannot set it: there it is
// nil for ever, and costs a Seal one comparison, about a nanosecond next to the
// microsecond of the shortest message.
package seals

// Hook is called after each Seal, unless it is nil. It may be called from many
// goroutines at once, must not keep the slices, which are about to be wiped or
// sent, and must not be set while anything is sealed.
var Hook func(key, nonce, plaintext, ciphertext []byte)
