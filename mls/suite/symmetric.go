package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"

	"webmls/mls/mlserr"
	"webmls/mls/suite/internal/seals"
	"webmls/mls/wire"
)

// labelPrefix stands in front of every label (RFC 9420, Sections 5.1.2, 5.1.3
// and 8). RefHash alone does without it.
const labelPrefix = "MLS 1.0 "

// nonceSize is AEAD.Nn of all three AEADs, in bytes.
const nonceSize = 12

// Hash returns the hash of the concatenation of parts, KDF.Nh bytes.
func (s *Suite) Hash(parts ...[]byte) []byte {
	if len(parts) == 1 && len(parts[0]) < longHash {
		sum := digest(s.nh, parts[0])
		return append(make([]byte, 0, s.nh), sum[:s.nh]...)
	}
	return hashParts(s.nh, parts)
}

// hashParts is Hash of parts that are more than one, or long.
func hashParts(nh int, parts [][]byte) []byte {
	if bulk != nil && sizeOf(parts) >= longHash {
		if sum, ok := bulk.Hash(nh, parts); ok {
			return sum
		}
	}
	h := newHash(nh)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(make([]byte, 0, nh))
}

// MAC returns the HMAC of the concatenation of parts, KDF.Nh bytes
// (RFC 9420, Section 5.1).
func (s *Suite) MAC(key []byte, parts ...[]byte) []byte {
	return mac(s.nh, make([]byte, 0, s.nh), key, parts...)
}

// mac appends the HMAC (RFC 2104) of the concatenation of parts to out, with
// the hash whose sums have nh bytes. crypto/hmac makes two hashes for a key, with
// six allocations; but nearly every key here is for one short message, which is
// hashed in one go. In WebAssembly that takes less than half the time.
func mac(nh int, out, key []byte, parts ...[]byte) []byte {
	block := blockSize(nh)
	size := block
	for _, p := range parts {
		size += len(p)
	}
	var array [384]byte // enough for what RFC 9420 and RFC 9180 derive
	if len(key) > block || size > len(array) {
		return macOfLong(nh, out, key, parts)
	}
	padded := append(array[:0], key...)[:block]
	xor(padded, 0x36)
	message := padded
	for _, p := range parts {
		message = append(message, p...)
	}
	sum := digest(nh, message)
	xor(padded, 0x36^0x5c)
	sum = digest(nh, append(padded, sum[:nh]...))
	out = append(out, sum[:nh]...)
	clear(array[:size])
	clear(sum[:])
	return out
}

