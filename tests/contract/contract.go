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
	"optionalDecimal": "string?", "credential": "CredentialValue", "extensions": "ExtensionValue[]?", "psk": "PskValue?",
	"psks": "PskValue[]?", "reInit": "ReInitValue?", "custom": "CustomValue?", "customs": "CustomValue[]?",
	"limits": "LimitsValue?", "supported": "SupportedValue?", "hostObject": anyType,
}

// valueReaders are the functions of wasm/convert.go that read the properties
// of an interface, and composites those that read some of a call's own.
var (
	valueReaders = map[string]string{
		"credential": "CredentialValue", "extensions": "ExtensionValue", "readPSK": "PskValue", "reInit": "ReInitValue",
		"readCustom": "CustomValue", "limits": "LimitsValue", "supported": "SupportedValue",
	}
	composites = []string{"successor", "sending"}
)

// goMethods reads the table of methods: the arguments of each. Those that
// ofClient and ofGroup read for all are not among them. convert is the source of
// the functions that read arguments.
func goMethods(source, convert string) (map[string]shape, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "methods.go", source, 0)
	if err != nil {
		return nil, err
	}
	table := variable(file, "methods")
	if table == nil {
		return nil, fmt.Errorf("found no table named methods")
	}
	parts, err := goComposites(convert)
	if err != nil {
		return nil, err
	}
	methods := map[string]shape{}
	for _, e := range table.Elts {
		entry := e.(*ast.KeyValueExpr)
		name, err := strconv.Unquote(entry.Key.(*ast.BasicLit).Value)
		if err != nil {
			return nil, err
		}
		args, err := argsRead(entry.Value, parts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		// group.delete stands alone, and reads what ofGroup reads.
		if strings.HasPrefix(name, "group.") {
			delete(args, "group")
		}
		methods[name] = args
	}
	return methods, nil
}

// goComposites reads the functions of convert.go that read some arguments of a call.
func goComposites(source string) (map[string]shape, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "convert.go", source, 0)
	if err != nil {
		return nil, err
	}
	parts := map[string]shape{}
	for _, name := range composites {
		f := function(file, name)
		if f == nil {
			return nil, fmt.Errorf("found no function %s", name)
		}
		if parts[name], err = argsRead(f.Body, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return parts, nil
}

// goInputs reads the functions that read objects: the properties of each, by the
// name of the interface.
func goInputs(source string) (map[string]shape, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "convert.go", source, 0)
	if err != nil {
		return nil, err
	}
	inputs := map[string]shape{}
	for name, value := range valueReaders {
		f := function(file, name)
		if f == nil {
			return nil, fmt.Errorf("found no function %s", name)
		}
		if inputs[value], err = argsRead(f.Body, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return inputs, nil
}

// argsRead returns what a piece of source reads of the args named in.
func argsRead(source ast.Node, parts map[string]shape) (shape, error) {
	args := shape{}
	var broken error
	ast.Inspect(source, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !isIdent(method.X, "in") {
			return true
		}
		if len(call.Args) == 0 {
			maps.Copy(args, parts[method.Sel.Name])
			return true
		}
		kind, known := readers[method.Sel.Name]
		literal, ok := call.Args[0].(*ast.BasicLit)
		if known && ok {
			name, err := strconv.Unquote(literal.Value)
			if err != nil {
				broken = err
			}
			if kind, optional := strings.CutSuffix(kind, "?"); optional && kind != "" {
				args[name+"?"] = kind
			} else {
				args[name] = cmpOr(kind, anyType)
			}
		} else if method.Sel.Name != "fail" && method.Sel.Name != "property" && method.Sel.Name != "inside" {
			broken = fmt.Errorf("cannot read in.%s", method.Sel.Name)
		}
		return true
	})
	return args, broken
}

func function(file *ast.File, name string) *ast.FuncDecl {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			return f
		}
	}
	return nil
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

