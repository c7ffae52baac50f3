package image

import (
	"context"
	"errors"
	"io"
	"time"

	"go.podman.io/common/pkg/retry"
	"go.podman.io/image/v5/types"
)

const (
	retries    = 3
	retryDelay = 500 * time.Millisecond
)

// again does work until it succeeds, or fails for a reason that waiting does not
// mend; only a registry's failures may pass.
func again(ctx context.Context, ref types.ImageReference, work func() error) error {
	if ref.Transport().Name() != "docker" {
		return work()
	}
	return retry.IfNecessary(ctx, work, &retry.Options{MaxRetry: retries, Delay: retryDelay, IsErrorRetryable: func(err error) bool {
		return ctx.Err() == nil && (errors.Is(err, io.ErrUnexpectedEOF) || retry.IsErrorRetryable(err))
	}})
}
