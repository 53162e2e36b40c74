package service

import (
	"bytes"

	"webmls/mls/message"
)

// peekGroupMessage reads the outside of a message that goes into the log of a
// group: a PublicMessage or PrivateMessage (RFC 9420, Sections 6.2 and 6.3).
// Codes: TOO_LARGE, MALFORMED, WRONG_MESSAGE, WRONG_GROUP.
func peekGroupMessage(b, group []byte, limit int) (message.Header, error) {
	header, err := peek(b, limit)
	if err != nil {
		return header, err
	}
	if header.WireFormat != message.WireFormatPublicMessage && header.WireFormat != message.WireFormatPrivateMessage {
		return header, fail(codeWrongMessage, "not a PublicMessage or PrivateMessage")
	}
	return header, checkSameGroup(header, group)
}

// peekGroupInfo reads the outside of a GroupInfo (RFC 9420, Section 12.4.3).
// Codes: TOO_LARGE, MALFORMED, WRONG_MESSAGE, WRONG_GROUP.
func peekGroupInfo(b, group []byte, limit int) (message.Header, error) {
	header, err := peek(b, limit)
	if err != nil {
		return header, err
	}
	if header.WireFormat != message.WireFormatGroupInfo {
		return header, fail(codeWrongMessage, "not a GroupInfo")
	}
	return header, checkSameGroup(header, group)
}

// checkWireFormat refuses what is not an MLSMessage of one kind.
// Codes: TOO_LARGE, MALFORMED, WRONG_MESSAGE.
func checkWireFormat(b []byte, limit int, want message.WireFormat, name string) error {
	header, err := peek(b, limit)
	if err != nil {
		return err
	}
	if header.WireFormat != want {
		return fail(codeWrongMessage, "not a %s", name)
	}
	return nil
}

func peek(b []byte, limit int) (message.Header, error) {
	if len(b) > limit {
		return message.Header{}, fail(codeTooLarge, "a message of more than %d bytes", limit)
	}
	header, err := message.PeekHeader(b)
	if err != nil {
		return header, fail(codeMalformed, "not an MLSMessage")
	}
	return header, nil
}

func checkSameGroup(header message.Header, group []byte) error {
	if !bytes.Equal(header.GroupID, group) {
		return fail(codeWrongGroup, "the message is of another group")
	}
	return nil
}
