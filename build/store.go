package build

// StoreOptions says where images are kept; the zero value is the user's
// ordinary containers/storage, which podman and buildah show too.
type StoreOptions struct {
	Root, RunRoot, Driver string
	DriverOptions         []string
}
