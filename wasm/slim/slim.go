// Command slim rewrites a wasm binary of Go's linker, so that it is a sixth less
// after compression, an eighth less before, and begins sooner. The program does
// what it did, in the same functions, but that its stack traces have names and no
// lines.
//
// It does three things to the data section. The linker cuts that at each eight zeros:
// 70,000 segments, whose headers browsers read one by one and brotli can make
// nothing of; here only long runs of zeros separate two of them. In the table of
// functions (runtime/symtab.go) the files and lines are taken out, which only stack
// traces and runtime.Caller read. And the table in which the runtime finds the
// function of a program counter, which has the number of each function 16 times and
// would be a fifth of the binary, is written by a start function that it adds.
//
// It must not know what the program is.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "slim:", err)
		os.Exit(1)
	}
}

// run rewrites the files that it is given.
func run(files []string) error {
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		out, err := slim(in)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(file, out, 0o755); err != nil {
			return err
		}
	}
	return nil
}

const (
	header    = "\x00asm\x01\x00\x00\x00"
	maxMemory = 1 << 28 // what the data of a program may take: more is a mistake
	// Shorter runs of zeros than this are written out. From 20 on the binary is
	// smaller after compression, beyond 32 not by much.
	longRun = 32
)

// Sections of a module, in their order, which their numbers are not in.
const (
	typeSection     = 1
	importSection   = 2
	functionSection = 3
	startSection    = 8
	elementSection  = 9
	codeSection     = 10
	dataSection     = 11
)

var errModule = errors.New("not a wasm module as Go's linker writes it")

// section is a part of a module.
type section struct {
	id      byte
	content []byte
}

// slim returns the module with a data section of its own, and what writes the rest of it.
func slim(module []byte) ([]byte, error) {
	sections, err := parse(module)
	if err != nil {
		return nil, err
	}
	data := find(sections, dataSection)
	if data == nil {
		return nil, errModule
	}
	memory, err := load(data.content)
	if err != nil {
		return nil, err
	}
	functions, err := dropLines(memory)
	if err != nil {
		return nil, err
	}
	if find(sections, startSection) == nil { // else that was done before
		at, count, err := dropBuckets(memory, functions)
		if err != nil {
			return nil, err
		}
		if sections, err = addStart(sections, writeBuckets(at, count)); err != nil {
			return nil, err
		}
	}
	find(sections, dataSection).content = store(memory)
	out := []byte(header)
	for _, s := range sections {
		out = append(out, s.id)
		out = appendBytes(out, s.content)
	}
	return out, nil
}

// parse returns the sections of a module.
func parse(module []byte) (sections []section, err error) {
	if !bytes.HasPrefix(module, []byte(header)) {
		return nil, errModule
	}
	for r := (reader{b: module, at: len(header)}); r.at < len(module); {
		s := section{r.byte(), r.bytes(r.unsigned())}
		if r.bad {
			return nil, errModule
		}
		sections = append(sections, s)
	}
	return sections, nil
}

// find returns the section of an id, or nil.
func find(sections []section, id byte) *section {
	for i := range sections {
		if sections[i].id == id {
			return &sections[i]
		}
	}
	return nil
}

// addStart gives a module a start function, which has no parameters and no
// results. It is the last function: the others keep their numbers.
func addStart(sections []section, body []byte) ([]section, error) {
	imported, err := countImports(find(sections, importSection))
	if err != nil {
		return nil, err
	}
	kind, err := appendTo(find(sections, typeSection), []byte{0x60, 0, 0})
	if err != nil {
		return nil, err
	}
	number, err := appendTo(find(sections, functionSection), binary.AppendUvarint(nil, uint64(kind)))
	if err != nil {
		return nil, err
	}
	if _, err := appendTo(find(sections, codeSection), appendBytes(nil, body)); err != nil {
		return nil, err
	}
	start := section{startSection, binary.AppendUvarint(nil, uint64(imported+number))}
	for i, s := range sections {
		if s.id >= elementSection {
			return slices.Insert(sections, i, start), nil
		}
	}
	return nil, errModule
}

