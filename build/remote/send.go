package remote

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// The directories of a request's tar stream.
const (
	contextDir = "context"
	recipeDir  = "recipe"
	secretsDir = "secrets"
)

// RecipeFile is the n-th file of a recipe in a request. Each has a directory of
// its own, in which its name can stay as it is.
func RecipeFile(n int, base string) string { return path.Join(recipeDir, strconv.Itoa(n), base) }

// SecretFile is the n-th secret in a request.
func SecretFile(n int) string { return path.Join(secretsDir, strconv.Itoa(n)) }

// Sender writes a request.
type Sender struct{ tar *tar.Writer }

// NewSender begins a request. What its Files and Secrets name must follow.
func NewSender(w io.Writer, req Request) (*Sender, error) {
	if err := writeLine(w, requestLine{version, req}); err != nil {
		return nil, err
	}
	return &Sender{tar.NewWriter(w)}, nil
}

// File sends a file of a recipe, or a secret, which only the node's user can read.
func (s *Sender) File(name string, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(content))}
	if err := s.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := s.tar.Write(content)
	return err
}

// Context sends the files of a tar stream as the build's context.
func (s *Sender) Context(files *tar.Reader) error {
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := h.Name
		if h.Typeflag == tar.TypeLink {
			h.Linkname = path.Join(contextDir, h.Linkname)
		}
		h.Name = path.Join(contextDir, name)
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if err := checkType(h); err != nil {
			return fmt.Errorf("%s %w; name it in .containerignore", name, err)
		}
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", "" // COPY gives all to root
		h.Format = tar.FormatPAX                      // for times below a second
		if err := s.tar.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(s.tar, files); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// Close ends the request, and leaves the stream open.
func (s *Sender) Close() error { return s.tar.Close() }

// checkType refuses what no recipe can copy.
func checkType(h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
		return nil
	case tar.TypeFifo:
		return errors.New("is a named pipe, which does not go to a node")
	case tar.TypeChar, tar.TypeBlock:
		return errors.New("is a device, which does not go to a node")
	}
	return fmt.Errorf("is of type %s, which does not go to a node", strings.Trim(strconv.QuoteRune(rune(h.Typeflag)), "'"))
}
