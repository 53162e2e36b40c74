package peer

import (
	"context"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
)

// keys are softkeys that remember what they made: the protocol hands out the
// private keys of key packages, which package mls shows to nobody. A reference
// of softkeys is the private key as the protocol wants it: the seed for EdDSA,
// the scalar for ECDSA and HPKE.
type keys struct {
	suite.Keys
	made map[string][]byte // public key to reference
}

func newKeys() *keys {
	return &keys{Keys: softkeys.New(), made: make(map[string][]byte)}
}

func (k *keys) GenerateSignatureKey(ctx context.Context, id suite.ID) (suite.SignatureKey, error) {
	key, err := k.Keys.GenerateSignatureKey(ctx, id)
	if err == nil {
		k.made[string(key.Public())] = key.Reference()
	}
	return key, err
}

func (k *keys) GenerateHPKEKey(ctx context.Context, id suite.ID) (suite.HPKEKey, error) {
	key, err := k.Keys.GenerateHPKEKey(ctx, id)
	if err == nil {
		k.made[string(key.Public())] = key.Reference()
	}
	return key, err
}

// reference returns the reference of the private key to a public one.
func (k *keys) reference(public []byte) []byte { return k.made[string(public)] }
