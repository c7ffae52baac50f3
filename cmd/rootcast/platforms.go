package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/binfmt"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
)

// allPlatforms is --platform for every image of an index.
const allPlatforms = "all"

// several tells whether --platform names more than one platform.
func several(platform string) bool {
	return platform == allPlatforms || strings.Contains(platform, ",")
}

// target is a rootimgdir that is made for one platform of several.
type target struct{ platform, dir string }

// made is what programs are told of a target.
type made struct {
	Dir      string            `json:"rootimgdir"`
	Manifest *netboot.Manifest `json:"manifest"`
}

// targets are the platforms that --platform names, each with its directory below dir.
func (c *convertCmd) targets(ctx context.Context, name string, reg build.Registry, dir string) ([]target, error) {
	list := strings.Split(c.make.platform, ",")
	if c.make.platform == allPlatforms {
		var err error
		if list, err = c.e.platforms(ctx, name, reg); err != nil {
			return nil, err
		}
	}
	var all []target
	for _, p := range list {
		if err := asUsage("--platform: ", build.ValidatePlatform(p)); err != nil {
			return nil, err
		}
		t := target{platform: p, dir: filepath.Join(dir, archDir(p))}
		for _, other := range all {
			if other.dir == t.dir {
				return nil, usageErrorf("--platform: %s and %s would both be %s; name one of them", other.platform, p, t.dir)
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// archDir is the architecture as uname -m and xCAT call it, and its variant where
// that is not what every machine of the architecture has.
func archDir(platform string) string {
	parts := strings.Split(platform, "/")
	name := parts[1]
	if a, ok := binfmt.Find(name); ok {
		name = a.QEMU
	}
	if len(parts) > 2 && platform != "linux/arm64/v8" {
		name += "-" + parts[2]
	}
	return name
}

// convertEach makes a rootimgdir of each platform, one after another. What fails
// keeps no other from being made.
func (c *convertCmd) convertEach(ctx context.Context, name string, reg build.Registry, o convert.Options) error {
	targets, err := c.targets(ctx, name, reg, o.Dir)
	if err != nil {
		return err
	}
	var failed []error
	all := []made{}
	for _, t := range targets {
		c.e.say("%s: making %s", t.platform, t.dir)
		o.Dir = t.dir
		m, err := c.convert(ctx, name, reg, t.platform, o)
		if err == nil && !c.json {
			_, err = fmt.Fprintln(c.e.stdout, t.dir)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", t.platform, err))
			if ctx.Err() != nil {
				break
			}
			c.e.say("%s failed", t.platform)
			continue
		}
		all = append(all, made{t.dir, m})
	}
	if c.json {
		failed = append(failed, printJSON(c.e.stdout, all))
	}
	return errors.Join(failed...)
}

// platforms lists what nodes can be made of an image for.
func (e *env) platforms(ctx context.Context, name string, reg build.Registry) ([]string, error) {
	ref, o, err := e.locate(ctx, name, reg)
	if err != nil {
		return nil, err
	}
	list, err := image.Platforms(ctx, ref, o)
	if err != nil {
		return nil, build.Explain(err)
	}
	return list, nil
}
