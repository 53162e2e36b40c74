package suite

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/sha3"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// TestRFC9180 runs the key schedule, the KEM functions and the AEADs through
// the vectors of RFC 9180 (base mode). Their KDFs and AEADs come in
// combinations that no cipher suite has, so that suites are put together here.
// The file is that of crypto/hpke in the Go distribution that runs the test; a
// browser reads it through wasmbrowsertest.
func TestRFC9180(t *testing.T) {
	var file []struct {
		KEM         uint16   `json:"kem_id"`
		KDF         uint16   `json:"kdf_id"`
		AEAD        uint16   `json:"aead_id"`
		Info        hexBytes `json:"info"`
		IkmE        hexBytes `json:"ikmE"`
		IkmR        hexBytes `json:"ikmR"`
		SkRm        hexBytes `json:"skRm"`
		PkRm        hexBytes `json:"pkRm"`
		Enc         hexBytes `json:"enc"`
		Encryptions hexBytes `json:"encryptions_accumulated"`
		Exports     hexBytes `json:"exports_accumulated"`
	}
	data, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src", "crypto", "hpke", "testdata", "rfc9180.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file) != 24 {
		t.Fatalf("%d vectors, want 24", len(file))
	}
	curves := map[uint16]struct {
		id    ID
		curve ecdh.Curve
	}{
		0x10: {P256AES128SHA256P256, ecdh.P256()},
		0x11: {P384AES256SHA384P384, ecdh.P384()},
		0x12: {P521AES256SHA512P521, ecdh.P521()},
		0x20: {X25519AES128SHA256Ed25519, ecdh.X25519()},
	}
	kdfs := map[uint16]int{1: 32, 2: 48, 3: 64} // Nh
	const exportOnly = 0xffff
	aeads := map[uint16]struct {
		newAEAD func([]byte) (cipher.AEAD, error)
		nk      int
	}{1: {newAESGCM, 16}, 2: {newAESGCM, 32}, 3: {newChaCha20Poly1305, 32}, exportOnly: {nil, 0}}

	for _, v := range file {
		t.Run(fmt.Sprintf("kem %#x kdf %d aead %#x", v.KEM, v.KDF, v.AEAD), func(t *testing.T) {
			c, aead := curves[v.KEM], aeads[v.AEAD]
			s := &Suite{id: c.id, nh: kdfs[v.KDF], kdfID: v.KDF,
				newAEAD: aead.newAEAD, nk: aead.nk, aeadID: v.AEAD, kem: mustLookup(t, c.id).kem}

			skR, err := c.curve.NewPrivateKey(DHKEMDeriveKey(c.id, v.IkmR))
			if err != nil {
				t.Fatal(err)
			}
			if pkR := skR.PublicKey().Bytes(); !bytes.Equal(pkR, v.PkRm) || len(pkR) != s.KEM().Npk {
				t.Fatalf("public key of the derived key is %x", pkR)
			}
			// The vectors clamp the private keys of X25519; what is derived is not clamped.
			if v.KEM != 0x20 && !bytes.Equal(skR.Bytes(), v.SkRm) || len(skR.Bytes()) != s.KEM().Nsk {
				t.Fatalf("derived key is %x", skR.Bytes())
			}
			skE, err := c.curve.NewPrivateKey(DHKEMDeriveKey(c.id, v.IkmE))
			if err != nil {
				t.Fatal(err)
			}
			if enc := skE.PublicKey().Bytes(); !bytes.Equal(enc, v.Enc) || len(enc) != s.KEM().Nenc {
				t.Fatalf("enc is %x", enc)
			}
			dh, err := skE.ECDH(skR.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			sharedSecret := DHKEMSharedSecret(c.id, dh, v.Enc, v.PkRm)
			if len(sharedSecret) != s.KEM().Nsecret {
				t.Fatalf("shared secret is %x", sharedSecret)
			}
			ks := s.newKeySchedule(v.Info)

			if v.AEAD != exportOnly {
				key, baseNonce := ks.keyAndNonce(sharedSecret)
				source, sink := sha3.NewSHAKE128(), sha3.NewSHAKE128()
				for sequence := range 1000 {
					nonce := bytes.Clone(baseNonce)
					nonce[10] ^= byte(sequence >> 8)
					nonce[11] ^= byte(sequence)
					aad, plaintext := drawInput(source), drawInput(source)
					ciphertext := s.Seal(key, nonce, aad, plaintext)
					sink.Write(ciphertext)
					if got, err := s.Open(key, nonce, aad, ciphertext); err != nil || !bytes.Equal(got, plaintext) {
						t.Fatal(sequence, err)
					}
				}
				if got := drawSum(sink); !bytes.Equal(got, v.Encryptions) {
					t.Errorf("encryptions: %x", got)
				}
			}

			source, sink := sha3.NewSHAKE128(), sha3.NewSHAKE128()
			for length := range 1000 {
				sink.Write(ks.export(sharedSecret, string(drawInput(source)), length))
			}
			if got := drawSum(sink); !bytes.Equal(got, v.Exports) {
				t.Errorf("exports: %x", got)
			}
		})
	}
}

