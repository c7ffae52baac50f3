package build

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
)

// State tells what the repositories of b hold now: it changes whenever a package
// does that b could install, and with what b asks for.
func (b Bootstrap) State(ctx context.Context) (digest.Digest, error) {
	b.Epoch = nil // the repositories' own time
	plans, err := b.plans()
	if err != nil {
		return "", err
	}
	sum := digest.SHA256.Digester()
	for _, p := range plans {
		if err := p.packager().askMirrors(ctx); err != nil {
			return "", p.failed(err)
		}
		fmt.Fprintf(sum.Hash(), "%s\n%d\n%s\n%t\n", p.history(), p.epoch.Unix(), p.sourcesList(p.keyring, true), p.NoGPGCheck)
		for _, key := range strings.Split(p.Keyring, ",") {
			if text, err := os.ReadFile(key); err == nil { // else making the base says so
				fmt.Fprintf(sum.Hash(), "%s\n", digest.FromBytes(text))
			}
		}
	}
	return sum.Digest(), nil
}
