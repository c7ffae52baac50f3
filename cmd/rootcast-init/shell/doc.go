// Package shell is the minimal shell of the first stage, for the person at the
// console of a node that does not boot and has no other shell in its initrd.
//
//	err := shell.Run(os.Stdin, os.Stdout, shell.Env{Log: text})
package shell
