// Package ctxio makes long reads end with their context, counts them, and
// compares what they give.
//
//	_, err := io.Copy(sum, ctxio.NewReader(ctx, file, bar.Add))
package ctxio
