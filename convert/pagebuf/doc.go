// Package pagebuf has buffers of megabytes outside the heap, in huge pages where the
// kernel has such. A first use of them costs few page faults, their memory goes back
// when it is not needed any more, and disks take them in few pieces.
//
//	buf, err := pagebuf.New(8 << 20)
//	…
//	buf.Free()
package pagebuf
