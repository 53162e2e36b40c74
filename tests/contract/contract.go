//go:build !js

// Package contract compares the two sides of the bridge between Go and
// TypeScript: wasm/methods.go and wasm/convert.go with js/src/bridge.ts,
// mls/mlserr with js/src/errors.ts, and the versions of all.
//
// It reads sources, and knows of their languages what these files use; what it
// cannot read is a failure, not a match.
package contract

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shape is a set of properties, or arguments, with their types as TypeScript
// has them; the name of one that may be absent ends in a question mark.
type shape map[string]string

// anyType stands where Go's side does not show the type.
const anyType = "?"

// readers are the methods of args in wasm/convert.go with what they accept.
// Those of optional arguments end in a question mark.
var readers = map[string]string{
	"bytes": "Uint8Array", "optionalBytes": "Uint8Array?", "bytesList": "Uint8Array[]?", "text": "string", "number": "number",
	"optionalNumber": "number?", "numberList": "number[]?", "integerList": "number[]?", "flag": "boolean?",
	"credential": "CredentialValue", "extensions": "ExtensionValue[]?", "hostObject": anyType,
}

// goMethods reads the table of methods: the arguments of each. Those that
// ofClient and ofGroup read for all are not among them.
func goMethods(source string) (map[string]shape, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "methods.go", source, 0)
	if err != nil {
		return nil, err
	}
	table := variable(file, "methods")
	if table == nil {
		return nil, fmt.Errorf("found no table named methods")
	}
	methods := map[string]shape{}
	for _, e := range table.Elts {
		entry := e.(*ast.KeyValueExpr)
		name, err := strconv.Unquote(entry.Key.(*ast.BasicLit).Value)
		if err != nil {
			return nil, err
		}
		args := shape{}
		ast.Inspect(entry.Value, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !isIdent(method.X, "in") || len(call.Args) == 0 {
				return true
			}
			kind, known := readers[method.Sel.Name]
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !known || !ok {
				err = fmt.Errorf("%s: cannot read in.%s", name, method.Sel.Name)
				return false
			}
			arg, unquoteErr := strconv.Unquote(literal.Value)
			if unquoteErr != nil {
				err = unquoteErr
			}
			if kind, optional := strings.CutSuffix(kind, "?"); optional && kind != "" {
				args[arg+"?"] = kind
			} else {
				args[arg] = cmpOr(kind, anyType)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		// group.delete stands alone, and reads what ofGroup reads.
		if strings.HasPrefix(name, "group.") {
			delete(args, "group")
		}
		methods[name] = args
	}
	return methods, nil
}

// goValues reads the functions that make values: the properties of each, by
// the name of the interface. A property that is set under a condition, or whose
// value may be undefined, may be absent.
func goValues(source string) (map[string]shape, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "convert.go", source, 0)
	if err != nil {
		return nil, err
	}
	values := map[string]shape{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasSuffix(f.Name.Name, "Value") {
			continue
		}
		properties := shape{}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if !isIdent(n.Type, "object") {
					return true
				}
				for _, e := range n.Elts {
					entry := e.(*ast.KeyValueExpr)
					name, _ := strconv.Unquote(entry.Key.(*ast.BasicLit).Value)
					if maybeAbsent(entry.Value) {
						name += "?"
					}
					properties[name] = anyType
				}
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					index, ok := left.(*ast.IndexExpr)
					if !ok || !isIdent(index.X, "o") {
						continue
					}
					name, _ := strconv.Unquote(index.Index.(*ast.BasicLit).Value)
					properties[name+"?"] = anyType
				}
			}
			return true
		})
		if len(properties) > 0 {
			values[strings.ToUpper(f.Name.Name[:1])+f.Name.Name[1:]] = properties
		}
	}
	return values, nil
}

// maybeAbsent reports whether an expression is a call of a function whose name
// begins with "optional".
func maybeAbsent(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && strings.HasPrefix(name.Name, "optional")
}

// goConstant reads a string constant.
func goConstant(source, name string) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", source, 0)
	if err != nil {
		return "", err
	}
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			for i, n := range spec.Names {
				if n.Name == name {
					return strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
				}
			}
		}
	}
	return "", fmt.Errorf("found no constant named %s", name)
}

func variable(file *ast.File, name string) *ast.CompositeLit {
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range group.Specs {
			if spec, ok := s.(*ast.ValueSpec); ok && spec.Names[0].Name == name && len(spec.Values) == 1 {
				literal, _ := spec.Values[0].(*ast.CompositeLit)
				return literal
			}
		}
	}
	return nil
}

func isIdent(e ast.Expr, name string) bool {
	ident, ok := e.(*ast.Ident)
	return ok && ident.Name == name
}

func cmpOr(kind, otherwise string) string {
	if kind == "" {
		return otherwise
	}
	return kind
}

var (
	comments   = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	interfaces = regexp.MustCompile(`(?ms)^export interface (\w+) \{\n(.*?)^\}`)
	method     = regexp.MustCompile(`(?s)^\s*"?([\w.]+)"?\(args: \{(.*?)\}\): [^;]+;`)
	property   = regexp.MustCompile(`^\s*(?:readonly )?(\w+)(\??): ([^;]+?)\s*(?:;|$)`)
)

