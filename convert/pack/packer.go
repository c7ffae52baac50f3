package pack

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// packer runs workers over the segments and writes what they make in order.
type packer struct {
	o        Options
	format   format
	codec    codec
	segments []*segment
	ahead    *semaphore.Weighted // bytes of segments that are begun and not yet written
	free     pool                // buffers of packed segments that were written
}

func (p *packer) run(ctx context.Context, w io.Writer) (Info, error) {
	g, ctx := errgroup.WithContext(ctx)
	jobs, larges := p.queues()
	p.ahead = semaphore.NewWeighted(p.aheadLimit())
	for _, s := range p.segments {
		s.out = make(chan []byte, queued)
	}
	g.Go(func() error {
		defer close(jobs)
		if larges != jobs {
			defer close(larges)
		}
		return p.dispatch(ctx, jobs, larges)
	})
	for range p.o.Jobs {
		g.Go(func() error { return orLeave(ctx, func() error { return p.work(ctx, jobs) }) })
	}
	if larges != jobs {
		g.Go(func() error { return orLeave(ctx, func() error { return p.work(ctx, larges) }) })
	}
	var info Info
	out := p.newOutput(w)
	g.Go(func() error { return out.copy(ctx) })
	g.Go(func() (err error) {
		defer out.close()
		info, err = p.write(ctx, out)
		return err
	})
	err := g.Wait()
	if err == nil { // else a worker that was left to itself may hold a buffer yet
		p.free.close()
	}
	return info, err
}

// queues are what workers take segments from. Large ones, each of which is packed
// by many threads, wait for each other in a queue and by a worker of their own:
// nobody else waits for them. A single job does all in its order.
func (p *packer) queues() (jobs, larges chan *segment) {
	jobs = make(chan *segment)
	count := 0
	for _, s := range p.segments {
		if s.size > inMemory {
			count++
		}
	}
	if p.o.Jobs == 1 || count == 0 {
		return jobs, jobs
	}
	return jobs, make(chan *segment, count)
}

// dispatch hands out the segments in their order, as memory allows.
func (p *packer) dispatch(ctx context.Context, jobs, larges chan<- *segment) error {
	for _, s := range p.segments {
		if err := p.ahead.Acquire(ctx, p.weight(s)); err != nil {
			return err
		}
		queue := jobs
		if s.size > inMemory {
			queue = larges
		}
		if err := send(ctx, queue, s); err != nil {
			return err
		}
	}
	return nil
}

// aheadLimit is how many bytes of segments may be begun and not yet written:
// enough that nobody waits for a large one, and no more than memory has room for
// if none of them shrinks, on any number of cores.
func (p *packer) aheadLimit() int64 { return min(int64(p.o.Jobs)*inMemory, 4*inMemory) }

// weight is what a segment takes of the limit; a large one comes in chunks.
func (p *packer) weight(s *segment) int64 {
	if s.size > inMemory {
		return queued * chunkSize
	}
	return s.size
}

// work packs segments until there are no more.
func (p *packer) work(ctx context.Context, jobs <-chan *segment) error {
	wk, err := newWorker(p)
	if err != nil {
		return err
	}
	defer wk.free()
	for s := range jobs {
		if err := wk.pack(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// grace is how long a worker has to come to an end once nobody waits for its result.
const grace = time.Second

// orLeave returns what work does, or leaves it to itself where ctx has ended and
// work is in the middle of what cannot be broken off: a codec at a high level
// takes seconds for a segment. It holds nothing then that others wait for.
func orLeave(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		return ctx.Err()
	}
}

// write puts the segments down in their order.
func (p *packer) write(ctx context.Context, out *output) (Info, error) {
	var info Info
	var total int64
	for _, s := range p.segments {
		total += s.size
	}
	whole, reused := Segment{}, true // of the segment whose pieces come
	for _, s := range p.segments {
		size, err := p.writeSegment(ctx, out, s)
		if err != nil {
			return info, err
		}
		p.ahead.Release(p.weight(s))
		whole.Size += size
		whole.Unpacked += s.size
		reused = reused && s.reused
		info.Size += size
		info.Unpacked += s.size
		if s.ends() {
			info.Segments = append(info.Segments, whole)
			info.Entries += len(s.items)
			if reused {
				info.Reused++
			}
			whole, reused = Segment{Offset: info.Size}, true
		}
		if p.o.Progress != nil {
			p.o.Progress(info.Unpacked, total)
		}
	}
	return info, nil
}

func (p *packer) writeSegment(ctx context.Context, out *output, s *segment) (size int64, err error) {
	for {
		select {
		case <-ctx.Done():
			return size, ctx.Err()
		case chunk, ok := <-s.out:
			if !ok {
				return size, nil
			}
			size += int64(len(chunk))
			if err := out.write(ctx, chunk); err != nil {
				return size, fmt.Errorf("writing the archive: %w", err)
			}
		}
	}
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case to <- v:
		return nil
	}
}
