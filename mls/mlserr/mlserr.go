// Package mlserr holds every error code of the module in one table.
//
// It owns the codes, their class (what a caller should do) and the rule of
// RFC 9420 that each stands for. It must not know any other package. Codes are
// stable: applications and the JavaScript facade branch on them.
package mlserr

// Class says what the receiver of an error should do.
type Class uint8

const (
	// ClassMalformed: the bytes are no MLS message. Drop them.
	ClassMalformed Class = iota + 1
	// ClassRejected: a well-formed message breaks a rule. Drop it and report.
	ClassRejected
	// ClassEpoch: the message is for another epoch. Catch up, or ignore it.
	ClassEpoch
	// ClassState: the call does not fit the state. Fix the call.
	ClassState
	// ClassUnsupported: something is valid but not supported. Choose another.
	ClassUnsupported
	// ClassStorage: the store failed. Retry, or open again.
	ClassStorage
	// ClassInternal: a fault of this module. Open again and report it.
	ClassInternal
)

// String returns the name of the matching JavaScript error class.
func (c Class) String() string {
	switch c {
	case ClassMalformed:
		return "MalformedError"
	case ClassRejected:
		return "RejectedError"
	case ClassEpoch:
		return "EpochError"
	case ClassState:
		return "StateError"
	case ClassUnsupported:
		return "UnsupportedError"
	case ClassStorage:
		return "StorageError"
	}
	return "InternalError"
}

// Code names one kind of failure. A Code is itself an error, so that
// errors.Is(err, mlserr.ConfirmationTag) is the way to branch.
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// Info describes a code.
type Info struct {
	Code    Code
	Class   Class
	Section string // of RFC 9420, or empty
	Text    string // the rule in a sentence
}

// Info returns the row of the table for c. A code that is not in the table is
// described as an internal fault.
func (c Code) Info() Info {
	for i := range table {
		if table[i].Code == c {
			return table[i]
		}
	}
	return Info{Code: c, Class: ClassInternal, Text: "unknown error code"}
}

// Table returns a copy of all rows, in the order of the RFC.
func Table() []Info { return append([]Info(nil), table...) }

// Error is a failure with a code. It never holds a secret.
type Error struct {
	Code   Code
	Op     string // the operation, such as "group.receive", set at the public surface
	Detail string // what exactly broke: a rule id, a field, an index
	Err    error  // the cause, or nil
}

// New returns an error with a code and a detail.
//
//go:noinline
func New(code Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// Wrap returns an error with a code, a detail and a cause.
//
//go:noinline
func Wrap(code Code, detail string, err error) *Error {
	return &Error{Code: code, Detail: detail, Err: err}
}

// Error returns "CODE: rule (RFC 9420, Section n): detail: cause".
func (e *Error) Error() string {
	info := e.Code.Info()
	s := string(e.Code) + ": " + info.Text
	if info.Section != "" {
		s += " (RFC 9420, Section " + info.Section + ")"
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is reports whether target is the code of e.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost *Error in err's chain, Internal
// when there is none, and the empty code for nil. Of joined errors the first
// that has a code gives it.
func CodeOf(err error) Code {
	for e := err; e != nil; {
		switch x := e.(type) {
		case *Error:
			return x.Code
		case Code:
			return x
		case interface{ Unwrap() error }:
			e = x.Unwrap()
		case interface{ Unwrap() []error }:
			for _, part := range x.Unwrap() {
				if code := CodeOf(part); code != Internal {
					return code
				}
			}
			return Internal
		default:
			return Internal
		}
	}
	if err == nil {
		return ""
	}
	return Internal
}
