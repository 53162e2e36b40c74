package mls_test

import (
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// TestImportKeyPackage: a key package with its private keys from elsewhere
// joins; the wrong private key is refused.
func TestImportKeyPackage(t *testing.T) {
	for _, id := range []suite.ID{x25519, suite.P256AES128SHA256P256} {
		alice, bob := newPartyWith(t, id, "alice", nil), newPartyWith(t, id, "unused", nil)
		s, err := suite.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		x := newStranger(s, "bob")
		initKey, leafKey := must(kitKeys.GenerateHPKEKey(ctx, id)), must(kitKeys.GenerateHPKEKey(ctx, id))
		kp := x.keyPackage(func(l *message.LeafNode) { l.EncryptionKey = leafKey.Public() }, func(kp *message.KeyPackage) { kp.InitKey = initKey.Public() })
		in := mls.ImportedKeyPackage{
			KeyPackage:   wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatKeyPackage, KeyPackage: kp}),
			SignatureKey: x.key.Reference(), InitKey: initKey.Reference(), LeafKey: leafKey.Reference(),
		}
		for what, change := range map[string]func(*mls.ImportedKeyPackage){
			"signature key": func(in *mls.ImportedKeyPackage) { in.SignatureKey = alice.id.SignatureHandle().Reference() },
			"init key":      func(in *mls.ImportedKeyPackage) { in.InitKey = in.LeafKey },
			"leaf key":      func(in *mls.ImportedKeyPackage) { in.LeafKey = in.InitKey },
		} {
			wrong := in
			change(&wrong)
			check := bob.unchanged()
			_, err := bob.client.ImportKeyPackage(ctx, wrong)
			if mlserr.CodeOf(err) != mlserr.InvalidArgument {
				t.Errorf("%s: %v", what, err)
			}
			check(t, what)
		}
		bob.id, err = bob.client.ImportKeyPackage(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		bob.name = "bob"
		alice.create()
		r, err := alice.group.Add(ctx, in.KeyPackage)
		if err != nil {
			t.Fatal(err)
		}
		alice.apply()
		bob.reloadWith(nil)
		bob.join(r.Welcome)
		agree(t, alice, bob)
		talk(t, alice, bob)
		r, err = alice.group.Remove(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if ev := bob.receive(r.Commit); ev.Type != mls.EventRemoved {
			t.Fatalf("%+v", ev)
		}
	}
}

// TestDeletePSK: what is deleted is gone, for members and joiners.
func TestDeletePSK(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	if err := bob.client.DeletePSK(ctx, []byte("psk")); err != nil {
		t.Fatal(err)
	}
	if where, ok := bob.store.Contains([]byte("a secret")); ok {
		t.Fatalf("still stored in %s", where)
	}
	psk := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	r := alice.commit(mls.CommitOptions{PSKs: []message.PreSharedKeyID{psk}})
	bob.refuses(t, "deleted", r.Commit, mlserr.PSKUnknown)
	_, err := bob.group.Commit(ctx, mls.CommitOptions{PSKs: []message.PreSharedKeyID{psk}})
	wantCode(t, err, mlserr.PSKUnknown)
	// Back again, the commit is received after all.
	for _, bad := range [][2]string{{"", "x"}, {"x", ""}} {
		wantCode(t, bob.client.StorePSK(ctx, []byte(bad[0]), []byte(bad[1])), mlserr.InvalidArgument)
	}
	if err := bob.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
		t.Fatal(err)
	}
	bob.receive(r.Commit)
	alice.apply()
	agree(t, all...)
}