// drawInput draws an input of the accumulated vectors: a length byte, then as
// many bytes.
func drawInput(r io.Reader) []byte {
	b := make([]byte, 1)
	r.Read(b)
	b = make([]byte, b[0])
	r.Read(b)
	return b
}

func drawSum(r io.Reader) []byte {
	sum := make([]byte, 16)
	r.Read(sum)
	return sum
}

func TestInRange(t *testing.T) {
	for _, order := range []string{orderP256, orderP384, orderP521} {
		n := []byte(order)
		last := len(n) - 1
		zero := make([]byte, len(n))
		one := bytes.Clone(zero)
		one[last] = 1
		below := bytes.Clone(n)
		below[last]--
		above := bytes.Clone(n)
		above[last]++
		top := bytes.Repeat([]byte{0xff}, len(n))
		high := bytes.Clone(n)
		high[0]--
		high[last] = 0xff
		for i, c := range []struct {
			scalar []byte
			want   bool
		}{{zero, false}, {one, true}, {below, true}, {n, false}, {above, false}, {top, false}, {high, true}} {
			if got := inRange(c.scalar, order); got != c.want {
				t.Errorf("%d bytes, case %d: %v", len(n), i, got)
			}
		}
	}
	// The curves agree on where their orders are.
	for _, c := range []struct {
		curve ecdh.Curve
		order string
	}{{ecdh.P256(), orderP256}, {ecdh.P384(), orderP384}, {ecdh.P521(), orderP521}} {
		n := []byte(c.order)
		if _, err := c.curve.NewPrivateKey(n); err == nil {
			t.Errorf("%v: accepts the order", c.curve)
		}
		n[len(n)-1]--
		if _, err := c.curve.NewPrivateKey(n); err != nil {
			t.Errorf("%v: refuses the order less one: %v", c.curve, err)
		}
	}
}

func TestHPKECiphertextEncoding(t *testing.T) {
	want := HPKECiphertext{[]byte("output"), bytes.Repeat([]byte{7}, 100)}
	b := wire.Marshal(&want)
	var got HPKECiphertext
	if err := wire.Unmarshal(b, &got); err != nil || !bytes.Equal(got.KEMOutput, want.KEMOutput) || !bytes.Equal(got.Ciphertext, want.Ciphertext) {
		t.Fatal(got, err)
	}
	for n := range b {
		if err := wire.Unmarshal(b[:n], new(HPKECiphertext)); !errors.Is(err, mlserr.Malformed) {
			t.Errorf("prefix of %d bytes: %v", n, err)
		}
	}
	if err := wire.Unmarshal(append(b, 0), new(HPKECiphertext)); !errors.Is(err, mlserr.Malformed) {
		t.Errorf("trailing byte: %v", err)
	}
}
