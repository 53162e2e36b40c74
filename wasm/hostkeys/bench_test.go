//go:build js && wasm

package hostkeys_test

import (
	"context"
	"testing"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
)

// BenchmarkKeys measures what may be the host's work or Go's, in the browser that
// it runs in. A list is one operation: divide by its length. It is what lists.go
// and DeriveHPKEKeys decide by.
func BenchmarkKeys(b *testing.B) {
	ctx := context.Background()
	host, _ := open(b, nil)
	soft := softkeys.New()
	for _, id := range []suite.ID{1, 2, 7, 5} {
		message := suite.Random(300)
		for _, side := range []struct {
			name string
			keys suite.Keys
		}{{"Go", soft}, {"host", host}} {
			signer, err := side.keys.GenerateSignatureKey(ctx, id)
			if err != nil {
				b.Fatal(err)
			}
			key, err := side.keys.GenerateHPKEKey(ctx, id)
			if err != nil {
				b.Fatal(err)
			}
			signature, err := signer.Sign(ctx, message)
			if err != nil {
				b.Fatal(err)
			}
			list, publicKeys := make([]suite.Verification, 100), make([][]byte, 100)
			for i := range list {
				list[i] = suite.Verification{PublicKey: signer.Public(), Message: message, Signature: signature}
				publicKeys[i] = key.Public()
			}
			verify, encapsulate := side.keys.Verify, side.keys.Encapsulate
			if side.keys == host {
				verify, encapsulate = host.VerifyOnHost, host.EncapsulateOnHost
			}
			e, err := encapsulate(ctx, id, publicKeys[:1])
			if err != nil {
				b.Fatal(err)
			}
			ikm := [][]byte{suite.Random(32)}
			for _, op := range []struct {
				name string
				f    func() error
			}{
				{"Sign", func() error { _, err := signer.Sign(ctx, message); return err }},
				{"Verify1", func() error { _, err := verify(ctx, id, list[:1]); return err }},
				{"Verify100", func() error { _, err := verify(ctx, id, list); return err }},
				{"Encapsulate1", func() error { _, err := encapsulate(ctx, id, publicKeys[:1]); return err }},
				{"Encapsulate100", func() error { _, err := encapsulate(ctx, id, publicKeys); return err }},
				{"Decapsulate", func() error { _, err := key.Decapsulate(ctx, e[0].Enc); return err }},
				{"GenerateHPKEKey", func() error { _, err := side.keys.GenerateHPKEKey(ctx, id); return err }},
				{"DeriveAndDecapsulate", func() error {
					keys, err := side.keys.DeriveHPKEKeys(ctx, id, ikm)
					if err == nil {
						_, err = keys[0].Decapsulate(ctx, e[0].Enc)
					}
					return err
				}},
			} {
				if side.keys == soft && (id == 5 || id == 7) && len(op.name) > 9 && op.name[len(op.name)-3:] == "100" {
					continue // 2.5 s each
				}
				b.Run(id.String()[4:]+"/"+op.name+"/"+side.name, func(b *testing.B) {
					for b.Loop() {
						if err := op.f(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
