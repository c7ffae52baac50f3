package build

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containers/buildah/define"
	"github.com/containers/buildah/pkg/parse"
	"github.com/openshift/imagebuilder/dockerfile/command"
)

const (
	// secretsArg is the argument by which a recipe asks that its layers be
	// reused only for the same secrets: the layer cache looks into arguments,
	// but not into secrets.
	secretsArg = "ROOTCAST_SECRETS"

	// secretsKeyFile lies in the store's root directory. With a key of the
	// store's own nobody who has the image alone can try guesses of a secret.
	secretsKeyFile = "rootcast-secrets.key"
	secretsKeySize = 32
)

// setSecretsArg gives [secretsArg] its value where the recipe declares it and
// the user gave none: "" without secrets, else what differs with them.
func (s *Store) setSecretsArg(p *plan) error {
	if _, given := p.options.Args[secretsArg]; given || !p.declaresArg(secretsArg) {
		return nil
	}
	secrets, err := parse.Secrets(p.options.CommonBuildOpts.Secrets)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	value := ""
	if len(secrets) > 0 {
		key, err := secretsKey(s.store.GraphRoot())
		if err != nil {
			return err
		}
		if value, err = digestSecrets(key, secrets); err != nil {
			return err
		}
	}
	p.options.Args[secretsArg] = value
	return nil
}

// declaresArg tells whether ARG name stands anywhere in the recipe, as far as
// it could be read beforehand.
func (p *plan) declaresArg(name string) bool {
	for _, f := range p.recipes {
		for _, in := range f.instructions {
			if !strings.EqualFold(in.node.Value, command.Arg) {
				continue
			}
			for word := in.node.Next; word != nil; word = word.Next {
				if key, _, _ := strings.Cut(word.Value, "="); key == name {
					return true
				}
			}
		}
	}
	return false
}

// digestSecrets is the same for the same secrets, in whatever order, and with
// the same key alone.
func digestSecrets(key []byte, secrets map[string]define.Secret) (string, error) {
	h := hmac.New(sha256.New, key)
	for _, id := range slices.Sorted(maps.Keys(secrets)) {
		content, err := readSecret(secrets[id])
		if err != nil {
			return "", fmt.Errorf("reading the secret %s: %w", id, err)
		}
		writeFramed(h, []byte(id))
		writeFramed(h, content)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeFramed keeps what is written apart from what follows.
func writeFramed(h hash.Hash, data []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(data)))
	h.Write(size[:])
	h.Write(data)
}

// readSecret reads a secret as the Buildah library will once more.
func readSecret(s define.Secret) ([]byte, error) {
	if s.SourceType == "env" {
		return []byte(os.Getenv(s.Source)), nil //nolint:forbidigo // the user says that the secret is there
	}
	fi, err := os.Stat(s.Source)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file, and could not be read again", s.Source)
	}
	return os.ReadFile(s.Source)
}

// secretsKey reads the key in dir, and makes it where there is none. Of several
// builds that make it at once all use the one that came first.
func secretsKey(dir string) ([]byte, error) {
	name := filepath.Join(dir, secretsKeyFile)
	key, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeSecretsKey(name); err == nil {
			key, err = os.ReadFile(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the store's key for secrets: %w", err)
	}
	if len(key) != secretsKeySize {
		return nil, fmt.Errorf("reading the store's key for secrets: %s has %d bytes, not %d; remove it, and a new one is made", name, len(key), secretsKeySize)
	}
	return key, nil
}

func makeSecretsKey(name string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = io.CopyN(f, rand.Reader, secretsKeySize)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	// Unlike a rename, a link never takes the place of another build's key.
	if err := os.Link(f.Name(), name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
