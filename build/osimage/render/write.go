package render

import (
	"fmt"
	"os"
	"path/filepath"
)

// Write makes the context in the directory dir, which is made if it is not there.
func (r *Rendering) Write(dir string) error {
	root := File{Name: "Containerfile", Mode: 0o644, Content: r.Containerfile}
	if err := os.MkdirAll(filepath.Join(dir, contextDir), 0o755); err != nil {
		return fmt.Errorf("writing the build context: %w", err)
	}
	for _, f := range append([]File{root}, r.Files...) {
		content := []byte(f.Content)
		if f.Source != "" {
			var err error
			if content, err = os.ReadFile(f.Source); err != nil {
				return fmt.Errorf("writing the build context: %w", err)
			}
		}
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing the build context: %w", err)
		}
		if err := os.WriteFile(name, content, f.Mode); err != nil { //nolint:gosec // a recipe is no secret
			return fmt.Errorf("writing the build context: %w", err)
		}
		if err := os.Chmod(name, f.Mode); err != nil { // whatever the umask
			return fmt.Errorf("writing the build context: %w", err)
		}
	}
	return nil
}
