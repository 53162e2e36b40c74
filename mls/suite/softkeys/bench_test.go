package softkeys

import (
	"strconv"
	"testing"

	"webmls/mls/suite"
)

// BenchmarkKeys measures every operation of the seam for every suite. Lists are
// one operation: divide by their length.
func BenchmarkKeys(b *testing.B) {
	k := New()
	for _, id := range suite.All() {
		signatureKey, hpkeKey := mustSignatureKey(b, id), mustHPKEKey(b, id)
		message := suite.Random(300)
		signature, err := signatureKey.Sign(ctx, message)
		if err != nil {
			b.Fatal(err)
		}
		encapsulations, err := k.Encapsulate(ctx, id, [][]byte{hpkeKey.Public()})
		if err != nil {
			b.Fatal(err)
		}
		verifications, publicKeys, ikm := make([]suite.Verification, 1000), make([][]byte, 1000), make([][]byte, 10)
		for i := range verifications {
			verifications[i] = suite.Verification{PublicKey: signatureKey.Public(), Message: message, Signature: signature}
			publicKeys[i] = hpkeKey.Public()
		}
		for i := range ikm {
			ikm[i] = suite.Random(32)
		}
		run := func(name string, f func() error) {
			b.Run(name+"/"+strconv.Itoa(int(id)), func(b *testing.B) {
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("Sign", func() error { _, err := signatureKey.Sign(ctx, message); return err })
		for _, n := range []int{1, 1000} {
			run("Verify"+strconv.Itoa(n), func() error {
				bad, err := k.Verify(ctx, id, verifications[:n])
				if bad != -1 {
					b.Fatal(bad)
				}
				return err
			})
			run("Encapsulate"+strconv.Itoa(n), func() error { _, err := k.Encapsulate(ctx, id, publicKeys[:n]); return err })
		}
		run("Decapsulate", func() error { _, err := hpkeKey.Decapsulate(ctx, encapsulations[0].Enc); return err })
		run("DeriveHPKEKeys10", func() error { _, err := k.DeriveHPKEKeys(ctx, id, ikm); return err })
		run("ValidateHPKEKeys1000", func() error { _, err := k.ValidateHPKEKeys(ctx, id, publicKeys); return err })
	}
}
