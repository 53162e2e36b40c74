package vectors_test

import (
	"context"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/tests/vectors"
)

func TestPassiveClientWelcome(t *testing.T) {
	run(t, "passive-client-welcome", 56, checkPassiveClient)
}

func TestPassiveClientHandlingCommit(t *testing.T) {
	run(t, "passive-client-handling-commit", 91, checkPassiveClient)
}

func TestPassiveClientRandom(t *testing.T) {
	run(t, "passive-client-random", 1, checkPassiveClient)
}

// checkPassiveClient joins a group with a client of the module and has it
// receive what the vector's group sends, as an application would.
func checkPassiveClient(t *testing.T, c vectors.PassiveClient) {
	s := lookup(t, c.CipherSuite)
	client, err := mls.Open(t.Context(), mls.Config{
		Keys:          keys,
		Store:         mls.NewMemoryStore(),
		Authenticator: trustAll{},
		// The vectors' key packages were made for their time, not for ours.
		Limits: mls.Limits{IgnoreReceivedLifetimes: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	for _, psk := range c.ExternalPSKs {
		if err := client.StorePSK(t.Context(), psk.PSKID, psk.PSK); err != nil {
			t.Fatalf("StorePSK: %v", err)
		}
	}
	// The client checks that the private keys are those of the key package.
	var keyPackage message.MLSMessage
	encodesAgain(t, "key_package", c.KeyPackage, &keyPackage)
	if _, err := client.ImportKeyPackage(t.Context(), mls.ImportedKeyPackage{
		KeyPackage:   c.KeyPackage,
		SignatureKey: scalar(s, c.SignaturePriv),
		InitKey:      scalar(s, c.InitPriv),
		LeafKey:      scalar(s, c.EncryptionPriv),
	}); err != nil {
		t.Fatalf("ImportKeyPackage: %v", err)
	}

	var options mls.JoinOptions
	if c.RatchetTree != nil {
		options.RatchetTree = *c.RatchetTree
	}
	group, err := client.JoinGroup(t.Context(), c.Welcome, options)
	if err != nil {
		t.Fatalf("JoinGroup: %v", err)
	}
	checkEpochAuthenticator(t, group, "initial_epoch_authenticator", c.InitialEpochAuthenticator)

	for i, epoch := range c.Epochs {
		for j, proposal := range epoch.Proposals {
			if event, err := group.Receive(t.Context(), proposal); err != nil || event.Type != mls.EventProposal {
				t.Fatalf("epoch %d, proposal %d: %+v, %v", i, j, event, err)
			}
		}
		if event, err := group.Receive(t.Context(), epoch.Commit); err != nil || event.Type != mls.EventGroupUpdate {
			t.Fatalf("epoch %d, commit: %+v, %v", i, event, err)
		}
		checkEpochAuthenticator(t, group, "epoch_authenticator", epoch.EpochAuthenticator)
		if t.Failed() {
			t.Fatalf("in epoch %d", i)
		}
	}
}

func checkEpochAuthenticator(t *testing.T, group *mls.Group, what string, want []byte) {
	t.Helper()
	info, err := group.Info(t.Context())
	if err != nil {
		t.Fatalf("Info: %v", err)
	}
	equal(t, what, info.EpochAuthenticator, want)
}

// trustAll accepts every credential: the vectors' are of nobody in particular.
type trustAll struct{}

func (trustAll) Authenticate(context.Context, []mls.Claim) error      { return nil }
func (trustAll) Succeeds(context.Context, mls.Claim, mls.Claim) error { return nil }
