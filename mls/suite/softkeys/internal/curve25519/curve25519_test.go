package curve25519

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/cloudflare/circl/dh/x25519"
)

// random gives the same numbers in every run, with long runs of equal bits
// among them: these reach the ends of ranges, which uniform ones do not.
var random = rand.New(rand.NewPCG(25519, 1))

func randomBytes() (b [Size]byte) {
	fill, left := byte(0), 0
	kind := random.IntN(2)
	for i := range b {
		if left == 0 {
			fill, left = byte(-random.IntN(2)), 1+random.IntN(12)
		}
		b[i], left = fill, left-1
		if kind == 0 || left == 0 {
			b[i] = byte(random.Uint32())
		}
	}
	return b
}

func reversed(b []byte) []byte {
	b = bytes.Clone(b)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return b
}

func littleEndian(b []byte) *big.Int { return new(big.Int).SetBytes(reversed(b)) }

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// TestVectors: RFC 7748, Section 5.2.
func TestVectors(t *testing.T) {
	read := func(s string) *[Size]byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return (*[Size]byte)(b)
	}
	for _, v := range [][3]string{
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
	} {
		if got := X25519(read(v[0]), read(v[1])); got != *read(v[2]) {
			t.Errorf("%x, want %s", got, v[2])
		}
	}
	k, u := [Size]byte{9}, [Size]byte{9}
	for i := 1; i <= 1000; i++ {
		k, u = X25519(&k, &u), k
		if i == 1 && k != *read("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079") {
			t.Fatalf("after one iteration %x", k)
		}
	}
	if k != *read("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51") {
		t.Errorf("after a thousand iterations %x", k)
	}
}

// TestX25519 compares with crypto/ecdh.
func TestX25519(t *testing.T) {
	for range 300 {
		private, peer := randomBytes(), randomBytes()
		key, err := ecdh.X25519().NewPrivateKey(private[:])
		if err != nil {
			t.Fatal(err)
		}
		if got := PublicKey(&private); !bytes.Equal(got[:], key.PublicKey().Bytes()) {
			t.Fatalf("public key of %x: %x, want %x", private, got, key.PublicKey().Bytes())
		}
		public, err := ecdh.X25519().NewPublicKey(peer[:])
		if err != nil {
			t.Fatal(err)
		}
		want, err := key.ECDH(public)
		got := X25519(&private, &peer)
		if err != nil {
			want = make([]byte, Size) // of low order
		}
		if !bytes.Equal(got[:], want) {
			t.Fatalf("%x with %x: %x, want %x", private, peer, got, want)
		}
	}
	for _, low := range []*big.Int{new(big.Int), big.NewInt(1), new(big.Int).Sub(prime, big.NewInt(1)), prime,
		new(big.Int).Add(prime, big.NewInt(1))} {
		private, peer := randomBytes(), reversed(low.FillBytes(make([]byte, Size)))
		if got := X25519(&private, (*[Size]byte)(peer)); got != [Size]byte{} {
			t.Errorf("with %x: %x", low, got)
		}
	}
}

func BenchmarkCurve25519(b *testing.B) {
	private, peer := randomBytes(), PublicKey(&[Size]byte{1})
	key, err1 := ecdh.X25519().NewPrivateKey(private[:])
	public, err2 := ecdh.X25519().NewPublicKey(peer[:])
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	var out x25519.Key
	for name, f := range map[string]func(){
		"PublicKey/ours":  func() { PublicKey(&private) },
		"PublicKey/circl": func() { x25519.KeyGen(&out, (*x25519.Key)(&private)) },
		"PublicKey/std":   func() { ecdh.X25519().NewPrivateKey(private[:]) },
		"X25519/ours":     func() { X25519(&private, &peer) },
		"X25519/circl":    func() { x25519.Shared(&out, (*x25519.Key)(&private), (*x25519.Key)(&peer)) },
		"X25519/std":      func() { key.ECDH(public) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}

// TestPublicKeys: what is computed of many at once is the same.
func TestPublicKeys(t *testing.T) {
	for n := range 12 {
		private := make([]*[Size]byte, n)
		for i := range private {
			key := randomBytes()
			private[i] = &key
		}
		public := PublicKeys(private)
		if len(public) != n {
			t.Fatalf("%d of %d", len(public), n)
		}
		for i, key := range private {
			if want := PublicKey(key); public[i] != want {
				t.Errorf("%d of %d: %x, want %x", i, n, public[i], want)
			}
		}
	}
}
