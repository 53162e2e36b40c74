package suite

import "context"

// Keys is the seam behind which private keys live and the slow half of the
// cryptography happens. Private keys are handles: an implementation may hold
// bytes (package softkeys), or keys that cannot leave a browser or a token.
// Work that comes in numbers is one call for the whole list, so that an
// implementation can spread it over cores or cross into the host once.
//
// Methods may block, and may be called from many goroutines.
type Keys interface {
	// Supports reports whether every operation of the cipher suite works here.
	Supports(id ID) bool

	// GenerateSignatureKey makes a signature key pair.
	GenerateSignatureKey(ctx context.Context, id ID) (SignatureKey, error)
	// SignatureKey finds a key again by what Reference returned. Code: KEY_NOT_FOUND.
	SignatureKey(ctx context.Context, id ID, reference []byte) (SignatureKey, error)

	// GenerateHPKEKey makes an HPKE key pair.
	GenerateHPKEKey(ctx context.Context, id ID) (HPKEKey, error)
	// HPKEKey finds a key again by what Reference returned. Code: KEY_NOT_FOUND.
	HPKEKey(ctx context.Context, id ID, reference []byte) (HPKEKey, error)
	// DeriveHPKEKeys is KEM.DeriveKeyPair (RFC 9180, Section 7.1.3) for each
	// element of ikm: node secrets and external secrets, bytes by nature. The public
	// keys may be computed when the first is asked for.
	DeriveHPKEKeys(ctx context.Context, id ID, ikm [][]byte) ([]HPKEKey, error)

	// Verify checks every signature of the list. It returns the index of a
	// signature that does not verify (the lowest), or -1 when all do. An error
	// means that the work could not be done, never that a signature is bad.
	Verify(ctx context.Context, id ID, list []Verification) (bad int, err error)

	// Encapsulate is KEM.Encap to each public key. A key that is not valid is
	// INVALID_PUBLIC_KEY with its index in the detail.
	Encapsulate(ctx context.Context, id ID, publicKeys [][]byte) ([]Encapsulation, error)

	// ValidateHPKEKeys checks that every element is a valid HPKE public key of
	// the suite and returns the lowest index of one that is not, or -1.
	ValidateHPKEKeys(ctx context.Context, id ID, publicKeys [][]byte) (bad int, err error)
}

// SignatureKey is a handle of a signature private key.
type SignatureKey interface {
	// Public returns the SignaturePublicKey as on the wire. Do not change it.
	Public() []byte
	// Reference returns what finds the key again through Keys.SignatureKey, in
	// a slice of the caller's own. It is a secret, to be wiped, when the
	// implementation keeps no keys of its own.
	Reference() []byte
	// Name returns the name under which a key store of the implementation's own
	// keeps the key, or "" when Reference holds all of it. Batches of the Store
	// list names, so that keys are kept and dropped with the state that needs them.
	Name() string
	// Sign signs a serialized SignContent.
	Sign(ctx context.Context, message []byte) ([]byte, error)
	// SignAll is Sign for each of the messages: all signatures, in their order,
	// or an error.
	SignAll(ctx context.Context, messages [][]byte) ([][]byte, error)
}

// KeyStorage says where a private key lives.
type KeyStorage string

const (
	// KeyNonExtractable: where no program can read it, a script neither.
	KeyNonExtractable KeyStorage = "non-extractable"
	// KeyWrapped: the same while it is in use; stored, it is encrypted under a
	// key that the user unlocks.
	KeyWrapped KeyStorage = "wrapped"
	// KeySealed: in a record of the Store, as bytes.
	KeySealed KeyStorage = "sealed"
)

// Stored is what a SignatureKey may implement that does not live in a record.
type Stored interface{ Storage() KeyStorage }

// StorageOf returns where a signature key lives.
func StorageOf(key SignatureKey) KeyStorage {
	if s, ok := key.(Stored); ok {
		return s.Storage()
	}
	return KeySealed
}

// HPKEKey is a handle of an HPKE private key.
type HPKEKey interface {
	// Public returns the HPKEPublicKey as on the wire. Do not change it.
	Public() []byte
	// Reference returns what finds the key again through Keys.HPKEKey, in a
	// slice of the caller's own. It is a secret, to be wiped, when the
	// implementation keeps no keys of its own.
	Reference() []byte
	// Name: see SignatureKey.
	Name() string
	// Decapsulate is KEM.Decap (RFC 9180, Section 4.1): KEM.Nsecret bytes, the
	// caller's to wipe. Code: DECRYPTION_FAILED for any enc that is not valid.
	Decapsulate(ctx context.Context, enc []byte) (sharedSecret []byte, err error)
}

// Verification is one signature to check.
type Verification struct {
	PublicKey []byte // SignaturePublicKey
	Message   []byte // a serialized SignContent
	Signature []byte
}

// Encapsulation is what KEM.Encap returns.
type Encapsulation struct {
	Enc          []byte // KEM.Nenc bytes
	SharedSecret []byte // KEM.Nsecret bytes, the caller's to wipe
}
