package scenario

import (
	"bytes"

	"webmls/mls/message"
	"webmls/mls/suite/suitetest"
)

// ledger asserts that no AEAD key seals two different things that leave a
// device: neither in one life nor across crashes. It is stricter than a pair of
// key and nonce, and has to be: the reuse guard (RFC 9420, Section 6.3.1) makes the
// nonces of a reused key differ most of the time. A key that sealed something that
// never left, because storing it failed, may be used again: that is the point of
// storing first.
type ledger struct {
	recorder *suitetest.Recorder
	batches  map[string][]suitetest.Seal // by each ciphertext: what one operation sealed
	released map[string]suitetest.Seal   // by key
	reused   int                         // keys that sealed twice
	expected bool                        // reuse is not a failure, but counted
}

func newLedger(r *suitetest.Recorder) *ledger {
	r.Take()
	return &ledger{recorder: r, batches: map[string][]suitetest.Seal{}, released: map[string]suitetest.Seal{}}
}

// operation files what was sealed since the last call as the work of one operation.
func (l *ledger) operation() {
	batch := l.recorder.Take()
	for _, s := range batch {
		l.batches[string(s.Ciphertext)] = batch
	}
}

// release is told of each message that leaves, and fails when one of the keys
// behind it has sealed something else that left.
func (l *ledger) release(w *world, b []byte) {
	for _, ciphertext := range ciphertexts(w, b) {
		batch := l.batches[string(ciphertext)]
		if batch == nil {
			w.fatalf("a message was released that nobody sealed")
		}
		for _, s := range batch {
			if bytes.Equal(s.Ciphertext, ciphertext) {
				l.leaves(w, s)
				l.releaseWithin(w, batch, s.Plaintext)
			}
		}
	}
}

// releaseWithin releases what the same operation sealed and put into something
// else that it sealed: the path secrets in a commit that is a PrivateMessage. What an
// operation sealed besides, because it began anew when another writer was
// faster, never left.
func (l *ledger) releaseWithin(w *world, batch []suitetest.Seal, plaintext []byte) {
	for _, s := range batch {
		if bytes.Contains(plaintext, s.Ciphertext) {
			l.leaves(w, s)
		}
	}
}

func (l *ledger) leaves(w *world, s suitetest.Seal) {
	switch before, ok := l.released[string(s.Key)]; {
	case !ok:
		l.released[string(s.Key)] = s
	case bytes.Equal(before.Ciphertext, s.Ciphertext):
	case bytes.Equal(before.Nonce, s.Nonce):
		w.fatalf("a key and a nonce have sealed two messages that left")
	case l.expected:
		l.reused++
	default:
		w.fatalf("an AEAD key has sealed two messages that left")
	}
}

// ciphertexts returns the outermost ciphertexts of a message.
func ciphertexts(w *world, b []byte) (list [][]byte) {
	m, err := message.Parse(b)
	if err != nil {
		w.fatalf("a message that does not parse was released: %v", err)
	}
	switch {
	case m.Private != nil:
		list = append(list, m.Private.Ciphertext, m.Private.EncryptedSenderData)
	case m.Welcome != nil:
		list = append(list, m.Welcome.EncryptedGroupInfo)
		for i := range m.Welcome.Secrets {
			list = append(list, m.Welcome.Secrets[i].EncryptedGroupSecrets.Ciphertext)
		}
	case m.Public != nil && m.Public.Content.Commit != nil && m.Public.Content.Commit.Path != nil:
		for _, node := range m.Public.Content.Commit.Path.Nodes {
			for i := range node.EncryptedPathSecret {
				list = append(list, node.EncryptedPathSecret[i].Ciphertext)
			}
		}
	}
	return list
}
