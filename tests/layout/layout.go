//go:build !js

// Package layout states which package of this repository may import which, and
// checks it. The rules are the tables below; the tests apply them to the
// sources, to the list of files that git keeps and to the built wasm binary.
package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the path of the root module. The nested modules' paths begin with it too.
const module = "webmls"

// below lists, for each package that ships, the packages of ours that it may
// import outside of its tests. Imports point down: a package is a section of
// RFC 9420 and knows the sections that it rests on, nothing else. tree and
// schedule do not know each other; treemath and mlserr are leaves.
var below = map[string][]string{
	"mls/mlserr":   {},
	"mls/treemath": {},
	"mls/wire":     {"mls/mlserr"},
	"mls/suite":    {"mls/mlserr", "mls/wire"},
	"mls/message":  {"mls/mlserr", "mls/treemath", "mls/wire", "mls/suite"},
	"mls/tree":     {"mls/mlserr", "mls/treemath", "mls/wire", "mls/suite", "mls/message"},
	"mls/schedule": {"mls/mlserr", "mls/treemath", "mls/wire", "mls/suite", "mls/message"},
	"mls/framing":  {"mls/mlserr", "mls/treemath", "mls/wire", "mls/suite", "mls/message", "mls/schedule"},
	"mls": {"mls/mlserr", "mls/treemath", "mls/wire", "mls/suite", "mls/message", "mls/tree", "mls/schedule",
		"mls/framing"},
	// Beside the protocol: what an application plugs into it.
	"mls/x509auth": {"mls", "mls/mlserr", "mls/message"},
	"wasm": {"mls", "mls/mlserr", "mls/treemath", "mls/wire", "mls/suite", "mls/message", "mls/tree", "mls/schedule",
		"mls/framing"},
	// A program of its own, so that crypto/x509 is not in the other.
	"wasm/x509":    {"mls", "mls/mlserr", "mls/message", "mls/x509auth"},
	"web/delivery": {"mls/message"},
}

// notInProtocol lists what no file under mls may import outside of its tests:
// the host, the network, and what makes the wasm binary large. An element that ends in a
// slash stands for all packages below it.
var notInProtocol = []string{
	"syscall/", "net", "net/", "os", "os/", "log", "log/", "fmt", "reflect", "encoding/json", "encoding/xml", "encoding/gob",
	"encoding/asn1", "crypto/tls", "crypto/x509", "text/", "html/", "testing", "testing/",
}

// forTests is a package under mls that only tests import: the wasm binary is
// checked not to be built of package testing, which it imports.
const forTests = "mls/suite/suitetest"

// notInWasm lists what no package may import that the wasm binary is built of.
// math/big, fmt and reflect are not in it: crypto/rand imports the first, and that the
// others, for functions that nobody calls, which the linker leaves out. To import
// encoding/asn1 is enough to link math/big and reflect, to import encoding/hex for fmt.
var notInWasm = []string{
	"net", "net/", "encoding/json", "encoding/xml", "encoding/gob", "encoding/asn1", "encoding/hex", "crypto/tls", "crypto/x509",
	"crypto/ecdsa", "crypto/elliptic", "crypto/ecdh", "text/", "html/", "log", "log/", "testing", "testing/",
	"golang.org/x/crypto/cryptobyte", "github.com/cloudflare/",
}

// notLinked lists how the names of functions begin that the wasm binary may
// not hold even where a package that has them is imported. Of reflect the runtime has
// a function under that package's name; of strconv numbers in decimal are allowed;
// slices.Sort is a copy of its own for each type, where sort.Slice is one for all.
var notLinked = []string{
	"fmt.", "math/big.", "reflect.Value", "reflect.(", "reflect.TypeOf", "internal/fmtsort.", "unicode.Is", "unicode.In", "path.",
	"slices.pdqsort", "strconv.Quote", "strconv.append", "strconv.(*NumError)", "strconv.Parse", "math/rand.", "encoding/binary.Read", "encoding/binary.Write",
}

// topLevel is everything that git keeps in the root of the repository.
var topLevel = []string{
	".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "go.mod", "go.sum", "js", "mls", "tests", "wasm", "web",
}

