package service

import "fmt"

// The codes of errors in replies. PROTOCOL.md says what each means.
const (
	codeMalformed            = "MALFORMED"
	codeUnknownOp            = "UNKNOWN_OP"
	codeUnsupportedVersion   = "UNSUPPORTED_VERSION"
	codeNotAuthenticated     = "NOT_AUTHENTICATED"
	codeNameInvalid          = "NAME_INVALID"
	codeTokenInvalid         = "TOKEN_INVALID"
	codeNameTaken            = "NAME_TAKEN"
	codeDeviceInvalid        = "DEVICE_INVALID"
	codeTooManyDevices       = "TOO_MANY_DEVICES"
	codeTooManyConnections   = "TOO_MANY_CONNECTIONS"
	codeTooLarge             = "TOO_LARGE"
	codeTooMany              = "TOO_MANY"
	codeWrongMessage         = "WRONG_MESSAGE"
	codeWrongGroup           = "WRONG_GROUP"
	codeEpochAhead           = "EPOCH_AHEAD"
	codeEpochBehind          = "EPOCH_BEHIND"
	codeNoKeyPackage         = "NO_KEY_PACKAGE"
	codeKeyPackagesFull      = "KEY_PACKAGES_FULL"
	codeWelcomesFull         = "WELCOMES_FULL"
	codeNotAMember           = "NOT_A_MEMBER"
	codeNoGroupInfo          = "NO_GROUP_INFO"
	codeTooManySubscriptions = "TOO_MANY_SUBSCRIPTIONS"
	codeAlreadySubscribed    = "ALREADY_SUBSCRIBED"
	codeNotSubscribed        = "NOT_SUBSCRIBED"
	codeUnavailable          = "UNAVAILABLE"
)

// Error is an error that a client is told.
type Error struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Epoch   *uint64 `json:"epoch,omitempty,string"` // with EPOCH_AHEAD and EPOCH_BEHIND: the group's
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func fail(code, format string, v ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, v...)}
}
