package framing

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// brokenKey does not sign.
type brokenKey struct {
	suite.SignatureKey
	err error
}

func (k brokenKey) SignAll(context.Context, [][]byte) ([][]byte, error) { return nil, k.err }

// Every bit of a PrivateMessage that the network can change.
func TestForgedPrivateMessage(t *testing.T) {
	for _, id := range []suite.ID{1, 3, 4} {
		g := newGroup(t, id, 4)
		tree := g.tree()
		good := g.protectPrivate(t, g.commit(), 5)
		if _, err := g.unprotectPrivate(t, tree, good); err != nil {
			t.Fatal(err)
		}
		refuse := func(what string, want mlserr.Code, change func(m *message.PrivateMessage)) {
			t.Helper()
			m := *good
			change(&m)
			_, err := g.unprotectPrivate(t, tree, &m)
			wantCode(t, what, err, want)
		}
		const failed = mlserr.DecryptionFailed
		refuse("group_id", failed, func(m *message.PrivateMessage) { m.GroupID = []byte("grouq") })
		refuse("epoch", failed, func(m *message.PrivateMessage) { m.Epoch++ })
		refuse("content_type proposal", failed, func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeProposal })
		refuse("content_type application", failed, func(m *message.PrivateMessage) { m.ContentType = message.ContentTypeApplication })
		refuse("content_type 0", mlserr.ContentTypeInvalid, func(m *message.PrivateMessage) { m.ContentType = 0 })
		refuse("content_type 4", mlserr.ContentTypeInvalid, func(m *message.PrivateMessage) { m.ContentType = 4 })
		refuse("authenticated_data", failed, func(m *message.PrivateMessage) { m.AuthenticatedData = nil })
		for i := range good.EncryptedSenderData {
			refuse("encrypted_sender_data", failed, func(m *message.PrivateMessage) {
				m.EncryptedSenderData = bytes.Clone(m.EncryptedSenderData)
				m.EncryptedSenderData[i] ^= 0x80
			})
			refuse("encrypted_sender_data cut", failed, func(m *message.PrivateMessage) { m.EncryptedSenderData = m.EncryptedSenderData[:i] })
		}
		for i := range good.Ciphertext {
			refuse("ciphertext", failed, func(m *message.PrivateMessage) {
				m.Ciphertext = bytes.Clone(m.Ciphertext)
				m.Ciphertext[i] ^= 1
			})
			refuse("ciphertext cut", failed, func(m *message.PrivateMessage) { m.Ciphertext = m.Ciphertext[:i] })
		}
		refuse("ciphertext long", failed, func(m *message.PrivateMessage) { m.Ciphertext = append(bytes.Clone(m.Ciphertext), 0) })

		// Another group's or epoch's secrets.
		senderDataSecret := g.senderDataSecret
		g.senderDataSecret = suite.Random(g.suite.HashSize())
		refuse("sender_data_secret", failed, func(*message.PrivateMessage) {})
		g.senderDataSecret = senderDataSecret
		other := schedule.NewSecretTree(g.suite, 4, suite.Random(g.suite.HashSize()))
		_, err := g.unprotectPrivate(t, other, good)
		wantCode(t, "secret tree", err, failed)
	}
}

// crafted is a PrivateMessage by a member that keeps to no rule.
type crafted struct {
	contentType message.ContentType
	ratchet     schedule.Ratchet
	data        message.SenderData
	plaintext   []byte
	// rawSenderData takes the place of data where it is not nil.
	rawSenderData []byte
}

// seal protects what is crafted under the true keys of leaf 1, whatever
// the sender data say.
func (g *group) seal(t testing.TB, c crafted) *message.PrivateMessage {
	t.Helper()
	_, key, nonce, err := g.tree().Draft().Next(1, c.ratchet)
	if err != nil {
		t.Fatal(err)
	}
	guard(nonce, &c.data)
	m := &message.PrivateMessage{GroupID: g.context.GroupID, Epoch: g.context.Epoch, ContentType: c.contentType}
	m.Ciphertext = g.suite.Seal(key, nonce, contentAAD(m), c.plaintext)
	if c.rawSenderData == nil {
		m.EncryptedSenderData = sealSenderData(g.suite, m, g.senderDataSecret, &c.data)
		return m
	}
	key, nonce = schedule.SenderDataKeyNonce(g.suite, g.senderDataSecret, m.Ciphertext)
	m.EncryptedSenderData = g.suite.Seal(key, nonce, senderDataAAD(m), c.rawSenderData)
	return m
}

