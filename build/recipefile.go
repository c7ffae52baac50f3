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
)

// parsedFile is a recipe's file with where its instructions stand, for
// messages.
type parsedFile struct {
	name         string
	instructions []instruction
}

type instruction struct {
	line int
	text string // as in the file, continuation lines joined
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
	node, err := imagebuilder.ParseDockerfile(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	for _, child := range node.Children {
		f.instructions = append(f.instructions, instruction{child.StartLine, child.Original})
		if _, known := command.Commands[strings.ToLower(child.Value)]; !known {
			return fmt.Errorf("%s:%d: unknown instruction %s", f.name, child.StartLine, strings.ToUpper(child.Value))
		}
	}
	return nil
}

// at says where a message about text, part of an instruction, belongs.
func (p *plan) at(text string) string {
	want := squeeze(text)
	var found string
	for _, f := range p.recipes {
		for _, in := range f.instructions {
			if squeeze(in.text) != want {
				continue
			}
			if found != "" {
				return p.where() // it stands there more than once
			}
			found = fmt.Sprintf("%s:%d", f.name, in.line)
		}
	}
	if found == "" {
		return p.where()
	}
	return found
}

// where names the recipe's files.
func (p *plan) where() string { return strings.Join(p.files, ", ") }

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// stepError is how Buildah says which instruction failed.
var stepError = regexp.MustCompile(`(?s)building at STEP "(.*?)": (.*)`) //nolint:gochecknoglobals // a constant

// explain makes one line of what Buildah reports: where in the recipe, what
// failed, and for RUN its exit code and the last that it said.
func (p *plan) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("building %s: %w", p.where(), context.Cause(ctx))
	}
	match := stepError.FindStringSubmatch(err.Error())
	if match == nil {
		return fmt.Errorf("building %s: %w", p.fromLine(err), err)
	}
	step, reason := squeeze(match[1]), match[2]
	var exit *exec.ExitError
	if !strings.HasPrefix(step, "RUN") || !errors.As(err, &exit) {
		return &explained{fmt.Sprintf("building %s: %s: %s", p.at(step), step, reason), err}
	}
	text := fmt.Sprintf("building %s: %s: failed with exit code %d", p.at(step), shorten(step, 200), exit.ExitCode())
	if tail := p.log.tail(); tail != "" {
		text += ": " + tail
	}
	if strings.Contains(text, "xec format error") {
		text += " (programs of this platform need qemu-user-static and its binfmt handler; see rootcast binfmt)"
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
					return fmt.Sprintf("%s:%d", f.name, in.line)
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
