package message_test

import (
	"bytes"
	"testing"

	"webmls/mls/message"
	"webmls/mls/wire"
)

// headerOf is what PeekHeader must say of a message.
func headerOf(m *message.MLSMessage) message.Header {
	h := message.Header{WireFormat: m.WireFormat}
	switch m.WireFormat {
	case message.WireFormatPublicMessage:
		c := &m.Public.Content
		h.GroupID, h.Epoch, h.ContentType, h.Sender = c.GroupID, c.Epoch, c.ContentType, c.Sender.Type
	case message.WireFormatPrivateMessage:
		h.GroupID, h.Epoch, h.ContentType = m.Private.GroupID, m.Private.Epoch, m.Private.ContentType
	case message.WireFormatGroupInfo:
		h.GroupID, h.Epoch = m.GroupInfo.GroupContext.GroupID, m.GroupInfo.GroupContext.Epoch
	}
	return h
}

func sameHeader(a, b message.Header) bool {
	return a.WireFormat == b.WireFormat && bytes.Equal(a.GroupID, b.GroupID) && a.Epoch == b.Epoch && a.ContentType == b.ContentType && a.Sender == b.Sender
}

func TestPeekHeader(t *testing.T) {
	g := newGenerator(30)
	for i := range 2 * rounds() {
		m := g.mlsMessage()
		b := wire.Marshal(&m)
		h, err := message.PeekHeader(b)
		if err != nil || !sameHeader(h, headerOf(&m)) {
			t.Fatalf("seed %d, message %d: %+v, %v, want %+v", seed, i, h, err, headerOf(&m))
		}
		// A cut message has the same header, or none.
		n := g.IntN(len(b))
		if cut, err := message.PeekHeader(b[:n:n]); err == nil && !sameHeader(cut, h) {
			t.Fatalf("seed %d, message %d cut to %d bytes: %+v", seed, i, n, cut)
		} else if err != nil && !sameHeader(cut, message.Header{}) {
			t.Fatalf("seed %d, message %d cut to %d bytes: %+v with %v", seed, i, n, cut, err)
		}
	}
}

// What cannot be the header of any message is refused, though the rest is not read.
func TestPeekHeaderRefuses(t *testing.T) {
	public := wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatPublicMessage, Public: &message.PublicMessage{
		Content: message.FramedContent{GroupID: []byte("g"), Sender: message.Sender{Type: message.SenderMember}, ContentType: message.ContentTypeApplication},
	}})
	private := wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatPrivateMessage, Private: &message.PrivateMessage{
		GroupID: []byte("g"), ContentType: message.ContentTypeCommit,
	}})
	const sender, publicType, privateType = 14, 20, 14 // offsets
	change := func(b []byte, i int, v byte) []byte {
		b = bytes.Clone(b)
		b[i] = v
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":                   {},
		"sender type":               change(public, sender, 5),
		"content type":              change(public, publicType, 4),
		"content type 0":            change(public, publicType, 0),
		"private content type":      change(private, privateType, 4),
		"group id beyond the input": change(private, 4, 0x3f),
		"group id of 2^30-1 bytes":  append(bytes.Clone(private[:4]), 0xbf, 0xff, 0xff, 0xff, 1, 2, 3),
		"header without its end":    private[:privateType],
	} {
		if h, err := message.PeekHeader(b); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
		if _, err := message.Parse(b); err == nil {
			t.Errorf("%s: Parse accepts it", name)
		}
	}
}

// The cost of PeekHeader does not depend on the size of the message.
func TestPeekHeaderCost(t *testing.T) {
	proposals := make([]message.ProposalOrRef, 50000)
	for i := range proposals {
		proposals[i].Reference = []byte("a reference of some bytes")
	}
	large := &message.Commit{Proposals: proposals}
	extensions := message.Extensions{{Type: message.ExtensionRatchetTree, Data: make([]byte, 1<<20)}}
	for name, m := range map[string]*message.MLSMessage{
		"public": {WireFormat: message.WireFormatPublicMessage, Public: &message.PublicMessage{Content: message.FramedContent{
			GroupID: []byte("g"), Sender: message.Sender{Type: message.SenderMember}, ContentType: message.ContentTypeCommit, Commit: large,
			AuthenticatedData: make([]byte, 1<<20),
		}}},
		"private": {WireFormat: message.WireFormatPrivateMessage, Private: &message.PrivateMessage{
			GroupID: []byte("g"), ContentType: message.ContentTypeApplication, Ciphertext: make([]byte, 1<<20),
		}},
		"welcome": {WireFormat: message.WireFormatWelcome, Welcome: &message.Welcome{
			Secrets: make([]message.EncryptedGroupSecrets, 50000), EncryptedGroupInfo: make([]byte, 1<<20),
		}},
		"group info": {WireFormat: message.WireFormatGroupInfo, GroupInfo: &message.GroupInfo{
			GroupContext: message.GroupContext{Version: message.MLS10, GroupID: []byte("g")}, Extensions: extensions,
		}},
	} {
		b := wire.Marshal(m)
		if h, err := message.PeekHeader(b); err != nil || !sameHeader(h, headerOf(m)) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
		if n := testing.AllocsPerRun(20, func() { message.PeekHeader(b) }); n > 1 { // the Reader
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
