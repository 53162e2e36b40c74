package mls_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/treemath"
)

// TestSnapshot: what a snapshot says is so.
func TestSnapshot(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	spread(carol, carol.commit(mls.CommitOptions{}), all)
	r := bob.commit(mls.CommitOptions{Add: [][]byte{newParty(t, x25519, "dave").keyPackage()}, NoPath: true})
	spread(bob, r, all) // dave, at leaf 3, is unmerged below the root
	for i := range 5 {
		if b := carol.send("x"); i == 1 || i == 4 {
			alice.receive(b)
		}
	}
	alice.propose(mls.ProposeOptions{Update: true}, all)
	leaf := treemath.LeafIndex(1)
	bob.propose(mls.ProposeOptions{Remove: &leaf}, nil)
	pending := alice.commit(mls.CommitOptions{})

	v := must(alice.group.Snapshot(ctx))
	info := alice.info()
	if v.Epoch != info.Epoch || v.Status != info.Status || v.OwnLeaf != 0 || !bytes.Equal(v.TreeHash, info.TreeHash) || len(v.Members) != 4 {
		t.Errorf("%+v", v)
	}
	kinds := ""
	for _, n := range v.Tree {
		kinds += string(n.Kind)[:1]
		if (n.Kind == mls.NodeBlank) != (n.Key == nil) || n.Key != nil && len(n.Key) != 8 {
			t.Errorf("fingerprint %x of a %s node", n.Key, n.Kind)
		}
	}
	if kinds != "lblplbl" && kinds != "lblplpl" && kinds != "lplplpl" && kinds != "lplplbl" {
		t.Errorf("tree %s", kinds)
	}
	if root := v.Tree[3]; len(root.Unmerged) != 1 || root.Unmerged[0] != 3 || !root.Known || !v.Tree[0].Known || v.Tree[2].Known {
		t.Errorf("root %+v", root)
	}
	var of2 mls.SenderSnapshot
	for _, s := range v.Senders {
		if s.Leaf == 2 {
			of2 = s
		}
	}
	if of2.Application != (mls.RatchetSnapshot{Next: 5, Skipped: 3}) {
		t.Errorf("carol's ratchets: %+v", of2)
	}
	if len(v.Proposals) != 1 || v.Proposals[0].Type != message.ProposalUpdate || v.Proposals[0].Sender.Leaf != 0 {
		t.Errorf("proposals %+v", v.Proposals)
	}
	if p := v.Pending; p == nil || p.Epoch != info.Epoch+1 || p.CommitSize != len(pending.Commit) {
		t.Errorf("pending %+v", p)
	}
	if v.Inbox != len(must(alice.group.Inbox(ctx))) || len(v.Past) == 0 || v.Past[0].Epoch != info.Epoch-1 || len(v.ResumptionPSKs) == 0 {
		t.Errorf("%+v", v)
	}
	stored := map[string]bool{}
	bytesStored := 0
	for _, r := range v.Records {
		stored[r.Kind] = r.Count > 0 && r.Bytes > 0
		bytesStored += r.Bytes
	}
	want := 0
	for _, name := range alice.store.RecordNames(mls.GroupScope(v.GroupID)) {
		want += len(alice.store.Record(mls.GroupScope(v.GroupID), name))
	}
	if !stored["epoch"] || !stored["page"] || !stored["ratchet"] || !stored["pending"] || bytesStored != want {
		t.Errorf("records of %d bytes, want %d: %+v", bytesStored, want, v.Records)
	}

	// Why the last message was refused.
	if v.LastRejected != nil {
		t.Errorf("%+v", v.LastRejected)
	}
	carol2 := carol.twin()
	b := carol2.commit(mls.CommitOptions{PublicMessage: true, IgnoreProposals: true}).Commit
	b[len(b)-1] ^= 1
	alice.refuses(t, "damaged", b, mlserr.MembershipTag)
	l := must(alice.group.Snapshot(ctx)).LastRejected
	if l == nil || l.Code != mlserr.MembershipTag || l.Size != len(b) || l.Header.WireFormat != message.WireFormatPublicMessage || l.Header.Epoch != v.Epoch || l.Header.ContentType != message.ContentTypeCommit {
		t.Errorf("%+v", l)
	}
	must(alice.group.ReceiveAll(ctx, [][]byte{[]byte("nothing")}))
	l = must(alice.group.Snapshot(ctx)).LastRejected
	if l == nil || l.Code.Info().Class != mlserr.ClassMalformed || l.Header.WireFormat != 0 {
		t.Errorf("%+v", l)
	}

	c := must(alice.client.Snapshot(ctx))
	alice.keyPackage()
	d := must(alice.client.Snapshot(ctx))
	if len(c.Identities) != 1 || len(c.Groups) != 1 || d.Revision != c.Revision+1 || d.Identities[0].KeyPackages != c.Identities[0].KeyPackages+1 || d.Identities[0].KeyStorage != "sealed" {
		t.Errorf("%+v, %+v", c, d)
	}
	if err := alice.client.DeleteGroup(ctx, v.GroupID); err != nil {
		t.Fatal(err)
	}
	_, err := alice.group.Snapshot(ctx)
	wantCode(t, err, mlserr.GroupNotFound)
	if g := must(must(carol2.client.Group(ctx, v.GroupID)).Snapshot(ctx)); g.Epoch != v.Epoch {
		t.Errorf("%+v", g)
	}
}

// TestSnapshotHoldsNoSecret: nothing that a group or a client keeps secret, and
// no content, is in what a snapshot shows, nor in a part of it.
func TestSnapshotHoldsNoSecret(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	spread(carol, carol.commit(mls.CommitOptions{}), all)
	if err := alice.client.StorePSK(ctx, []byte("an id"), []byte("an external secret")); err != nil {
		t.Fatal(err)
	}
	bob.send("skipped")
	alice.receive(bob.send("a secret message"))
	alice.keyPackage()
	alice.propose(mls.ProposeOptions{Update: true}, all)
	alice.commit(mls.CommitOptions{})
	_, err := alice.group.Receive(ctx, []byte("no message"))
	wantCode(t, err, mlserr.UnknownVersion)

	secrets := append(alice.group.LiveSecrets(), alice.client.KeyPackageSecrets()...)
	secrets = append(secrets, mls.Secret{Name: "psk", Bytes: []byte("an external secret")}, mls.Secret{Name: "content", Bytes: []byte("a secret message")},
		mls.Secret{Name: "signature key", Bytes: alice.id.SignatureHandle().Reference()})
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets: the test shows nothing", len(secrets))
	}
	for _, snapshot := range []any{must(alice.group.Snapshot(ctx)), must(alice.client.Snapshot(ctx))} {
		shown := 0
		walk(reflect.ValueOf(snapshot), func(b []byte) {
			shown++
			for _, s := range secrets {
				if bytes.Contains(b, s.Bytes) || len(b) >= 8 && bytes.Contains(s.Bytes, b) {
					t.Errorf("%T shows of the %s: %x", snapshot, s.Name, b)
				}
			}
		})
		if shown < 5 {
			t.Errorf("%T shows only %d values", snapshot, shown)
		}
		if s := fmt.Sprintf("%+v", snapshot); bytes.Contains([]byte(s), []byte("secret message")) {
			t.Error("content is shown")
		}
	}
}

// walk calls f with all byte strings and strings in a value.
func walk(v reflect.Value, f func(b []byte)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i), f)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			f(v.Bytes())
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), f)
		}
	case reflect.String:
		f([]byte(v.String()))
	}
}
