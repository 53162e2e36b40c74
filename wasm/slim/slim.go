// Command slim rewrites a wasm binary of Go's linker, so that it is a sixth less
// after compression and begins sooner. The program does what it did, in the same
// functions, but that its stack traces have names and no lines.
//
// It does two things to the data section. The linker cuts that at each eight zeros:
// 70,000 segments, whose headers browsers read one by one and brotli can make
// nothing of; here only long runs of zeros separate two of them. And in the table
// of functions (runtime/symtab.go) the files and lines are taken out, which only
// stack traces and runtime.Caller read.
//
// It must not know what the program is.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
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
	header      = "\x00asm\x01\x00\x00\x00"
	dataSection = 11
	maxMemory   = 1 << 28 // what the data of a program may take: more is a mistake
	// Shorter runs of zeros than this are written out. From 20 on the binary is
	// smaller after compression, beyond 32 not by much.
	longRun = 32
)

var errModule = errors.New("not a wasm module as Go's linker writes it")

// slim returns the module with a data section of its own.
func slim(module []byte) ([]byte, error) {
	if !bytes.HasPrefix(module, []byte(header)) {
		return nil, errModule
	}
	out := []byte(header)
	r := reader{b: module, at: len(header)}
	for r.at < len(module) {
		start := r.at
		id := r.byte()
		section := r.bytes(r.unsigned())
		if r.bad {
			return nil, errModule
		}
		if id != dataSection {
			out = append(out, module[start:r.at]...)
			continue
		}
		memory, err := load(section)
		if err != nil {
			return nil, err
		}
		if err := dropLines(memory); err != nil {
			return nil, err
		}
		data := store(memory)
		out = append(out, dataSection)
		out = binary.AppendUvarint(out, uint64(len(data)))
		out = append(out, data...)
	}
	return out, nil
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
// theirs alone is zeros then.
func dropLines(memory []byte) error {
	start := bytes.Index(memory, []byte(tableMagic))
	if start < 0 || bytes.Contains(memory[start+1:], []byte(tableMagic)) || len(memory) < start+tableSize {
		return errors.New("no table of functions of a form that this command knows")
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint32(memory[at:])) }
	field := func(i int) int { return word(start + 8 + 8*i) }
	functions := field(0)
	files, tables, table := start+field(4), start+field(6), start+field(7)
	if !(start < files && files <= tables && tables < table && functions > 0 && table+8*functions <= len(memory)) {
		return errors.New("the table of functions is not as it should be")
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
			return errors.New("a function is not as it should be")
		}
		ok := keep(word(f + pcspAt))
		for j := range word(f + countAt) {
			ok = ok && keep(word(f+funcSize+4*j))
		}
		if !ok {
			return errors.New("a table of program counters is not as it should be")
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
	return nil
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
