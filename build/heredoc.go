package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containers/buildah/define"
	"github.com/containers/buildah/pkg/parse"
	buildkitparser "github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// scriptsContext names the build context that holds the scripts of rewritten
// heredocs.
const scriptsContext = "rootcast-scripts"

// rewriteScripts makes RUN heredocs that name their interpreter (#!) work in a
// chroot. The library would put the script below /dev, which in a chroot is the
// host's; so the scripts become files of a further build context, each mounted
// for its step under a name made of its content, as the layer cache needs it.
func (p *plan) rewriteScripts(w *workspace, contextDir string) error {
	scripts := filepath.Join(w.tmp, scriptsContext)
	rewritten := false
	for i := range p.recipes {
		text, err := p.recipes[i].withScripts(scripts)
		if err != nil {
			return fmt.Errorf("preparing %s: %w", p.recipes[i].name, err)
		}
		if text == "" {
			continue
		}
		if !rewritten {
			// Of the recipes' own names, which the library will not see.
			if p.options.Excludes, p.options.IgnoreFile, err = parse.ContainerIgnoreFile(contextDir, "", p.files); err != nil {
				return fmt.Errorf("reading what the build context leaves out: %w", err)
			}
		}
		rewritten = true
		if p.files[i], err = w.spool(strings.NewReader(text)); err != nil {
			return err
		}
	}
	if rewritten {
		p.options.AdditionalBuildContexts = map[string]*define.AdditionalBuildContext{scriptsContext: {Value: scripts}}
	}
	return nil
}

// withScripts returns the recipe with its scripts moved out to dir, line for
// line where they were, or "" if there is none.
func (f *parsedFile) withScripts(dir string) (string, error) {
	lines := strings.Split(f.text, "\n")
	found := false
	for i, in := range f.instructions {
		script, ok := heredocScript(in.node)
		if !ok {
			continue
		}
		sum := sha256.Sum256([]byte(script))
		name := "rootcast-" + hex.EncodeToString(sum[:8])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			return "", err
		}
		interpreter, _, _ := strings.Cut(strings.TrimPrefix(script, "#!"), "\n")
		run := fmt.Sprintf("RUN %s --mount=type=bind,from=%s,source=%s,target=/run/%s %s /run/%[3]s",
			strings.Join(in.node.Flags, " "), scriptsContext, name, name, strings.TrimSpace(interpreter))
		first, last := in.node.StartLine-1, in.node.EndLine-1
		lines[first] = run
		for n := first + 1; n <= last && n < len(lines); n++ {
			lines[n] = ""
		}
		f.instructions[i].text = run
		found = true
	}
	if !found {
		return "", nil
	}
	return strings.Join(lines, "\n"), nil
}

// heredocScript is the script of RUN <<EOT … EOT that begins with #!.
func heredocScript(node *parser.Node) (string, bool) {
	if !strings.EqualFold(node.Value, "run") || len(node.Heredocs) != 1 || node.Next == nil {
		return "", false
	}
	if doc, err := buildkitparser.ParseHeredoc(node.Next.Value); err != nil || doc == nil {
		return "", false
	}
	content := node.Heredocs[0].Content
	if node.Heredocs[0].Chomp {
		content = buildkitparser.ChompHeredocContent(content)
	}
	content = strings.TrimPrefix(content, "\n")
	return content + "\n", strings.HasPrefix(content, "#!")
}
