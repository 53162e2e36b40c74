//go:build !js

package contract

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"webmls/mls/mlserr"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// must returns a test's way to a value or its end.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var holders = []string{"ProgramMethods", "ClientMethods", "GroupMethods"}

func TestMethods(t *testing.T) {
	shapes := must[map[string]shape](t)
	inGo := shapes(goMethods(read(t, "wasm/methods.go"), read(t, "wasm/convert.go")))
	inTS := shapes(tsMethods(read(t, "js/src/bridge.ts"), holders...))
	if len(inGo) < 20 || len(inGo["group.commit"]) < 5 || len(inTS["group.commit"]) < 5 {
		t.Fatalf("read too little: %d methods, %v, %v", len(inGo), inGo["group.commit"], inTS["group.commit"])
	}
	for _, b := range compare("method", inGo, inTS) {
		t.Error(b)
	}
}

// TestSurface: what package mls can do, JavaScript can: each exported method has
// a method on the bridge, or stands in twins; each method on the bridge is called
// by the API, from a method of its name.
func TestSurface(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "mls", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			sources = append(sources, read(t, filepath.Join("mls", filepath.Base(file))))
		}
	}
	methods := must[map[string]shape](t)(goMethods(read(t, "wasm/methods.go"), read(t, "wasm/convert.go")))
	known := map[string]bool{}
	for _, receiver := range []string{"Client", "Group"} {
		names := must[[]string](t)(goSurface(sources, receiver))
		if len(names) < 15 {
			t.Fatalf("read too little: %q", names)
		}
		for _, name := range names {
			known[receiver+"."+name] = true
			if other := twin(receiver, name); other != "" && methods[other] == nil {
				t.Errorf("JavaScript has no %s for %s.%s", other, receiver, name)
			}
		}
	}
	for name := range twins {
		if !known[name] {
			t.Errorf("twins has %s, and package mls has not", name)
		}
	}
	api := map[string]string{"": read(t, "js/src/mls.ts"), "group.": read(t, "js/src/group.ts")}
	called, public := map[string]bool{}, map[string]bool{}
	connection := read(t, "js/src/connection.ts") // which makes one call of several
	for prefix, source := range api {
		for name := range tsCalls(source) {
			called[name] = true
		}
		for name := range tsPublic(source) {
			public[prefix+name] = true
		}
	}
	for name := range must[map[string]shape](t)(tsMethods(read(t, "js/src/bridge.ts"), holders[1:]...)) {
		if !called[name] && !strings.Contains(connection, strconv.Quote(name)) {
			t.Errorf("the API never calls %s", name)
		}
		if other := unlike[name]; !public[name] && !public[other] {
			t.Errorf("the API has no method %s", name)
		}
	}
}

// TestScopes holds each method to the interface that says what it is called on.
func TestScopes(t *testing.T) {
	source, table := read(t, "js/src/bridge.ts"), read(t, "wasm/methods.go")
	for _, holder := range holders {
		for name := range must[map[string]shape](t)(tsMethods(source, holder)) {
			entry := `"` + name + `": `
			var want string
			switch {
			case holder == "ProgramMethods":
				want = entry + "alone("
			case strings.HasPrefix(name, "issueIdentity"): // which must not hold up the client's other calls
				want = entry + "func("
			case holder == "ClientMethods":
				want = entry + "ofClient("
			case name == "group.delete": // which must find a group that is not there
				want = entry + "func("
			default:
				want = entry + "ofGroup("
			}
			if !strings.Contains(table, want) {
				t.Errorf("%s is in %s, and methods.go has no %q", name, holder, want)
			}
			if (holder == "GroupMethods") != strings.HasPrefix(name, "group.") {
				t.Errorf("%s is in %s", name, holder)
			}
		}
	}
}

