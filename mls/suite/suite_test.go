package suite

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"webmls/mls/mlserr"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	*h = make([]byte, hex.DecodedLen(len(text)))
	_, err := hex.Decode(*h, text)
	return err
}

// vectors decodes a JSON file of the vectors folder beside the repository into
// v. A folder that is not there skips the test, except with CI=true.
func vectors(t *testing.T, v any, path ...string) {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "vectors")
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI without test vectors: ", err)
		}
		t.Skip("NO TEST VECTORS: ", err)
	}
	b, err := os.ReadFile(filepath.Join(append([]string{folder}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func mustLookup(t testing.TB, id ID) *Suite {
	t.Helper()
	s, err := Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTable(t *testing.T) {
	want := []struct {
		id         ID
		name       string
		nh, nk, nn int
		kem        uint16
	}{
		{1, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", 32, 16, 12, 0x20},
		{2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", 32, 16, 12, 0x10},
		{3, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519", 32, 32, 12, 0x20},
		{4, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448", 64, 32, 12, 0x21},
		{5, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", 64, 32, 12, 0x12},
		{6, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448", 64, 32, 12, 0x21},
		{7, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", 48, 32, 12, 0x11},
	}
	all := All()
	if len(all) != len(want) {
		t.Fatal(all)
	}
	for i, w := range want {
		s := mustLookup(t, w.id)
		if all[i] != w.id || s.ID() != w.id || w.id.String() != w.name || s.HashSize() != w.nh ||
			s.KeySize() != w.nk || s.NonceSize() != w.nn || s.KEM().ID != w.kem {
			t.Errorf("%d: %+v", i, s)
		}
		if again := mustLookup(t, w.id); again != s {
			t.Errorf("%v: not one value", w.id)
		}
	}
	for _, id := range []ID{0, 8, 0x0a0a, 0xffff} {
		if _, err := Lookup(id); !errors.Is(err, mlserr.UnknownSuite) {
			t.Errorf("%v: %v", id, err)
		}
	}
}

func TestCryptoBasicsSymmetric(t *testing.T) {
	var file []struct {
		CipherSuite ID `json:"cipher_suite"`
		RefHash     struct {
			Label      string
			Out, Value hexBytes
		} `json:"ref_hash"`
		ExpandWithLabel struct {
			Secret, Context, Out hexBytes
			Label                string
			Length               int
		} `json:"expand_with_label"`
		DeriveSecret struct {
			Label       string
			Secret, Out hexBytes
		} `json:"derive_secret"`
		DeriveTreeSecret struct {
			Secret, Out hexBytes
			Label       string
			Generation  uint32
			Length      int
		} `json:"derive_tree_secret"`
	}
	vectors(t, &file, "mls-implementations", "crypto-basics.json")
	if len(file) != len(All()) {
		t.Fatal("suites: ", len(file))
	}
	for _, v := range file {
		s := mustLookup(t, v.CipherSuite)
		if got := s.RefHash(v.RefHash.Label, v.RefHash.Value); !bytes.Equal(got, v.RefHash.Out) {
			t.Errorf("%v: RefHash %x", v.CipherSuite, got)
		}
		e := v.ExpandWithLabel
		if got := s.ExpandWithLabel(e.Secret, e.Label, e.Context, e.Length); !bytes.Equal(got, e.Out) {
			t.Errorf("%v: ExpandWithLabel %x", v.CipherSuite, got)
		}
		if got := s.DeriveSecret(v.DeriveSecret.Secret, v.DeriveSecret.Label); !bytes.Equal(got, v.DeriveSecret.Out) {
			t.Errorf("%v: DeriveSecret %x", v.CipherSuite, got)
		}
		d := v.DeriveTreeSecret
		if got := s.DeriveTreeSecret(d.Secret, d.Label, d.Generation, d.Length); !bytes.Equal(got, d.Out) {
			t.Errorf("%v: DeriveTreeSecret %x", v.CipherSuite, got)
		}
	}
}
