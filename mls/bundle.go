package mls

import (
	"slices"
	"strconv"
	"strings"

	"webmls/mls/tree"
	"webmls/mls/wire"
)

// Bundles: where all pages of a tree are written at once, as on joining, many of
// them share a record, since a browser takes as long for each record as for tens of
// kilobytes in it. A page that changes later gets a record of its own, which is what
// counts from then on, so that a commit writes what it touches and no bundle.

const (
	// bundleSize is how many bytes of pages are in a bundle, unless one page has more:
	// what has 64 KiB, Chromium puts into a file by itself.
	bundleSize = 56 << 10
	// bundleFrom is from how many pages on there are bundles.
	bundleFrom = 8
	// bundleRest: a bundle goes, and those of its pages that still count get records
	// of their own, when these are no more than one in so many.
	bundleRest = 4
)

// bundle is a record with pages of the tree.
type bundle struct {
	name string
	size int // of pages
	// current are those that have no record of their own, and are in the tree.
	current []tree.PageID
}

// changeTree writes what differs between two trees; before is nil where nothing is
// stored, and after where nothing is to be.
func (l *live) changeTree(c *Change, out *outcome, before, after *tree.Tree) {
	stored := l.bundles
	if before == nil {
		stored = nil // with all else that a former membership has left
	}
	if after == nil {
		deletePages(c, before)
		out.bundle(c, stored, nil)
		return
	}
	put, deleted := after.ChangedPages(before)
	if len(put) >= bundleFrom && len(put) == after.PageCount() {
		deletePages(c, before)
		out.bundle(c, stored, putBundles(c, put))
		return
	}
	gone := make(map[tree.PageID]bool)
	for _, p := range put {
		c.Put[recordPage+p.ID.Name()] = p.Data
		gone[p.ID] = true
	}
	for _, id := range deleted {
		c.Delete = append(c.Delete, recordPage+id.Name())
		gone[id] = true
	}
	var bundles []bundle
	for _, b := range stored {
		rest := slices.DeleteFunc(slices.Clone(b.current), func(id tree.PageID) bool { return gone[id] })
		if len(rest)*bundleRest > b.size {
			bundles = append(bundles, bundle{b.name, b.size, rest})
			continue
		}
		for _, id := range rest {
			c.Put[recordPage+id.Name()] = after.Page(id).Data
		}
	}
	out.bundle(c, stored, bundles)
}

// bundle has the outcome leave bundles in the place of old ones.
func (out *outcome) bundle(c *Change, old, bundles []bundle) {
	for _, b := range old {
		if !slices.ContainsFunc(bundles, func(n bundle) bool { return n.name == b.name }) {
			c.Delete = append(c.Delete, b.name)
		}
	}
	out.bundled, out.bundles = true, bundles
}

// deletePages deletes the records of all pages of a tree, if there is one.
func deletePages(c *Change, t *tree.Tree) {
	if t == nil {
		return
	}
	for id := range t.PageIDs() {
		c.Delete = append(c.Delete, recordPage+id.Name())
	}
}

// putBundles writes pages in bundles: of each page its tier, its number, and its data.
func putBundles(c *Change, put []tree.Page) (bundles []bundle) {
	for len(put) > 0 {
		b := bundle{name: recordPages + strconv.Itoa(len(bundles))}
		w := wire.NewWriter(bundleSize + 4096)
		for len(put) > 0 && (b.size == 0 || w.Len()+len(put[0].Data) <= bundleSize) {
			p := put[0]
			w.Uint8(p.ID.Tier)
			w.Uint32(p.ID.Number)
			w.Opaque(p.Data)
			b.size, b.current = b.size+1, append(b.current, p.ID)
			put = put[1:]
		}
		c.Put[b.name] = w.Bytes()
		bundles = append(bundles, b)
	}
	return bundles
}

// keepBundles notes the bundles that are stored. Pages that the tree has lost since
// are in them still, and do not count.
func (l *live) keepBundles(bundles []bundle) {
	for i := range bundles {
		b := &bundles[i]
		b.current = slices.DeleteFunc(b.current, func(id tree.PageID) bool { return !l.state.epoch.tree.HasPage(id) })
	}
	l.bundles = bundles
}

// pageRecords returns the bundles among the records of a group, and a look-up of the
// pages of its tree. In each bundle all pages that have no record of their own are
// taken for current.
func pageRecords(records Records) (bundles []bundle, pages func(tree.PageID) ([]byte, bool), err error) {
	bundled := make(map[tree.PageID][]byte)
	for name, record := range records {
		if !strings.HasPrefix(name, recordPages) {
			continue
		}
		b := bundle{name: name}
		err := decode(name, record, func(r *wire.Reader) {
			for r.Err() == nil && !r.Empty() {
				id := tree.PageID{Tier: r.Uint8(), Number: r.Uint32()}
				bundled[id] = r.Opaque()
				b.size++
				if _, own := records[recordPage+id.Name()]; !own {
					b.current = append(b.current, id)
				}
			}
		})
		if err != nil {
			return nil, nil, err
		}
		bundles = append(bundles, b)
	}
	return bundles, func(id tree.PageID) ([]byte, bool) {
		if data, ok := records[recordPage+id.Name()]; ok {
			return data, true
		}
		data, ok := bundled[id]
		return data, ok
	}, nil
}
