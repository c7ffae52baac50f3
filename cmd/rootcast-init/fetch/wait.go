package fetch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	firstWait = time.Second // at most, before the second round
	maxWait   = 30 * time.Second
	minWait   = 50 * time.Millisecond
	maxRetry  = 5 * time.Minute // that a server can ask for
)

// fullJitter is a random part of a time, so that nodes which failed together do
// not come back together.
func fullJitter(d time.Duration) time.Duration {
	return minWait + rand.N(d-minWait)
}

// advance goes to the next source and, when all have failed, gives up or waits.
func (f *fetcher) advance(ctx context.Context) error {
	n := len(f.sources)
	f.current.Store((f.current.Load() + 1) % int32(n))
	if f.failed++; f.failed < n {
		return nil
	}
	f.failed = 0
	f.rounds++
	idle := time.Since(f.since)
	switch {
	case f.changed():
		return f.failure("no server has the file any more that was asked for")
	case f.attempts > 0 && f.rounds >= f.attempts:
		return f.failure(fmt.Sprintf("giving up, for attempt %d of %d failed", f.rounds, f.attempts))
	case f.limit > 0 && idle >= f.limit:
		return f.failure(fmt.Sprintf("giving up after %v without progress", idle.Round(time.Second)))
	}
	wait := f.wait()
	if f.limit > 0 {
		wait = min(wait, f.limit-idle)
	}
	f.log("trying again in %v", wait.Round(100*time.Millisecond))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait is how long to wait before the next round: a random part of a time that
// doubles, and as much longer as every server asks for.
func (f *fetcher) wait() time.Duration {
	most := min(firstWait<<f.steps, maxWait)
	if most < maxWait {
		f.steps++
	}
	first := f.sources[0].ready
	for _, s := range f.sources {
		if s.ready.Before(first) {
			first = s.ready
		}
	}
	return max(time.Until(first), 0) + f.jitter(most)
}

// changed tells whether no source has the file that was asked for, which waiting
// does not mend.
func (f *fetcher) changed() bool {
	for _, s := range f.sources {
		if !errors.Is(s.err, ErrChanged) {
			return false
		}
	}
	return true
}

// failure is the end: why each source failed.
func (f *fetcher) failure(what string) error {
	e := &failures{what: what}
	for _, s := range f.sources {
		if s.err != nil {
			e.causes = append(e.causes, fmt.Errorf("%s: %w", s.name, s.err))
		}
	}
	return e
}

// failures is an error of one line that has several causes.
type failures struct {
	what   string
	causes []error
}

func (e *failures) Error() string {
	var s strings.Builder
	s.WriteString(e.what)
	for i, err := range e.causes {
		s.WriteString([]string{": ", "; "}[min(i, 1)] + err.Error())
	}
	return s.String()
}

func (e *failures) Unwrap() []error { return e.causes }

// retryAfter is how long a server wants to be left alone.
func retryAfter(err error) time.Duration {
	var e *statusError
	if errors.As(err, &e) {
		return e.retry
	}
	return 0
}

// parseRetryAfter reads the header Retry-After: seconds or a date (RFC 9110,
// section 10.2.3). What cannot be read asks for nothing.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return maxRetry // it is too large
		}
		return min(time.Duration(seconds)*time.Second, maxRetry)
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(min(date.Sub(now), maxRetry), 0)
}