func TestValues(t *testing.T) {
	shapes := must[map[string]shape](t)
	inGo := shapes(goValues(read(t, "wasm/convert.go")))
	maps.Copy(inGo, shapes(goValues(read(t, "wasm/convert_snapshot.go"))))
	inTS := shapes(tsValues(read(t, "js/src/bridge.ts")))
	if len(inGo) < 10 || len(inTS["EventValue"]) < 5 {
		t.Fatalf("read too little: %d values, %v", len(inGo), inTS["EventValue"])
	}
	inputs := shapes(goInputs(read(t, "wasm/convert.go")))
	for _, b := range compareInputs(inputs, inTS) {
		t.Error(b)
	}
	for name := range inputs {
		if inGo[name] == nil { // what Go only reads
			delete(inTS, name)
		}
	}
	for _, b := range compare("value", inGo, inTS) {
		t.Error(b)
	}
}

func TestCodes(t *testing.T) {
	source := read(t, "js/src/errors.ts")
	var codes []string
	classes := map[string]bool{}
	rows := map[string]row{}
	for _, r := range mlserr.Table() {
		codes = append(codes, string(r.Code))
		classes[r.Class.String()] = true
		rows[string(r.Code)] = row{r.Class.String(), r.Section, r.Text}
	}
	inTS := must[[]string](t)(tsUnion(source, "ErrorCode"))
	for _, code := range codes {
		if !slices.Contains(inTS, code) {
			t.Errorf("ErrorCode has no %s", code)
		}
	}
	for _, code := range inTS {
		if !slices.Contains(codes, code) {
			t.Errorf("ErrorCode has %s, and mlserr has not", code)
		}
	}
	for _, class := range must[[]string](t)(tsUnion(source, "ErrorClass")) {
		if !classes[class] {
			t.Errorf("no code of mlserr is a %s", class)
		}
		if !strings.Contains(source, "export class "+class+" extends MLSError {") {
			t.Errorf("there is no class %s", class)
		}
		if !strings.Contains(source, `static override readonly name: string = "`+class+`";`) {
			t.Errorf("the class %s has not its name", class)
		}
		delete(classes, class)
	}
	for class := range classes {
		t.Errorf("ErrorClass has no %s", class)
	}
	made := must[map[string]row](t)(tsRows(source))
	if len(made) == 0 {
		t.Error("read no rows")
	}
	for code, r := range made {
		if rows[code] != r {
			t.Errorf("%s is %q in TypeScript and %q in Go", code, r, rows[code])
		}
	}
}

