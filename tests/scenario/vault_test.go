package scenario

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// vault is suite.Keys as a browser or a token has them: generated keys stay
// inside, and are known outside by a name. A key is kept from the batch on that
// lists its name; until then it is lost with the memory.
type vault struct {
	suite.Keys
	mu    sync.Mutex
	next  int
	kept  map[string][]byte // private keys by name
	fresh map[string][]byte
}

const vaultPrefix = "vault key "

// vaultNames finds the names of keys in records.
var vaultNames = regexp.MustCompile(vaultPrefix + "[0-9]{8}")

func newVault(keys suite.Keys) *vault {
	return &vault{Keys: keys, kept: map[string][]byte{}, fresh: map[string][]byte{}}
}

// clone returns the vault as a crash at this moment would leave it.
func (v *vault) clone() *vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &vault{Keys: v.Keys, next: v.next, kept: maps.Clone(v.kept), fresh: map[string][]byte{}}
}

// crash loses what is not kept.
func (v *vault) crash() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.fresh)
}

// names returns the names of the keys that are kept.
func (v *vault) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.kept))
}

func (v *vault) put(private []byte) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next++
	name := fmt.Sprintf("%s%08d", vaultPrefix, v.next)
	v.fresh[name] = private
	return name
}

func (v *vault) get(reference []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, keys := range []map[string][]byte{v.kept, v.fresh} {
		if private, ok := keys[string(reference)]; ok {
			return private, nil
		}
	}
	return nil, mlserr.New(mlserr.KeyNotFound, string(reference))
}

type vaultSignatureKey struct {
	suite.SignatureKey
	name string
}

func (k vaultSignatureKey) Name() string      { return k.name }
func (k vaultSignatureKey) Reference() []byte { return []byte(k.name) }

type vaultHPKEKey struct {
	suite.HPKEKey
	name string
}

func (k vaultHPKEKey) Name() string      { return k.name }
func (k vaultHPKEKey) Reference() []byte { return []byte(k.name) }

func (v *vault) GenerateSignatureKey(ctx context.Context, id suite.ID) (suite.SignatureKey, error) {
	key, err := v.Keys.GenerateSignatureKey(ctx, id)
	if err != nil {
		return nil, err
	}
	return vaultSignatureKey{key, v.put(key.Reference())}, nil
}

func (v *vault) SignatureKey(ctx context.Context, id suite.ID, reference []byte) (suite.SignatureKey, error) {
	private, err := v.get(reference)
	if err != nil {
		return nil, err
	}
	key, err := v.Keys.SignatureKey(ctx, id, private)
	return vaultSignatureKey{key, string(reference)}, err
}

func (v *vault) GenerateHPKEKey(ctx context.Context, id suite.ID) (suite.HPKEKey, error) {
	key, err := v.Keys.GenerateHPKEKey(ctx, id)
	if err != nil {
		return nil, err
	}
	return vaultHPKEKey{key, v.put(key.Reference())}, nil
}

func (v *vault) HPKEKey(ctx context.Context, id suite.ID, reference []byte) (suite.HPKEKey, error) {
	if !bytes.HasPrefix(reference, []byte(vaultPrefix)) {
		return v.Keys.HPKEKey(ctx, id, reference) // a derived key, bytes by nature
	}
	private, err := v.get(reference)
	if err != nil {
		return nil, err
	}
	key, err := v.Keys.HPKEKey(ctx, id, private)
	return vaultHPKEKey{key, string(reference)}, err
}

// vaultStore carries out what a batch says about keys in the same moment as
// the batch.
type vaultStore struct {
	*mls.MemoryStore
	vault *vault
}

func (s vaultStore) Commit(ctx context.Context, b mls.Batch) error {
	s.vault.mu.Lock()
	defer s.vault.mu.Unlock()
	for i := range b.Changes {
		if rev, err := s.Revision(ctx, b.Changes[i].Scope); err != nil || rev != b.Changes[i].Base {
			return s.MemoryStore.Commit(ctx, b) // stale: what it says of keys is old too
		}
	}
	for _, name := range b.KeysKept {
		if s.vault.fresh[name] == nil && s.vault.kept[name] == nil {
			return mlserr.New(mlserr.Internal, "a batch keeps an unknown key: "+name)
		}
	}
	for _, name := range b.KeysDropped {
		if s.vault.kept[name] == nil {
			return mlserr.New(mlserr.Internal, "a batch drops a key that is not kept: "+name)
		}
	}
	if err := s.MemoryStore.Commit(ctx, b); err != nil {
		return err
	}
	for _, name := range b.KeysKept {
		if private, ok := s.vault.fresh[name]; ok {
			s.vault.kept[name] = private
			delete(s.vault.fresh, name)
		}
	}
	for _, name := range b.KeysDropped {
		delete(s.vault.kept, name)
	}
	return nil
}
