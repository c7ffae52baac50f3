package pack

import (
	"hash/fnv"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// The size of a segment before compression: it may end from minSegment on,
// every file's bytes making it likelier, and ends at maxSegment at the latest,
// unless one file is larger than that.
const (
	minSegment  = 1 << 20
	meanSegment = 4 << 20
	maxSegment  = 8 << 20
)

// plan lays out the whole archive.
func plan(t *rootfs.Tree, f format) ([]*segment, error) {
	items, err := list(t, f)
	if err != nil {
		return nil, err
	}
	parts := cut(items)
	segments := make([]*segment, len(parts))
	for i, part := range parts {
		s := &segment{items: part, last: i == len(parts)-1}
		for j := range part {
			s.size += part[j].length
		}
		if s.last {
			s.size += int64(len(f.appendTrailer(nil)))
		}
		segments[i] = s
	}
	return segments, nil
}

// list returns every entry in the tree's order.
func list(t *rootfs.Tree, f format) ([]item, error) {
	var items []item
	carriers := map[*rootfs.Inode]int{} // where the name with the content is, of files with several
	for name, in := range t.All() {
		it := item{name: name, inode: in, size: in.Size}
		if in.Names() > 1 && !in.IsDir() {
			if at, ok := carriers[in]; !ok {
				it.first = name
				carriers[in] = len(items)
			} else {
				it.first = items[at].first
				if f.carries() == atLast {
					items[at].size = 0
					carriers[in] = len(items)
				} else {
					it.size = 0
				}
			}
		}
		items = append(items, it)
	}
	var head []byte
	for i := range items {
		it := &items[i]
		var err error
		if head, err = f.appendHead(head[:0], it); err != nil {
			return nil, err
		}
		it.length = int64(len(head)) + it.size + padding(it.size, f.align())
	}
	return items, nil
}

// cut divides the entries into segments.
func cut(items []item) [][]item {
	var segments [][]item
	start, size := 0, int64(0)
	for i := range items {
		it := &items[i]
		if i > start && size+it.length > maxSegment {
			segments = append(segments, items[start:i])
			start, size = i, 0
		}
		size += it.length
		if size >= minSegment && endsHere(it.name, it.length) {
			segments = append(segments, items[start:i+1])
			start, size = i+1, 0
		}
	}
	if start < len(items) {
		segments = append(segments, items[start:])
	}
	return segments
}

// endsHere tells by the name alone whether a segment ends after an entry; the
// odds are its share of a mean segment.
func endsHere(name string, size int64) bool {
	if size >= meanSegment {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return uint64(h.Sum32())*meanSegment < uint64(size)<<32 //nolint:gosec // below meanSegment
}
