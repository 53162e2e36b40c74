package mls_test

import (
	"bytes"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// TestKeyPackageList: what is held is listed, those that end first in front;
// what is deleted opens no Welcome, and takes its private keys along.
func TestKeyPackageList(t *testing.T) {
	alice, bob := newPartyWith(t, x25519, "alice", nil), newPartyWith(t, x25519, "bob", nil)
	last := must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LastResort: true}))[0]
	short := must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 2, mls.KeyPackageOptions{Lifetime: time.Hour}))
	list := must(bob.client.KeyPackages(ctx, bob.id.ID()))
	if len(list) != 3 || list[0].LastResort || list[1].LastResort || !list[2].LastResort || !bytes.Equal(list[2].KeyPackage, last) {
		t.Fatalf("%+v", list)
	}
	if n := len(must(bob.client.KeyPackages(ctx, alice.id.ID()))); n != 0 {
		t.Errorf("%d of another identity", n)
	}
	bob.reloadWith(nil)
	again := must(bob.client.KeyPackages(ctx, bob.id.ID()))
	for i := range list {
		if !bytes.Equal(list[i].KeyPackage, again[i].KeyPackage) || !bytes.Equal(list[i].Reference, again[i].Reference) || list[i].NotAfter != again[i].NotAfter {
			t.Errorf("%d: %+v after a reload, %+v before", i, again[i], list[i])
		}
	}
	used := short[0]
	if !bytes.Equal(used, list[0].KeyPackage) {
		used = short[1]
	}
	alice.create()
	r, err := alice.group.Add(ctx, used)
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.client.DeleteKeyPackages(ctx, list[0].Reference, []byte("unknown")); err != nil {
		t.Fatal(err)
	}
	_, err = bob.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
	wantCode(t, err, mlserr.NoMatchingKeyPackage)
	if n := must(bob.client.KeyPackageCount(ctx, bob.id.ID())); n != 2 {
		t.Errorf("%d are left", n)
	}
	bob.reloadWith(nil)
	if n := len(must(bob.client.KeyPackages(ctx, bob.id.ID()))); n != 2 {
		t.Errorf("%d are left after a reload", n)
	}
}

// TestMemberDetails: a leaf says when its key package ends, until it is changed.
func TestMemberDetails(t *testing.T) {
	alice, bob := newPartyWith(t, x25519, "alice", nil), newPartyWith(t, x25519, "bob", nil)
	alice.create()
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)
	m := must(alice.group.Member(ctx, 1))
	if m.Own || m.Leaf != 1 || !bytes.Equal(m.SignatureKey, bob.id.SignatureKey()) || len(m.EncryptionKey) != 32 || m.Lifetime == nil || !m.Capabilities.HasCredential(1) {
		t.Errorf("%+v", m)
	}
	spread(bob, bob.commit(mls.CommitOptions{}), []*party{alice, bob})
	if m := must(alice.group.Member(ctx, 1)); m.Lifetime != nil {
		t.Errorf("%+v after an update", m)
	}
	_, err := alice.group.Member(ctx, 7)
	wantCode(t, err, mlserr.NotMember)
}
