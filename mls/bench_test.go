package mls_test

import (
	"crypto/ed25519"
	"strconv"
	"testing"

	"webmls/mls"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// The sizes of the groups that are measured.
var benchSizes = []int{10, 100, 1000}

const benchSuite = suite.X25519AES128SHA256Ed25519

// bySize runs a benchmark for each size of group.
func bySize(b *testing.B, f func(b *testing.B, n int)) {
	for _, n := range benchSizes {
		b.Run("N="+strconv.Itoa(n), func(b *testing.B) { f(b, n) })
	}
}

// crowd makes n key packages, each of a client of its own; last is the client
// of the last one.
func crowd(b *testing.B, n int) (keyPackages [][]byte, last *party) {
	for i := range n {
		last = newParty(b, benchSuite, "member "+strconv.Itoa(i))
		keyPackages = append(keyPackages, last.keyPackage())
	}
	return keyPackages, last
}

// benchGroup makes a group of n members, of which the creator and the last one
// are here. The tree is what one commit that adds all but the creator leaves:
// its inner nodes are blank but for the creator's path.
func benchGroup(b *testing.B, n int) (creator, last *party, welcome []byte) {
	b.Helper()
	creator = newParty(b, benchSuite, "creator")
	creator.create()
	keyPackages, last := crowd(b, n-1)
	r := creator.commit(mls.CommitOptions{Add: keyPackages})
	creator.apply()
	return creator, last, r.Welcome
}

// joinedGroup is benchGroup with the last member in it.
func joinedGroup(b *testing.B, n int) (creator, last *party) {
	b.Helper()
	creator, last, welcome := benchGroup(b, n)
	last.join(welcome)
	return creator, last
}

// BenchmarkSign and BenchmarkVerify are what the others are measured in.
func BenchmarkSign(b *testing.B) {
	_, key, _ := ed25519.GenerateKey(nil)
	message := make([]byte, 256)
	for b.Loop() {
		ed25519.Sign(key, message)
	}
}

func BenchmarkVerify(b *testing.B) {
	public, key, _ := ed25519.GenerateKey(nil)
	message := make([]byte, 256)
	sig := ed25519.Sign(key, message)
	for b.Loop() {
		if !ed25519.Verify(public, message, sig) {
			b.Fatal("does not verify")
		}
	}
}

// BenchmarkVerify1000 verifies 1,000 signatures one after another.
func BenchmarkVerify1000(b *testing.B) {
	public, key, _ := ed25519.GenerateKey(nil)
	message := make([]byte, 256)
	sig := ed25519.Sign(key, message)
	for b.Loop() {
		for range 1000 {
			if !ed25519.Verify(public, message, sig) {
				b.Fatal("does not verify")
			}
		}
	}
}

func BenchmarkKeyPackage(b *testing.B) {
	p := newParty(b, benchSuite, "alice")
	for b.Loop() {
		p.keyPackage()
	}
}

func BenchmarkCreate(b *testing.B) {
	p := newParty(b, benchSuite, "alice")
	for b.Loop() {
		p.create()
	}
}

// BenchmarkAdd adds all members in one commit, Welcome included.
func BenchmarkAdd(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		p := newParty(b, benchSuite, "alice")
		keyPackages, _ := crowd(b, n-1)
		p.create()
		for b.Loop() {
			p.commit(mls.CommitOptions{Add: keyPackages})
			b.StopTimer()
			if err := p.group.ClearPendingCommit(ctx); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

// BenchmarkJoin joins by a Welcome with the ratchet tree in it.
func BenchmarkJoin(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		_, last, welcome := benchGroup(b, n)
		before := last.store.Clone()
		for b.Loop() {
			b.StopTimer()
			last.client.Close()
			last.store = before.Clone()
			last.open(last.store)
			b.StartTimer()
			last.join(welcome)
		}
	})
}

// BenchmarkCommit makes a commit with a path in the worst tree, the one that a
// commit with many adds leaves: nearly all inner nodes are blank, so that there
// are nearly as many ciphertexts as members.
func BenchmarkCommit(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		_, last := joinedGroup(b, n)
		for b.Loop() {
			last.commit(mls.CommitOptions{})
			b.StopTimer()
			if err := last.group.ClearPendingCommit(ctx); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

// BenchmarkProcess processes a commit with a path, and stores the new epoch.
func BenchmarkProcess(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		creator, last := joinedGroup(b, n)
		for b.Loop() {
			b.StopTimer()
			r := last.commit(mls.CommitOptions{})
			last.apply()
			b.StartTimer()
			creator.receive(r.Commit)
		}
	})
}

// BenchmarkRemove makes a commit that removes a member, in the worst tree.
func BenchmarkRemove(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		creator, _ := joinedGroup(b, n)
		for b.Loop() {
			creator.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}})
			b.StopTimer()
			if err := creator.group.ClearPendingCommit(ctx); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

// BenchmarkProtect encrypts 1 KiB, and stores the ratchet.
func BenchmarkProtect(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		creator, _ := joinedGroup(b, n)
		data := make([]byte, 1024)
		for b.Loop() {
			if _, err := creator.group.Send(ctx, data, mls.SendOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUnprotect decrypts 1 KiB, stores the ratchet and the message, and
// acknowledges it.
func BenchmarkUnprotect(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		creator, last := joinedGroup(b, n)
		data := string(make([]byte, 1024))
		for b.Loop() {
			b.StopTimer()
			sealed := creator.send(data)
			b.StartTimer()
			ev := last.receive(sealed)
			if err := last.group.Acknowledge(ctx, ev.InboxID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen loads a group from the store.
func BenchmarkOpen(b *testing.B) {
	bySize(b, func(b *testing.B, n int) {
		creator, _ := joinedGroup(b, n)
		for b.Loop() {
			creator.reload()
			creator.info()
		}
	})
}
