package main

import (
	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// welcome has a Welcome for two new members, of whom the case is about the
// second, for each suite.
func welcome() any {
	return eachSuite(func(s *suite.Suite) []vectors.Welcome {
		alice, bob, carol := newMember(s, "alice"), newMember(s, "bob"), newMember(s, "carol")
		joinerSecret := suite.Random(s.HashSize())
		intermediate := schedule.JoinerFromSecret(s, joinerSecret).WithPSK(nil)

		info := message.GroupInfo{GroupContext: groupContext(s), Signer: 0}
		epoch := intermediate.Epoch(wire.Marshal(&info.GroupContext))
		info.ConfirmationTag = epoch.ConfirmationTag(s, info.GroupContext.ConfirmedTranscriptHash)
		check(info.Sign(ctx, s, alice.signature))

		key, nonce := intermediate.WelcomeKeyNonce()
		w := message.Welcome{CipherSuite: s.ID(), EncryptedGroupInfo: s.Seal(key, nonce, nil, wire.Marshal(&info))}
		secrets := wire.Marshal(&message.GroupSecrets{JoinerSecret: joinerSecret, PathSecret: suite.Random(s.HashSize())})
		sealed := must(s.EncryptWithLabel(ctx, keys, "Welcome", w.EncryptedGroupInfo, []suite.Recipient{
			{PublicKey: carol.init.Public(), Plaintext: secrets},
			{PublicKey: bob.init.Public(), Plaintext: secrets},
		}))
		for i, m := range []*member{carol, bob} {
			w.Secrets = append(w.Secrets, message.EncryptedGroupSecrets{NewMember: m.keyPackage.Ref(s), EncryptedGroupSecrets: sealed[i]})
		}
		return []vectors.Welcome{{
			CipherSuite: uint16(s.ID()),
			InitPriv:    bob.init.Reference(),
			SignerPub:   alice.signature.Public(),
			KeyPackage:  wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatKeyPackage, KeyPackage: bob.keyPackage}),
			Welcome:     wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatWelcome, Welcome: &w}),
		}}
	})
}