// generated lists names that git keeps nowhere.
var generated = []string{"node_modules", "dist", "bin", ".cache"}

// An edge is one import outside of test files. Both ends are import paths; one
// of ours stands without the module's path and the slash: "mls/wire".
type edge struct{ from, to string }

// checkImports returns a sentence for each edge that breaks a rule. local
// reports whether a path is of this repository.
func checkImports(edges []edge, local func(path string) bool) []string {
	var broken []string
	for _, e := range edges {
		if under(e.from, "mls") && !under(e.from, "mls/x509auth") && !under(e.from, forTests) && matches(notInProtocol, e.to) {
			broken = append(broken, fmt.Sprintf("%s imports %s: not in the protocol", e.from, e.to))
		}
		if !local(e.to) || under(e.from, "tests") {
			continue
		}
		home, known := homeOf(e.from)
		target, targetKnown := homeOf(e.to)
		switch {
		case !known:
			broken = append(broken, fmt.Sprintf("%s is a package that the layout does not know", e.from))
		case !targetKnown:
			broken = append(broken, fmt.Sprintf("%s imports %s, which the layout does not know", e.from, e.to))
		case home != target && !slices.Contains(below[home], target):
			broken = append(broken, fmt.Sprintf("%s imports %s: the arrow does not point down", e.from, e.to))
		}
	}
	return broken
}

// homeOf is the entry of the table that a package belongs to: itself, or the
// one it is a part of, as mls/suite/internal/spread is of mls/suite. A folder
// right under mls is a package of its own and never a part of mls.
func homeOf(pkg string) (string, bool) {
	for home := pkg; home != "."; home = path.Dir(home) {
		if _, ok := below[home]; ok {
			return home, home != "mls" || pkg == "mls"
		}
	}
	return "", false
}

// checkDependencies returns a sentence for each package that the wasm binary may not be built of.
func checkDependencies(packages []string) []string {
	var broken []string
	for _, p := range packages {
		if matches(notInWasm, p) {
			broken = append(broken, fmt.Sprintf("wasm is built of %s", p))
		}
	}
	return broken
}

// checkLinked returns a sentence for each part of notInWasm and notLinked that
// a binary holds a function of. Functions keep their names in a Go binary,
// stripped or not, each name after a zero byte.
func checkLinked(binary string) []string {
	begins := slices.Clone(notLinked)
	for _, p := range notInWasm {
		if !strings.HasSuffix(p, "/") {
			p += "."
		}
		begins = append(begins, p)
	}
	var broken []string
	for _, begin := range begins {
		if i := strings.Index(binary, "\x00"+begin); i >= 0 {
			name, _, _ := strings.Cut(binary[i+1:], "\x00")
			broken = append(broken, fmt.Sprintf("wasm links %.80q", name))
		}
	}
	return broken
}

// checkFiles returns a sentence for each way in which a list of the
// repository's files is not as it should be.
func checkFiles(files []string) []string {
	var broken []string
	found := map[string]bool{}
	for _, file := range files {
		parts := strings.Split(file, "/")
		if top := parts[0]; !found[top] {
			found[top] = true
			if !slices.Contains(topLevel, top) {
				broken = append(broken, fmt.Sprintf("%s has no place in the root", top))
			}
		}
		for _, part := range parts {
			if slices.Contains(generated, part) || strings.HasSuffix(part, ".wasm") {
				broken = append(broken, fmt.Sprintf("%s is generated", file))
			}
		}
		if path.Dir(file) == "tests/vectors/official" && path.Ext(file) == ".json" {
			broken = append(broken, fmt.Sprintf("%s is not ours to keep", file))
		}
	}
	for _, top := range topLevel {
		if !found[top] {
			broken = append(broken, fmt.Sprintf("%s is missing", top))
		}
	}
	return broken
}

// matches reports whether a path is in a list, or below an element that ends in a slash.
func matches(list []string, p string) bool {
	return slices.ContainsFunc(list, func(e string) bool {
		return e == p || strings.HasSuffix(e, "/") && strings.HasPrefix(p, e)
	})
}

// under reports whether a path is top or below it.
func under(p, top string) bool {
	return p == top || strings.HasPrefix(p, top+"/")
}