// appendTo appends an entry to a section that is a list, and returns its number.
func appendTo(s *section, entry []byte) (int, error) {
	if s == nil {
		return 0, errModule
	}
	r := reader{b: s.content}
	number := r.unsigned()
	if r.bad {
		return 0, errModule
	}
	s.content = slices.Concat(binary.AppendUvarint(nil, uint64(number+1)), s.content[r.at:], entry)
	return number, nil
}

// countImports returns how many functions are imported. Go's programs import nothing else.
func countImports(s *section) (int, error) {
	if s == nil {
		return 0, errModule
	}
	r := reader{b: s.content}
	count := r.unsigned()
	for range count {
		r.bytes(r.unsigned()) // the module
		r.bytes(r.unsigned()) // the name
		if kind := r.byte(); kind != 0 {
			return 0, errModule
		}
		r.unsigned() // the type
	}
	if r.bad || r.at != len(s.content) {
		return 0, errModule
	}
	return count, nil
}

// load returns the memory that a data section describes.
func load(section []byte) (memory []byte, err error) {
	r := reader{b: section}
	for range r.unsigned() {
		// An active segment of memory 0, at i32.const.
		if r.byte() != 0 || r.byte() != 0x41 {
			return nil, errModule
		}
		at := r.signed()
		if r.byte() != 0x0b {
			return nil, errModule
		}
		content := r.bytes(r.unsigned())
		end := at + len(content)
		if r.bad || at < 0 || end > maxMemory {
			return nil, errModule
		}
		if end > len(memory) {
			memory = append(memory, make([]byte, end-len(memory))...)
		}
		copy(memory[at:], content)
	}
	if r.bad || r.at != len(section) {
		return nil, errModule
	}
	return memory, nil
}

// store returns a data section that describes the memory.
func store(memory []byte) []byte {
	var segments []byte
	count := 0
	zeros := make([]byte, longRun)
	for at := 0; at < len(memory); {
		if memory[at] == 0 {
			at++
			continue
		}
		end := len(memory)
		if run := bytes.Index(memory[at:], zeros); run >= 0 {
			end = at + run
		}
		segments = append(segments, 0, 0x41)
		segments = appendSigned(segments, at)
		segments = append(segments, 0x0b)
		segments = binary.AppendUvarint(segments, uint64(end-at))
		segments = append(segments, memory[at:end]...)
		count++
		at = end
	}
	return append(binary.AppendUvarint(nil, uint64(count)), segments...)
}

// The table of functions of Go 1.20 and later (runtime.pcHeader, runtime._func).
const (
	tableMagic = "\xf1\xff\xff\xff\x00\x00\x01\x08" // of a binary with 8 bytes a pointer
	tableSize  = 72                                 // of its header

	funcSize     = 44 // of the fixed part of a function
	pcspAt       = 16
	pcfileAt     = 20
	pclnAt       = 24
	countAt      = 28 // of tables of program counters that follow the fixed part
	cuAt         = 32
	startLineAt  = 36
	offsetOfNone = 0
)

// dropLines takes files and lines out of the table of functions. What had been
// theirs alone is zeros then. It returns how many functions there are.
func dropLines(memory []byte) (int, error) {
	start := bytes.Index(memory, []byte(tableMagic))
	if start < 0 || bytes.Contains(memory[start+1:], []byte(tableMagic)) || len(memory) < start+tableSize {
		return 0, errors.New("no table of functions of a form that this command knows")
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint32(memory[at:])) }
	field := func(i int) int { return word(start + 8 + 8*i) }
	functions := field(0)
	files, tables, table := start+field(4), start+field(6), start+field(7)
	if !(start < files && files <= tables && tables < table && functions > 0 && table+8*functions <= len(memory)) {
		return 0, errors.New("the table of functions is not as it should be")
	}
	kept := make([]bool, table-tables)
	keep := func(offset int) bool {
		if offset < 0 || offset >= len(kept) {
			return false
		}
		if offset == offsetOfNone || kept[offset] {
			return true
		}
		length := tableLength(memory[tables+offset : table])
		for i := range length {
			kept[offset+i] = true
		}
		return length > 0
	}
	for i := range functions {
		f := table + word(table+8*i+4)
		if f+funcSize > len(memory) || f+funcSize+4*word(f+countAt) > len(memory) {
			return 0, errors.New("a function is not as it should be")
		}
		ok := keep(word(f + pcspAt))
		for j := range word(f + countAt) {
			ok = ok && keep(word(f+funcSize+4*j))
		}
		if !ok {
			return 0, errors.New("a table of program counters is not as it should be")
		}
		for _, field := range []int{pcfileAt, pclnAt, cuAt, startLineAt} {
			clear(memory[f+field : f+field+4])
		}
	}
	kept[0] = true
	for i, keep := range kept {
		if !keep {
			memory[tables+i] = 0
		}
	}
	clear(memory[start+field(4) : tables]) // the names of files, and which of them a package has
	return functions, nil
}

