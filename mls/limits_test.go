package mls_test

import (
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite/softkeys"
)

// TestMaxLifetime: a key package for a century is refused by default, and
// accepted by a client that sets no maximum.
func TestMaxLifetime(t *testing.T) {
	bob := newParty(t, x25519, "bob")
	list, err := bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{Lifetime: 100 * 365 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	alice := newParty(t, x25519, "alice")
	alice.create()
	_, err = alice.group.Add(ctx, list[0])
	wantCode(t, err, mlserr.LifetimeInvalid)

	alice.client, err = mls.Open(ctx, mls.Config{
		Keys:          softkeys.New(),
		Store:         alice.store,
		Authenticator: acceptAll{},
		Limits:        mls.Limits{MaxLifetime: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	if alice.group, err = alice.client.Group(ctx, alice.group.ID()); err != nil {
		t.Fatal(err)
	}
	r := alice.commit(mls.CommitOptions{Add: list})
	alice.apply()
	bob.join(r.Welcome)
	agree(t, alice, bob)
}

// TestMaxMembers: a Welcome to a group that is too large is refused before its
// tree is verified.
func TestMaxMembers(t *testing.T) {
	alice, _, _ := trio(t, x25519)
	dave := newParty(t, x25519, "dave")
	welcome := alice.commit(mls.CommitOptions{Add: [][]byte{dave.keyPackage()}}).Welcome
	for limit, want := range map[int]mlserr.Code{3: mlserr.TooLarge, 4: ""} {
		client, err := mls.Open(ctx, mls.Config{
			Keys: softkeys.New(), Store: dave.store.Clone(), Authenticator: acceptAll{}, Limits: mls.Limits{MaxMembers: limit},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = client.JoinGroup(ctx, welcome, mls.JoinOptions{}); mlserr.CodeOf(err) != want {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}
