package schedule

import (
	"bytes"
	"strings"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/modern"
	"webmls/mls/wire"
)

func secretOf(s *suite.Suite, name string) []byte { return s.Hash([]byte(name)) }

func newEpoch(s *suite.Suite) *Epoch { return NewEpoch(s, secretOf(s, "epoch")) }

// A secret that is left out is KDF.Nh zero bytes (RFC 9420, Section 8).
func TestSecretsLeftOut(t *testing.T) {
	for _, id := range suite.All() {
		s := lookup(t, id)
		zero := make([]byte, s.HashSize())
		group := []byte("group context")
		left := NewJoiner(s, secretOf(s, "init"), nil, group)
		given := NewJoiner(s, secretOf(s, "init"), zero, group)
		if !bytes.Equal(left.Secret(), given.Secret()) || len(left.Secret()) != s.HashSize() {
			t.Errorf("suite %d: commit_secret", id)
		}
		if !bytes.Equal(left.WithPSK(nil).Epoch(group).InitSecret, given.WithPSK(zero).Epoch(group).InitSecret) {
			t.Errorf("suite %d: psk_secret", id)
		}
		none, err := PSKSecret(s, nil, nil)
		if err != nil || !bytes.Equal(none, zero) {
			t.Errorf("suite %d: psk_secret of no PSKs is %x, %v", id, none, err)
		}
	}
}

// A member and one who joins with the joiner_secret reach one epoch, and every
// input makes a difference to it.
func TestEpochDependsOnEveryInput(t *testing.T) {
	s := lookup(t, 1)
	a, b := secretOf(s, "a"), secretOf(s, "b")
	authenticator := func(init, commit, psk, joinerGroup, epochGroup []byte) string {
		j := NewJoiner(s, init, commit, joinerGroup)
		joined := JoinerFromSecret(s, j.Secret()).WithPSK(psk).Epoch(epochGroup).EpochAuthenticator
		e := j.WithPSK(psk).Epoch(epochGroup).EpochAuthenticator
		if !bytes.Equal(joined, e) {
			t.Error("the joiner reaches another epoch")
		}
		return string(e)
	}
	seen := map[string]bool{
		authenticator(a, a, a, a, a): true,
		authenticator(b, a, a, a, a): true,
		authenticator(a, b, a, a, a): true,
		authenticator(a, a, b, a, a): true,
		authenticator(a, a, a, b, a): true,
		authenticator(a, a, a, a, b): true,
	}
	if len(seen) != 6 {
		t.Errorf("%d epochs, want 6", len(seen))
	}
}

func TestWipes(t *testing.T) {
	s := lookup(t, 1)
	epochSecret := secretOf(s, "epoch")
	e := NewEpoch(s, epochSecret)
	if !isZero(epochSecret) {
		t.Error("NewEpoch leaves the epoch_secret")
	}
	own := secretOf(s, "joiner")
	j := JoinerFromSecret(s, own)
	m := j.WithPSK(nil)
	j.Wipe()
	m.Wipe()
	if !isZero(j.secret) || !isZero(m.secret) {
		t.Error("Joiner or Intermediate leave a secret")
	}
	if isZero(own) {
		t.Error("Joiner.Wipe reaches into the caller's slice")
	}

	encryption := e.EncryptionSecret
	want, _, _ := NewSecretTree(s, 2, encryption).Draft().Key(0, Application, 0)
	tree := e.SecretTree(s, 2)
	if !isZero(encryption) || e.EncryptionSecret != nil {
		t.Error("SecretTree leaves the encryption_secret")
	}
	if got, _, _ := tree.Draft().Key(0, Application, 0); !bytes.Equal(got, want) {
		t.Error("SecretTree wiped its own root")
	}

	e = newEpoch(s)
	secrets := [][]byte{e.EncryptionSecret}
	for _, secret := range e.stored() {
		secrets = append(secrets, *secret)
	}
	e.Wipe()
	for _, secret := range secrets {
		if len(secret) != s.HashSize() || !isZero(secret) {
			t.Error("Epoch.Wipe leaves a secret")
		}
	}
}

func TestEpochRecord(t *testing.T) {
	s := lookup(t, 7)
	e := newEpoch(s)
	record := wire.Marshal(e)
	if bytes.Contains(record, e.EncryptionSecret) {
		t.Error("the record holds the encryption_secret")
	}
	var loaded Epoch
	if err := wire.Unmarshal(record, &loaded); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wire.Marshal(&loaded), record) {
		t.Error("the record encodes differently")
	}
	for i, secret := range loaded.stored() {
		if !bytes.Equal(*secret, *e.stored()[i]) {
			t.Errorf("secret %d differs", i)
		}
	}
	clear(record)
	if isZero(loaded.InitSecret) {
		t.Error("the epoch aliases its record")
	}

	// A past epoch has no init_secret any more.
	e.InitSecret = nil
	record = wire.Marshal(e)
	loaded = Epoch{}
	if err := wire.Unmarshal(record, &loaded); err != nil || len(loaded.InitSecret) != 0 {
		t.Error("emptied secret", err)
	}
	for n := range record {
		wantCode(t, "prefix", wire.Unmarshal(record[:n], new(Epoch)), mlserr.Malformed)
	}
	wantCode(t, "trailing byte", wire.Unmarshal(append(record, 0), new(Epoch)), mlserr.Malformed)
	e.ExporterSecret = e.ExporterSecret[1:]
	wantCode(t, "sizes", wire.Unmarshal(wire.Marshal(e), new(Epoch)), mlserr.Malformed)
}

