// A program that needs of the table of functions what any program needs: stacks that
// grow and are scanned, panics, deferred calls, goroutines, names of functions.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
)

type node struct {
	left, right *node
	text        string
}

//go:noinline
func grow(depth int) *node {
	var room [64]byte
	if depth == 0 {
		runtime.GC()
		return &node{text: string(room[:1])}
	}
	return &node{left: grow(depth - 1), text: fmt.Sprint(depth)}
}

func recovered(f func()) (what string) {
	defer func() { what = fmt.Sprint(recover()) }()
	f()
	return ""
}

func caller() string {
	pcs := make([]uintptr, 8)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	var names []string
	for {
		frame, more := frames.Next()
		names = append(names, frame.Function)
		if !more {
			return strings.Join(names, " ")
		}
	}
}

func main() {
	count := 0
	for n := grow(20_000); n != nil; n = n.left {
		count += len(n.text)
	}
	fmt.Println(count)
	var list []int
	var none *node
	fmt.Println(recovered(func() { _ = list[count] }), recovered(func() { _ = none.text }), recovered(func() { panic("p") }))
	fmt.Println(caller())
	results := make([]int, 50)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			for n := grow(i); n != nil; n = n.left {
				results[i]++
			}
		})
	}
	all.Wait()
	fmt.Println(results)
	if len(os.Args) > 1 {
		func() { none.text = "end" }()
	}
}
