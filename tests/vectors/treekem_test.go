package vectors_test

import (
	"testing"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestTreeKEM(t *testing.T) {
	run(t, "treekem", 77, checkTreeKEM)
}

func checkTreeKEM(t *testing.T, c vectors.TreeKEM) {
	s := lookup(t, c.CipherSuite)
	before := importTree(t, s, c.RatchetTree)
	if err := before.Validate(); err != nil {
		t.Fatal(err)
	}
	signers := map[treemath.LeafIndex]suite.SignatureKey{}
	members := map[treemath.LeafIndex]*tree.Private{}
	for _, l := range c.LeavesPrivate {
		i := treemath.LeafIndex(l.Index)
		leaf := before.Leaf(i)
		if leaf == nil {
			t.Fatalf("leaf %d is blank", i)
		}
		signers[i] = signatureKey(t, s, l.SignaturePriv, leaf.SignatureKey)
		p := &tree.Private{Self: i, Leaf: hpkeKey(t, s, l.EncryptionPriv, leaf.EncryptionKey), Path: map[treemath.NodeIndex]suite.HPKEKey{}}
		for _, ps := range l.PathSecrets {
			x := treemath.NodeIndex(ps.Node)
			parent := before.Parent(x)
			if parent == nil {
				t.Fatalf("leaf %d has a secret of node %d, which is blank", i, x)
			}
			derived, err := keys.DeriveHPKEKeys(t.Context(), s.ID(), [][]byte{s.DeriveSecret(ps.PathSecret, "node")})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "public key of a path secret", derived[0].Public(), parent.EncryptionKey)
			p.Path[x] = derived[0]
		}
		members[i] = p
	}
	if len(members) != before.MemberCount() {
		t.Fatalf("%d private states, %d members", len(members), before.MemberCount())
	}

	for _, u := range c.UpdatePaths {
		sender := treemath.LeafIndex(u.Sender)
		var path message.UpdatePath
		encodesAgain(t, "update_path", u.UpdatePath, &path)
		edit := before.Edit()
		if err := edit.MergePath(sender, &path, nil); err != nil {
			t.Fatal(err)
		}
		after := edit.Tree()
		equal(t, "tree_hash_after", after.Hash(), u.TreeHashAfter)
		if err := after.VerifyLeaves(t.Context(), keys, c.GroupID); err != nil {
			t.Error(err)
		}
		context := treeKEMContext(c, after)
		if len(u.PathSecrets) != int(before.LeafCount()) {
			t.Fatalf("%d path secrets for %d leaves", len(u.PathSecrets), before.LeafCount())
		}
		for i, p := range members {
			if i == sender {
				continue
			}
			commitSecret, next, err := tree.DecryptPath(t.Context(), keys, after, p, sender, &path, context, nil)
			if err != nil {
				t.Fatalf("leaf %d, path of %d: %v", i, sender, err)
			}
			equal(t, "commit_secret", commitSecret, u.CommitSecret)
			// The vector's path secret gives the same keys as the one that was decrypted.
			join, err := tree.JoinPrivate(t.Context(), keys, after, i, p.Leaf, sender, *u.PathSecrets[i])
			if err != nil {
				t.Fatalf("leaf %d, path secret of %d: %v", i, sender, err)
			}
			for x, key := range join.Path {
				equal(t, "private key of path_secrets", next.Path[x].Reference(), key.Reference())
			}
		}

		edit = before.Edit()
		created, err := edit.CreatePath(t.Context(), keys, sender, *before.Leaf(sender), signers[sender], c.GroupID)
		if err != nil {
			t.Fatal(err)
		}
		after = edit.Tree()
		context = treeKEMContext(c, after)
		sent, err := created.Encrypt(t.Context(), keys, after, context, nil)
		if err != nil {
			t.Fatal(err)
		}
		edit = before.Edit()
		if err := edit.MergePath(sender, sent, nil); err != nil {
			t.Fatal(err)
		}
		merged := edit.Tree()
		equal(t, "tree hash of a new path", merged.Hash(), after.Hash())
		if err := merged.Validate(); err != nil {
			t.Error(err)
		}
		if err := merged.VerifyLeaves(t.Context(), keys, c.GroupID); err != nil {
			t.Error(err)
		}
		for i, p := range members {
			if i == sender {
				continue
			}
			commitSecret, _, err := tree.DecryptPath(t.Context(), keys, merged, p, sender, sent, context, nil)
			if err != nil {
				t.Fatalf("leaf %d, new path of %d: %v", i, sender, err)
			}
			equal(t, "commit secret of a new path", commitSecret, created.CommitSecret)
		}
	}
}

// treeKEMContext is the serialized GroupContext that the paths of a case are
// encrypted with.
func treeKEMContext(c vectors.TreeKEM, after *tree.Tree) []byte {
	return wire.Marshal(&message.GroupContext{
		Version:                 message.MLS10,
		CipherSuite:             suite.ID(c.CipherSuite),
		GroupID:                 c.GroupID,
		Epoch:                   c.Epoch,
		TreeHash:                after.Hash(),
		ConfirmedTranscriptHash: c.ConfirmedTranscriptHash,
	})
}
