//go:build js && wasm

package hostkeys

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"syscall/js"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// key is a key pair. Either the host keeps the private key under a name; or, of
// a NIST curve, it is a scalar, which the host is given when it is first used.
type key struct {
	of     *algorithm
	public []byte
	name   string // "": the scalar is the key
	scalar []byte
	stored storage // of a key with a name

	mu     sync.Mutex
	handle js.Value // a CryptoKey, or undefined
}

// nameSize is the length of a name: 16 random bytes in hexadecimal.
const nameSize = 32

// referenceHead is what stands before the public key in the reference of a key
// that the host keeps: kind, storage, cipher suite, name. The references of
// scalars begin with no head; they are of other lengths.
const referenceHead = 1 + 1 + 2 + nameSize/2

// storage is how the host keeps a key. It stands in references, and must not change.
type storage byte

// storages are the values of suite.KeyStorage for keys that the host keeps.
var storages = [...]suite.KeyStorage{1: suite.KeyNonExtractable, 2: suite.KeyWrapped}

// generate has the host make a key pair whose private key stays there. It does
// not stop when ctx ends: the host would have the key of what nobody waits for.
// Code: CANCELLED.
func (a *algorithm) generate(ctx context.Context) (*key, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	name := hexadecimal(suite.Random(nameSize / 2))
	if op, ok := ctx.Value(operationKey{}).(*operation); ok {
		op.note(name)
	}
	v, err := a.keys.await(context.WithoutCancel(ctx), a.keys.object, "generate", a.kind.String(), a.name, name)
	if err != nil {
		return nil, err
	}
	public := fromHost(v.Get("publicKey"))
	stored := slices.Index(storages[:], suite.KeyStorage(v.Get("storage").String()))
	if len(public) != a.publicSize || a.curve != nil && !a.curve().Valid(public) || stored <= 0 {
		return nil, mlserr.New(mlserr.Internal, "generate: a key of a wrong form")
	}
	return &key{of: a, public: public, name: name, stored: storage(stored)}, nil
}

// operation is what notes the names of the keys that are made under its context.
type operation struct {
	mu    sync.Mutex
	names []any
}

type operationKey struct{}

func (o *operation) note(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.names = append(o.names, name)
}

// Operation returns a context for one operation of a client, and what must be
// called when that is over. All that it wants to keep it has stored by then: the
// host forgets the private keys that were generated under the context and kept by
// no batch, as those of an operation that failed.
func (k *Keys) Operation(ctx context.Context) (of context.Context, end func()) {
	o := new(operation)
	return context.WithValue(ctx, operationKey{}, o), func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.names) > 0 {
			k.object.Call("forget", o.names)
		}
	}
}

// generateBytes has the host make a key pair of a NIST curve and give it away.
func (a *algorithm) generateBytes(ctx context.Context) (*key, error) {
	v, err := a.keys.await(ctx, a.keys.object, "generateBytes", a.kind.String(), a.name)
	if err != nil {
		return nil, err
	}
	pair := fromHost(v)
	v.Call("fill", 0)
	size := a.curve().Size()
	if len(pair) != size+a.publicSize || !a.curve().Valid(pair[size:]) {
		return nil, mlserr.New(mlserr.Internal, "generate: a key of a wrong form")
	}
	return &key{of: a, public: pair[size:], scalar: pair[:size:size]}, nil
}

// open reads a reference; nil for one that is not the host's. Code: KEY_NOT_FOUND.
func (a *algorithm) open(reference []byte) (*key, error) {
	if len(reference) == referenceHead+a.publicSize && reference[0] == byte(a.kind) {
		stored, id := storage(reference[1]), suite.ID(reference[2])<<8|suite.ID(reference[3])
		public := bytes.Clone(reference[referenceHead:])
		if stored == 0 || int(stored) >= len(storages) || id != a.suite || a.curve != nil && !a.curve().Valid(public) {
			return nil, mlserr.New(mlserr.KeyNotFound, "the reference of another key")
		}
		return &key{of: a, public: public, name: hexadecimal(reference[4:referenceHead]), stored: stored}, nil
	}
	if a.curve == nil {
		return nil, nil
	}
	size := a.curve().Size()
	if len(reference) < size || !a.curve().ValidScalar(reference[:size]) {
		return nil, mlserr.New(mlserr.KeyNotFound, "a reference of a wrong form")
	}
	scalar, public := bytes.Clone(reference[:size]), bytes.Clone(reference[size:])
	if len(public) == 0 {
		public = a.curve().PublicKey(scalar)
	}
	if !a.curve().Valid(public) {
		return nil, mlserr.New(mlserr.KeyNotFound, "a reference of a wrong form")
	}
	return &key{of: a, public: public, scalar: scalar}, nil
}

