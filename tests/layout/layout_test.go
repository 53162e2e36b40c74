//go:build !js

package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

func TestImports(t *testing.T) {
	edges := readImports(t)
	if len(edges) == 0 {
		t.Fatal("no imports found")
	}
	for _, b := range checkImports(edges, isLocal) {
		t.Error(b)
	}
}

// readImports lists the imports of every Go file under root that is not a
// test, whatever its build tags.
func readImports(t *testing.T) []edge {
	var edges []edge
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if file != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			e := edge{filepath.ToSlash(folder), strings.TrimPrefix(to, module+"/")}
			if !slices.Contains(edges, e) {
				edges = append(edges, e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return edges
}

// isLocal tells our packages from all others by the folder that they are in.
func isLocal(p string) bool {
	top, _, _ := strings.Cut(p, "/")
	return slices.Contains(topLevel, top)
}

func TestWasmDependencies(t *testing.T) {
	packages := strings.Fields(goTool(t, "list", "-deps", "./wasm"))
	if !slices.Contains(packages, module+"/mls") {
		t.Fatalf("wasm is not built of mls, but of %v", packages)
	}
	for _, b := range checkDependencies(packages) {
		t.Error(b)
	}
}

func TestWasmBinary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "webmls.wasm")
	goTool(t, "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./wasm")
	binary, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The names must be where the check looks for them.
	if !strings.Contains(string(binary), "\x00"+module+"/mls.") {
		t.Fatal("found no function of mls in the binary")
	}
	for _, b := range checkLinked(string(binary)) {
		t.Error(b)
	}
}

// goTool runs the go command for js/wasm in the root and returns its output.
func goTool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", args[0], err)
	}
	return string(out)
}

func TestFiles(t *testing.T) {
	cmd := exec.Command("git", "ls-files")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	for _, b := range checkFiles(strings.Fields(string(out))) {
		t.Error(b)
	}
}

// The checks themselves: each rule, broken once and kept once.

func TestCheckImportsRefuses(t *testing.T) {
	for _, c := range []struct {
		e      edge
		broken bool
	}{
		{edge{"mls/tree", "mls/message"}, false},
		{edge{"mls/tree", "mls/schedule"}, true},
		{edge{"mls/schedule", "mls/tree"}, true},
		{edge{"mls/message", "mls/tree"}, true},
		{edge{"mls/wire", "mls/suite"}, true},
		{edge{"mls/treemath", "mls/mlserr"}, true},
		{edge{"mls/mlserr", "mls/wire"}, true},
		{edge{"mls/framing", "mls"}, true},
		{edge{"mls/framing", "mls/tree"}, true},
		{edge{"mls/suite", "mls/suite/internal/spread"}, false},
		{edge{"mls/suite/suitetest", "testing"}, false},
		{edge{"mls/suite/suitetest", "mls/tree"}, true},
		{edge{"mls/suite", "testing"}, true},
		{edge{"mls/suite/internal/spread", "mls/message"}, true},
		{edge{"mls", "wasm"}, true},
		{edge{"wasm", "mls"}, false},
		{edge{"wasm", "syscall/js"}, false},
		{edge{"wasm", "mls/x509auth"}, true},
		{edge{"wasm", "wasm/x509"}, true},
		{edge{"wasm/x509", "mls/x509auth"}, false},
		{edge{"wasm/x509", "wasm/internal/der"}, true},
		{edge{"mls/helpers", "mls/wire"}, true},
		{edge{"mls", "mls/helpers"}, true},
		{edge{"mls", "tests/vectors"}, true},
		{edge{"tests/vectors", "mls"}, false},
		{edge{"web/delivery", "mls/message"}, false},
		{edge{"web/delivery/internal/store", "mls"}, true},
		{edge{"web/delivery", "web/delivery/internal/store"}, false},
		{edge{"web/delivery", "net/http"}, false},
		{edge{"mls/suite", "syscall/js"}, true},
		{edge{"mls/suite", "net/http"}, true},
		{edge{"mls/tree", "fmt"}, true},
		{edge{"mls", "encoding/json"}, true},
		{edge{"mls/suite", "crypto/sha256"}, false},
		{edge{"mls/suite", "golang.org/x/crypto/chacha20poly1305"}, false},
	} {
		if got := checkImports([]edge{c.e}, isLocal); (len(got) != 0) != c.broken {
			t.Errorf("%s imports %s: %q", c.e.from, c.e.to, got)
		}
	}
}

func TestCheckDependenciesRefuses(t *testing.T) {
	if got := checkDependencies([]string{"unicode/utf8", "net/http", "webmls/mls", "encoding/json", "crypto/sha256"}); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestCheckLinkedRefuses(t *testing.T) {
	const good = "xx\x00webmls/mls.init\x00reflect.init\x00strconv.Itoa\x00network.Len\x00logic.Len\x00"
	if got := checkLinked(good); len(got) != 0 {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"net/http.(*Client).Do", "encoding/json.Marshal", "encoding/asn1.parseField", "crypto/x509.init", "log.Print",
		"fmt.Sprint", "math/big.(*Int).Add", "reflect.Value.Len", "github.com/cloudflare/circl/x.Y"} {
		if got := checkLinked(good + bad + "\x00"); len(got) != 1 {
			t.Errorf("%s: %q", bad, got)
		}
	}
}

func TestCheckFilesRefuses(t *testing.T) {
	good := append([]string{"js/src/index.ts", "tests/vectors/own/welcome.json"}, topLevel...)
	if got := checkFiles(good); len(got) != 0 {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"notes.txt", "package.json", "js/dist/index.js", "web/chat/node_modules/x/index.js", "wasm/webmls.wasm",
		"tests/vectors/official/welcome.json"} {
		if got := checkFiles(append([]string{bad}, good...)); len(got) != 1 {
			t.Errorf("%s: %q", bad, got)
		}
	}
	if got := checkFiles(good[:len(good)-1]); len(got) != 1 {
		t.Errorf("a missing name: %q", got)
	}
}
