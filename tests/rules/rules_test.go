//go:build !js

package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

func TestRules(t *testing.T) {
	for _, problem := range check(table, allIDs(), readSources(t)) {
		t.Error(problem)
	}
}

// TestOrder: the table is in the order of the rules, so that one finds them.
func TestOrder(t *testing.T) {
	var ids []string
	for _, r := range table {
		ids = append(ids, r.ID)
	}
	if want := allIDs(); !slices.Equal(ids, want) {
		t.Errorf("the order is %v", ids)
	}
}

// readSources reads the Go files of the module that the table may name.
func readSources(t *testing.T) *sources {
	t.Helper()
	src := newSources()
	for _, folder := range []string{"mls", "tests"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if name := d.Name(); name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") {
					return fs.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(file, ".go") {
				return nil
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			return src.add(filepath.ToSlash(name), string(text))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return src
}

func newSources() *sources {
	return &sources{funcs: make(map[string]map[string][]string), tests: make(map[string]map[string][]string)}
}

// add adds a file.
func (src *sources) add(file, text string) error {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.ParseComments)
	if err != nil {
		return err
	}
	folder, isTest := filepath.ToSlash(filepath.Dir(file)), strings.HasSuffix(file, "_test.go")
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if !isTest {
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			if src.funcs[file] == nil {
				src.funcs[file] = make(map[string][]string)
			}
			name := nameOf(f)
			src.funcs[file][name] = append(src.funcs[file][name], text[set.Position(from).Offset:set.Position(f.End()).Offset])
			continue
		}
		if f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") && !strings.HasPrefix(f.Name.Name, "Fuzz") {
			continue
		}
		if src.tests[folder] == nil {
			src.tests[folder] = make(map[string][]string)
		}
		literals := []string{}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					literals = append(literals, s)
				}
			}
			return true
		})
		src.tests[folder][f.Name.Name] = literals
	}
	return nil
}

// nameOf is "f", or "T.f" for a method of T or *T.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// TestTagsInConstantTime (S13): no file of the protocol compares a tag by
// bytes.Equal; VerifyMAC, the one function for it, uses hmac.Equal.
func TestTagsInConstantTime(t *testing.T) {
	src := readSources(t)
	for _, p := range comparedTags(src) {
		t.Error(p)
	}
	if text := src.funcs["mls/suite/symmetric.go"]["Suite.VerifyMAC"]; len(text) != 1 || !strings.Contains(text[0], "hmac.Equal(tag, s.MAC(") {
		t.Errorf("VerifyMAC is %q", text)
	}
	fake := newSources()
	for file, text := range map[string]string{
		"mls/a.go": "package mls\nfunc a() bool { return bytes.Equal(x.MembershipTag, y) }",
		"mls/b.go": "package mls\nfunc b() bool { return bytes.Equal(s.MAC(k, m), y) }",
		"mls/c.go": "package mls\nfunc c() bool { return bytes.Equal(stage, y) && string(tag) == string(other) }",
	} {
		if err := fake.add(file, text); err != nil {
			t.Fatal(err)
		}
	}
	if got := comparedTags(fake); len(got) != 3 {
		t.Errorf("found %q", got)
	}
}

// comparedTags finds comparisons of tags that take a time that depends on them.
func comparedTags(src *sources) (found []string) {
	for file, funcs := range src.funcs {
		if !strings.HasPrefix(file, "mls/") {
			continue
		}
		for name, texts := range funcs {
			for _, text := range texts {
				for _, line := range strings.Split(text, "\n") {
					compares := strings.Contains(line, "bytes.Equal(") || strings.Contains(line, "bytes.Compare(") ||
						strings.Contains(line, "string(") && strings.Contains(line, "==")
					if compares && (strings.Contains(line, "Tag") || strings.Contains(line, "tag)") || strings.Contains(line, "tag,") || strings.Contains(line, ".MAC(")) {
						found = append(found, file+": "+name+": "+strings.TrimSpace(line))
					}
				}
			}
		}
	}
	return found
}

