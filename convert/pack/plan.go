package pack

import (
	"cmp"
	"hash/fnv"
	"runtime"
	"slices"
	"sync"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// The size of a segment before compression: it may end from minSegment on,
// every file's bytes making it likelier, and ends at maxSegment at the latest,
// unless one file is larger than that.
const (
	minSegment  = 1 << 20
	meanSegment = 5 << 20
	maxSegment  = 12 << 20
)

// plan lays out the whole archive. Where pieces is set, a segment of one large file
// comes as several.
func plan(t *rootfs.Tree, f format, pieces bool) ([]*segment, error) {
	items, err := list(t, f)
	if err != nil {
		return nil, err
	}
	parts := cut(items)
	segments := make([]*segment, 0, len(parts))
	for i, part := range parts {
		s := &segment{items: part, last: i == len(parts)-1}
		for j := range part {
			s.whole += part[j].length
		}
		if s.last {
			s.whole += int64(len(f.appendTrailer(nil)))
		}
		s.size = s.whole
		if pieces && len(part) == 1 && part[0].inode.HasRanges() {
			segments = append(segments, s.pieces()...)
		} else {
			segments = append(segments, s)
		}
	}
	return segments, nil
}

// pieces cuts a segment into pieces of equal size, the first not smaller than
// another, none larger than maxSegment.
func (s *segment) pieces() []*segment {
	count := (s.whole + maxSegment - 1) / maxSegment
	size := (s.whole + count - 1) / count
	var pieces []*segment
	for from := int64(0); from < s.whole; from += size {
		piece := *s
		piece.from, piece.size = from, min(size, s.whole-from)
		pieces = append(pieces, &piece)
	}
	return pieces
}

// list returns every entry in the tree's order.
func list(t *rootfs.Tree, f format) ([]item, error) {
	items := make([]item, 0, t.Len())
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
	return items, measure(items, f)
}

// measure fills in the lengths of entries, on all cores.
func measure(items []item, f format) error {
	parts := slices.Collect(slices.Chunk(items, max(1, (len(items)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))))
	errs := make([]error, len(parts))
	var g sync.WaitGroup
	for i, part := range parts {
		g.Go(func() {
			var head []byte
			for j := range part {
				it := &part[j]
				if head, errs[i] = f.appendHead(head[:0], it); errs[i] != nil {
					return
				}
				it.length = int64(len(head)) + it.size + padding(it.size, f.align())
			}
		})
	}
	g.Wait()
	return cmp.Or(errs...) // the first in the order of the entries, whoever found one first
}

// cut divides the entries into segments. Where one would grow too large, it ends
// behind the entry that came nearest to ending it: a place that others choose
// too, whatever their start, so that a change does not move all ends behind it.
func cut(items []item) [][]item {
	var segments [][]item
	start, size := 0, int64(0)
	best, bestScore := 0, 0.0
	end := func(at int) {
		segments = append(segments, items[start:at])
		start, size, best, bestScore = at, 0, 0, 0
	}
	for i := 0; i < len(items); i++ {
		it := &items[i]
		if i > start && size+it.length > maxSegment {
			if best == 0 {
				best = i
			}
			end(best)
			i = start
			it = &items[i]
		}
		if size += it.length; size < minSegment {
			continue
		}
		switch score := endScore(it.name, it.length); {
		case score >= 1:
			end(i + 1)
		case score > bestScore:
			best, bestScore = i+1, score
		}
	}
	if start < len(items) {
		end(len(items))
	}
	return segments
}

// endScore is how near an entry comes to ending its segment, by its name and
// length alone: 1 or more does, and the odds of that are its share of a mean
// segment.
func endScore(name string, length int64) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	share := float64(length) / meanSegment
	return share * (1 << 32) / (float64(h.Sum32()) + 1)
}
