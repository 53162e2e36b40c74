package suite

// Bulk does the symmetric work on long input, where the program that this is
// part of has something faster than Go: a browser hashes and seals ten to
// twenty times as fast. Each method says false where it could not do it; then
// Go does. The methods may block, must not keep their arguments, and may be
// called from many goroutines.
type Bulk interface {
	// Hash returns the hash, that whose sums have nh bytes, of the concatenation
	// of parts, which may be secret.
	Hash(nh int, parts [][]byte) (sum []byte, ok bool)
	// SealAESGCM and OpenAESGCM are AES-GCM. A ciphertext that does not open is
	// no more than one that could not be opened there.
	SealAESGCM(key, nonce, aad, plaintext []byte) (ciphertext []byte, ok bool)
	OpenAESGCM(key, nonce, aad, ciphertext []byte) (plaintext []byte, ok bool)
}

// From how many bytes on Bulk is asked. In Chromium 156 a question takes 60 µs,
// and AES-GCM two; Go hashes 16 KiB in 100 µs and seals them in 280.
const (
	longHash = 24 << 10
	longAEAD = 12 << 10
)

var bulk Bulk

// UseBulk has long input done by b from now on. It is for the start of a
// program, before any Suite is used.
func UseBulk(b Bulk) { bulk = b }

// sizeOf is how many bytes the parts have.
func sizeOf(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}
