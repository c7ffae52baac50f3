package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/containers/buildah/define"
	"github.com/containers/buildah/imagebuildah"
	"github.com/containers/buildah/pkg/parse"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// job is the build of a plan for one platform.
type job struct {
	*plan
	platform string // OS/ARCH[/VARIANT]; "": the base image's, as a rule the host's
	options  define.BuildOptions
	node     *offload // nil: it is built here
	log      *buildLog
	id       string // of the image, once it is built
}

// newJob gives a platform options and a log of its own.
func (p *plan) newJob(platform string, log *buildLog) (*job, error) {
	j := &job{plan: p, platform: platform, options: p.options, log: log}
	o := &j.options
	o.Args = maps.Clone(p.options.Args)
	o.Out, o.Err, o.ReportWriter = log, log, log.reports()
	if platform == "" {
		return j, nil
	}
	goos, arch, variant, err := parse.Platform(platform)
	if err != nil {
		return nil, err
	}
	o.Platforms = []struct{ OS, Arch, Variant string }{{goos, arch, variant}} // by which the library chooses base images, too
	return j, nil
}

// run builds it.
func (j *job) run(ctx context.Context, s *Store) (err error) {
	if j.node != nil {
		j.id, err = j.node.run(ctx, s)
		j.log.finish()
		return err
	}
	j.id, _, err = imagebuildah.BuildDockerfiles(ctx, s.store, j.options, j.files...)
	j.log.finish()
	if err != nil {
		return j.explain(ctx, err)
	}
	return nil
}

// jobs are those of a recipe: one without a platform where it names none. Where
// there are several, each line of the output begins with the platform's name.
func (p *plan) jobs(r Recipe) ([]*job, error) {
	platforms := r.Platforms
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	var list []*job
	var mu sync.Mutex
	for _, platform := range platforms {
		log := newBuildLog(r.Output)
		if len(platforms) > 1 {
			log = newBuildLog(newTagged(&mu, r.Output, platform))
		}
		j, err := p.newJob(platform, log)
		if err != nil {
			return nil, err
		}
		if len(platforms) > 1 {
			j.options.ReportWriter = j.log // what is fetched comes in pieces of lines
		}
		if j.node, err = p.offload(r, j); err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	return list, nil
}

// runAll runs jobs, so many at a time, and besides those of nodes. The first that
// fails ends the others.
func (s *Store) runAll(ctx context.Context, jobs []*job, atOnce int) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1) // the first one; the others fail because of it
	stages := semaphore.NewWeighted(int64(atOnce))
	run := func(j *job) error {
		err := inner.Err()
		if err == nil {
			err = j.run(inner, s)
		}
		if err != nil && ctx.Err() == nil {
			select {
			case failed <- err:
			default:
			}
			cancel()
		}
		return err
	}
	err := guard(inner, func() error {
		var here, elsewhere errgroup.Group
		here.SetLimit(atOnce)
		for _, j := range jobs {
			j.options.JobSemaphore = stages
			if j.node != nil {
				elsewhere.Go(func() error { return run(j) })
			}
		}
		for _, j := range jobs {
			if j.node == nil {
				here.Go(func() error { return run(j) }) // which waits for a place
			}
		}
		return errors.Join(here.Wait(), elsewhere.Wait())
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("building %s: %w", jobs[0].where(), context.Cause(ctx))
	}
	select {
	case err = <-failed:
	default:
	}
	return err
}

// tagged writes whole lines of one of several jobs, each with the job's name before it.
type tagged struct {
	mu  *sync.Mutex // of w
	w   io.Writer
	tag string
}

func newTagged(mu *sync.Mutex, w io.Writer, name string) io.Writer {
	if w == nil {
		return nil
	}
	return tagged{mu, w, "[" + name + "] "}
}

// Write takes one line.
func (t tagged) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := fmt.Fprintf(t.w, "%s%s", t.tag, line); err != nil {
		return 0, err
	}
	return len(line), nil
}
