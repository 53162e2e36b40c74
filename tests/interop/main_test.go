package main

import (
	"testing"

	"webmls/mls/suite"
)

func TestSuiteMap(t *testing.T) {
	m := make(suiteMap)
	for _, value := range []string{"0xf001=7", "61442=3"} {
		if err := m.Set(value); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
	if len(m) != 2 || m[0xf001] != suite.P384AES256SHA384P384 || m[61442] != suite.X25519ChaCha20SHA256Ed25519 {
		t.Errorf("got %v", m)
	}
	for _, value := range []string{"", "7", "=", "1=", "=1", "x=1", "1=x", "65536=1", "1=65536", "1=0", "1=40000", "-1=1"} {
		if err := m.Set(value); err == nil {
			t.Errorf("%q is accepted", value)
		}
	}
}