// No tag but the whole one is accepted (S1).
func TestConfirmationTag(t *testing.T) {
	for _, id := range suite.All() {
		s := lookup(t, id)
		e := newEpoch(s)
		hash := secretOf(s, "confirmed transcript hash")
		tag := e.ConfirmationTag(s, hash)
		if len(tag) != s.HashSize() || !e.VerifyConfirmationTag(s, hash, tag) {
			t.Errorf("suite %d: the tag does not verify", id)
		}
		flipped := bytes.Clone(tag)
		flipped[len(flipped)-1] ^= 1
		for _, bad := range [][]byte{nil, {}, tag[:1], tag[:len(tag)-1], append(bytes.Clone(tag), 0), flipped} {
			if e.VerifyConfirmationTag(s, hash, bad) {
				t.Errorf("suite %d: a tag of %d bytes is accepted", id, len(bad))
			}
		}
		if e.VerifyConfirmationTag(s, hash[1:], tag) {
			t.Errorf("suite %d: the tag is accepted for another hash", id)
		}
	}
}

func TestExportBounds(t *testing.T) {
	s := lookup(t, 1)
	e := newEpoch(s)
	for _, length := range []int{0, 1, 32, 33, 255 * 32} {
		out, err := e.Export(s, "label", nil, length)
		if err != nil || len(out) != length {
			t.Errorf("length %d: %d bytes, %v", length, len(out), err)
		}
	}
	for _, length := range []int{-1, 255*32 + 1, 1 << 30} {
		_, err := e.Export(s, "label", nil, length)
		wantCode(t, "length", err, mlserr.InvalidArgument)
	}
	if _, err := e.Export(s, strings.Repeat("x", 1<<16-1), nil, 32); err != nil {
		t.Error(err)
	}
	_, err := e.Export(s, strings.Repeat("x", 1<<16), nil, 32)
	wantCode(t, "label", err, mlserr.InvalidArgument)
}

func TestExternalKey(t *testing.T) {
	s := lookup(t, 1)
	e := newEpoch(s)
	key, err := e.ExternalKey(t.Context(), modern.New(), s)
	if err != nil {
		t.Fatal(err)
	}
	// What a client outside encapsulates to external_pub, a member opens.
	output, want, err := s.EncapsulateExport(t.Context(), modern.New(), key.Public(), ExternalInitSecretLabel, s.HashSize())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.DecapsulateExport(t.Context(), key, output, ExternalInitSecretLabel, s.HashSize())
	if err != nil || !bytes.Equal(got, want) {
		t.Error("init_secret differs", err)
	}
	_, err = e.ExternalKey(t.Context(), modern.New(), lookup(t, 2))
	wantCode(t, "keys without the suite", err, mlserr.UnknownSuite)
}

func TestPSKSecretRefuses(t *testing.T) {
	s := lookup(t, 1)
	_, err := PSKSecret(s, make([]message.PreSharedKeyID, 2), make([][]byte, 1))
	wantCode(t, "two ids, one secret", err, mlserr.InvalidArgument)
	_, err = PSKSecret(s, make([]message.PreSharedKeyID, 1<<16), make([][]byte, 1<<16))
	wantCode(t, "65,536 PSKs", err, mlserr.PSKInvalid)
}

// The order, the nonce and the key itself all count.
func TestPSKSecretDependsOnEveryInput(t *testing.T) {
	s := lookup(t, 1)
	id := func(name, nonce string) message.PreSharedKeyID {
		return message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte(name), Nonce: secretOf(s, nonce)}
	}
	x, y := id("x", "1"), id("y", "1")
	a, b := []byte("a"), []byte("b")
	seen := map[string]bool{}
	for _, c := range []struct {
		ids     []message.PreSharedKeyID
		secrets [][]byte
	}{
		{[]message.PreSharedKeyID{x}, [][]byte{a}},
		{[]message.PreSharedKeyID{x}, [][]byte{b}},
		{[]message.PreSharedKeyID{id("x", "2")}, [][]byte{a}},
		{[]message.PreSharedKeyID{x, y}, [][]byte{a, b}},
		{[]message.PreSharedKeyID{y, x}, [][]byte{b, a}},
		{[]message.PreSharedKeyID{x, y}, [][]byte{b, a}},
	} {
		secret, err := PSKSecret(s, c.ids, c.secrets)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(secret)] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d secrets, want 6", len(seen))
	}
	if string(a) != "a" || string(b) != "b" {
		t.Error("the caller's secrets are wiped")
	}
}

// A ciphertext shorter than the sample is used whole (RFC 9420, Section 6.3.2).
func TestSenderDataSample(t *testing.T) {
	for _, id := range suite.All() {
		s := lookup(t, id)
		secret := secretOf(s, "sender data")
		long := bytes.Repeat([]byte{7}, s.HashSize()+1)
		keyOf := func(ciphertext []byte) string {
			key, nonce := SenderDataKeyNonce(s, secret, ciphertext)
			if len(key) != s.KeySize() || len(nonce) != s.NonceSize() {
				t.Errorf("suite %d: sizes", id)
			}
			return string(key)
		}
		sample := keyOf(long[:s.HashSize()])
		if keyOf(long) != sample || keyOf(long[:s.HashSize()-1]) == sample || keyOf(nil) == sample {
			t.Errorf("suite %d: wrong sample", id)
		}
	}
}
