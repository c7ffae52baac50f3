package osimage

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
)

// Digest covers the definition, every file that it references and what synclists
// take into the image, but not where they lie, nor the definition's name: what it
// says is the same whenever the image would be. Attributes without a part in the
// image, such as notes, count too, for they are in its labels.
func (d *Definition) Digest() (digest.Digest, error) {
	files, err := d.References()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	names := map[string]string{}
	for i, file := range files {
		content, err := digestOf(file)
		if err != nil {
			return "", fmt.Errorf("the digest of osimage %s: %w", d.Name, err)
		}
		names[file] = fmt.Sprintf("%d", i)
		fmt.Fprintf(sum, "file %d %s\n", i, content)
	}
	d.digestSources(sum)
	for _, name := range d.Attributes() {
		a, _ := FindAttribute(name)
		value := a.mapPaths(d.values[name], func(path string) string {
			if number, ok := names[path]; ok {
				return "file " + number
			}
			return path
		})
		fmt.Fprintf(sum, "%s=%q\n", name, value)
	}
	return digest.NewDigest(digest.SHA256, sum), nil
}

func digestOf(name string) (digest.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	sum := digest.SHA256.Digester()
	fmt.Fprintf(sum.Hash(), "%o\n", info.Mode().Perm()&0o111)
	if _, err := io.Copy(sum.Hash(), f); err != nil {
		return "", err
	}
	return sum.Digest(), nil
}
