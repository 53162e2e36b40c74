package mlserr

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// The source of the codes is embedded, for in a browser there are no files.
//
//go:embed codes.go
var source string

// declared returns the constants of type Code in codes.go, by name.
func declared(t *testing.T) map[string]Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := make(map[string]Code)
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Code" || len(v.Names) != 1 || len(v.Values) != 1 {
				t.Fatalf("a constant of codes.go is not of the form: Name Code = \"CODE\": %v", v.Names)
			}
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes[v.Names[0].Name] = Code(text)
		}
	}
	return codes
}

// rows returns how often the table in codes.go names each constant.
func rows(t *testing.T) map[string]int {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	ast.Inspect(file, func(n ast.Node) bool {
		row, ok := n.(*ast.CompositeLit)
		if !ok || row.Type != nil || len(row.Elts) != 4 {
			return true
		}
		if name, ok := row.Elts[0].(*ast.Ident); ok {
			count[name.Name]++
		}
		return true
	})
	return count
}

func TestEveryCodeStandsInTheTableOnce(t *testing.T) {
	codes, count := declared(t), rows(t)
	if len(codes) < 70 {
		t.Fatalf("only %d constants found", len(codes))
	}
	for name, code := range codes {
		if count[name] != 1 {
			t.Errorf("%s stands in the table %d times", name, count[name])
		}
		if code.Info().Code != code || code.Info().Text == "unknown error code" {
			t.Errorf("%s is not found in the table", name)
		}
	}
	if len(table) != len(codes) {
		t.Errorf("%d rows for %d constants", len(table), len(codes))
	}
	// Two constants with one text would be one code.
	seen := make(map[Code]string)
	for name, code := range codes {
		if other, ok := seen[code]; ok {
			t.Errorf("%s and %s are both %s", name, other, code)
		}
		seen[code] = name
	}
}

func TestRows(t *testing.T) {
	texts := make(map[string]Code)
	for _, row := range Table() {
		if row.Class < ClassMalformed || row.Class > ClassInternal {
			t.Errorf("%s has class %d", row.Code, row.Class)
		}
		for _, c := range string(row.Code) {
			if !(c >= 'A' && c <= 'Z' || c == '_') {
				t.Errorf("%q is not in capitals", row.Code)
				break
			}
		}
		if row.Text == "" || strings.HasSuffix(row.Text, ".") || row.Text[0] >= 'A' && row.Text[0] <= 'Z' {
			t.Errorf("%s: %q is not the part of a sentence", row.Code, row.Text)
		}
		if other, ok := texts[row.Text]; ok {
			t.Errorf("%s and %s have one text", row.Code, other)
		}
		texts[row.Text] = row.Code
		for _, part := range strings.Split(row.Section, ".") {
			if n, err := strconv.Atoi(part); row.Section != "" && (err != nil || n < 1 || n > 17) {
				t.Errorf("%s: section %q", row.Code, row.Section)
			}
		}
		// What breaks a rule of the RFC says which one.
		if row.Section == "" && (row.Class == ClassRejected || row.Class == ClassEpoch) {
			t.Errorf("%s names no section", row.Code)
		}
		if row.Code.Info() != row {
			t.Errorf("Info of %s is %+v", row.Code, row.Code.Info())
		}
	}
	// What callers branch on by class.
	for class, codes := range map[Class][]Code{
		ClassMalformed:   {Malformed, UnknownVersion, TooLarge, DuplicateExtension},
		ClassRejected:    {DecryptionFailed, InvalidSignature, ConfirmationTag, WrongGroup},
		ClassEpoch:       {EpochAhead, EpochBehind, AlreadyProcessed, ProposalUnknown},
		ClassState:       {PendingCommit, NotMember, InvalidArgument, GroupNotFound},
		ClassUnsupported: {UnknownSuite},
		ClassStorage:     {StoreFailed, Stale, StateCorrupt, Cancelled},
		ClassInternal:    {Internal, InstanceDied},
	} {
		for _, code := range codes {
			if got := code.Info().Class; got != class {
				t.Errorf("%s is %s, want %s", code, got, class)
			}
		}
	}
}

func TestTableIsACopy(t *testing.T) {
	Table()[0].Class = ClassInternal
	if table[0].Class == ClassInternal || Malformed.Info().Class == ClassInternal {
		t.Error("a change of the copy is a change of the table")
	}
}

