// Package build turns Containerfile recipes and package repositories into OCI
// images in containers/storage, and moves them to and from registries.
//
//	store, err := build.OpenStore(build.StoreOptions{})
//	defer store.Close()
//	result, err := store.Build(ctx, build.Recipe{Context: ".", Tags: []string{"localhost/compute:1"}})
//	pushed, err := store.Push(ctx, "localhost/compute:1", "registry.example/compute:1", build.PushOptions{})
//
// A program that uses it calls [InitReexec] first thing in main, since the
// libraries start it again under other names, and [EnterUserNamespace] before
// it opens a store, so that ordinary users can build too. Where the machine has
// no policy.json, every image is accepted; where it has no registries.conf,
// short names mean docker.io.
//
// A [Recipe] may name machines that build some of its platforms natively: see
// [Store.BuildRequested], which is their side, and package remote between them.
//
// It is the only user of the Buildah library. It knows nothing of netboot
// ramdisks: an image reference (see [Store.Resolve]) is all that package
// convert gets from here.
package build
