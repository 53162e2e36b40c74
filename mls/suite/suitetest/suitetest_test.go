package suitetest_test

import (
	"testing"

	"webmls/mls/suite"
	"webmls/mls/suite/suitetest"
)

func TestRecord(t *testing.T) {
	s, err := suite.Lookup(suite.X25519AES128SHA256Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	key, nonce := suite.Random(s.KeySize()), suite.Random(s.NonceSize())
	r, cleanup := suitetest.Record()
	ciphertext := s.Seal(key, nonce, []byte("aad"), []byte("text"))
	list := r.Take()
	if len(list) != 1 || string(list[0].Key) != string(key) || string(list[0].Nonce) != string(nonce) ||
		string(list[0].Plaintext) != "text" || string(list[0].Ciphertext) != string(ciphertext) {
		t.Fatalf("recorded %+v", list)
	}
	suite.Wipe(key)
	if list[0].Key[0] == 0 && list[0].Key[1] == 0 && list[0].Key[2] == 0 && list[0].Key[3] == 0 {
		t.Error("the record shares memory with the key")
	}
	if list := r.Take(); len(list) != 0 {
		t.Errorf("taken twice: %+v", list)
	}
	cleanup()
	s.Seal(key, nonce, nil, nil)
	if list := r.Take(); len(list) != 0 {
		t.Errorf("recorded after cleanup: %+v", list)
	}
}