// compareInputs returns a sentence for each property that Go does not read, that
// it reads and TypeScript does not have, or that one side wants and the other
// may leave out. What TypeScript always gives, Go may take for optional.
func compareInputs(inGo, inTS map[string]shape) []string {
	var broken []string
	for _, value := range sorted(inGo, nil) {
		names := map[string]bool{}
		for _, p := range sorted(inGo[value], inTS[value]) {
			names[strings.TrimSuffix(p, "?")] = true
		}
		for _, name := range sorted(names, nil) {
			goType, required := inGo[value][name]
			if !required {
				goType = inGo[value][name+"?"]
			}
			tsType, given := inTS[value][name]
			if !given {
				tsType = inTS[value][name+"?"]
			}
			switch {
			case goType == "":
				broken = append(broken, fmt.Sprintf("%s: Go does not read %s", value, name))
			case tsType == "":
				broken = append(broken, fmt.Sprintf("%s: TypeScript has no %s", value, name))
			case required && !given:
				broken = append(broken, fmt.Sprintf("%s: Go requires %s", value, name))
			case strings.ReplaceAll(goType, "Uint8Array", "Bytes") != tsType:
				broken = append(broken, fmt.Sprintf("%s: %s is %s in Go and %s in TypeScript", value, name, goType, tsType))
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

// goSurface reads the exported methods of a type of package mls, from the
// sources of the package.
func goSurface(sources []string, receiver string) ([]string, error) {
	var names []string
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), "mls.go", source, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || !f.Name.IsExported() {
				continue
			}
			star, ok := f.Recv.List[0].Type.(*ast.StarExpr)
			if ok && isIdent(star.X, receiver) {
				names = append(names, f.Name.Name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

var (
	tsMethod = regexp.MustCompile(`(?m)^  (?:static )?(?:async )?(?:get )?([a-z]\w*)(?:<[^\n]*>)?\(`)
	tsCall   = regexp.MustCompile(`#(?:call|found)\(\s*"([\w.]+)"`)
)

// tsPublic reads the names of the public methods of a class.
func tsPublic(source string) map[string]bool {
	names := map[string]bool{}
	for _, m := range tsMethod.FindAllStringSubmatch(source, -1) {
		names[m[1]] = true
	}
	return names
}

// twins are the names, on the bridge, of the exported methods of package mls
// whose name there is not their own; those that JavaScript has no twin of begin
// with a dash, and say why.
var twins = map[string]string{
	"Client.Close":            "close",
	"Client.DeleteGroup":      "group.delete",
	"Client.Group":            "group.info",
	"Client.Snapshot":         "inspect",
	"Group.Snapshot":          "group.inspect",
	"Client.Changed":          "-the host calls it as the program's function of that name",
	"Client.Wanted":           "-the host says so by the program's function changed",
	"Client.Identity":         "-an identity crosses as a whole, by identities",
	"Client.ImportKeyPackage": "-it takes private keys, and no private key crosses",
	"Group.ID":                "group.info",
	"Group.Add":               "group.commit",
	"Group.Remove":            "group.commit",
	"Group.Update":            "group.commit",
	"Group.Export":            "group.exportSecret",
}

// twin returns the name on the bridge of an exported method, or "" for one that
// JavaScript is not to have.
func twin(receiver, name string) string {
	if other, ok := twins[receiver+"."+name]; ok {
		if strings.HasPrefix(other, "-") {
			return ""
		}
		return other
	}
	name = strings.ToLower(name[:1]) + name[1:]
	if receiver == "Group" {
		return "group." + name
	}
	return name
}

// unlike are methods of the bridge that have no method of their name in the
// API, with the one that calls them.
var unlike = map[string]string{"issueIdentity": "createIdentity", "issueIdentity.sign": "createIdentity", "group.sendEach": "group.send"}

// tsCalls reads which methods of the bridge a source calls.
func tsCalls(source string) map[string]bool {
	names := map[string]bool{}
	for _, m := range tsCall.FindAllStringSubmatch(source, -1) {
		names[m[1]] = true
	}
	return names
}
