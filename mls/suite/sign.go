package suite

import (
	"context"
	"strconv"

	"webmls/mls/mlserr"
)

// SignWithLabel is RFC 9420, Section 5.1.2. The signature is the caller's.
// Codes: those of key.
func (s *Suite) SignWithLabel(ctx context.Context, key SignatureKey, label string, content []byte) ([]byte, error) {
	return key.Sign(ctx, s.SignContent(label, content))
}

// VerifyWithLabel is RFC 9420, Section 5.1.2. Codes: INVALID_SIGNATURE, and
// those of k.
func (s *Suite) VerifyWithLabel(ctx context.Context, k Keys, publicKey []byte, label string, content, signature []byte) error {
	return s.Verify(ctx, k, []Verification{{publicKey, s.SignContent(label, content), signature}})
}

// Verify checks every signature of the list in one call of k. Codes:
// INVALID_SIGNATURE with the lowest index of a bad one in the detail, and
// those of k.
func (s *Suite) Verify(ctx context.Context, k Keys, list []Verification) error {
	if len(list) == 0 {
		return nil
	}
	bad, err := k.Verify(ctx, s.id, list)
	if err != nil {
		return err
	}
	if bad != -1 {
		return mlserr.New(mlserr.InvalidSignature, "signature "+strconv.Itoa(bad))
	}
	return nil
}
