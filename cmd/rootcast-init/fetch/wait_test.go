package fetch

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errTooLate = errors.New("too late")

func contextWithCause(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(t.Context(), d, errTooLate)
}

// The waits double up to their cap, and begin anew after a healthy connection.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, digest := root(4 << 20)
		n, o := &network{}, &origin{content: content, cut: map[int]int{7: 2 << 20, 8: 100, 9: 100}}
		o.act = func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n < 7 {
				w.WriteHeader(http.StatusBadGateway)
			}
			return n < 7
		}
		n.serve(t, "a:80", o)
		if _, err := fetchAll(t, Options{URLs: []string{"http://a/root"}, SHA256: digest, dial: n.dial}); err != nil {
			t.Fatal(err)
		}
		var waits []int
		o.mu.Lock()
		defer o.mu.Unlock()
		for i := range o.times[1:] {
			waits = append(waits, int(o.times[i+1].Sub(o.times[i])/time.Second))
		}
		want := []int{1, 2, 4, 8, 16, 30, 30, 1, 2, 4}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("waits in seconds (-want +got):\n%s", diff)
		}
	})
}

// A server that cuts at once must not be asked in a tight loop, whatever it sends.
func TestServerThatAlwaysCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, _ := root(1 << 20)
		n, o := &network{}, &origin{content: content, cut: map[int]int{}}
		for i := range 1000 {
			o.cut[i] = 1
		}
		n.serve(t, "a:80", o)
		ctx, cancel := contextWithCause(t, 10*time.Minute)
		defer cancel()
		s, err := Open(ctx, Options{URLs: []string{"http://a/root", "http://a/root"}, Attempts: 2, dial: n.dial, jitter: whole})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for err == nil {
			_, err = s.Read(make([]byte, 100))
		}
		checkError(t, err, errTooLate, "") // a byte a time is progress, so the attempts start anew
		if n := len(o.asked()); n < 40 || n > 60 {
			t.Errorf("%d requests in 10 minutes", n)
		}
	})
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		least   time.Duration
		most    time.Duration
		dials   int // at most
		text    string
	}{
		{"attempts", Options{Attempts: 4}, 7 * time.Second, 7 * time.Second, 8, "giving up, for attempt 4 of 4 failed: http://a/root: "},
		{"one attempt", Options{Attempts: 1}, 0, 0, 2, "giving up, for attempt 1 of 1 failed"},
		{"limit", Options{Limit: time.Minute}, time.Minute, time.Minute, 14, "giving up after 1m0s without progress"},
		{"both", Options{Limit: time.Minute, Attempts: 100}, time.Minute, time.Minute, 14, "; http://b/root: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, start := &network{}, time.Now()
				test.options.URLs, test.options.dial = []string{"http://a/root", "http://b/root"}, n.dial
				_, err := fetchAll(t, test.options)
				checkError(t, err, nil, test.text)
				checkError(t, err, nil, ": connection refused: check that the service runs, and the port in imgurl")
				if took := time.Since(start); took < test.least || took > test.most {
					t.Errorf("took %v", took)
				}
				if len(n.dials) > test.dials {
					t.Errorf("%d dials, want at most %d", len(n.dials), test.dials)
				}
			})
		})
	}
}

// A server that wants to be left alone longer than the limit is, and that is the end.
func TestRetryAfterBeyondLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, start := &network{}, time.Now()
		o := &origin{act: func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			status(http.StatusTooManyRequests, "Retry-After", "86400")(w)
			return true
		}}
		n.serve(t, "a:80", o)
		_, err := fetchAll(t, Options{URLs: []string{"http://a/root"}, Limit: time.Minute, dial: n.dial})
		checkError(t, err, nil, "the server is overloaded or being serviced")
		if took := time.Since(start); took != time.Minute || len(o.asked()) != 1 {
			t.Errorf("took %v, %d requests", took, len(o.asked()))
		}
	})
}

// The time that a connection is idle between two requests is not the server's.
func TestSlowAnswerAfterWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, digest := root(1000)
		n, o := &network{}, &origin{content: content}
		o.act = func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n == 0 {
				status(http.StatusServiceUnavailable, "Retry-After", "28")(w)
				return true
			}
			time.Sleep(5 * time.Second)
			return false
		}
		n.serve(t, "a:80", o)
		if _, err := fetchAll(t, Options{URLs: []string{"http://a/root"}, SHA256: digest, Attempts: 2, dial: n.dial}); err != nil {
			t.Error(err)
		}
		if len(o.asked()) != 2 {
			t.Errorf("%d requests, want 2", len(o.asked()))
		}
	})
}

func TestJitter(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := fullJitter(time.Second)
		low, high = min(low, d), max(high, d)
	}
	if low < minWait || low > 200*time.Millisecond || high > time.Second || high < 800*time.Millisecond {
		t.Errorf("waits from %v to %v", low, high)
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		" 120 ":                         2 * time.Minute,
		"301":                           5 * time.Minute,
		"99999999999999999999":          5 * time.Minute,
		"-1":                            0,
		"1.5":                           0,
		"soon":                          0,
		"Mon, 04 May 2026 03:02:31 GMT": 30 * time.Second,
		"Mon, 04 May 2026 03:02:00 GMT": 0,
		"Tue, 05 May 2026 03:02:00 GMT": 5 * time.Minute,
	}
	for value, want := range tests {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
