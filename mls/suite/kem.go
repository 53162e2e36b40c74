package suite

// KEM holds the parameters of a DHKEM of RFC 9180, Section 7.1. Sizes are in
// bytes.
type KEM struct {
	ID      uint16 // kem_id
	Nsecret int    // of the shared secret; also Nh of its KDF
	Nenc    int    // of an encapsulated key
	Npk     int    // of a serialized public key
	Nsk     int    // of a serialized private key
	order   string // of the NIST curve's group, big-endian, or ""
	mask    byte   // of the first byte of a candidate for a NIST private key
}

// The KEMs. The KDF of a KEM is its own, whatever the suite's KDF is.
var (
	kemP256   = KEM{0x0010, 32, 65, 65, 32, orderP256, 0xff}
	kemP384   = KEM{0x0011, 48, 97, 97, 48, orderP384, 0xff}
	kemP521   = KEM{0x0012, 64, 133, 133, 66, orderP521, 0x01}
	kemX25519 = KEM{0x0020, 32, 32, 32, 32, "", 0}
	kemX448   = KEM{0x0021, 64, 56, 56, 56, "", 0}
)

// The orders of the NIST groups (FIPS 186-5; SP 800-186, Section 3.2.1).
const (
	orderP256 = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"
	orderP384 = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xff\xff\xff\xff\xff\xff\xff\xff\xc7\x63\x4d\x81\xf4\x37\x2d\xdf" +
		"\x58\x1a\x0d\xb2\x48\xb0\xa7\x7a\xec\xec\x19\x6a\xcc\xc5\x29\x73"
	orderP521 = "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xff\xfa\x51\x86\x87\x83\xbf\x2f\x96\x6b\x7f\xcc\x01\x48\xf7\x09" +
		"\xa5\xd0\x3b\xb5\xc9\xb8\x89\x9c\x47\xae\xbb\x6f\xb7\x1e\x91\x38" +
		"\x64\x09"
)

// The numbers of the KDFs and AEADs (RFC 9180, Sections 7.2 and 7.3).
const (
	kdfSHA256 uint16 = 1
	kdfSHA384 uint16 = 2
	kdfSHA512 uint16 = 3

	aeadAES128GCM        uint16 = 1
	aeadAES256GCM        uint16 = 2
	aeadChaCha20Poly1305 uint16 = 3
)

// DHKEMSharedSecret is ExtractAndExpand (RFC 9180, Section 4.1) for the KEM of
// a suite: from the Diffie-Hellman result dh, the encapsulated key enc and the
// recipient's public key pkR to a shared secret of Nsecret bytes, the caller's
// to wipe. It is for implementations of Keys, and panics when id is not in the
// table. dh remains the caller's.
func DHKEMSharedSecret(id ID, dh, enc, pkR []byte) []byte {
	k := &suiteOf(id).kem
	suiteID := k.suiteID()
	prk := labeledExtract(k.Nsecret, suiteID, nil, "eae_prk", dh)
	defer clear(prk)
	return labeledExpand(k.Nsecret, suiteID, prk, "shared_secret", k.Nsecret, enc, pkR)
}

// DHKEMDeriveKey is the private half of DeriveKeyPair (RFC 9180, Section
// 7.1.3) for the KEM of a suite: Nsk bytes, the caller's to wipe. It is for
// implementations of Keys, and panics when id is not in the table.
func DHKEMDeriveKey(id ID, ikm []byte) []byte {
	k := &suiteOf(id).kem
	suiteID := k.suiteID()
	prk := labeledExtract(k.Nsecret, suiteID, nil, "dkp_prk", ikm)
	defer clear(prk)
	if k.order == "" {
		return labeledExpand(k.Nsecret, suiteID, prk, "sk", k.Nsk)
	}
	for counter := 0; counter < 256; counter++ {
		candidate := labeledExpand(k.Nsecret, suiteID, prk, "candidate", k.Nsk, []byte{byte(counter)})
		candidate[0] &= k.mask
		if inRange(candidate, k.order) {
			return candidate
		}
		clear(candidate)
	}
	// A candidate is refused with a probability under 2^-31 for P-256, the
	// worst of the three: 256 refusals do not happen.
	panic("suite: DeriveKeyPairError")
}

// inRange reports whether 0 < scalar < order, in constant time for scalars of
// the same length.
func inRange(scalar []byte, order string) bool {
	var borrow int
	var nonZero byte
	for i := len(scalar) - 1; i >= 0; i-- {
		borrow = (int(scalar[i]) - int(order[i]) - borrow) >> 8 & 1
		nonZero |= scalar[i]
	}
	return borrow == 1 && nonZero != 0
}

// suiteID is the suite_id of the KEM's own labeled functions (RFC 9180,
// Section 4.1).
func (k *KEM) suiteID() []byte { return []byte{'K', 'E', 'M', byte(k.ID >> 8), byte(k.ID)} }

// suiteOf is for functions whose contract says that id is in the table.
func suiteOf(id ID) *Suite {
	s := find(id)
	if s == nil {
		panic("suite: unknown cipher suite " + id.String())
	}
	return s
}