// tsInterface returns the body of an interface, without comments.
func tsInterface(source, name string) (string, error) {
	for _, m := range interfaces.FindAllStringSubmatch(comments.ReplaceAllString(source, ""), -1) {
		if m[1] == name {
			return m[2], nil
		}
	}
	return "", fmt.Errorf("found no interface %s", name)
}

// tsMethods reads the interfaces that hold methods.
func tsMethods(source string, names ...string) (map[string]shape, error) {
	methods := map[string]shape{}
	for _, name := range names {
		body, err := tsInterface(source, name)
		if err != nil {
			return nil, err
		}
		for rest := body; strings.TrimSpace(rest) != ""; {
			m := method.FindStringSubmatch(rest)
			if m == nil {
				return nil, fmt.Errorf("%s: cannot read %.60q", name, strings.TrimSpace(rest))
			}
			if methods[m[1]], err = tsProperties(m[2]); err != nil {
				return nil, err
			}
			rest = rest[len(m[0]):]
		}
	}
	return methods, nil
}

// tsValues reads the interfaces whose names end in Value.
func tsValues(source string) (map[string]shape, error) {
	values := map[string]shape{}
	for _, m := range interfaces.FindAllStringSubmatch(comments.ReplaceAllString(source, ""), -1) {
		if !strings.HasSuffix(m[1], "Value") {
			continue
		}
		properties, err := tsProperties(m[2])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m[1], err)
		}
		values[m[1]] = properties
	}
	return values, nil
}

func tsProperties(body string) (shape, error) {
	properties := shape{}
	for rest := body; strings.TrimSpace(rest) != ""; {
		m := property.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("cannot read %.60q", strings.TrimSpace(rest))
		}
		properties[m[1]+m[2]] = m[3]
		rest = rest[len(m[0]):]
	}
	return properties, nil
}

var union = regexp.MustCompile(`(?ms)^export type (\w+) =\n(.*?);`)

// tsUnion reads a union of strings.
func tsUnion(source, name string) ([]string, error) {
	for _, m := range union.FindAllStringSubmatch(source, -1) {
		if m[1] != name {
			continue
		}
		var members []string
		for _, line := range strings.Split(strings.TrimSpace(m[2]), "\n") {
			member, err := strconv.Unquote(strings.TrimPrefix(strings.TrimSpace(line), "| "))
			if err != nil {
				return nil, fmt.Errorf("%s: cannot read %q", name, line)
			}
			members = append(members, member)
		}
		return members, nil
	}
	return nil, fmt.Errorf("found no type %s", name)
}

// A row is what a code means.
type row struct{ class, section, text string }

var (
	madeTable = regexp.MustCompile(`(?ms)^const made = \{\n(.*?)^\} as const;`)
	madeRow   = regexp.MustCompile(`^\s*([A-Z_]+): \[("[^"]*"), ("[^"]*"), ("[^"]*")\],$`)
)

// tsRows reads the codes of the errors that TypeScript makes.
func tsRows(source string) (map[string]row, error) {
	table := madeTable.FindStringSubmatch(source)
	if table == nil {
		return nil, fmt.Errorf("found no table named made")
	}
	rows := map[string]row{}
	for _, line := range strings.Split(strings.TrimRight(table[1], "\n"), "\n") {
		m := madeRow.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("made: cannot read %q", line)
		}
		unquote := func(s string) string { return s[1 : len(s)-1] }
		rows[m[1]] = row{unquote(m[2]), unquote(m[3]), unquote(m[4])}
	}
	return rows, nil
}

// tsConstant reads a string constant.
func tsConstant(source, name string) (string, error) {
	m := regexp.MustCompile(`(?m)^export const ` + name + ` = "([^"]*)";$`).FindStringSubmatch(source)
	if m == nil {
		return "", fmt.Errorf("found no constant named %s", name)
	}
	return m[1], nil
}

// compare returns a sentence for each difference between the two sides of some
// kind of shapes. Types are compared where both sides show them.
func compare(kind string, inGo, inTS map[string]shape) []string {
	var broken []string
	for _, name := range sorted(inGo, inTS) {
		goShape, ok := inGo[name]
		if !ok {
			broken = append(broken, fmt.Sprintf("%s %s is missing in Go", kind, name))
			continue
		}
		tsShape, ok := inTS[name]
		if !ok {
			broken = append(broken, fmt.Sprintf("%s %s is missing in TypeScript", kind, name))
			continue
		}
		for _, p := range sorted(goShape, tsShape) {
			goType, ok := goShape[p]
			if !ok {
				broken = append(broken, fmt.Sprintf("%s %s: Go has no %s", kind, name, p))
				continue
			}
			tsType, ok := tsShape[p]
			if !ok {
				broken = append(broken, fmt.Sprintf("%s %s: TypeScript has no %s", kind, name, p))
				continue
			}
			if goType != anyType && goType != tsType {
				broken = append(broken, fmt.Sprintf("%s %s: %s is %s in Go and %s in TypeScript", kind, name, p, goType, tsType))
			}
		}
	}
	return broken
}

// sorted returns the keys of two maps, each once.
func sorted[V any](a, b map[string]V) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}