func TestVersions(t *testing.T) {
	inGo := must[string](t)(goConstant(read(t, "wasm/main.go"), "version"))
	inTS := must[string](t)(tsConstant(read(t, "js/src/bridge.ts"), "version"))
	var manifest struct{ Version string }
	if err := json.Unmarshal([]byte(read(t, "js/package.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	if inGo == "" || inGo != inTS || inGo != manifest.Version {
		t.Errorf("the version is %q in wasm/main.go, %q in js/src/bridge.ts, %q in js/package.json", inGo, inTS, manifest.Version)
	}
	if inX509 := must[string](t)(goConstant(read(t, "wasm/x509/main.go"), "version")); inX509 != inGo {
		t.Errorf("the version is %q in wasm/main.go, %q in wasm/x509/main.go", inGo, inX509)
	}
}

// The comparison itself: each kind of difference, once.

const goSide = `package main
var methods = map[string]method{
	"one": alone(func(in *args) func() (any, error) { b := in.bytes("message"); return f(b, in.flag("quick"), in.optionalNumber("count")) }),
	"group.two": ofGroup(func(in *args) groupStep { return g(in.numberList("ids"), in.successor()) }),
}
func oneValue(x X) any { o := object{"a": 1, "b": optionalBytes(x.b)}; if x.c { o["c"] = 2 }; return o.value() }
`

const convertSide = `package main
func (in *args) sending() S { return S{} }
func (in *args) successor() S { return S{in.optionalBytes("identity")} }
func (in *args) credential(name string) C { return value(in, name, func(in *args) C { return C{in.number("type"), in.optionalBytes("data")} }) }
`

const tsSide = `
export interface M {
  /** Comments; do { not: matter }. */
  one(args: { message: Uint8Array; quick?: boolean; count?: number }): void;
  "group.two"(args: {
    ids?: number[];
    identity?: Uint8Array;
  }): Bytes[];
}

export interface OneValue {
  a: number; // one
  b?: Bytes;
  c?: "x" | "y";
}
`

func TestCompare(t *testing.T) {
	shapes := must[map[string]shape](t)
	for name, c := range map[string]struct{ old, new string }{
		"nothing":              {"", ""},
		"a method less":        {`one(args: {`, `once(args: {`},
		"an argument renamed":  {"message:", "content:"},
		"a shared one renamed": {"identity?:", "who?:"},
		"an argument required": {"quick?:", "quick:"},
		"another type":         {"count?: number", "count?: string"},
		"an argument more":     {"count?: number", "count?: number; more?: boolean"},
		"a property less":      {"  a: number; // one\n", ""},
		"a property more":      {"  a: number;", "  a: number; d: number;"},
		"a property required":  {"b?:", "b:"},
		"a value renamed":      {"OneValue", "TwoValue"},
	} {
		changed := strings.Replace(tsSide, c.old, c.new, 1)
		if c.old != "" && changed == tsSide {
			t.Fatalf("%s: nothing changed", name)
		}
		broken := compare("method", shapes(goMethods(goSide, convertSide)), shapes(tsMethods(changed, "M")))
		broken = append(broken, compare("value", shapes(goValues(goSide)), shapes(tsValues(changed)))...)
		if (len(broken) != 0) != (c.old != "") {
			t.Errorf("%s: %q", name, broken)
		}
	}
}

func TestReadSurface(t *testing.T) {
	names := must[[]string](t)(goSurface([]string{`package mls
		func (c *Client) Open() {}
		func (c *Client) open() {}
		func (g *Group) Open() {}
		func Open() {}`, `package mls
		func (c *Client) Close() {}`}, "Client"))
	if !slices.Equal(names, []string{"Close", "Open"}) {
		t.Error(names)
	}
	const source = "class A {\n  async one(a: B): C {\n    return this.#call(\n      \"first\", () => 1);\n  }\n  static two<K>(k: K) {\n    #found(\"group.second\", x)\n  }\n  #three() {}\n}\n"
	if public := tsPublic(source); !public["one"] || !public["two"] || len(public) != 2 {
		t.Error(public)
	}
	if called := tsCalls(source); !called["first"] || !called["group.second"] || len(called) != 2 {
		t.Error(called)
	}
}

func TestCompareInputs(t *testing.T) {
	inGo := map[string]shape{"CredentialValue": {"type": "number", "data?": "Uint8Array", "list?": "number[]"}}
	for name, c := range map[string]struct {
		ts     string
		broken int
	}{
		"the same":           {"type: number; data?: Bytes; list?: number[]", 0},
		"more than is asked": {"type: number; data: Bytes; list?: number[]", 0},
		"one not read":       {"type: number; data?: Bytes; list?: number[]; more?: Bytes", 1},
		"one not there":      {"type: number; list?: number[]", 1},
		"one not required":   {"type?: number; data?: Bytes; list?: number[]", 1},
		"another type":       {"type: string; data?: Bytes; list?: number[]", 1},
	} {
		inTS := must[map[string]shape](t)(tsValues("export interface CredentialValue {\n  " + c.ts + ";\n}\n"))
		if broken := compareInputs(inGo, inTS); len(broken) != c.broken {
			t.Errorf("%s: %q", name, broken)
		}
	}
	if len(compareInputs(inGo, nil)) == 0 {
		t.Error("no interface")
	}
}

// TestUnreadable: what cannot be read is an error.
func TestUnreadable(t *testing.T) {
	if _, err := goMethods(strings.Replace(goSide, "in.bytes(", "in.words(", 1), convertSide); err == nil {
		t.Error("an unknown reader")
	}
	if _, err := goMethods(strings.Replace(goSide, "var methods", "var others", 1), convertSide); err == nil {
		t.Error("no table")
	}
	if _, err := tsMethods(strings.Replace(tsSide, "one(args: {", "one(args: object, {", 1), "M"); err == nil {
		t.Error("a method of another form")
	}
	if _, err := tsMethods(tsSide, "N"); err == nil {
		t.Error("no interface")
	}
	if _, err := tsRows("const made = {\n  A: other,\n} as const;\n"); err == nil {
		t.Error("a row of another form")
	}
}
