package build

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/common/libimage"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/unshare"
)

// StoreOptions says where images are kept; the zero value is the user's
// ordinary containers/storage, which podman and buildah show too.
type StoreOptions struct {
	Root, RunRoot, Driver string
	DriverOptions         []string
	RegistriesConf        string // see [Registry]; short names are resolved by it
}

// Store is an open containers/storage.
type Store struct {
	store    storage.Store
	registry Registry // for what takes no Registry of its own
}

// OpenStore opens the store that o names, and makes it if it is not there.
// The caller must Close it.
func OpenStore(o StoreOptions) (*Store, error) {
	so, err := o.resolve()
	if err != nil {
		return nil, err
	}
	s, err := storage.GetStore(so)
	if err != nil {
		return nil, fmt.Errorf("opening the image store %s: %w", so.GraphRoot, err)
	}
	istorage.Transport.SetStore(s) // what containers-storage:NAME means in this process
	return &Store{store: s, registry: Registry{RegistriesConf: o.RegistriesConf}}, nil
}

// OpenStoreIfAny opens the store that o names if it is there, and if this process
// may use it as it is: nothing but the store's run-time state is made, and an
// ordinary user is not taken into a user namespace. ok tells whether it is open;
// the caller must Close it then.
func OpenStoreIfAny(o StoreOptions) (s *Store, ok bool) {
	if os.Geteuid() != 0 {
		return nil, false // its layers' files are not the user's own
	}
	if all, err := unshare.HasCapSysAdmin(); err != nil || !all {
		return nil, false
	}
	so, err := o.resolve()
	if err != nil {
		return nil, false
	}
	driver := cmp.Or(so.GraphDriverName, "*")
	if found, err := filepath.Glob(filepath.Join(so.GraphRoot, driver+"-layers", "layers.json")); err != nil || len(found) == 0 {
		return nil, false
	}
	s, err = OpenStore(o)
	return s, err == nil
}

// Place is where the store is, as containers-storage: names it: "[DRIVER@ROOT+RUNROOT]".
func (s *Store) Place() string {
	return fmt.Sprintf("[%s@%s+%s]", s.store.GraphDriverName(), s.store.GraphRoot(), s.store.RunRoot())
}

// resolve fills what o leaves open from storage.conf. As with podman, a root
// of one's own drops the driver and options configured for the default one,
// and keeps its run-time state beside it.
func (o StoreOptions) resolve() (storage.StoreOptions, error) {
	so, err := storage.DefaultStoreOptions()
	if err != nil {
		return so, fmt.Errorf("reading the storage configuration: %w", err)
	}
	if o.Root != "" {
		if so.GraphRoot, err = filepath.Abs(o.Root); err != nil {
			return so, fmt.Errorf("finding the image store %s: %w", o.Root, err)
		}
		so.GraphDriverName, so.GraphDriverOptions, so.ImageStore = "", nil, ""
		so.RunRoot = filepath.Join(so.GraphRoot, "run")
	}
	if o.RunRoot != "" {
		if so.RunRoot, err = filepath.Abs(o.RunRoot); err != nil {
			return so, fmt.Errorf("finding the store's run-time directory %s: %w", o.RunRoot, err)
		}
	}
	if o.Driver != "" {
		if o.Driver != so.GraphDriverName {
			so.GraphDriverOptions = nil
		}
		so.GraphDriverName = o.Driver
	}
	so.GraphDriverOptions = append(so.GraphDriverOptions, o.DriverOptions...)
	return so, nil
}

// Close unmounts what the store has mounted and lets go of it.
func (s *Store) Close() error {
	_, err := s.store.Shutdown(false)
	if errors.Is(err, storage.ErrLayerUsedByContainer) {
		// Another process works on a container of this store; its mounts are its own.
		err = nil
	}
	s.store.Free()
	if istorage.Transport.GetStoreIfSet() == s.store {
		istorage.Transport.SetStore(nil)
	}
	if err != nil {
		return fmt.Errorf("closing the image store %s: %w", s.store.GraphRoot(), err)
	}
	return nil
}

// runtime is libimage's view of the store: names, lists, removal.
func (s *Store) runtime(r Registry) (*libimage.Runtime, error) {
	rt, err := libimage.RuntimeFromStore(s.store, &libimage.RuntimeOptions{SystemContext: r.SystemContext()})
	if err != nil {
		return nil, fmt.Errorf("reading the image store %s: %w", s.store.GraphRoot(), err)
	}
	return rt, nil
}
