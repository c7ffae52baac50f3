// Package image opens an image of any transport that containers/image knows
// and gives its layers as plain tars with random access.
//
//	img, err := image.Open(ctx, "docker://registry.example/compute:1", image.Options{})
//	defer img.Close()
//	for _, l := range img.Layers { … l.Tar … }
//
// Layers are fetched and decompressed side by side into unlinked spool files,
// and checked against their digest and their diffID to the last byte on the
// way. Layers of a local store are read where they lie, and so are those of a
// registry's image that a local store ([Options].Store) has too: nothing holds
// them to a digest again ([Layer].Key), and whoever removes them meanwhile makes
// reading them fail. Of the packages below convert nothing else knows about
// registries.
package image