func macOfLong(nh int, out, key []byte, parts [][]byte) []byte {
	if block := blockSize(nh); bulk != nil && len(key) <= block && sizeOf(parts) >= longHash {
		padded := append(make([]byte, 0, 2*block), key...)[:block]
		xor(padded, 0x36)
		inner := hashParts(nh, append([][]byte{padded}, parts...))
		xor(padded, 0x36^0x5c)
		sum := digest(nh, append(padded, inner...))
		clear(padded)
		return append(out, sum[:nh]...)
	}
	h := hmac.New(func() hash.Hash { return newHash(nh) }, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(out)
}

func xor(b []byte, with byte) {
	for i := range b {
		b[i] ^= with
	}
}

// newHash makes the hash whose sums have nh bytes.
func newHash(nh int) hash.Hash {
	switch nh {
	case sha256.Size:
		return sha256.New()
	case sha512.Size384:
		return sha512.New384()
	default:
		return sha512.New()
	}
}

// blockSize is that of the hash whose sums have nh bytes.
func blockSize(nh int) int {
	if nh == sha256.Size {
		return sha256.BlockSize
	}
	return sha512.BlockSize
}

// digest returns the hash of b in the first nh bytes.
func digest(nh int, b []byte) (sum [sha512.Size]byte) {
	switch nh {
	case sha256.Size:
		short := sha256.Sum256(b)
		copy(sum[:], short[:])
	case sha512.Size384:
		short := sha512.Sum384(b)
		copy(sum[:], short[:])
	default:
		sum = sha512.Sum512(b)
	}
	return sum
}

// VerifyMAC reports whether tag is the whole MAC of the concatenation of
// parts. It takes the same time for every tag of KDF.Nh bytes, and no tag of
// another length is accepted (S1, S13).
func (s *Suite) VerifyMAC(key, tag []byte, parts ...[]byte) bool {
	return hmac.Equal(tag, s.MAC(key, parts...))
}

// Extract is KDF.Extract, KDF.Nh bytes (RFC 9420, Section 5.1; RFC 5869,
// Section 2.2). An empty salt stands for KDF.Nh zero bytes.
func (s *Suite) Extract(salt, ikm []byte) []byte { return s.MAC(salt, ikm) }

// expand is KDF.Expand of the concatenation of info (RFC 5869, Section 2.3).
// It panics when length is more than 255*KDF.Nh: lengths are constants of the
// protocol, and the one that is not, an exporter's, is checked by its caller.
func expand(nh int, secret []byte, length int, info ...[]byte) []byte {
	if length < 0 || length > 255*nh {
		panic("suite: expanded secret longer than 255*KDF.Nh")
	}
	blocks := (length + nh - 1) / nh
	out := make([]byte, 0, blocks*nh)
	// The block before, the parts of info, and the counter.
	parts := append(append(make([][]byte, 1, 6), info...), []byte{0})
	for i := 1; i <= blocks; i++ {
		parts[len(parts)-1][0] = byte(i)
		out = mac(nh, out, secret, parts...)
		parts[0] = out[len(out)-nh:]
	}
	clear(out[length:])
	return out[:length:length]
}

// MaxExpand is the longest output of ExpandWithLabel in bytes, 255*KDF.Nh,
// which the uint16 of KDFLabel holds for every suite.
func (s *Suite) MaxExpand() int { return 255 * s.nh }

// ExpandWithLabel is RFC 9420, Section 8: length bytes, at most MaxExpand.
func (s *Suite) ExpandWithLabel(secret []byte, label string, context []byte, length int) []byte {
	// KDFLabel {uint16 length; opaque label<V>; opaque context<V>}, without
	// the context itself, which is not copied.
	head := make([]byte, 0, 64)
	head = append(head, byte(length>>8), byte(length))
	head = appendLabel(head, labelPrefix, label)
	head = wire.AppendVarint(head, len(context))
	return expand(s.nh, secret, length, head, context)
}

// DeriveSecret is RFC 9420, Section 8: KDF.Nh bytes.
func (s *Suite) DeriveSecret(secret []byte, label string) []byte {
	return s.ExpandWithLabel(secret, label, nil, s.nh)
}

// DeriveTreeSecret is RFC 9420, Section 9.1: length bytes.
func (s *Suite) DeriveTreeSecret(secret []byte, label string, generation uint32, length int) []byte {
	context := [4]byte{byte(generation >> 24), byte(generation >> 16), byte(generation >> 8), byte(generation)}
	return s.ExpandWithLabel(secret, label, context[:], length)
}

// RefHash is RFC 9420, Section 5.2: KDF.Nh bytes. The label is hashed as it
// is: the RFC's labels for references bring "MLS 1.0 " themselves.
func (s *Suite) RefHash(label string, value []byte) []byte {
	head := make([]byte, 0, 64)
	head = appendLabel(head, "", label)
	head = wire.AppendVarint(head, len(value))
	return s.Hash(head, value)
}

// KeyPackageRef returns the KeyPackageRef of an encoded KeyPackage
// (RFC 9420, Section 5.2).
func (s *Suite) KeyPackageRef(keyPackage []byte) []byte {
	return s.RefHash("MLS 1.0 KeyPackage Reference", keyPackage)
}

// ProposalRef returns the ProposalRef of the encoded AuthenticatedContent that
// carries a proposal (RFC 9420, Section 5.2).
func (s *Suite) ProposalRef(authenticatedContent []byte) []byte {
	return s.RefHash("MLS 1.0 Proposal Reference", authenticatedContent)
}

// SignContent returns the encoding of the SignContent for a label and a
// content, which is what a signature key signs (RFC 9420, Section 5.1.2). The
// slice is the caller's.
func (s *Suite) SignContent(label string, content []byte) []byte {
	b := make([]byte, 0, len(labelPrefix)+len(label)+len(content)+8)
	b = appendLabel(b, labelPrefix, label)
	b = wire.AppendVarint(b, len(content))
	return append(b, content...)
}

// SignContentRoom is the room in bytes that SignContentIn needs in front of the
// content: for labels of up to 17 bytes, which are all of the protocol.
const SignContentRoom = 32

// SignContentIn is SignContent of b[SignContentRoom:], written into the room in
// front of it. The result is a part of b.
func (s *Suite) SignContentIn(label string, b []byte) []byte {
	var room [SignContentRoom]byte
	head := appendLabel(room[:0], labelPrefix, label)
	head = wire.AppendVarint(head, len(b)-SignContentRoom)
	start := SignContentRoom - len(head)
	copy(b[start:], head)
	return b[start:]
}

// appendLabel appends prefix and label as one opaque<V>.
func appendLabel(b []byte, prefix, label string) []byte {
	b = wire.AppendVarint(b, len(prefix)+len(label))
	b = append(b, prefix...)
	return append(b, label...)
}

// Seal is AEAD.Seal: len(plaintext)+16 bytes in a slice of the caller's own
// (RFC 9420, Section 5.1). It panics when key is not AEAD.Nk or nonce not
// AEAD.Nn bytes: both are derived here with these lengths.
func (s *Suite) Seal(key, nonce, aad, plaintext []byte) []byte {
	if s.inBulk(len(plaintext)) && len(key) == s.nk {
		if ciphertext, ok := bulk.SealAESGCM(key, nonce, aad, plaintext); ok {
			return ciphertext
		}
	}
	aead, err := s.aead(key)
	if err != nil {
		panic("suite: AEAD key of wrong length")
	}
	ciphertext := aead.Seal(make([]byte, 0, len(plaintext)+aead.Overhead()), nonce, plaintext, aad)
	if seals.Hook != nil { // in tests alone: see package seals
		seals.Hook(key, nonce, plaintext, ciphertext)
	}
	return ciphertext
}

// TagSize is by how many bytes Seal makes its plaintext longer, for all three
// AEADs.
const TagSize = 16

// SealInPlace is Seal that leaves nothing of the plaintext: the ciphertext takes
// its place where the slice has room for TagSize bytes more; else the plaintext
// is wiped.
func (s *Suite) SealInPlace(key, nonce, aad, plaintext []byte) []byte {
	if cap(plaintext)-len(plaintext) < TagSize || s.inBulk(len(plaintext)) || seals.Hook != nil { // the hook wants both
		defer clear(plaintext)
		return s.Seal(key, nonce, aad, plaintext)
	}
	aead, err := s.aead(key)
	if err != nil {
		panic("suite: AEAD key of wrong length")
	}
	return aead.Seal(plaintext[:0], nonce, plaintext, aad)
}

// Open is AEAD.Open (RFC 9420, Section 5.1). The plaintext is the caller's.
// Code: DECRYPTION_FAILED, whatever the reason.
func (s *Suite) Open(key, nonce, aad, ciphertext []byte) ([]byte, error) {
	aead, err := s.aead(key)
	if err != nil || len(nonce) != nonceSize {
		return nil, errOpen
	}
	if s.inBulk(len(ciphertext)) {
		if plaintext, ok := bulk.OpenAESGCM(key, nonce, aad, ciphertext); ok {
			return plaintext, nil
		}
	}
	plaintext, err := aead.Open(nil, nonce, ciphertext, aad)
	if err != nil {
		return nil, errOpen
	}
	return plaintext, nil
}

// inBulk reports whether n bytes are sealed and opened by Bulk first.
func (s *Suite) inBulk(n int) bool {
	return bulk != nil && n >= longAEAD && s.aeadID != aeadChaCha20Poly1305 && seals.Hook == nil
}

// errOpen is every failure of Open: one value, which tells nothing more.
var errOpen = mlserr.New(mlserr.DecryptionFailed, "")

// aead returns the AEAD under a key of AEAD.Nk bytes.
func (s *Suite) aead(key []byte) (cipher.AEAD, error) {
	// AES would take any of its key sizes, also one of another suite.
	if len(key) != s.nk {
		return nil, errOpen
	}
	return s.newAEAD(key)
}

func newAESGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newChaCha20Poly1305(key []byte) (cipher.AEAD, error) {
	return chacha20poly1305.New(key)
}

// Random returns n bytes of the system's secure random numbers. It does not
// fail: crypto/rand ends the program when there are none.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// Wipe overwrites secrets with zeros. It reaches the slices that it is given;
// copies that the runtime made, as when a slice grew, it cannot reach.
//
//go:noinline
func Wipe(secrets ...[]byte) {
	for _, b := range secrets {
		clear(b)
	}
}
