package main

import (
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows long work to people: on a terminal a bar with speed and time
// left for each step, elsewhere a line when a step starts, every few seconds
// while it lasts, and when it ends.
type progress struct {
	e     *env
	step  string
	began time.Time
	told  time.Time // when the last line of the step was printed
	done  int64
	total int64
	bars  *mpb.Progress
	bar   *mpb.Bar
}

// tellEvery is how often a step that shows no bar says how far it is.
const tellEvery = 10 * time.Second

func (e *env) newProgress() *progress { return &progress{e: e} }

// report is what libraries call: bytes done of all (0: not known) of a step.
func (p *progress) report(step string, done, total int64) {
	if p.e.isQuiet() {
		return
	}
	if step != p.step {
		p.finish()
		*p = progress{e: p.e, step: step, began: time.Now(), told: time.Now()}
		if !p.e.stderrIsTerminal() || total == 0 {
			p.e.say("%s", step)
		}
	}
	p.done, p.total = done, total
	switch {
	case total == 0:
	case p.e.stderrIsTerminal():
		p.draw()
	case time.Since(p.told) >= tellEvery:
		p.told = time.Now()
		p.e.say("%s: %s of %s", step, units.BytesSize(float64(done)), units.BytesSize(float64(total)))
	}
}

func (p *progress) draw() {
	if p.bar == nil {
		p.bars = mpb.New(mpb.WithOutput(p.e.stderr), mpb.WithWidth(40))
		p.bar = p.bars.AddBar(p.total,
			mpb.PrependDecorators(decor.Name(p.step+" "), decor.CountersKibiByte("% .1f / % .1f")),
			mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f "), decor.AverageETA(decor.ET_STYLE_GO)))
	}
	p.bar.SetCurrent(p.done)
}

// finish ends the step that is shown.
func (p *progress) finish() {
	switch {
	case p.bar != nil:
		if p.done < p.total {
			p.bar.Abort(false)
		}
		p.bars.Wait()
	case p.total > 0 && p.step != "":
		took := time.Since(p.began)
		p.e.say("%s: %s in %s", p.step, units.BytesSize(float64(p.done)), fmtDuration(took))
	}
	p.bar, p.bars, p.step, p.total = nil, nil, "", 0
}

func fmtDuration(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
