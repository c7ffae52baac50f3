package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/convert/cache"
)

const cacheCategory = "Cache:"

// cacheFlags say where convert keeps what makes the next convert faster.
type cacheFlags struct {
	dir, size string
	none      bool
}

func (f *cacheFlags) dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "cache-dir", Usage: "keep packed segments and layer indexes in `DIR`, for the next convert (default: rootcast in the user's cache directory)", Destination: &f.dir, Category: cacheCategory}
}

func (f *cacheFlags) flags() []cli.Flag {
	return []cli.Flag{
		f.dirFlag(),
		&cli.StringFlag{Name: "cache-size", Usage: "keep at most `SIZE` there, what was used last; 0: no limit", Value: "10GiB", Destination: &f.size, Category: cacheCategory},
		&cli.BoolFlag{Name: "no-cache", Usage: "make everything anew and keep nothing", Destination: &f.none, Category: cacheCategory, DisableDefaultText: true},
	}
}

// open returns the cache, nil where there is none. A default place that cannot
// be used costs time and nothing else; one that was asked for has to work.
func (f *cacheFlags) open(e *env) (*cache.Store, error) {
	if f.none {
		return nil, nil
	}
	limit, err := units.RAMInBytes(f.size)
	if err != nil || limit < 0 {
		return nil, usageErrorf("--cache-size %q is no size, such as 10GiB", f.size)
	}
	if f.dir != "" {
		return cache.Open(f.dir, limit)
	}
	dir, err := f.place()
	if err == nil {
		var store *cache.Store
		if store, err = cache.Open(dir, limit); err == nil {
			return store, nil
		}
	}
	e.say("warning: nothing is kept for the next convert: %v; --cache-dir names another place", err)
	return nil, nil
}

// place is the directory that the flags name.
func (f *cacheFlags) place() (string, error) {
	if f.dir != "" {
		return f.dir, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "rootcast"), err
}

// programIdentity tells one build of this program from another, which a version
// such as "dev" does not: by its file's size and time.
func programIdentity() string {
	info, err := os.Stat("/proc/self/exe")
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}