// The buckets by which the runtime finds the function of a program counter
// (runtime.findfuncbucket): the number of a function, and 16 bytes by which it tells
// apart those that follow in the same bucket. In wasm none do: the program counters
// of a function are 2^16, its number and the number of a block, and 2^12 are a bucket.
const (
	bucketSize = 4 + 16
	buckets    = 1 << (16 - 12) // of a function
)

// dropBuckets makes zeros of the buckets of all functions but the last, of which not
// all are there. It returns where they begin, and of how many functions they are.
func dropBuckets(memory []byte, functions int) (at, count int, err error) {
	count = functions - 1
	table := make([]byte, count*buckets*bucketSize)
	for i := range count * buckets {
		binary.LittleEndian.PutUint32(table[i*bucketSize:], uint32(i/buckets))
	}
	// Those of function 0 are zeros, as may be what is before them.
	const first = buckets * bucketSize
	if count < 2 {
		return 0, 0, errors.New("no functions")
	}
	at = bytes.Index(memory, table[first:]) - first
	if at < 0 {
		return 0, 0, errors.New("no table of buckets of a form that this command knows")
	}
	clear(memory[at : at+len(table)])
	return at, count, nil
}

// writeBuckets is the body of a function that writes those buckets.
func writeBuckets(at, count int) []byte {
	const (
		i32, loop, block, end, brIf       = 0x7f, 0x03, 0x40, 0x0b, 0x0d
		localGet, localSet, localTee      = 0x20, 0x21, 0x22
		i32Store, i32Const, i32Lt, i32Add = 0x36, 0x41, 0x49, 0x6a
		where, number                     = 0, 1 // locals, 0 when it begins
	)
	code := []byte{1, 2, i32, loop, block}
	for i := range buckets {
		code = append(code, localGet, where, localGet, number, i32Store, 2)
		code = binary.AppendUvarint(code, uint64(at+i*bucketSize))
	}
	code = append(code, localGet, where, i32Const)
	code = appendSigned(code, buckets*bucketSize)
	code = append(code, i32Add, localSet, where, localGet, number, i32Const, 1, i32Add, localTee, number, i32Const)
	code = appendSigned(code, count)
	return append(code, i32Lt, brIf, 0, end, end)
}

// tableLength returns the length of a table of program counters: pairs of two
// varints, of which the first of a later pair is not zero. It returns 0 for what is none.
func tableLength(b []byte) int {
	r := reader{b: b}
	for first := true; ; first = false {
		if v := r.unsigned(); v == 0 && !first {
			break
		}
		r.unsigned()
		if r.bad {
			return 0
		}
	}
	if r.bad {
		return 0
	}
	return r.at
}

// reader reads a module. Once it is bad it reads zeros.
type reader struct {
	b   []byte
	at  int
	bad bool
}

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.bad = true
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n > len(r.b)-r.at {
		r.bad = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

// unsigned reads LEB128 of 32 bits.
func (r *reader) unsigned() int {
	v, n := binary.Uvarint(r.b[min(r.at, len(r.b)):])
	if n <= 0 || v > 1<<32-1 {
		r.bad = true
		return 0
	}
	r.at += n
	return int(v)
}

// signed reads signed LEB128.
func (r *reader) signed() (v int) {
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= int(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 {
				v -= 1 << (shift + 7)
			}
			return v
		}
	}
	r.bad = true
	return 0
}

// appendSigned appends signed LEB128 of a number that is not negative.
func appendSigned(b []byte, v int) []byte {
	for ; v >= 0x40; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// appendBytes appends bytes with their length in front.
func appendBytes(b, content []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}
