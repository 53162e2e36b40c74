package suite_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
)

var ctx = context.Background()

// keys is suite.Keys as softkeys has them, whose calls can be counted and made to fail.
type keys struct {
	suite.Keys
	calls   int
	fail    error
	forgets int // encapsulations that are missing from an answer
	last    []suite.Encapsulation
}

func (k *keys) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	k.calls++
	if k.fail != nil {
		return nil, k.fail
	}
	out, err := k.Keys.Encapsulate(ctx, id, publicKeys)
	if err != nil {
		return nil, err
	}
	k.last = out[:len(out)-k.forgets]
	return k.last, nil
}

func (k *keys) Verify(ctx context.Context, id suite.ID, list []suite.Verification) (int, error) {
	k.calls++
	if k.fail != nil {
		return 0, k.fail
	}
	return k.Keys.Verify(ctx, id, list)
}

var errKeys = mlserr.New(mlserr.Internal, "the keys are gone")

func lookup(t *testing.T, id suite.ID) *suite.Suite {
	t.Helper()
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newHPKEKey(t *testing.T, id suite.ID) suite.HPKEKey {
	t.Helper()
	key, err := softkeys.New().GenerateHPKEKey(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wantCode checks the code of an error, and a part of its detail.
func wantCode(t *testing.T, err error, code mlserr.Code, detail string) {
	t.Helper()
	e, ok := errors.AsType[*mlserr.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Detail, detail) {
		t.Errorf("error %v, want %s with %q", err, code, detail)
	}
}

// TestEncryptToMany: one call makes a ciphertext for each recipient, in order,
// which its key alone opens, under the same label and context.
func TestEncryptToMany(t *testing.T) {
	for _, id := range suite.All() {
		s, k := lookup(t, id), &keys{Keys: softkeys.New()}
		private := []suite.HPKEKey{newHPKEKey(t, id), newHPKEKey(t, id), newHPKEKey(t, id)}
		plaintexts := []string{"first", "", "third"}
		recipients := make([]suite.Recipient, len(private))
		for i := range private {
			recipients[i] = suite.Recipient{PublicKey: private[i].Public(), Plaintext: []byte(plaintexts[i])}
		}
		list, err := s.EncryptWithLabel(ctx, k, "Label", []byte("context"), recipients)
		if err != nil || len(list) != len(private) || k.calls != 1 {
			t.Fatalf("%v: %d ciphertexts in %d calls: %v", id, len(list), k.calls, err)
		}
		for i, e := range k.last {
			if !bytes.Equal(e.SharedSecret, make([]byte, len(e.SharedSecret))) {
				t.Errorf("%v: shared secret %d is not wiped", id, i)
			}
		}
		for i, key := range private {
			for j, ct := range list {
				plaintext, err := s.DecryptWithLabel(ctx, key, "Label", []byte("context"), ct)
				if i != j {
					wantCode(t, err, mlserr.DecryptionFailed, "")
				} else if err != nil || string(plaintext) != plaintexts[i] {
					t.Errorf("%v: recipient %d gets %q, %v", id, i, plaintext, err)
				}
			}
			_, err = s.DecryptWithLabel(ctx, key, "label", []byte("context"), list[i])
			wantCode(t, err, mlserr.DecryptionFailed, "")
			_, err = s.DecryptWithLabel(ctx, key, "Label", nil, list[i])
			wantCode(t, err, mlserr.DecryptionFailed, "")
			bad := list[i]
			bad.KEMOutput = bad.KEMOutput[1:]
			_, err = s.DecryptWithLabel(ctx, key, "Label", []byte("context"), bad)
			wantCode(t, err, mlserr.DecryptionFailed, "")
		}
	}
}

// TestEncryptFails: what goes wrong with one recipient, or with the keys, goes wrong for
// all of them, and no shared secret is left.
func TestEncryptFails(t *testing.T) {
	const id = suite.X25519AES128SHA256Ed25519
	s, k := lookup(t, id), &keys{Keys: softkeys.New()}
	list, err := s.EncryptWithLabel(ctx, k, "Label", nil, nil)
	if list != nil || err != nil || k.calls != 0 {
		t.Errorf("to nobody: %v, %v in %d calls", list, err, k.calls)
	}
	good := suite.Recipient{PublicKey: newHPKEKey(t, id).Public(), Plaintext: []byte("secret")}
	_, err = s.EncryptWithLabel(ctx, k, "Label", nil, []suite.Recipient{good, {PublicKey: make([]byte, 32)}})
	wantCode(t, err, mlserr.InvalidPublicKey, "1")

	cancelled, cancel := context.WithCancel(ctx)
	k.last = nil
	stop := &cancelling{keys: k, cancel: cancel}
	if _, err = s.EncryptWithLabel(cancelled, stop, "Label", nil, []suite.Recipient{good, good}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if len(k.last) != 2 {
		t.Fatal("not cancelled behind the encapsulation")
	}
	for i, e := range k.last {
		if !bytes.Equal(e.SharedSecret, make([]byte, len(e.SharedSecret))) {
			t.Errorf("shared secret %d is left", i)
		}
	}

	k.forgets = 1
	_, err = s.EncryptWithLabel(ctx, k, "Label", nil, []suite.Recipient{good, good})
	wantCode(t, err, mlserr.Internal, "1 of 2")
	k.fail = errKeys
	_, err = s.EncryptWithLabel(ctx, k, "Label", nil, []suite.Recipient{good})
	wantCode(t, err, mlserr.Internal, "gone")
	_, _, err = s.EncapsulateExport(ctx, k, good.PublicKey, "context", 32)
	wantCode(t, err, mlserr.Internal, "gone")
}

// cancelling cancels once it has encapsulated.
type cancelling struct {
	*keys
	cancel context.CancelFunc
}

func (k *cancelling) Encapsulate(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	defer k.cancel()
	return k.keys.Encapsulate(context.WithoutCancel(ctx), id, publicKeys)
}

// TestExport: both sides export the same, of any length, and something else for another context.
func TestExport(t *testing.T) {
	for _, id := range suite.All() {
		s, k, key := lookup(t, id), &keys{Keys: softkeys.New()}, newHPKEKey(t, id)
		for _, length := range []int{0, 1, s.HashSize(), 3*s.HashSize() + 1, s.MaxExpand()} {
			kemOutput, secret, err := s.EncapsulateExport(ctx, k, key.Public(), "context", length)
			if err != nil || len(secret) != length {
				t.Fatalf("%v: %d bytes for %d: %v", id, len(secret), length, err)
			}
			if got, err := s.DecapsulateExport(ctx, key, kemOutput, "context", length); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("%v: %x, want %x: %v", id, got, secret, err)
			}
			if length < 16 {
				continue
			}
			if got, err := s.DecapsulateExport(ctx, key, kemOutput, "", length); err != nil || bytes.Equal(got, secret) {
				t.Errorf("%v: another context gives %x, %v", id, got, err)
			}
			if got, err := s.DecapsulateExport(ctx, newHPKEKey(t, id), kemOutput, "context", length); err == nil && bytes.Equal(got, secret) {
				t.Errorf("%v: another key gives the same", id)
			}
		}
		_, err := s.DecapsulateExport(ctx, key, nil, "context", 32)
		wantCode(t, err, mlserr.DecryptionFailed, "")
	}
}

// TestVerifyLists: the lowest bad signature of a list is named, a failure of the
// keys is no verdict, and of nothing nothing is bad.
func TestVerifyLists(t *testing.T) {
	for _, id := range suite.All() {
		s, k := lookup(t, id), &keys{Keys: softkeys.New()}
		key, err := k.GenerateSignatureKey(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := s.SignWithLabel(ctx, key, "Label", []byte("content"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.VerifyWithLabel(ctx, k, key.Public(), "Label", []byte("content"), signature); err != nil {
			t.Errorf("%v: %v", id, err)
		}
		wantCode(t, s.VerifyWithLabel(ctx, k, key.Public(), "label", []byte("content"), signature), mlserr.InvalidSignature, "0")
		wantCode(t, s.VerifyWithLabel(ctx, k, key.Public(), "Label", nil, signature), mlserr.InvalidSignature, "0")

		list := make([]suite.Verification, 20)
		for i := range list {
			list[i] = suite.Verification{PublicKey: key.Public(), Message: s.SignContent("Label", []byte("content")), Signature: signature}
		}
		k.calls = 0
		if err := s.Verify(ctx, k, list); err != nil || k.calls != 1 {
			t.Errorf("%v: %v in %d calls", id, err, k.calls)
		}
		list[17].Signature, list[9].Signature = nil, signature[1:]
		wantCode(t, s.Verify(ctx, k, list), mlserr.InvalidSignature, "signature 9")
		k.fail = errKeys
		wantCode(t, s.Verify(ctx, k, list), mlserr.Internal, "gone")
		if err := s.Verify(ctx, k, nil); err != nil {
			t.Errorf("%v: nothing: %v", id, err)
		}
	}
}

// TestDerivations computes what the labels of RFC 9420, Sections 5.2, 8 and 9.1, stand for from
// their encodings, written out by hand.
func TestDerivations(t *testing.T) {
	s := lookup(t, suite.X25519AES128SHA256Ed25519)
	secret := bytes.Repeat([]byte{7}, 32)
	expand := func(info string, length int) []byte {
		t.Helper()
		out, err := hkdf.Expand(sha256.New, secret, info, length)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	hash := func(b string) []byte {
		sum := sha256.Sum256([]byte(b))
		return sum[:]
	}
	long := strings.Repeat("x", 64)
	for name, c := range map[string]struct{ got, want []byte }{
		"DeriveSecret":     {s.DeriveSecret(secret, "exp"), expand("\x00\x20\x0bMLS 1.0 exp\x00", 32)},
		"DeriveTreeSecret": {s.DeriveTreeSecret(secret, "key", 0x01020304, 16), expand("\x00\x10\x0bMLS 1.0 key\x04\x01\x02\x03\x04", 16)},
		"RefHash":          {s.RefHash("label", []byte("value")), hash("\x05label\x05value")},
		"RefHash of 64":    {s.RefHash("label", []byte(long)), hash("\x05label\x40\x40" + long)},
		"KeyPackageRef":    {s.KeyPackageRef([]byte("kp")), hash("\x1cMLS 1.0 KeyPackage Reference\x02kp")},
		"ProposalRef":      {s.ProposalRef([]byte("p")), hash("\x1aMLS 1.0 Proposal Reference\x01p")},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: %x, want %x", name, c.got, c.want)
		}
	}
}

// TestMisuse: what a caller of this module can only do wrong by a fault of the module ends in
// a panic, not in a result.
func TestMisuse(t *testing.T) {
	s := lookup(t, suite.X25519AES128SHA256Ed25519)
	nonce := make([]byte, 12)
	for name, f := range map[string]func(){
		"Seal under a key of another suite":        func() { s.Seal(make([]byte, 32), nonce, nil, nil) },
		"SealInPlace under a key of another suite": func() { s.SealInPlace(make([]byte, 32), nonce, nil, make([]byte, 1, 100)) },
		"Seal with a short nonce":                  func() { s.Seal(make([]byte, 16), nonce[1:], nil, nil) },
		"a KEM of no suite":                        func() { suite.DHKEMSharedSecret(99, nil, nil, nil) },
		"a key of no suite":                        func() { suite.DHKEMDeriveKey(0, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// stored is a key that lives elsewhere.
type stored struct{ suite.SignatureKey }

func (stored) Storage() suite.KeyStorage { return suite.KeyNonExtractable }

// TestStorageOf: a key lives in a sealed record unless it says where else.
func TestStorageOf(t *testing.T) {
	key, err := softkeys.New().GenerateSignatureKey(ctx, suite.X25519AES128SHA256Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	if got := suite.StorageOf(key); got != suite.KeySealed {
		t.Errorf("a key in memory: %q", got)
	}
	if got := suite.StorageOf(stored{key}); got != suite.KeyNonExtractable {
		t.Errorf("a key elsewhere: %q", got)
	}
}
