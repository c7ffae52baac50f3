// Package ctxio makes long reads end with their context, and counts them.
//
//	_, err := io.Copy(sum, ctxio.NewReader(ctx, file, bar.Add))
package ctxio
