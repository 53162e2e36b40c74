package vectors_test

import (
	"bytes"
	"testing"

	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestWelcome(t *testing.T) {
	run(t, "welcome", 7, checkWelcome)
}

// checkWelcome takes a Welcome apart step by step; the vector has no ratchet
// tree with which a client could join. The passive-client vectors do that.
func checkWelcome(t *testing.T, c vectors.Welcome) {
	s := lookup(t, c.CipherSuite)
	var keyPackage, welcome message.MLSMessage
	encodesAgain(t, "key_package", c.KeyPackage, &keyPackage)
	encodesAgain(t, "welcome", c.Welcome, &welcome)
	if keyPackage.KeyPackage == nil || welcome.Welcome == nil {
		t.Fatalf("wire formats %d and %d", keyPackage.WireFormat, welcome.WireFormat)
	}
	w := welcome.Welcome
	if w.CipherSuite != s.ID() || keyPackage.KeyPackage.CipherSuite != s.ID() {
		t.Fatalf("cipher suites %d and %d", w.CipherSuite, keyPackage.KeyPackage.CipherSuite)
	}

	// The entry for this key package.
	init := hpkeKey(t, s, c.InitPriv, keyPackage.KeyPackage.InitKey)
	ref := keyPackage.KeyPackage.Ref(s)
	var secrets message.GroupSecrets
	found := false
	for _, entry := range w.Secrets {
		if !bytes.Equal(entry.NewMember, ref) {
			continue
		}
		found = true
		plaintext, err := s.DecryptWithLabel(t.Context(), init, "Welcome", w.EncryptedGroupInfo, entry.EncryptedGroupSecrets)
		if err != nil {
			t.Fatalf("group secrets: %v", err)
		}
		encodesAgain(t, "group secrets", plaintext, &secrets)
	}
	if !found {
		t.Fatal("no entry for the key package")
	}
	if len(secrets.PSKs) != 0 {
		t.Fatal("the vectors have no pre-shared keys")
	}

	// The group info, its signature and its confirmation tag.
	intermediate := schedule.JoinerFromSecret(s, secrets.JoinerSecret).WithPSK(nil)
	key, nonce := intermediate.WelcomeKeyNonce()
	plaintext, err := s.Open(key, nonce, nil, w.EncryptedGroupInfo)
	if err != nil {
		t.Fatalf("group info: %v", err)
	}
	var info message.GroupInfo
	encodesAgain(t, "group info", plaintext, &info)
	if err := s.Verify(t.Context(), keys, []suite.Verification{info.Verification(s, c.SignerPub)}); err != nil {
		t.Errorf("group info: %v", err)
	}
	epoch := intermediate.Epoch(wire.Marshal(&info.GroupContext))
	if !epoch.VerifyConfirmationTag(s, info.GroupContext.ConfirmedTranscriptHash, info.ConfirmationTag) {
		t.Error("confirmation_tag does not verify")
	}
}
