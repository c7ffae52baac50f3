package build

import "context"

func (s *Store) build(ctx context.Context, r Recipe) (Result, error) { return Result{}, ctx.Err() }
