package curve

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"runtime"
	"testing"
)

var curves = []struct {
	name  string
	curve func() *Curve
	std   ecdh.Curve
	order *big.Int
	p     *big.Int
}{
	{"P-256", P256, ecdh.P256(), elliptic.P256().Params().N, elliptic.P256().Params().P},
	{"P-384", P384, ecdh.P384(), elliptic.P384().Params().N, elliptic.P384().Params().P},
	{"P-521", P521, ecdh.P521(), elliptic.P521().Params().N, elliptic.P521().Params().P},
}

// stride thins the tests out in wasm, where crypto/ecdh is slow.
var stride = map[bool]int{false: 1, true: 11}[runtime.GOARCH == "wasm"]

// TestValidScalar: 1 to the order less 1, in full length.
func TestValidScalar(t *testing.T) {
	for _, c := range curves {
		size := c.curve().Size()
		one := big.NewInt(1)
		for _, s := range []struct {
			scalar *big.Int
			want   bool
		}{
			{new(big.Int), false},
			{one, true},
			{new(big.Int).Lsh(one, 64), true},
			{new(big.Int).Sub(c.order, one), true},
			{c.order, false},
			{new(big.Int).Add(c.order, one), false},
			{new(big.Int).Sub(new(big.Int).Lsh(one, uint(8*size)), one), false},
		} {
			scalar := s.scalar.FillBytes(make([]byte, size))
			if got := c.curve().ValidScalar(scalar); got != s.want {
				t.Errorf("%s: %x: %v", c.name, scalar, got)
			}
			if c.curve().ValidScalar(scalar[1:]) || c.curve().ValidScalar(append([]byte{0}, scalar...)) {
				t.Errorf("%s: %x of another length is valid", c.name, scalar)
			}
		}
	}
}

// TestPublicKey compares with crypto/ecdh: scalars at both ends of the range,
// with one bit and with all bits but one, and random ones.
func TestPublicKey(t *testing.T) {
	for _, c := range curves {
		t.Run(c.name, func(t *testing.T) {
			size := c.curve().Size()
			var scalars []*big.Int
			for i := int64(1); i <= 40; i++ {
				scalars = append(scalars, big.NewInt(i), new(big.Int).Sub(c.order, big.NewInt(i)))
			}
			for i := 0; i < c.order.BitLen(); i += stride {
				bit := new(big.Int).Lsh(big.NewInt(1), uint(i))
				if bit.Cmp(c.order) < 0 {
					scalars = append(scalars, bit)
				}
				if rest := new(big.Int).Sub(c.order, bit); rest.Sign() > 0 {
					scalars = append(scalars, rest)
				}
			}
			for range 200 / stride {
				key, err := c.std.GenerateKey(rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				scalars = append(scalars, new(big.Int).SetBytes(key.Bytes()))
			}
			for _, s := range scalars {
				scalar := s.FillBytes(make([]byte, size))
				key, err := c.std.NewPrivateKey(scalar)
				if err != nil {
					t.Fatal(err)
				}
				got := c.curve().PublicKey(scalar)
				if want := key.PublicKey().Bytes(); !bytes.Equal(got, want) {
					t.Fatalf("%x: %x, want %x", scalar, got, want)
				}
				if !c.curve().Valid(got) {
					t.Fatalf("%x is not valid", got)
				}
			}
		})
	}
}

// TestValid compares with crypto/ecdh on points of the curve and on what is
// next to them.
func TestValid(t *testing.T) {
	for _, c := range curves {
		t.Run(c.name, func(t *testing.T) {
			size := c.curve().Size()
			check := func(b []byte) bool {
				t.Helper()
				_, err := c.std.NewPublicKey(b)
				if got := c.curve().Valid(b); got != (err == nil) {
					t.Errorf("%x: %v, and crypto/ecdh says %v", b, got, err)
				}
				return err == nil
			}
			coordinates := func(x, y *big.Int) []byte {
				b := append([]byte{4}, x.FillBytes(make([]byte, size))...)
				return append(b, y.FillBytes(make([]byte, size))...)
			}
			zero := new(big.Int)
			for range max(1, 20/stride) {
				key, err := c.std.GenerateKey(rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				good := key.PublicKey().Bytes()
				if !check(good) {
					t.Fatal("the good one")
				}
				for i := range good {
					bad := bytes.Clone(good)
					bad[i] ^= 1 << (i % 8)
					check(bad)
				}
				check(good[:len(good)-1])
				check(append(bytes.Clone(good), 0))
				compressed := append([]byte{2 + good[len(good)-1]&1}, good[1:1+size]...)
				check(compressed)
				x, y := new(big.Int).SetBytes(good[1:1+size]), new(big.Int).SetBytes(good[1+size:])
				check(coordinates(x, new(big.Int).Sub(c.p, y)))
				check(coordinates(y, x))
				check(coordinates(zero, y))
				check(coordinates(x, zero))
			}
			// The same residues, not reduced: x = 0 has a point on each of the
			// curves when b is a square.
			b := elliptic.P256().Params().B
			switch c.name {
			case "P-384":
				b = elliptic.P384().Params().B
			case "P-521":
				b = elliptic.P521().Params().B
			}
			if y := new(big.Int).ModSqrt(b, c.p); y != nil {
				if !check(coordinates(zero, y)) {
					t.Error("x = 0 refused")
				}
				check(coordinates(c.p, y))
				check(coordinates(zero, new(big.Int).Sub(c.p, y)))
			}
			check(coordinates(zero, zero))
			check([]byte{0})
			check(nil)
			check(bytes.Repeat([]byte{0xff}, 1+2*size))
		})
	}
}

// TestField compares with math/big, with the largest elements among them.
func TestField(t *testing.T) {
	for _, c := range curves {
		f := c.curve().field
		numbers := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), new(big.Int).Sub(c.p, big.NewInt(1)), new(big.Int).Sub(c.p, big.NewInt(2))}
		for range 20 {
			n, err := rand.Int(rand.Reader, c.p)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		toElement := func(n *big.Int) (x element) {
			if !f.setBytes(&x, n.FillBytes(make([]byte, f.size))) {
				t.Fatalf("%x refused", n)
			}
			return x
		}
		check := func(op string, got element, want *big.Int) {
			t.Helper()
			want.Mod(want, c.p)
			if b := f.appendBytes(nil, &got); new(big.Int).SetBytes(b).Cmp(want) != 0 {
				t.Fatalf("%s %s: %x, want %x", c.name, op, b, want)
			}
		}
		for _, a := range numbers {
			x := toElement(a)
			for _, b := range numbers {
				y := toElement(b)
				var z element
				f.add(&z, &x, &y)
				check("add", z, new(big.Int).Add(a, b))
				f.sub(&z, &x, &y)
				check("sub", z, new(big.Int).Sub(a, b))
				f.mul(&z, &x, &y)
				check("mul", z, new(big.Int).Mul(a, b))
			}
			if a.Sign() != 0 {
				var z element
				f.invert(&z, &x)
				check("invert", z, new(big.Int).ModInverse(a, c.p))
			}
		}
		var z element
		if f.setBytes(&z, c.p.FillBytes(make([]byte, f.size))) {
			t.Errorf("%s: p is accepted as an element", c.name)
		}
	}
}

func BenchmarkPublicKey(b *testing.B) {
	for _, c := range curves {
		b.Run(c.name, func(b *testing.B) {
			scalar := bytes.Repeat([]byte{0x5a}, c.curve().Size())
			scalar[0] = 0
			for b.Loop() {
				c.curve().PublicKey(scalar)
			}
		})
	}
}
