package build

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/containers/buildah/pkg/parse"
	"github.com/openshift/imagebuilder/dockerfile/command"
)

// preflight finds before the first step that this machine cannot run the programs
// of a platform that RUN steps call: check tells, as [checkRuns] does. What cannot be
// read beforehand, as a recipe by URL or a stage that an argument names, is left to
// the attempt.
func (p *plan) preflight(ctx context.Context, jobs []*job, target string, check func(context.Context, string) error) error {
	var problems []string
	var first error
	checked := map[string]bool{}
	stages := p.stages()
	for _, j := range jobs {
		if j.node != nil {
			continue // which finds it itself
		}
		for _, step := range runSteps(stages, target, j.platform) {
			if checked[step.platform] {
				continue
			}
			checked[step.platform] = true
			err := check(ctx, step.platform)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err == nil {
				continue
			}
			if first == nil {
				first = fmt.Errorf("building %s:%d for %s: %w", step.file, step.line, step.platform, err)
			} else {
				problems = append(problems, err.Error())
			}
		}
	}
	if first == nil || len(problems) == 0 {
		return first
	}
	return fmt.Errorf("%w; %s", first, strings.Join(problems, "; "))
}

// stage is what a recipe says of one stage.
type stage struct {
	name, base string
	platform   string // of --platform
	needs      []string
	file       string // of its first RUN step; "": it has none
	line       int
}

// runStep is a RUN step and the platform that it runs on.
type runStep struct {
	platform string
	file     string
	line     int
}

// stages reads the stages of all files, which follow one another.
func (p *plan) stages() []stage {
	var list []stage
	for _, f := range p.recipes {
		for _, in := range f.instructions {
			words := strings.Fields(in.text)
			value := strings.ToLower(in.node.Value)
			if value == command.From {
				s := stage{platform: flag(in.node.Flags, "platform")}
				if in.node.Next != nil {
					s.base = in.node.Next.Value
				}
				if n := len(words); n > 2 && strings.EqualFold(words[n-2], "AS") {
					s.name = strings.ToLower(words[n-1])
				}
				list = append(list, s)
				continue
			}
			if len(list) == 0 {
				continue // ARG before the first stage
			}
			s := &list[len(list)-1]
			switch value {
			case command.Run:
				if s.file == "" {
					s.file, s.line = f.name, in.node.StartLine
				}
				for _, flag := range in.node.Flags {
					s.needs = append(s.needs, mountSource(flag))
				}
			case command.Copy, command.Add:
				s.needs = append(s.needs, flag(in.node.Flags, "from"))
			}
		}
	}
	return list
}

// flag returns the value of --NAME=VALUE.
func flag(flags []string, name string) string {
	for _, f := range flags {
		if value, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return value
		}
	}
	return ""
}

// mountSource is the stage that --mount=…,from=STAGE reads.
func mountSource(flag string) string {
	for option := range strings.SplitSeq(strings.TrimPrefix(flag, "--mount="), ",") {
		if from, ok := strings.CutPrefix(option, "from="); ok {
			return from
		}
	}
	return ""
}

// runSteps returns the first RUN step of each stage that the target is made of.
func runSteps(stages []stage, target, platform string) []runStep {
	if len(stages) == 0 {
		return nil
	}
	values := platformArgs(platform)
	var list []runStep
	seen := map[int]bool{}
	var visit func(i int)
	visit = func(i int) {
		if i < 0 || seen[i] {
			return
		}
		seen[i] = true
		s := stages[i]
		on := values["TARGETPLATFORM"]
		if s.platform != "" {
			on = expand(s.platform, values)
		}
		if s.file != "" && on != "" {
			list = append(list, runStep{on, s.file, s.line})
		}
		for _, name := range append([]string{s.base}, s.needs...) {
			visit(find(stages[:i], expand(name, values)))
		}
	}
	last := len(stages) - 1
	if target != "" {
		last = find(stages, target)
	}
	visit(last)
	return list
}

// find is the last stage of that name or number, -1 if there is none.
func find(stages []stage, name string) int {
	for i, s := range slices.Backward(stages) {
		if name != "" && s.name == strings.ToLower(name) {
			return i
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(stages) {
		return i
	}
	return -1
}

// platformArgs are the arguments that each build for a platform has
// (docs.docker.com/reference/dockerfile, "Automatic platform ARGs in the global scope").
func platformArgs(platform string) map[string]string {
	host := "linux/" + runtime.GOARCH
	if platform == "" {
		platform = host
	}
	args := map[string]string{"BUILDPLATFORM": host, "BUILDOS": "linux", "BUILDARCH": runtime.GOARCH, "BUILDVARIANT": ""}
	args["TARGETPLATFORM"] = platform
	if goos, arch, variant, err := parse.Platform(platform); err == nil {
		args["TARGETOS"], args["TARGETARCH"], args["TARGETVARIANT"] = goos, arch, variant
	}
	return args
}

// expand puts values in the place of $NAME and ${NAME}; "" where text has other
// variables.
func expand(text string, values map[string]string) string {
	known := true
	text = os.Expand(text, func(name string) string {
		value, ok := values[name]
		known = known && ok
		return value
	})
	if !known {
		return ""
	}
	return text
}
