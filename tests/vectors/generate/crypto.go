package main

import (
	"context"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/tests/vectors"
)

var (
	ctx  = context.Background()
	keys = softkeys.New()
)

// eachSuite collects what f makes for every cipher suite.
func eachSuite[C any](f func(s *suite.Suite) []C) any {
	var cases []C
	for _, id := range suite.All() {
		cases = append(cases, f(must(suite.Lookup(id)))...)
	}
	return cases
}

// must ends the program where the module fails on its own values.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func cryptoBasics() any {
	return eachSuite(func(s *suite.Suite) []vectors.CryptoBasics {
		c := vectors.CryptoBasics{CipherSuite: uint16(s.ID())}

		r := &c.RefHash
		r.Label, r.Value = "RefHash", suite.Random(100)
		r.Out = s.RefHash(r.Label, r.Value)

		e := &c.ExpandWithLabel
		e.Secret, e.Label, e.Context, e.Length = suite.Random(s.HashSize()), "ExpandWithLabel", suite.Random(70), 3*uint16(s.HashSize())+1
		e.Out = s.ExpandWithLabel(e.Secret, e.Label, e.Context, int(e.Length))

		d := &c.DeriveSecret
		d.Secret, d.Label = suite.Random(s.HashSize()), "DeriveSecret"
		d.Out = s.DeriveSecret(d.Secret, d.Label)

		t := &c.DeriveTreeSecret
		t.Secret, t.Label, t.Generation, t.Length = suite.Random(s.HashSize()), "DeriveTreeSecret", 1<<31+5, uint16(s.KeySize())
		t.Out = s.DeriveTreeSecret(t.Secret, t.Label, t.Generation, int(t.Length))

		sign := &c.SignWithLabel
		signer := must(keys.GenerateSignatureKey(ctx, s.ID()))
		sign.Priv, sign.Pub, sign.Label, sign.Content = signer.Reference(), signer.Public(), "SignWithLabel", suite.Random(90)
		sign.Signature = must(s.SignWithLabel(ctx, signer, sign.Label, sign.Content))

		enc := &c.EncryptWithLabel
		recipient := must(keys.GenerateHPKEKey(ctx, s.ID()))
		enc.Priv, enc.Pub = recipient.Reference(), recipient.Public()
		enc.Label, enc.Context, enc.Plaintext = "EncryptWithLabel", suite.Random(80), suite.Random(s.HashSize())
		sealed := must(s.EncryptWithLabel(ctx, keys, enc.Label, enc.Context, []suite.Recipient{{PublicKey: enc.Pub, Plaintext: enc.Plaintext}}))
		enc.KEMOutput, enc.Ciphertext = sealed[0].KEMOutput, sealed[0].Ciphertext

		return []vectors.CryptoBasics{c}
	})
}
