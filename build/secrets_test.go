package build

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/containers/buildah/define"
)

func TestDigestSecrets(t *testing.T) {
	t.Setenv("ROOTCAST_TEST_SECRET", "one")
	dir := t.TempDir()
	file := func(name, text string) define.Secret {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return define.Secret{Source: name, SourceType: "file"}
	}
	one, two, empty := file("one", "one"), file("two", "two"), file("empty", "")
	env := define.Secret{Source: "ROOTCAST_TEST_SECRET", SourceType: "env"}
	key, otherKey := make([]byte, secretsKeySize), append(make([]byte, secretsKeySize-1), 1)
	base := map[string]define.Secret{"a": one, "b": two}
	want, err := digestSecrets(key, base)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 64 {
		t.Errorf("the digest %q is not that of HMAC-SHA256", want)
	}
	tests := []struct {
		name    string
		key     []byte
		secrets map[string]define.Secret
		same    bool
	}{
		{"again", key, map[string]define.Secret{"b": two, "a": one}, true},
		{"from another file of the same content", key, map[string]define.Secret{"a": file("copy", "one"), "b": two}, true},
		{"from the environment", key, map[string]define.Secret{"a": env, "b": two}, true},
		{"another store's key", otherKey, base, false},
		{"another content", key, map[string]define.Secret{"a": two, "b": two}, false},
		{"exchanged", key, map[string]define.Secret{"a": two, "b": one}, false},
		{"one less", key, map[string]define.Secret{"a": one}, false},
		{"one more, empty", key, map[string]define.Secret{"a": one, "b": two, "c": empty}, false},
		{"another border between them", key, map[string]define.Secret{"a": file("long", "onebtwo"), "": empty}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := digestSecrets(tt.key, tt.secrets)
			if err != nil {
				t.Fatal(err)
			}
			if (got == want) != tt.same {
				t.Errorf("digests %s and %s", want, got)
			}
		})
	}
	t.Run("a pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		name := filepath.Join(dir, "pipe")
		if err := os.Symlink("/proc/self/fd/"+strconv.Itoa(int(r.Fd())), name); err != nil {
			t.Fatal(err)
		}
		_, err = digestSecrets(key, map[string]define.Secret{"p": {Source: name, SourceType: "file"}})
		wantError(t, err, "reading the secret p: "+name+" is not a regular file, and could not be read again")
	})
}

func TestSecretsKey(t *testing.T) {
	dir := t.TempDir()
	keys := make([]string, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := secretsKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = string(key)
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] || len(k) != secretsKeySize {
			t.Errorf("keys %x and %x", keys[0], k)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("files %v, error %v; want the key alone", entries, err)
	}
	if fi, err := entries[0].Info(); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", fi.Mode(), err)
	}
	if other, err := secretsKey(t.TempDir()); err != nil || string(other) == keys[0] {
		t.Errorf("two stores share the key %x, error %v", other, err)
	}
	name := filepath.Join(dir, secretsKeyFile)
	if err := os.WriteFile(name, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = secretsKey(dir)
	wantError(t, err, "reading the store's key for secrets: "+name+" has 5 bytes, not 32; remove it, and a new one is made")
}

func TestDeclaresArg(t *testing.T) {
	tests := []struct {
		name, recipe string
		want         bool
	}{
		{"with a default", "FROM scratch\nARG ROOTCAST_SECRETS=\"\"\n", true},
		{"without", "FROM scratch\narg ROOTCAST_SECRETS\n", true},
		{"among others", "FROM scratch\nARG A=1 ROOTCAST_SECRETS=x B\n", true},
		{"in another stage", "FROM scratch AS a\nARG ROOTCAST_SECRETS\nFROM a\n", true},
		{"another name", "FROM scratch\nARG ROOTCAST_SECRETS2 A=ROOTCAST_SECRETS\n", false},
		{"another instruction", "FROM scratch\nENV ROOTCAST_SECRETS=1\nRUN ARG ROOTCAST_SECRETS\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "Containerfile")
			if err := os.WriteFile(name, []byte(tt.recipe), 0o600); err != nil {
				t.Fatal(err)
			}
			files, err := parseFiles([]string{name})
			if err != nil {
				t.Fatal(err)
			}
			if got := (&plan{recipes: files}).declaresArg(secretsArg); got != tt.want {
				t.Errorf("declares: %v, want %v", got, tt.want)
			}
		})
	}
}
