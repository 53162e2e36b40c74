package mls_test

import (
	"strings"
	"testing"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/treemath"
)

// pageRecords counts the records of pages and of bundles that are stored.
func (p *party) pageRecords() (pages, bundles int) {
	records, _, err := p.store.Load(ctx, mls.GroupScope(p.group.ID()))
	if err != nil {
		p.t.Fatal(err)
	}
	for name := range records {
		switch {
		case strings.HasPrefix(name, "page/"):
			pages++
		case strings.HasPrefix(name, "pages/"):
			bundles++
		}
	}
	return pages, bundles
}

// TestBundles: pages that are written all at once share records, those that change
// afterwards have their own, a bundle of which little counts any more goes, and what is
// stored is the tree at any time, also where it became smaller and grew again.
func TestBundles(t *testing.T) {
	const members = 150 // of 256 leaves: 16 pages and one above them
	alice, bob := newParty(t, x25519, "alice"), newParty(t, x25519, "bob")
	alice.create()
	keyPackages := [][]byte{bob.keyPackage()}
	others := newParty(t, x25519, "others")
	add := func(n int) (list [][]byte) {
		for range n {
			id := must(others.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte("other"))))
			list = append(list, must(others.client.CreateKeyPackages(ctx, id.ID(), 1, mls.KeyPackageOptions{}))...)
		}
		return list
	}
	r := alice.commit(mls.CommitOptions{Add: append(keyPackages, add(members-2)...)})
	alice.reload() // with all pages in the pending commit
	alice.apply()
	bob.join(r.Welcome)
	stored := func(what string, wantPages, wantBundles int) {
		t.Helper()
		for _, p := range []*party{alice, bob} {
			if pages, bundles := p.pageRecords(); pages != wantPages || bundles != wantBundles {
				t.Errorf("%s: %s has %d pages and %d bundles, want %d and %d", what, p.name, pages, bundles, wantPages, wantBundles)
			}
			p.checkStored()
			p.reload()
		}
		agree(t, alice, bob)
	}
	commit := func(opts mls.CommitOptions) {
		t.Helper()
		r := alice.commit(opts)
		bob.receive(r.Commit)
		alice.apply()
	}
	remove := func(from, to treemath.LeafIndex) {
		t.Helper()
		var list []treemath.LeafIndex
		for i := from; i < to; i++ {
			list = append(list, i)
		}
		commit(mls.CommitOptions{Remove: list})
	}
	stored("at the beginning", 0, 1)
	commit(mls.CommitOptions{})
	stored("after a path", 2, 1) // that of the leaf, and the highest
	remove(120, members)
	stored("of half the leaves", 3, 1)
	commit(mls.CommitOptions{Add: add(20)})
	commit(mls.CommitOptions{})
	stored("of all leaves again", 11, 1)
	remove(17, 18)
	remove(33, 34)
	stored("where the bundle has little left", 17, 0)
}
