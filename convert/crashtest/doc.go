// Package crashtest kills a program right before any one of its changes to a
// file system, so that a test can look at what every possible crash leaves.
//
//	for at := 1; ; at++ {
//		… the state before …
//		r, err := crashtest.Run(crashtest.Command{Args: args, Kill: at})
//		if !r.Killed {
//			break // it has fewer changes than that
//		}
//		… the state after …
//	}
//
// It needs no help from the program: it traces its system calls by ptrace(2), and
// knows those by which Go programs change files.
// That a crash of the machine loses what was not synced is not seen this way.
package crashtest
