package mls

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"webmls/mls/suite"
)

// readCertificateKey is certificateKey by another reader of DER.
func readCertificateKey(der []byte) (key []byte, ok bool) {
	in := cryptobyte.String(der)
	var certificate, tbs, spki cryptobyte.String
	ok = in.ReadASN1(&certificate, asn1.SEQUENCE) && in.Empty() &&
		certificate.ReadASN1(&tbs, asn1.SEQUENCE) &&
		tbs.SkipOptionalASN1(asn1.Tag(0).Constructed().ContextSpecific()) &&
		tbs.SkipASN1(asn1.INTEGER) &&
		tbs.SkipASN1(asn1.SEQUENCE) &&
		tbs.SkipASN1(asn1.SEQUENCE) &&
		tbs.SkipASN1(asn1.SEQUENCE) &&
		tbs.SkipASN1(asn1.SEQUENCE) &&
		tbs.ReadASN1(&spki, asn1.SEQUENCE) &&
		spki.SkipASN1(asn1.SEQUENCE) &&
		spki.ReadASN1BitStringAsBytes(&key) && spki.Empty()
	return key, ok
}

// newCertificate returns a self-signed certificate and the public key in it.
func newCertificate(t testing.TB, names ...string) (der []byte, public ed25519.PublicKey) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(suite.Random(ed25519.SeedSize))
	public = private.Public().(ed25519.PublicKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<31, 0), DNSNames: names}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der, public
}

// TestCertificateKey reads the key of a small certificate and of one whose
// lengths take four bytes, and compares with another reader of DER on every
// proper prefix and every changed byte of the small one.
func TestCertificateKey(t *testing.T) {
	for _, names := range [][]string{nil, {string(bytes.Repeat([]byte("a"), 70_000))}} {
		der, public := newCertificate(t, names...)
		if key, ok := certificateKey(der); !ok || !bytes.Equal(key, public) {
			t.Errorf("certificate of %d bytes: %x %v, want %x", len(der), key, ok, public)
		}
	}

	der, _ := newCertificate(t)
	compare := func(der []byte) bool {
		t.Helper()
		key, ok := certificateKey(der)
		want, wantOK := readCertificateKey(der)
		if ok != wantOK || ok && !bytes.Equal(key, want) {
			t.Fatalf("%x: %x %v, want %x %v", der, key, ok, want, wantOK)
		}
		return ok
	}
	for n := range der {
		if compare(der[:n:n]) {
			t.Errorf("the first %d of %d bytes are a certificate", n, len(der))
		}
	}
	if compare(append(bytes.Clone(der), 0)) {
		t.Error("a byte behind the certificate is no error")
	}
	refused := 0
	for i := range der {
		for change := 1; change < 256; change++ {
			bad := bytes.Clone(der)
			bad[i] ^= byte(change)
			if !compare(bad) {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("no change was refused")
	}
}

// TestDERLength: a length has one form, the shortest.
func TestDERLength(t *testing.T) {
	for _, c := range []struct {
		head []byte
		n    int
		ok   bool
	}{
		{[]byte{0x7f}, 0x7f, true},
		{[]byte{0x80}, 0, false}, // indefinite
		{[]byte{0x81, 0x7f}, 0x7f, false},
		{[]byte{0x81, 0x80}, 0x80, true},
		{[]byte{0x82, 0x00, 0x80}, 0x80, false},
		{[]byte{0x82, 0x01, 0x00}, 0x100, true},
		{[]byte{0x84, 0x00, 0x01, 0x00, 0x00}, 0x10000, false},
		{[]byte{0x85, 0x00, 0x00, 0x00, 0x01, 0x00}, 0x100, false},
		{[]byte{0x84, 0xff, 0xff, 0xff, 0xff}, 10, false},
		{[]byte{0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 10, false},
		{[]byte{0xff}, 200, false},
	} {
		in := derReader{rest: append(append([]byte{derSequence}, c.head...), make([]byte, c.n)...), ok: true}
		content := in.enter(derSequence)
		if content.ok != c.ok || in.ok != c.ok || c.ok && (len(content.rest) != c.n || len(in.rest) != 0) {
			t.Errorf("length %x: %v, %d bytes and %d behind", c.head, content.ok, len(content.rest), len(in.rest))
		}
	}
}

// TestRecordNames: what stands in the name of a record is read in the one form
// that is written.
func TestRecordNames(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "7": 7, "18446744073709551615": 1<<64 - 1} {
		if n, ok := parseNumber(s); !ok || n != want {
			t.Errorf("%q: %d %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "00", "07", "-1", "+1", "1_0", "a", "1 ", "18446744073709551616", "99999999999999999999"} {
		if n, ok := parseNumber(s); ok {
			t.Errorf("%q is read as %d", s, n)
		}
	}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	if b, ok := unhexName(hexName(every)); !ok || !bytes.Equal(b, every) {
		t.Errorf("%x %v", b, ok)
	}
	for _, s := range []string{"0", "0g", "g0", "0A", "+1", "  "} {
		if b, ok := unhexName(s); ok {
			t.Errorf("%q is read as %x", s, b)
		}
	}
}
