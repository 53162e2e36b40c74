package vectors_test

import (
	"testing"

	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestKeySchedule(t *testing.T) {
	run(t, "key-schedule", 7, checkKeySchedule)
}

func checkKeySchedule(t *testing.T, c vectors.KeySchedule) {
	s := lookup(t, c.CipherSuite)
	if len(c.Epochs) == 0 {
		t.Fatal("no epochs")
	}
	initSecret := []byte(c.InitialInitSecret)
	for i, want := range c.Epochs {
		groupContext := wire.Marshal(&message.GroupContext{
			Version:                 message.MLS10,
			CipherSuite:             s.ID(),
			GroupID:                 c.GroupID,
			Epoch:                   uint64(i),
			TreeHash:                want.TreeHash,
			ConfirmedTranscriptHash: want.ConfirmedTranscriptHash,
		})
		equal(t, "group_context", groupContext, want.GroupContext)

		joiner := schedule.NewJoiner(s, initSecret, want.CommitSecret, groupContext)
		equal(t, "joiner_secret", joiner.Secret(), want.JoinerSecret)

		intermediate := joiner.WithPSK(want.PSKSecret)
		// The welcome_secret stays inside; what leaves is derived from it.
		key, nonce := intermediate.WelcomeKeyNonce()
		equal(t, "key of welcome_secret", key, s.ExpandWithLabel(want.WelcomeSecret, "key", nil, s.KeySize()))
		equal(t, "nonce of welcome_secret", nonce, s.ExpandWithLabel(want.WelcomeSecret, "nonce", nil, s.NonceSize()))

		epoch := intermediate.Epoch(groupContext)
		equal(t, "init_secret", epoch.InitSecret, want.InitSecret)
		equal(t, "sender_data_secret", epoch.SenderDataSecret, want.SenderDataSecret)
		equal(t, "encryption_secret", epoch.EncryptionSecret, want.EncryptionSecret)
		equal(t, "exporter_secret", epoch.ExporterSecret, want.ExporterSecret)
		equal(t, "epoch_authenticator", epoch.EpochAuthenticator, want.EpochAuthenticator)
		equal(t, "external_secret", epoch.ExternalSecret, want.ExternalSecret)
		equal(t, "confirmation_key", epoch.ConfirmationKey, want.ConfirmationKey)
		equal(t, "membership_key", epoch.MembershipKey, want.MembershipKey)
		equal(t, "resumption_psk", epoch.ResumptionPSK, want.ResumptionPSK)

		external, err := epoch.ExternalKey(t.Context(), keys, s)
		if err != nil {
			t.Fatalf("ExternalKey: %v", err)
		}
		equal(t, "external_pub", external.Public(), want.ExternalPub)

		exported, err := epoch.Export(s, want.Exporter.Label, want.Exporter.Context, int(want.Exporter.Length))
		if err != nil {
			t.Fatalf("Export: %v", err)
		}
		equal(t, "exporter.secret", exported, want.Exporter.Secret)

		initSecret = epoch.InitSecret
	}
}

func TestPSKSecret(t *testing.T) {
	run(t, "psk_secret", 77, checkPSKSecret)
}

func checkPSKSecret(t *testing.T, c vectors.PSKSecret) {
	s := lookup(t, c.CipherSuite)
	var ids []message.PreSharedKeyID
	var secrets [][]byte
	for _, psk := range c.PSKs {
		ids = append(ids, message.PreSharedKeyID{Type: message.PSKExternal, ID: psk.PSKID, Nonce: psk.PSKNonce})
		secrets = append(secrets, psk.PSK)
	}
	got, err := schedule.PSKSecret(s, ids, secrets)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "psk_secret", got, c.PSKSecret)
}

func TestTranscriptHashes(t *testing.T) {
	run(t, "transcript-hashes", 7, checkTranscriptHashes)
}

func checkTranscriptHashes(t *testing.T, c vectors.TranscriptHashes) {
	s := lookup(t, c.CipherSuite)
	var content message.AuthenticatedContent
	encodesAgain(t, "authenticated_content", c.AuthenticatedContent, &content)
	if content.Content.Commit == nil {
		t.Fatal("authenticated_content has no commit")
	}

	confirmed := schedule.ConfirmedTranscriptHash(s, c.InterimTranscriptHashBefore, &content)
	equal(t, "confirmed_transcript_hash_after", confirmed, c.ConfirmedTranscriptHashAfter)
	tag := content.Auth.ConfirmationTag
	equal(t, "interim_transcript_hash_after", schedule.InterimTranscriptHash(s, confirmed, tag), c.InterimTranscriptHashAfter)

	epoch := schedule.Epoch{ConfirmationKey: c.ConfirmationKey}
	if !epoch.VerifyConfirmationTag(s, confirmed, tag) {
		t.Error("confirmation_tag does not verify")
	}
	equal(t, "confirmation_tag", epoch.ConfirmationTag(s, confirmed), tag)
}
