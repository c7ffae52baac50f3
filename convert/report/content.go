package report

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// compareContents adds to each change of two regular files whether their bytes
// differ. Only those of one size are read, several at a time, and not those that
// one layer holds.
func compareContents(ctx context.Context, changes []Change, progress func(done, total int64)) error {
	var todo []*Change
	p := progressSum{report: progress}
	for i := range changes {
		c := &changes[i]
		switch {
		case c.a.Type() != rootfs.TypeRegular || c.b.Type() != rootfs.TypeRegular || c.a == c.b:
		case c.a.Size != c.b.Size:
			c.What = append(c.What, Difference{Field: "content"})
		case c.a.Size > 0 && !sameID(c.a, c.b):
			todo = append(todo, c)
			p.total += c.a.Size
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, c := range todo {
		g.Go(func() error {
			at, errA, errB := ctxio.Difference(ctxio.NewReader(ctx, c.a.Open(), nil), ctxio.NewReader(ctx, c.b.Open(), nil))
			if err := errors.Join(errA, errB); err != nil {
				return fmt.Errorf("comparing %s: %w", c.Path, err)
			}
			if at >= 0 {
				c.What = append(c.What, Difference{Field: "content"})
			}
			p.add(c.a.Size)
			return nil
		})
	}
	return g.Wait()
}

// sameID tells whether both files are the same place of the same layer.
func sameID(a, b *rootfs.Inode) bool {
	layerA, offA, okA := a.ContentID()
	layerB, offB, okB := b.ContentID()
	return okA && okB && layerA == layerB && offA == offB
}

// progressSum adds up what several goroutines have done.
type progressSum struct {
	mu          sync.Mutex
	done, total int64
	report      func(done, total int64)
}

func (p *progressSum) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.report != nil {
		p.report(p.done, p.total)
	}
}
