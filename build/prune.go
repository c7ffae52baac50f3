package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/common/libimage"
	"golang.org/x/sys/unix"
)

// Pruned is what Prune took away.
type Pruned struct {
	Removed
	Builds int   // remains of killed builds
	Bytes  int64 // freed

	CacheInUse bool // a build in this store or elsewhere uses the cache, so it stayed
}

// PruneOptions say how far Prune goes.
type PruneOptions struct {
	All     bool   // also images that have names, unless a container uses them, and the cache of RUN --mount=type=cache
	TempDir string // where builds keep RUN --mount=type=cache; default: /var/tmp
}

// Prune removes what killed builds left and images that have no name and that
// nothing needs. While a build runs, all but the remains of others stays.
func (s *Store) Prune(ctx context.Context, o PruneOptions) (Pruned, error) {
	before, err := s.layerBytes()
	if err != nil {
		return Pruned{}, err
	}
	var p Pruned
	running, err := s.pruneBuilds(&p)
	if err != nil {
		return p, fmt.Errorf("removing the remains of builds: %w", err)
	}
	if !running {
		if o.All {
			if p.CacheInUse, err = pruneCache(o.TempDir, &p.Bytes); err != nil {
				return p, fmt.Errorf("removing the cache of RUN --mount=type=cache: %w", err)
			}
		}
		if p.Removed, err = s.pruneImages(ctx, o.All); err != nil {
			return p, fmt.Errorf("removing unused images: %w", err)
		}
	}
	if err := s.store.GarbageCollect(); err != nil {
		return p, fmt.Errorf("collecting garbage: %w", err)
	}
	after, err := s.layerBytes()
	p.Bytes += max(before-after, 0)
	return p, err
}

func (s *Store) layerBytes() (int64, error) {
	layers, err := s.store.Layers()
	if err != nil {
		return 0, fmt.Errorf("listing layers: %w", err)
	}
	var sum int64
	for _, l := range layers {
		if l.UncompressedSize > 0 {
			sum += l.UncompressedSize
		}
	}
	return sum, nil
}

// pruneBuilds sweeps up after builds whose process is gone, and tells whether
// others run.
func (s *Store) pruneBuilds(p *Pruned) (running bool, err error) {
	entries, err := os.ReadDir(workspaceDir(s.store))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		dead, err := s.pruneBuild(filepath.Join(workspaceDir(s.store), e.Name()))
		if err != nil {
			return running, err
		}
		if dead {
			p.Builds++
		} else {
			running = true
		}
	}
	if running {
		return true, nil
	}
	return false, s.pruneUnfinished()
}

// pruneBuild removes what the workspace of the lock file name owned, if no
// process holds the lock.
func (s *Store) pruneBuild(name string) (dead bool, err error) {
	lock, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, nil
	}
	tmp, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	id := filepath.Base(name)
	if err := removeBuildContainers(s.store, id); err != nil {
		return false, err
	}
	// The name was written by a build; believe it only as far as it looks like one.
	if dir := string(tmp); filepath.IsAbs(dir) && filepath.Base(dir) == id && strings.HasPrefix(id, workspacePrefix) {
		if err := removeTree(dir); err != nil {
			return false, err
		}
	}
	return true, os.Remove(name)
}

// pruneUnfinished takes the temporary names away from images whose making was
// cut off; without a name they go with the rest.
func (s *Store) pruneUnfinished() error {
	images, err := s.store.Images()
	if err != nil {
		return err
	}
	for _, img := range images {
		for _, name := range img.Names {
			if !strings.HasPrefix(name, temporaryPrefix) {
				continue
			}
			if err := s.store.RemoveNames(img.ID, []string{name}); err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneImages removes unnamed images round by round: each bares those it was
// built on.
func (s *Store) pruneImages(ctx context.Context, all bool) (Removed, error) {
	rt, err := s.runtime(s.registry)
	if err != nil {
		return Removed{}, err
	}
	var total Removed
	filters := [][]string{{"dangling=true", "containers=false"}, {"intermediate=true", "containers=false"}}
	for {
		found := false
		for _, f := range filters {
			removed, err := remove(ctx, rt, nil, &libimage.RemoveImagesOptions{Filters: f})
			total.Untagged = append(total.Untagged, removed.Untagged...)
			total.Deleted = append(total.Deleted, removed.Deleted...)
			if err != nil {
				return total, err
			}
			found = found || len(removed.Deleted) > 0
		}
		if !found {
			break
		}
	}
	if !all {
		return total, nil
	}
	removed, err := s.RemoveAll(ctx, false)
	total.Untagged = append(total.Untagged, removed.Untagged...)
	total.Deleted = append(total.Deleted, removed.Deleted...)
	return total, err
}