// TestLifetimes: those in received Adds are judged, unless the application does
// without; those of members and of a joined tree are not.
func TestLifetimes(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	zoe := newPartyWith(t, x25519, "zoe", nil)
	r := alice.commit(mls.CommitOptions{Add: [][]byte{zoe.keyPackage()}})
	later := func(ignore bool) func(*mls.Config) {
		return func(c *mls.Config) {
			c.Now = func() time.Time { return time.Now().Add(200 * 24 * time.Hour) }
			c.Limits.IgnoreReceivedLifetimes = ignore
		}
	}
	bob.reloadWith(later(false))
	bob.refuses(t, "long over", r.Commit, mlserr.LifetimeInvalid)
	bob.reloadWith(later(true))
	bob.receive(r.Commit)
	alice.apply()
	// Zoe joins when her own leaf, and alice's, is over.
	zoe.reloadWith(later(false))
	zoe.join(r.Welcome)
	agree(t, alice, bob, zoe)
	// But one's own Adds are judged whatever is ignored.
	yan := newPartyWith(t, x25519, "yan", nil)
	_, err := bob.group.Commit(ctx, mls.CommitOptions{Add: [][]byte{yan.keyPackage()}})
	wantCode(t, err, mlserr.LifetimeInvalid)
}

// TestForgedSuccession: a Welcome by a reinit or branch PSK into a group that
// does not follow from the old one (W16).
func TestForgedSuccession(t *testing.T) {
	for _, usage := range []message.ResumptionPSKUsage{message.ResumptionBranch, message.ResumptionReInit} {
		// Mallory and zoe are in an old group; in a new one of mallory's he
		// adds zoe by what he knows of the old one.
		all := crew(t, x25519, "mallory", "zoe", "victor")
		mallory, zoe, victor := all[0], all[1], all[2]
		if usage == message.ResumptionReInit {
			spread(mallory, mallory.commit(mls.CommitOptions{ReInit: &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: x25519}}), all)
		}
		old := newForger(t, mallory)
		psk := message.PreSharedKeyID{Type: message.PSKResumption, Usage: usage, GroupID: old.in.GroupID, Epoch: old.in.Context.Epoch}
		psk.Nonce = suite.Random(old.in.Suite.HashSize())
		psks := map[string][]byte{psk.Key(): old.in.Secrets.ResumptionPSK}
		welcome := func(groupID string, epochs int, others ...*party) []byte {
			maker := mallory.twin()
			maker.group = must(maker.client.CreateGroup(ctx, maker.id.ID(), mls.GroupOptions{GroupID: []byte(groupID)}))
			for range epochs {
				maker.commit(mls.CommitOptions{})
				maker.apply()
			}
			f := newForger(t, maker)
			kp := parseKeyPackage(zoe.keyPackage())
			list := value(message.Proposal{Type: message.ProposalAdd, Add: kp})
			for _, p := range others {
				list = append(list, value(message.Proposal{Type: message.ProposalAdd, Add: parseKeyPackage(p.twin().keyPackage())})...)
			}
			list = append(list, value(message.Proposal{Type: message.ProposalPSK, PSK: &psk})...)
			return f.welcome(f.build(forgedCommit{proposals: list, psks: psks}), kp, forgedWelcome{})
		}
		stranger := newPartyWith(t, x25519, "stranger", nil)
		rows := []struct {
			what    string
			welcome []byte
			want    mlserr.Code
		}{
			{"epoch 2", welcome("next", 1, victor), mlserr.WelcomeInvalid},
		}
		if usage == message.ResumptionBranch {
			rows = append(rows, []struct {
				what    string
				welcome []byte
				want    mlserr.Code
			}{{"a stranger", welcome("next", 0, stranger), mlserr.WelcomeInvalid}}...)
		} else {
			rows = append(rows, []struct {
				what    string
				welcome []byte
				want    mlserr.Code
			}{
				{"another group id", welcome("other", 0, victor), mlserr.ReInitInvalid},
				{"a member left out", welcome("next", 0), mlserr.ReInitInvalid},
			}...)
		}
		for _, row := range rows {
			check := zoe.unchanged()
			_, err := zoe.client.JoinGroup(ctx, row.welcome, mls.JoinOptions{})
			if mlserr.CodeOf(err) != row.want {
				t.Errorf("usage %d, %s: %v, want %s", usage, row.what, err, row.want)
			}
			check(t, row.what)
		}
		if _, err := zoe.client.JoinGroup(ctx, welcome("next", 0, victor), mls.JoinOptions{}); err != nil {
			t.Errorf("usage %d: %v", usage, err)
		}
	}
}
