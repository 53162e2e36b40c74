package mls_test

import (
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite/softkeys"
)

// openWith opens the party's client again with types beyond RFC 9420.
func (p *party) openWith(supported mls.Supported) {
	p.t.Helper()
	c, err := mls.Open(ctx, mls.Config{Keys: softkeys.New(), Store: p.store, Authenticator: acceptAll{}, Supported: supported})
	if err != nil {
		p.t.Fatal(err)
	}
	p.client = c
}

func TestSupported(t *testing.T) {
	const extension, proposal = message.ExtensionType(0xf123), message.ProposalType(0xf456)
	alice, bob, carol := newParty(t, x25519, "alice"), newParty(t, x25519, "bob"), newParty(t, x25519, "carol")
	supported := mls.Supported{Extensions: []message.ExtensionType{extension}, Proposals: []message.ProposalType{proposal}}
	alice.openWith(supported)
	bob.openWith(supported)
	alice.create()
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)

	// Both have both: a group context extension, and a proposal that the
	// application carries out, by value and by reference.
	extensions := message.Extensions{{Type: extension, Data: []byte("topic")}}
	r = alice.commit(mls.CommitOptions{
		Extensions: &extensions,
		Custom:     []message.Proposal{{Type: proposal, Custom: []byte("by value")}},
	})
	alice.group.PendingCommit(ctx)
	id := alice.group.ID()
	alice.client.Close()
	alice.openWith(supported) // the pending commit keeps what it does
	var err error
	if alice.group, err = alice.client.Group(ctx, id); err != nil {
		t.Fatal(err)
	}
	for _, ev := range []*mls.Event{bob.receive(r.Commit), alice.apply()} {
		if !ev.Update.ExtensionsChanged || len(ev.Update.Custom) != 1 || string(ev.Update.Custom[0].Custom) != "by value" {
			t.Fatalf("got %+v", ev.Update)
		}
	}
	agree(t, alice, bob)
	p, err := bob.group.Propose(ctx, mls.ProposeOptions{Custom: &message.Proposal{Type: proposal, Custom: []byte("by reference")}})
	if err != nil {
		t.Fatal(err)
	}
	alice.receive(p.Message)
	r = alice.commit(mls.CommitOptions{})
	if ev := bob.receive(r.Commit); len(ev.Update.Custom) != 1 || string(ev.Update.Custom[0].Custom) != "by reference" {
		t.Fatalf("got %+v", ev.Update)
	}
	alice.apply()
	agree(t, alice, bob)

	// Carol does not have the extension: she cannot be added.
	_, err = alice.group.Add(ctx, carol.keyPackage())
	wantCode(t, err, mlserr.CapabilityMissing)
	// Without it she can be, and then neither can come back.
	alice.commit(mls.CommitOptions{Extensions: &message.Extensions{}, Add: [][]byte{carol.keyPackage()}})
	alice.apply()
	_, err = alice.group.Commit(ctx, mls.CommitOptions{Extensions: &extensions})
	wantCode(t, err, mlserr.GroupExtensionInvalid)
	_, err = alice.group.Commit(ctx, mls.CommitOptions{Custom: []message.Proposal{{Type: proposal}}})
	wantCode(t, err, mlserr.ProposalUnsupported)

	_, err = mls.Open(ctx, mls.Config{
		Keys: softkeys.New(), Store: mls.NewMemoryStore(), Authenticator: acceptAll{},
		Supported: mls.Supported{Proposals: []message.ProposalType{message.ProposalAdd}},
	})
	wantCode(t, err, mlserr.InvalidArgument)
}

func TestLeafExtensions(t *testing.T) {
	alice, bob := newParty(t, x25519, "alice"), newParty(t, x25519, "bob")
	alice.create()
	id := message.Extensions{message.NewApplicationID([]byte("device 7"))}
	list, err := bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LeafExtensions: id, Extensions: message.Extensions{{Type: 0xf999}}})
	if err != nil {
		t.Fatal(err)
	}
	r := alice.commit(mls.CommitOptions{Add: list})
	alice.apply()
	bob.join(r.Welcome)
	agree(t, alice, bob)
	talk(t, alice, bob)
	_, err = bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LeafExtensions: message.Extensions{{Type: 0xf999}}})
	wantCode(t, err, mlserr.ExtensionNotListed)
	_, err = bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LeafExtensions: append(id, id...)})
	wantCode(t, err, mlserr.DuplicateExtension)
}
