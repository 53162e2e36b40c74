package vectors_test

import (
	"testing"

	"webmls/mls/schedule"
	"webmls/mls/treemath"
	"webmls/tests/vectors"
)

func TestSecretTree(t *testing.T) {
	run(t, "secret-tree", 21, checkSecretTree)
}

func checkSecretTree(t *testing.T, c vectors.SecretTree) {
	s := lookup(t, c.CipherSuite)

	key, nonce := schedule.SenderDataKeyNonce(s, c.SenderData.SenderDataSecret, c.SenderData.Ciphertext)
	equal(t, "sender_data.key", key, c.SenderData.Key)
	equal(t, "sender_data.nonce", nonce, c.SenderData.Nonce)

	// The keys of a leaf are derived once in the order of the vector and once
	// from the last generation to the first, which takes those that were skipped.
	for _, backwards := range []bool{false, true} {
		tree := schedule.NewSecretTree(s, uint32(len(c.Leaves)), c.EncryptionSecret)
		for i, generations := range c.Leaves {
			if len(generations) == 0 {
				t.Fatalf("leaf %d has no generations", i)
			}
			for j := range generations {
				if backwards {
					j = len(generations) - 1 - j
				}
				checkGeneration(t, tree, treemath.LeafIndex(i), generations[j])
			}
		}
	}
}

func checkGeneration(t *testing.T, tree *schedule.SecretTree, leaf treemath.LeafIndex, want vectors.SecretTreeGeneration) {
	t.Helper()
	for _, ratchet := range []struct {
		name       string
		of         schedule.Ratchet
		key, nonce []byte
	}{
		{"handshake", schedule.Handshake, want.HandshakeKey, want.HandshakeNonce},
		{"application", schedule.Application, want.ApplicationKey, want.ApplicationNonce},
	} {
		draft := tree.Draft()
		key, nonce, err := draft.Key(leaf, ratchet.of, want.Generation)
		if err != nil {
			t.Fatalf("leaf %d, %s generation %d: %v", leaf, ratchet.name, want.Generation, err)
		}
		equal(t, ratchet.name+"_key", key, ratchet.key)
		equal(t, ratchet.name+"_nonce", nonce, ratchet.nonce)
		draft.Apply()
	}
}
