package der

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"math/big"
	"testing"
)

type signature struct{ R, S *big.Int }

// sizes are those of the curves P-256, P-384 and P-521.
var sizes = []int{32, 48, 66}

func TestAgainstASN1(t *testing.T) {
	for _, size := range sizes {
		for _, ints := range [][2][]byte{
			{{0}, {0}}, {{1}, {0x7f}}, {{0x80}, {0xff}},
			{bytes.Repeat([]byte{0xff}, size), bytes.Repeat([]byte{0x7f}, size)},
			{bytes.Repeat([]byte{0x01}, size-1), bytes.Repeat([]byte{0x80}, size-2)},
		} {
			r, s := new(big.Int).SetBytes(ints[0]), new(big.Int).SetBytes(ints[1])
			want, err := asn1.Marshal(signature{r, s})
			if err != nil {
				t.Fatal(err)
			}
			raw := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
			if got := Marshal(raw); !bytes.Equal(got, want) {
				t.Errorf("Marshal(%x) = %x, want %x", raw, got, want)
			}
			if got, ok := Unmarshal(want, size); !ok || !bytes.Equal(got, raw) {
				t.Errorf("Unmarshal(%x) = %x, %v, want %x", want, got, ok, raw)
			}
		}
	}
}

// TestStrict refuses every encoding that has another form than DER's.
func TestStrict(t *testing.T) {
	good := []byte{0x30, 6, 2, 1, 5, 2, 1, 7}
	if _, ok := Unmarshal(good, 32); !ok {
		t.Fatal("the good one")
	}
	for n := range good {
		if _, ok := Unmarshal(good[:n], 32); ok {
			t.Errorf("prefix of %d bytes accepted", n)
		}
	}
	for name, bad := range map[string][]byte{
		"a byte behind the sequence": append(append([]byte(nil), good...), 0),
		"a byte behind s":            {0x30, 7, 2, 1, 5, 2, 1, 7, 0},
		"a third integer":            {0x30, 9, 2, 1, 5, 2, 1, 7, 2, 1, 1},
		"long form of a short":       {0x30, 0x81, 6, 2, 1, 5, 2, 1, 7},
		"long form of an integer":    {0x30, 7, 2, 0x81, 1, 5, 2, 1, 7},
		"indefinite length":          {0x30, 0x80, 2, 1, 5, 2, 1, 7, 0, 0},
		"leading zero":               {0x30, 7, 2, 2, 0, 5, 2, 1, 7},
		"negative":                   {0x30, 6, 2, 1, 0x80, 2, 1, 7},
		"empty integer":              {0x30, 5, 2, 0, 2, 1, 7},
		"set for sequence":           {0x31, 6, 2, 1, 5, 2, 1, 7},
		"octets for integer":         {0x30, 6, 4, 1, 5, 2, 1, 7},
		"raw":                        make([]byte, 64),
	} {
		if _, ok := Unmarshal(bad, 32); ok {
			t.Errorf("%s accepted", name)
		}
	}
	long, err := asn1.Marshal(signature{new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Unmarshal(long, 32); ok {
		t.Error("an integer of 33 bytes accepted for 32")
	}
	if _, ok := Unmarshal(long, 48); !ok {
		t.Error("an integer of 33 bytes refused for 48")
	}
}

func TestAgainstECDSA(t *testing.T) {
	for i, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 50 {
			sig, err := ecdsa.SignASN1(rand.Reader, key, []byte{byte(n)})
			if err != nil {
				t.Fatal(err)
			}
			raw, ok := Unmarshal(sig, sizes[i])
			if !ok || len(raw) != 2*sizes[i] || !bytes.Equal(Marshal(raw), sig) {
				t.Fatalf("%x: %x, %v", sig, raw, ok)
			}
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 5, 2, 1, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, size := range sizes {
			if raw, ok := Unmarshal(b, size); ok && !bytes.Equal(Marshal(raw), b) {
				t.Errorf("%x reads as %x, which is written as %x", b, raw, Marshal(raw))
			}
		}
	})
}
