// Package rules maps every rule of RFC 9420 that this module holds others to,
// and every bug of another implementation that it guards against, to the place
// where it is enforced and to the test that breaks it. A test reads the sources
// and fails when a rule is not enforced where the table says, or not tested. The
// table is in table.go; nothing here is linked into the module.
//
// The families of rules: D decoding, F framing, L leaf nodes, K key packages,
// P proposals and their lists, E external commits, C commits, W joining by a
// Welcome, X secrets, S bugs that others shipped. The ids stand in the sources
// and in the details of errors.
package rules

import (
	"fmt"
	"regexp"
)

// families is how many rules each family has.
var families = []struct {
	letter string
	count  int
}{{"D", 9}, {"F", 16}, {"L", 14}, {"K", 7}, {"P", 20}, {"E", 9}, {"C", 17}, {"W", 17}, {"X", 6}, {"S", 23}}

// allIDs returns the ids that the table must have, in order.
func allIDs() (ids []string) {
	for _, f := range families {
		for n := 1; n <= f.count; n++ {
			ids = append(ids, fmt.Sprint(f.letter, n))
		}
	}
	return ids
}

// A Rule is a row of the table.
type Rule struct {
	ID      string
	Section string // of RFC 9420
	Says    string
	// At is where it is enforced: functions whose text or comment has the id.
	At []Place
	// Tests break it, or for the S family, do what the bug was about.
	Tests []Test
	// Not says why a rule is not enforced here. Such a row has no places and tests.
	Not string
}

// A Place is a function: "f", or "T.f" for a method. Code is the constant of
// package mlserr that it refuses with, empty where it refuses nothing itself.
type Place struct{ File, Func, Code string }

// A Test is a test function of the package in a folder; with Row, the
// case of it that is meant, which must be a string in the function, or the
// beginning of one that it is made of.
type Test struct{ Folder, Func, Row string }

// sources is what the table is checked against.
type sources struct {
	// funcs are the texts of the functions of a file, with their comments. Files
	// with build tags may declare one twice.
	funcs map[string]map[string][]string // by file and name
	// tests are the string literals in each test function.
	tests map[string]map[string][]string // by folder and name
}

var section = regexp.MustCompile(`^[1-9][0-9]*(\.[0-9]+)*$`)

// check returns what is wrong with a table that must have the given ids.
func check(table []Rule, ids []string, src *sources) (problems []string) {
	report := func(id, format string, args ...any) {
		problems = append(problems, id+": "+fmt.Sprintf(format, args...))
	}
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	seen := make(map[string]bool, len(table))
	for _, r := range table {
		switch {
		case !known[r.ID]:
			report(r.ID, "no such rule")
		case seen[r.ID]:
			report(r.ID, "stands twice in the table")
		}
		seen[r.ID] = true
		if !section.MatchString(r.Section) {
			report(r.ID, "section %q", r.Section)
		}
		if r.Says == "" {
			report(r.ID, "says nothing")
		}
		if r.Not != "" {
			if len(r.At)+len(r.Tests) != 0 {
				report(r.ID, "does not apply, and is enforced or tested")
			}
			continue
		}
		if len(r.At) == 0 {
			report(r.ID, "enforced nowhere")
		}
		for _, p := range r.At {
			if problem := src.enforced(r.ID, p); problem != "" {
				report(r.ID, "%s", problem)
			}
		}
		if len(r.Tests) == 0 {
			report(r.ID, "not tested")
		}
		for _, t := range r.Tests {
			if problem := src.tested(t); problem != "" {
				report(r.ID, "%s", problem)
			}
		}
	}
	for _, id := range ids {
		if !seen[id] {
			report(id, "not in the table")
		}
	}
	return problems
}

// enforced says what is wrong with a place, if anything.
func (src *sources) enforced(id string, p Place) string {
	texts := src.funcs[p.File][p.Func]
	if len(texts) == 0 {
		return "no " + p.Func + " in " + p.File
	}
	named := regexp.MustCompile(`\b` + regexp.QuoteMeta(id) + `\b`)
	code := regexp.MustCompile(`\bmlserr\.` + regexp.QuoteMeta(p.Code) + `\b`)
	problem := ""
	for _, text := range texts {
		switch {
		case !named.MatchString(text):
			problem = p.Func + " in " + p.File + " does not name the rule"
		case p.Code != "" && !code.MatchString(text):
			problem = p.Func + " in " + p.File + " does not refuse with " + p.Code
		default:
			return ""
		}
	}
	return problem
}

// tested says what is wrong with a test, if anything.
func (src *sources) tested(t Test) string {
	literals, ok := src.tests[t.Folder][t.Func]
	if !ok {
		return "no test " + t.Func + " in " + t.Folder
	}
	if t.Row == "" {
		return ""
	}
	for _, s := range literals {
		if s == t.Row {
			return ""
		}
	}
	return t.Func + " in " + t.Folder + " has no row " + fmt.Sprintf("%q", t.Row)
}
