package main

import (
	"slices"
	"time"
)

// sample is one run of one side.
type sample struct {
	wall time.Duration
	cpu  time.Duration // user and system, of all its processes
	peak int64         // bytes of memory, all its processes together
	size int64         // bytes of what it made; 0 where that is not asked
}

// median is the middle value, or the mean of the middle two.
func median[T ~int64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return sorted[middle-1] + (sorted[middle]-sorted[middle-1])/2
}

// summary is what the rounds of one side come to: medians, and the highest peak.
func summary(samples []sample) sample {
	var wall, cpu []time.Duration
	var size []int64
	var peak int64
	for _, s := range samples {
		wall, cpu, size = append(wall, s.wall), append(cpu, s.cpu), append(size, s.size)
		peak = max(peak, s.peak)
	}
	return sample{wall: median(wall), cpu: median(cpu), peak: peak, size: median(size)}
}

// ratio is a/b, and 0 where there is nothing to divide by.
func ratio[T ~int64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
