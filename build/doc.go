// Package build turns Containerfile recipes and package repositories into OCI
// images in containers/storage, and moves them to and from registries.
//
//	store, err := build.OpenStore(build.StoreOptions{})
//	defer store.Close()
//	result, err := store.Build(ctx, build.Recipe{Context: ".", Tags: []string{"localhost/compute:1"}}, build.Options{})
//
// It is the only user of the Buildah library. It knows nothing of netboot
// ramdisks: an image reference (see [Store.Resolve]) is all that package
// convert gets from here.
package build