// TestCheckRefuses: the check itself, each way in which a table can be wrong.
func TestCheckRefuses(t *testing.T) {
	src := newSources()
	for file, text := range map[string]string{
		"mls/a.go": `package mls
// checkOne is A1 and A2.
func checkOne() error { return mlserr.New(mlserr.Malformed, "A1") }
// checkTwo is A20.
func (s *state) checkTwo() error { return nil }
`,
		"mls/a_test.go": `package mls_test
func TestOne(t *testing.T) { run("the first row", "A1") }
func helper() { run("a row of the helper") }
func (x T) TestMethod(t *testing.T) {}
`,
	} {
		if err := src.add(file, text); err != nil {
			t.Fatal(err)
		}
	}
	good := Rule{ID: "A1", Section: "1.2", Says: "says",
		At:    []Place{{"mls/a.go", "checkOne", "Malformed"}},
		Tests: []Test{{"mls", "TestOne", "the first row"}, {"mls", "TestOne", ""}}}
	if got := check([]Rule{good}, []string{"A1"}, src); len(got) != 0 {
		t.Fatalf("the good one: %q", got)
	}
	not := Rule{ID: "A1", Section: "1", Says: "says", Not: "a draft"}
	if got := check([]Rule{not}, []string{"A1"}, src); len(got) != 0 {
		t.Fatalf("the one that does not apply: %q", got)
	}
	with := func(change func(*Rule)) []Rule {
		r := good
		change(&r)
		return []Rule{r}
	}
	at := func(p Place) []Rule { return with(func(r *Rule) { r.At = []Place{p} }) }
	test := func(x Test) []Rule { return with(func(r *Rule) { r.Tests = append(r.Tests, x) }) }
	for want, table := range map[string][]Rule{
		"A1: not in the table":                                        nil,
		"A1: stands twice in the table":                               {good, good},
		"A9: no such rule":                                            {good, {ID: "A9", Section: "1", Says: "says", Not: "x"}},
		"A1: section \"\"":                                            with(func(r *Rule) { r.Section = "" }),
		"A1: section \"7.\"":                                          with(func(r *Rule) { r.Section = "7." }),
		"A1: says nothing":                                            with(func(r *Rule) { r.Says = "" }),
		"A1: does not apply, and is enforced or tested":               with(func(r *Rule) { r.Not = "x" }),
		"A1: enforced nowhere":                                        with(func(r *Rule) { r.At = nil }),
		"A1: not tested":                                              with(func(r *Rule) { r.Tests = nil }),
		"A1: no checkOne in mls/b.go":                                 at(Place{"mls/b.go", "checkOne", ""}),
		"A1: no checkThree in mls/a.go":                               at(Place{"mls/a.go", "checkThree", ""}),
		"A1: no checkTwo in mls/a.go":                                 at(Place{"mls/a.go", "checkTwo", ""}),
		"A1: state.checkTwo in mls/a.go does not name the rule":       at(Place{"mls/a.go", "state.checkTwo", ""}),
		"A1: checkOne in mls/a.go does not refuse with MalformedTree": at(Place{"mls/a.go", "checkOne", "MalformedTree"}),
		"A1: no test TestOne in mls/wire":                             test(Test{"mls/wire", "TestOne", ""}),
		"A1: no test TestTwo in mls":                                  test(Test{"mls", "TestTwo", ""}),
		"A1: no test helper in mls":                                   test(Test{"mls", "helper", ""}),
		"A1: no test TestMethod in mls":                               test(Test{"mls", "TestMethod", ""}),
		"A1: TestOne in mls has no row \"a row of the helper\"":       test(Test{"mls", "TestOne", "a row of the helper"}),
		"A1: TestOne in mls has no row \"first\"":                     test(Test{"mls", "TestOne", "first"}),
	} {
		if got := check(table, []string{"A1"}, src); !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// The id is looked for as a word: A2 is not A20.
	if got := check(with(func(r *Rule) { r.ID, r.At = "A2", []Place{{"mls/a.go", "state.checkTwo", ""}} }), []string{"A2"}, src); len(got) != 1 {
		t.Errorf("A2 taken for A20: %q", got)
	}
}