// Public implements suite.SignatureKey and suite.HPKEKey.
func (k *key) Public() []byte { return k.public }

// Reference implements suite.SignatureKey and suite.HPKEKey, in a slice of the
// caller's own. It holds the key itself only where the key has no name.
func (k *key) Reference() []byte {
	if k.name == "" {
		return slices.Concat(k.scalar, k.public)
	}
	reference := make([]byte, 0, referenceHead+len(k.public))
	reference = append(reference, byte(k.of.kind), byte(k.stored), byte(k.of.suite>>8), byte(k.of.suite))
	for i := 0; i < nameSize; i += 2 {
		reference = append(reference, digit(k.name[i])<<4|digit(k.name[i+1]))
	}
	return append(reference, k.public...)
}

// Name implements suite.SignatureKey and suite.HPKEKey.
func (k *key) Name() string { return k.name }

// Storage implements suite.Stored.
func (k *key) Storage() suite.KeyStorage {
	if k.name == "" {
		return suite.KeySealed
	}
	return storages[k.stored]
}

// use returns the CryptoKey. Code: KEY_NOT_FOUND.
func (k *key) use(ctx context.Context) (js.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.handle.IsUndefined() {
		return k.handle, nil
	}
	keys := k.of.keys
	var handle js.Value
	var err error
	if k.name != "" {
		handle, err = keys.await(ctx, keys.object, "key", k.name, k.of.kind.String(), k.of.name, toHost(k.public))
	} else {
		handle, err = keys.await(ctx, keys.object, "importKey", k.of.kind.String(), k.of.name, toHost(k.scalar), toHost(k.public))
	}
	if err == nil {
		k.handle = handle
	}
	return handle, err
}

// signatureKey implements suite.SignatureKey.
type signatureKey struct{ *key }

func signatureKeyOf(k *key, err error) (suite.SignatureKey, error) {
	if err != nil {
		return nil, err
	}
	return &signatureKey{k}, nil
}

// Sign implements suite.SignatureKey. Code: KEY_NOT_FOUND.
func (k *signatureKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	list, err := k.SignAll(ctx, [][]byte{message})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// SignAll implements suite.SignatureKey. Code: KEY_NOT_FOUND.
func (k *signatureKey) SignAll(ctx context.Context, messages [][]byte) ([][]byte, error) {
	handle, err := k.use(ctx)
	if err != nil {
		return nil, err
	}
	if err := ended(ctx); err != nil {
		return nil, err
	}
	var p packer
	p.add(messages...)
	keys := k.of.keys
	v, err := keys.await(ctx, keys.object, "sign", k.of.name, handle, p.value())
	if err != nil {
		return nil, err
	}
	raw, size := fromHost(v), k.of.signatureSize()
	if len(raw) != len(messages)*size {
		return nil, mlserr.New(mlserr.Internal, "sign: signatures of a wrong length")
	}
	list := make([][]byte, len(messages))
	for i := range list {
		list[i] = k.of.signatureOfMLS(raw[i*size : (i+1)*size : (i+1)*size])
	}
	return list, nil
}

// hpkeKey implements suite.HPKEKey.
type hpkeKey struct{ *key }

func hpkeKeyOf(k *key, err error) (suite.HPKEKey, error) {
	if err != nil {
		return nil, err
	}
	return &hpkeKey{k}, nil
}

// Decapsulate implements suite.HPKEKey. Codes: DECRYPTION_FAILED, KEY_NOT_FOUND.
func (k *hpkeKey) Decapsulate(ctx context.Context, enc []byte) ([]byte, error) {
	// Go is asked whether the exchange would give zero (RFC 9180, Section
	// 7.1.4): hosts throw what they like where it does.
	if valid, err := k.of.valid(ctx, enc); err != nil {
		return nil, err
	} else if !valid {
		return nil, mlserr.New(mlserr.DecryptionFailed, "")
	}
	handle, err := k.use(ctx)
	if err != nil {
		return nil, err
	}
	keys := k.of.keys
	v, err := keys.await(ctx, keys.object, "diffieHellman", k.of.name, handle, toHost(enc))
	if err != nil {
		return nil, err
	}
	dh := fromHost(v)
	v.Call("fill", 0)
	if len(dh) != k.of.sharedSize() {
		return nil, mlserr.New(mlserr.Internal, "diffieHellman: a result of a wrong length")
	}
	sharedSecret := suite.DHKEMSharedSecret(k.of.suite, dh, enc, k.public)
	clear(dh)
	return sharedSecret, nil
}

// sharedSize is the length of a Diffie-Hellman result.
func (a *algorithm) sharedSize() int {
	if a.curve == nil {
		return a.publicSize
	}
	return a.curve().Size()
}

func hexadecimal(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// digit is the value of a digit that hexadecimal wrote.
func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
