package main

import (
	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// keySchedule has a group of three epochs for each suite.
func keySchedule() any {
	return eachSuite(func(s *suite.Suite) []vectors.KeySchedule {
		nh := s.HashSize()
		c := vectors.KeySchedule{CipherSuite: uint16(s.ID()), GroupID: suite.Random(16), InitialInitSecret: suite.Random(nh)}
		initSecret := []byte(c.InitialInitSecret)
		for i := range 3 {
			e := vectors.KeyScheduleEpoch{
				TreeHash:                suite.Random(nh),
				CommitSecret:            suite.Random(nh),
				PSKSecret:               suite.Random(nh),
				ConfirmedTranscriptHash: suite.Random(nh),
			}
			e.GroupContext = wire.Marshal(&message.GroupContext{
				Version:                 message.MLS10,
				CipherSuite:             s.ID(),
				GroupID:                 c.GroupID,
				Epoch:                   uint64(i),
				TreeHash:                e.TreeHash,
				ConfirmedTranscriptHash: e.ConfirmedTranscriptHash,
			})
			joiner := schedule.NewJoiner(s, initSecret, e.CommitSecret, e.GroupContext)
			e.JoinerSecret = joiner.Secret()
			// The schedule does not give the welcome_secret away. Section 8 has it as
			// DeriveSecret(KDF.Extract(joiner_secret, psk_secret), "welcome").
			e.WelcomeSecret = s.DeriveSecret(s.Extract(e.JoinerSecret, e.PSKSecret), "welcome")

			epoch := joiner.WithPSK(e.PSKSecret).Epoch(e.GroupContext)
			e.InitSecret = epoch.InitSecret
			e.SenderDataSecret = epoch.SenderDataSecret
			e.EncryptionSecret = epoch.EncryptionSecret
			e.ExporterSecret = epoch.ExporterSecret
			e.EpochAuthenticator = epoch.EpochAuthenticator
			e.ExternalSecret = epoch.ExternalSecret
			e.ConfirmationKey = epoch.ConfirmationKey
			e.MembershipKey = epoch.MembershipKey
			e.ResumptionPSK = epoch.ResumptionPSK
			e.ExternalPub = must(epoch.ExternalKey(ctx, keys, s)).Public()
			e.Exporter.Label, e.Exporter.Context, e.Exporter.Length = "exporter label", suite.Random(20), uint32(2*nh+3)
			e.Exporter.Secret = must(epoch.Export(s, e.Exporter.Label, e.Exporter.Context, int(e.Exporter.Length)))

			c.Epochs = append(c.Epochs, e)
			initSecret = epoch.InitSecret
		}
		return []vectors.KeySchedule{c}
	})
}

// pskSecret has none, one and three pre-shared keys for each suite.
func pskSecret() any {
	return eachSuite(func(s *suite.Suite) []vectors.PSKSecret {
		var cases []vectors.PSKSecret
		for _, count := range []int{0, 1, 3} {
			c := vectors.PSKSecret{CipherSuite: uint16(s.ID()), PSKs: []vectors.PSK{}}
			var ids []message.PreSharedKeyID
			var secrets [][]byte
			for range count {
				psk := vectors.PSK{PSKID: suite.Random(16), PSK: suite.Random(s.HashSize()), PSKNonce: suite.Random(s.HashSize())}
				c.PSKs = append(c.PSKs, psk)
				ids = append(ids, message.PreSharedKeyID{Type: message.PSKExternal, ID: psk.PSKID, Nonce: psk.PSKNonce})
				secrets = append(secrets, psk.PSK)
			}
			c.PSKSecret = must(schedule.PSKSecret(s, ids, secrets))
			cases = append(cases, c)
		}
		return cases
	})
}

// transcriptHashes has one commit for each suite.
func transcriptHashes() any {
	return eachSuite(func(s *suite.Suite) []vectors.TranscriptHashes {
		alice := newMember(s, "alice")
		group := groupContext(s)
		c := vectors.TranscriptHashes{
			CipherSuite:                 uint16(s.ID()),
			ConfirmationKey:             suite.Random(s.HashSize()),
			InterimTranscriptHashBefore: suite.Random(s.HashSize()),
		}
		commit := message.AuthenticatedContent{
			WireFormat: message.WireFormatPublicMessage,
			Content: message.FramedContent{
				GroupID:           group.GroupID,
				Epoch:             group.Epoch,
				Sender:            message.Sender{Type: message.SenderMember, Leaf: 0},
				AuthenticatedData: []byte("authenticated data"),
				ContentType:       message.ContentTypeCommit,
				Commit:            &message.Commit{Proposals: []message.ProposalOrRef{{Reference: suite.Random(s.HashSize())}}},
			},
		}
		must(commit.Sign(ctx, s, alice.signature, &group))
		c.ConfirmedTranscriptHashAfter = schedule.ConfirmedTranscriptHash(s, c.InterimTranscriptHashBefore, &commit)
		epoch := schedule.Epoch{ConfirmationKey: c.ConfirmationKey}
		commit.Auth.ConfirmationTag = epoch.ConfirmationTag(s, c.ConfirmedTranscriptHashAfter)
		c.InterimTranscriptHashAfter = schedule.InterimTranscriptHash(s, c.ConfirmedTranscriptHashAfter, commit.Auth.ConfirmationTag)
		c.AuthenticatedContent = wire.Marshal(&commit)
		return []vectors.TranscriptHashes{c}
	})
}

// secretTree has trees of 1 and of 8 leaves for each suite.
func secretTree() any {
	return eachSuite(func(s *suite.Suite) []vectors.SecretTree {
		var cases []vectors.SecretTree
		for _, leaves := range []uint32{1, 8} {
			c := vectors.SecretTree{CipherSuite: uint16(s.ID()), EncryptionSecret: suite.Random(s.HashSize())}
			d := &c.SenderData
			d.SenderDataSecret, d.Ciphertext = suite.Random(s.HashSize()), suite.Random(77)
			d.Key, d.Nonce = schedule.SenderDataKeyNonce(s, d.SenderDataSecret, d.Ciphertext)

			draft := schedule.NewSecretTree(s, leaves, c.EncryptionSecret).Draft()
			for leaf := range treemath.LeafIndex(leaves) {
				var generations []vectors.SecretTreeGeneration
				for _, n := range []uint32{0, 1, 7} {
					g := vectors.SecretTreeGeneration{Generation: n}
					var err error
					g.HandshakeKey, g.HandshakeNonce, err = draft.Key(leaf, schedule.Handshake, n)
					check(err)
					g.ApplicationKey, g.ApplicationNonce, err = draft.Key(leaf, schedule.Application, n)
					check(err)
					generations = append(generations, g)
				}
				c.Leaves = append(c.Leaves, generations)
			}
			cases = append(cases, c)
		}
		return cases
	})
}
