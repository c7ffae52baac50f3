// Package buildtest holds what tests of builds and transfers need on a machine
// with no distribution and no network: a static shell to put into images, and
// a registry on loopback that can misbehave.
//
//	buildtest.Box(dir + "/sh")              // COPY sh /bin/sh
//	reg := buildtest.NewRegistry(buildtest.Faults{FailFirst: 2})
//	defer reg.Close()
package buildtest