func TestClassNames(t *testing.T) {
	want := []string{"MalformedError", "RejectedError", "EpochError", "StateError", "UnsupportedError", "StorageError", "InternalError"}
	for c := ClassMalformed; c <= ClassInternal; c++ {
		if got := c.String(); got != want[c-1] {
			t.Errorf("class %d is %s, want %s", c, got, want[c-1])
		}
	}
	for _, c := range []Class{0, ClassInternal + 1, 255} {
		if c.String() != "InternalError" {
			t.Errorf("class %d is %s", c, c)
		}
	}
}

func TestUnknownCode(t *testing.T) {
	info := Code("NO_SUCH_CODE").Info()
	if info.Code != "NO_SUCH_CODE" || info.Class != ClassInternal || info.Text == "" || info.Section != "" {
		t.Errorf("%+v", info)
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{New(ConfirmationTag, ""), "CONFIRMATION_TAG_INVALID: the confirmation tag is wrong (RFC 9420, Section 6.1)"},
		{New(ConfirmationTag, "C10"), "CONFIRMATION_TAG_INVALID: the confirmation tag is wrong (RFC 9420, Section 6.1): C10"},
		{New(Closed, ""), "CLOSED: the client is closed"},
		{&Error{Code: Closed, Op: "group.send"}, "group.send: CLOSED: the client is closed"},
		{Wrap(StoreFailed, "put", errors.New("disk")), "STORE_FAILED: the store failed; the group was dropped from memory and loads again: put: disk"},
		{&Error{Code: Closed, Op: "open", Detail: "d", Err: Closed}, "open: CLOSED: the client is closed: d: CLOSED"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if Malformed.Error() != "MALFORMED" {
		t.Errorf("a code reads %s", Malformed.Error())
	}
}

// foreign is an error of another package that wraps one.
type foreign struct{ err error }

func (f foreign) Error() string { return "foreign: " + f.err.Error() }
func (f foreign) Unwrap() error { return f.err }

func TestIsAndAs(t *testing.T) {
	cause := errors.New("cause")
	inner := Wrap(StoreQuota, "inner", cause)
	outer := Wrap(StateCorrupt, "outer", foreign{inner})
	for _, target := range []error{StateCorrupt, StoreQuota, cause, inner, outer} {
		if !errors.Is(outer, target) {
			t.Errorf("outer is not %v", target)
		}
	}
	for _, target := range []error{Malformed, Code(""), Code("STATE_CORRUPT "), errors.New("cause"), New(StateCorrupt, "outer")} {
		if errors.Is(outer, target) {
			t.Errorf("outer is %v", target)
		}
	}
	if errors.Is(inner, StateCorrupt) {
		t.Error("the cause is what it caused")
	}
	var e *Error
	if !errors.As(foreign{outer}, &e) || e != outer {
		t.Errorf("As gives %v", e)
	}
	var c Code
	if !errors.As(foreign{Stale}, &c) || c != Stale {
		t.Errorf("As gives %q", c)
	}
	if errors.As(cause, &e) {
		t.Error("As finds an Error where there is none")
	}
	if errors.Unwrap(New(Malformed, "")) != nil || errors.Unwrap(inner) != cause {
		t.Error("Unwrap")
	}
}

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want Code
	}{
		{"nil", nil, ""},
		{"an Error", New(Malformed, ""), Malformed},
		{"a Code", WrongGroup, WrongGroup},
		{"the outermost of two", Wrap(StateCorrupt, "", New(Malformed, "")), StateCorrupt},
		{"a wrapped Error", fmt.Errorf("more: %w", New(EpochAhead, "")), EpochAhead},
		{"twice wrapped", foreign{foreign{New(EpochAhead, "")}}, EpochAhead},
		{"a wrapped Code", foreign{Stale}, Stale},
		{"none", errors.New("foreign"), Internal},
		{"none in a chain", foreign{errors.New("foreign")}, Internal},
		{"a context's", context.Canceled, Internal},
		{"a chain that ends in nil", unwrapsNil{}, Internal},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

type unwrapsNil struct{}

func (unwrapsNil) Error() string { return "nothing below" }
func (unwrapsNil) Unwrap() error { return nil }

// A joined error has many chains: the first that has a code gives it.
func TestJoined(t *testing.T) {
	err := errors.Join(errors.New("foreign"), foreign{New(StoreFailed, "")}, New(Closed, ""))
	if !errors.Is(err, StoreFailed) || !errors.Is(err, Closed) {
		t.Error("errors.Is does not see into a joined error")
	}
	if got := CodeOf(foreign{err}); got != StoreFailed {
		t.Errorf("CodeOf a joined error is %s", got)
	}
	if got := CodeOf(errors.Join(errors.New("a"), context.Canceled)); got != Internal {
		t.Errorf("CodeOf a joined error without a code is %s", got)
	}
}
