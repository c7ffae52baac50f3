package convert

import (
	"context"

	"github.com/rootcast/rootcast/convert/netboot"
)

// RollbackOptions says how to go back to an earlier version.
type RollbackOptions struct {
	Wait bool // wait for another process that writes the rootimgdir

	Report Report // nil: nobody is told
}

// Rollback makes another version of the rootimgdir current: the one whose ID is
// or starts with version or, where that is "", the one that was current before.
// Every file of it is checked against its manifest first.
func Rollback(ctx context.Context, dir, version string, o RollbackOptions) (netboot.Version, error) {
	check := func(dir string, m *netboot.Manifest) error { return VerifyFiles(ctx, dir, m, o.Report) }
	return netboot.Rollback(ctx, dir, version, check, netboot.Options{Wait: o.Wait, Waiting: o.Report.step, Doing: "rollback"})
}

// step is told of a step whose length nobody knows.
func (r Report) step(step string) { r.say(step, 0, 0) }