func TestCraftedPrivateMessage(t *testing.T) {
	g := newGroup(t, 1, 4)
	signed := g.mustSign(t, private, g.application())
	commit := g.mustSign(t, private, g.commit())
	application := marshalContent(signed, 3)
	short, long := *commit, *commit
	short.Auth.ConfirmationTag = short.Auth.ConfirmationTag[1:]
	long.Auth.ConfirmationTag = append(bytes.Clone(long.Auth.ConfirmationTag), 0)
	missing := *commit
	missing.Auth.ConfirmationTag = nil
	nonZero := bytes.Clone(application)
	nonZero[len(nonZero)-1] = 1
	firstNonZero := bytes.Clone(application)
	firstNonZero[len(firstNonZero)-3] = 1

	sender := func(leaf treemath.LeafIndex, generation uint32) message.SenderData {
		return message.SenderData{Leaf: leaf, Generation: generation, ReuseGuard: [4]byte{1, 2, 3, 4}}
	}
	app := func(data message.SenderData, plaintext []byte) crafted {
		return crafted{message.ContentTypeApplication, schedule.Application, data, plaintext, nil}
	}
	for _, c := range []struct {
		what string
		c    crafted
		want mlserr.Code
	}{
		{"nothing wrong", app(sender(1, 0), application), ""},
		{"no padding", app(sender(1, 0), application[:len(application)-3]), ""},
		{"blank leaf", app(sender(2, 0), application), mlserr.InvalidSender},
		{"first leaf past the tree", app(sender(4, 0), application), mlserr.InvalidSender},
		{"leaf 0x80000000", app(sender(1<<31, 0), application), mlserr.InvalidSender},
		{"leaf 0x80000001", app(sender(1<<31|1, 0), application), mlserr.InvalidSender},
		{"leaf 0xffffffff", app(sender(1<<32-1, 0), application), mlserr.InvalidSender},
		{"another leaf", app(sender(3, 0), application), mlserr.DecryptionFailed},
		{"another generation", app(sender(1, 1), application), mlserr.DecryptionFailed},
		{"generation 1000", app(sender(1, 1000), application), mlserr.DecryptionFailed},
		{"generation 1001", app(sender(1, 1001), application), mlserr.GenerationTooFar},
		{"generation 2^31-1", app(sender(1, 1<<31-1), application), mlserr.GenerationTooFar},
		{"generation 2^32-1", app(sender(1, 1<<32-1), application), mlserr.GenerationTooFar},
		{"the other ratchet", crafted{message.ContentTypeApplication, schedule.Handshake, sender(1, 0), application, nil}, mlserr.DecryptionFailed},
		{"sender data cut", crafted{message.ContentTypeApplication, schedule.Application, message.SenderData{}, application, make([]byte, 11)}, mlserr.Malformed},
		{"sender data long", crafted{message.ContentTypeApplication, schedule.Application, message.SenderData{}, application, make([]byte, 13)}, mlserr.Malformed},
		{"sender data empty", crafted{message.ContentTypeApplication, schedule.Application, message.SenderData{}, application, []byte{}}, mlserr.Malformed},
		{"padding not zero at its end", app(sender(1, 0), nonZero), mlserr.PaddingNotZero},
		{"padding not zero at its start", app(sender(1, 0), firstNonZero), mlserr.PaddingNotZero},
		{"nothing inside", app(sender(1, 0), nil), mlserr.Malformed},
		{"a commit inside an application message", app(sender(1, 0), marshalContent(commit, 0)), mlserr.PaddingNotZero},
		{"application data inside a commit", crafted{message.ContentTypeCommit, schedule.Handshake, sender(1, 0), application, nil}, mlserr.Malformed},
		{"commit", crafted{message.ContentTypeCommit, schedule.Handshake, sender(1, 0), marshalContent(commit, 0), nil}, ""},
		{"commit with a short tag", crafted{message.ContentTypeCommit, schedule.Handshake, sender(1, 0), marshalContent(&short, 0), nil}, mlserr.ConfirmationTag},
		{"commit with a long tag", crafted{message.ContentTypeCommit, schedule.Handshake, sender(1, 0), marshalContent(&long, 0), nil}, mlserr.ConfirmationTag},
		{"commit without a tag", crafted{message.ContentTypeCommit, schedule.Handshake, sender(1, 0), marshalContent(&missing, 0), nil}, mlserr.ConfirmationTag},
	} {
		_, err := g.unprotectPrivate(t, g.tree(), g.seal(t, c.c))
		wantCode(t, c.what, err, c.want)
	}
	for n := range len(application) - 3 {
		_, err := g.unprotectPrivate(t, g.tree(), g.seal(t, app(sender(1, 0), application[:n])))
		wantCode(t, fmt.Sprintf("%d bytes of the content", n), err, mlserr.Malformed)
	}

	// A member re-encrypts another's content as its own: the signature covers
	// the leaf.
	u, err := g.unprotectPrivate(t, g.tree(), g.seal(t, app(sender(1, 0), marshalContent(signed, 0))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.verify(t, u)
	wantCode(t, "authenticated data left out", err, mlserr.InvalidSignature)
}

func TestReplay(t *testing.T) {
	g := newGroup(t, 1, 4)
	sending, receiving := g.tree(), g.tree()
	var sent []*message.PrivateMessage
	for i := range 20 {
		content := g.application()
		if i%3 == 0 {
			content = g.commit()
		}
		d := sending.Draft()
		m, err := ProtectPrivate(g.suite, g.mustSign(t, private, content), d, g.senderDataSecret, 0)
		if err != nil {
			t.Fatal(err)
		}
		d.Apply()
		sent = append(sent, m)
	}
	for i := range sent {
		m := sent[i*7%len(sent)]
		d := receiving.Draft()
		u, err := UnprotectPrivate(g.suite, m, d, g.senderDataSecret, notBlank)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.verify(t, u); err != nil {
			t.Fatal(err)
		}
		_, err = UnprotectPrivate(g.suite, m, d, g.senderDataSecret, notBlank)
		wantCode(t, "replay in one draft", err, mlserr.AlreadyProcessed)
		d.Apply()
		_, err = g.unprotectPrivate(t, receiving, m)
		wantCode(t, "replay", err, mlserr.AlreadyProcessed)
	}
}

// State that was lost makes a generation come twice; the guard keeps the
// nonces apart (F15, S12).
func TestReuseGuard(t *testing.T) {
	g := newGroup(t, 1, 4)
	signed := g.mustSign(t, private, g.application())
	tree := g.tree()
	seen := map[string]bool{}
	for range 8 {
		m, err := ProtectPrivate(g.suite, signed, tree.Draft(), g.senderDataSecret, 0)
		if err != nil {
			t.Fatal(err)
		}
		data, err := openSenderData(g.suite, m, g.senderDataSecret)
		if err != nil || data.Generation != 0 {
			t.Fatal(data, err)
		}
		seen[string(data.ReuseGuard[:])+string(m.Ciphertext)] = true
		seen[string(data.ReuseGuard[:])] = true
	}
	if len(seen) != 16 {
		t.Errorf("%d different guards and ciphertexts, want 16", len(seen))
	}
}

// The content type chooses the ratchet (RFC 9420, Section 6.3.1).
func TestRatchets(t *testing.T) {
	g := newGroup(t, 1, 4)
	d := g.tree().Draft()
	for i, content := range []message.FramedContent{g.application(), g.application(), g.commit(), g.proposal(message.ProposalRemove), g.application()} {
		m, err := ProtectPrivate(g.suite, g.mustSign(t, private, content), d, g.senderDataSecret, 0)
		if err != nil {
			t.Fatal(err)
		}
		data, err := openSenderData(g.suite, m, g.senderDataSecret)
		if err != nil {
			t.Fatal(err)
		}
		if want := [...]uint32{0, 1, 0, 1, 2}[i]; data.Generation != want {
			t.Errorf("message %d has generation %d, want %d", i, data.Generation, want)
		}
	}
	content := g.application()
	content.Sender = message.Sender{Type: message.SenderMember, Leaf: 4}
	_, err := ProtectPrivate(g.suite, g.mustSign(t, private, content), d, g.senderDataSecret, 0)
	wantCode(t, "sender that the tree does not have", err, mlserr.InvalidSender)
}

// Whatever a member encrypts: it is refused, or is what it encodes to.
func FuzzPrivateContent(f *testing.F) {
	g := newGroup(f, 1, 4)
	for _, content := range []message.FramedContent{g.application(), g.proposal(message.ProposalAdd), g.commit()} {
		f.Add(uint8(content.ContentType), marshalContent(g.mustSign(f, private, content), 2))
	}
	f.Fuzz(func(t *testing.T, contentType uint8, plaintext []byte) {
		kind := message.ContentType(1 + contentType%3)
		m := g.seal(t, crafted{contentType: kind, ratchet: ratchetFor(kind), data: message.SenderData{Leaf: 1}, plaintext: plaintext})
		u, err := g.unprotectPrivate(t, g.tree(), m)
		if err != nil {
			return
		}
		again := marshalContent(u.content, 0)
		if !bytes.HasPrefix(plaintext, again) || len(bytes.Trim(plaintext[len(again):], "\x00")) != 0 {
			t.Errorf("%x encodes to %x", plaintext, again)
		}
	})
}

// Whatever the network delivers is refused, unless it is the message itself.
func FuzzUnprotectPrivate(f *testing.F) {
	g := newGroup(f, 1, 4)
	good := g.protectPrivate(f, g.application(), 0)
	encoded := wire.Marshal(good)
	f.Add(encoded)
	f.Add(wire.Marshal(g.protectPrivate(f, g.commit(), 9)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(message.PrivateMessage)
		if wire.Unmarshal(b, m) != nil {
			return
		}
		// Keys are new in every process, so that a seed of another run opens nowhere.
		u, err := g.unprotectPrivate(t, g.tree(), m)
		if err != nil {
			return
		}
		if _, err := g.verify(t, u); err != nil {
			t.Errorf("%x opens but does not verify: %v", b, err)
		}
	})
}

func BenchmarkPrivate(b *testing.B) {
	for _, leafCount := range []uint32{16, 1024} {
		g := newGroup(b, 1, leafCount)
		content := message.FramedContent{ContentType: message.ContentTypeApplication, ApplicationData: make([]byte, 1024)}
		b.Run(fmt.Sprintf("Protect/%d", leafCount), func(b *testing.B) {
			b.ReportAllocs()
			tree := g.tree()
			for b.Loop() {
				d := tree.Draft()
				c := g.mustSign(b, private, content)
				if _, err := ProtectPrivate(g.suite, c, d, g.senderDataSecret, 0); err != nil {
					b.Fatal(err)
				}
				d.Changes(func(string, []byte) {})
				d.Apply()
			}
		})
		b.Run(fmt.Sprintf("Unprotect/%d", leafCount), func(b *testing.B) {
			b.ReportAllocs()
			m := g.protectPrivate(b, content, 0)
			tree := g.tree()
			// The sender is no stranger.
			d := tree.Draft()
			if _, _, _, err := d.Next(1, schedule.Handshake); err != nil {
				b.Fatal(err)
			}
			d.Apply()
			for b.Loop() {
				d := tree.Draft()
				u, err := UnprotectPrivate(g.suite, m, d, g.senderDataSecret, notBlank)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := g.verify(b, u); err != nil {
					b.Fatal(err)
				}
				d.Changes(func(string, []byte) {})
			}
		})
	}
	g := newGroup(b, 1, 16)
	message := make([]byte, 1024)
	signature, _ := g.key.Sign(b.Context(), message)
	b.Run("Sign", func(b *testing.B) {
		for b.Loop() {
			g.key.Sign(b.Context(), message)
		}
	})
	b.Run("Verify", func(b *testing.B) {
		list := []suite.Verification{{PublicKey: g.key.Public(), Message: message, Signature: signature}}
		for b.Loop() {
			if err := g.suite.Verify(b.Context(), keys, list); err != nil {
				b.Fatal(err)
			}
		}
	})
}
