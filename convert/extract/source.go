package extract

import (
	"errors"
	"io"
)

// source is the bytes of an archive, in pieces as they come. It copies none of
// them but for what lies across two pieces.
type source struct {
	buf []byte // of the piece at hand, not taken yet
	// fill returns the next piece, which is valid until the next call, and io.EOF
	// behind the last one. Where it is nil, buf is all there is.
	fill    func() ([]byte, error)
	scratch []byte
}

// more sees to it that there are bytes in buf, or returns io.EOF.
func (s *source) more() error {
	for len(s.buf) == 0 {
		if s.fill == nil {
			return io.EOF
		}
		var err error
		if s.buf, err = s.fill(); err != nil {
			s.buf = nil
			return err
		}
	}
	return nil
}

// take returns the next n bytes, which are valid until the next call. The error is
// io.EOF where there are none at all.
func (s *source) take(n int) ([]byte, error) {
	if len(s.buf) >= n {
		b := s.buf[:n]
		s.buf = s.buf[n:]
		return b, nil
	}
	s.scratch = s.scratch[:0]
	for len(s.scratch) < n {
		b, err := s.piece(int64(n - len(s.scratch)))
		if errors.Is(err, io.EOF) && len(s.scratch) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		s.scratch = append(s.scratch, b...)
	}
	return s.scratch, nil
}

// piece returns the bytes at hand, at least one and at most so many.
func (s *source) piece(most int64) ([]byte, error) {
	if err := s.more(); err != nil {
		return nil, err
	}
	b := s.buf[:min(int64(len(s.buf)), most)]
	s.buf = s.buf[len(b):]
	return b, nil
}

// skip passes over n bytes.
func (s *source) skip(n int64) error {
	for n > 0 {
		b, err := s.piece(n)
		if err != nil {
			return midway(err)
		}
		n -= int64(len(b))
	}
	return nil
}

// onlyZeros reads the rest, which is to be padding.
func (s *source) onlyZeros() error {
	for {
		b, err := s.piece(1 << 20)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !allZero(b) {
			return errTrailing
		}
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Read is for the reader of tar.
func (s *source) Read(p []byte) (int, error) {
	b, err := s.piece(int64(len(p)))
	return copy(p, b), err
}

// midway is the error of an end that comes too early.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
