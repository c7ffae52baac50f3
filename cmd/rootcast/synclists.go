package main

import (
	"context"
	"os"

	"github.com/docker/go-units"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/synclist"
)

// syncedTag is the tag of an image with what its definition's synclists name.
const syncedTag = ":synclists"

// withSynclists returns the name of the image that has what the definition's
// synclists name in a layer on top, and tells people of it. Without lists it is the
// image itself.
func (e *env) withSynclists(ctx context.Context, d *osimage.Definition, image string) (string, error) {
	rules, err := synclist.Read(d.Items("synclists"), d.Environment())
	if err != nil || len(rules) == 0 {
		return image, err
	}
	store, err := e.openStore()
	if err != nil {
		return "", err
	}
	var report synclist.Report
	change := build.Change{Image: image, Tag: osimageImageName(d) + syncedTag, History: "rootcast synclists of " + d.Name, TempDir: os.Getenv("TMPDIR")}
	if _, err := store.Change(ctx, change, func(ctx context.Context, root string) (err error) {
		report, err = synclist.Apply(ctx, root, rules)
		return err
	}); err != nil {
		return "", err
	}
	e.saySynced(report)
	return change.Tag, nil
}

func (e *env) saySynced(r synclist.Report) {
	e.say("synclists: %d files, %s", r.Files, units.BytesSize(float64(r.Bytes)))
	for _, name := range r.Appended {
		e.say("synclists: lines were added to %s", name)
	}
	for _, name := range r.Merged {
		e.say("synclists: entries were merged into %s", name)
	}
	if n := len(r.Skipped); n > 0 {
		e.say("synclists: %d lines are for some nodes alone and stay out of the image", n)
	}
	for _, rule := range r.NotRun {
		e.say("note: %s:%d: %s %s is not run in images", rule.File, rule.Line, rule.Kind, rule.Sources[0])
	}
	for _, w := range r.Warnings {
		e.say("warning: synclists: %s", w)
	}
}
