package main

import (
	"webmls/mls/treemath"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

// treeMath has the trees of 1 to 64 leaves.
func treeMath() any {
	var cases []vectors.TreeMath
	for n := treemath.LeafCount(1); n <= 64; n *= 2 {
		c := vectors.TreeMath{NLeaves: uint32(n), NNodes: treemath.Width(n), Root: uint32(treemath.Root(n))}
		for x := range treemath.NodeIndex(c.NNodes) {
			c.Left = append(c.Left, orNull(x.Left()))
			c.Right = append(c.Right, orNull(x.Right()))
			c.Parent = append(c.Parent, orNull(treemath.Parent(x, n)))
			c.Sibling = append(c.Sibling, orNull(treemath.Sibling(x, n)))
		}
		cases = append(cases, c)
	}
	return cases
}

func orNull(x treemath.NodeIndex, ok bool) *uint32 {
	if !ok {
		return nil
	}
	return (*uint32)(&x)
}

// deserialization has the lengths on both sides of each step of the header's size.
func deserialization() any {
	var cases []vectors.Deserialization
	for _, n := range []int{0, 1, 1<<6 - 1, 1 << 6, 1<<14 - 1, 1 << 14, 1<<20 + 7, wire.MaxVector} {
		cases = append(cases, vectors.Deserialization{VLBytesHeader: wire.AppendVarint(nil, n), Length: n})
	}
	return cases
}
