package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// parsedFile is a recipe's file with where its instructions stand, for
// messages.
type parsedFile struct {
	name, text   string
	instructions []instruction
}

type instruction struct {
	text string // as Buildah reads it, continuation lines joined
	node *parser.Node
}

// parseFiles reads the recipe's files for their mistakes; those that only
// Buildah can read (by URL, or to be preprocessed) are left to it.
func parseFiles(names []string) ([]parsedFile, error) {
	var files []parsedFile
	for _, name := range names {
		f := parsedFile{name: name}
		if !isURL(name) && !strings.HasSuffix(name, ".in") {
			if err := f.parse(); err != nil {
				return nil, err
			}
		}
		files = append(files, f)
	}
	return files, nil
}

func (f *parsedFile) parse() error {
	text, err := os.ReadFile(f.name)
	if err != nil {
		return fmt.Errorf("reading the recipe: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return fmt.Errorf("reading the recipe: %s is empty", f.name)
	}
	f.text = string(text)
	node, err := imagebuilder.ParseDockerfile(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	for _, child := range node.Children {
		f.instructions = append(f.instructions, instruction{child.Original, child})
		if _, known := command.Commands[strings.ToLower(child.Value)]; !known {
			return fmt.Errorf("%s:%d: unknown instruction %s", f.name, child.StartLine, strings.ToUpper(child.Value))
		}
	}
	return nil
}

// at says where in the recipe the instruction stands that Buildah calls step,
// and what it looks like there.
func (p *plan) at(step string) (place, shown string) {
	for _, f := range p.recipes {
		for _, in := range f.instructions {
			if squeeze(in.text) != step {
				continue
			}
			if place != "" {
				return p.where(), shown // it stands there more than once
			}
			place, shown = fmt.Sprintf("%s:%d", f.name, in.node.StartLine), squeeze(in.node.Original)
		}
	}
	if place == "" {
		return p.where(), step
	}
	return place, shown
}

// where names the recipe's files.
func (p *plan) where() string {
	var names []string
	for _, f := range p.recipes {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// stepErrors are how Buildah says which instruction failed: in its own words,
// and as the data structure that it holds the instruction in.
//
//nolint:gochecknoglobals // a constant
var stepErrors = []*regexp.Regexp{
	regexp.MustCompile(`(?s)building at STEP "(.*?)": (.*)`),
	regexp.MustCompile(`(?s)committing container for step \{Env:.*? Original:(.*?)\}: (.*)`),
}

// failedStep takes Buildah's message apart; step is "" if it names none.
func failedStep(err error) (step, reason string) {
	for _, form := range stepErrors {
		if m := form.FindStringSubmatch(Explain(err).Error()); m != nil {
			return squeeze(m[1]), m[2]
		}
	}
	return "", ""
}

// forPlatform names the platform that was asked for, in an error.
func (j *job) forPlatform() string {
	if j.platform == "" {
		return ""
	}
	return " for " + j.platform
}

// explain makes one line of what Buildah reports: where in the recipe, what
// failed, and for RUN its exit code and the last that it said.
func (j *job) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("building %s: %w", j.where(), context.Cause(ctx))
	}
	step, reason := failedStep(err)
	if step == "" {
		return fmt.Errorf("building %s%s: %w", j.fromLine(err), j.forPlatform(), Explain(err))
	}
	place, shown := j.at(step)
	place += j.forPlatform()
	var exit *exec.ExitError
	if !strings.HasPrefix(step, "RUN") || !errors.As(err, &exit) {
		return &explained{fmt.Sprintf("building %s: %s: %s", place, shorten(shown, 200), reason), err}
	}
	text := fmt.Sprintf("building %s: %s: failed with exit code %d", place, shorten(shown, 200), exit.ExitCode())
	if tail := j.log.tail(); tail != "" {
		text += ": " + tail
	}
	for sign, hint := range map[string]string{
		"xec format error":          "rootcast binfmt status shows which programs of other architectures run here, and what is missing",
		"unknown version specified": "this crun is too old for --isolation oci; install runc or a newer crun, or leave the flag out",
	} {
		if strings.Contains(text, sign) {
			text += " (" + hint + ")"
		}
	}
	return &explained{text, err}
}

// fromLine is the place of the FROM whose image err speaks of.
func (p *plan) fromLine(err error) string {
	for _, f := range p.recipes {
		for _, in := range f.instructions {
			fields := strings.Fields(in.text)
			if len(fields) < 2 || !strings.EqualFold(fields[0], "FROM") {
				continue
			}
			for _, word := range fields[1:] {
				if !strings.HasPrefix(word, "-") && strings.Contains(err.Error(), word) {
					return fmt.Sprintf("%s:%d", f.name, in.node.StartLine)
				}
			}
		}
	}
	return p.where()
}

// explained has its own text and the cause for errors.Is and errors.As.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
