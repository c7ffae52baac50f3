package unxz

import "encoding/binary"

// slack is how many zeros follow the input: more than the bytes that any one
// symbol takes, so that only whole symbols need be checked against the end.
const slack = 64

// decoder decodes LZMA. The dictionary is the output itself.
type decoder struct {
	in  []byte // the file and slack
	pos int    // of the next byte that the range decoder takes
	rng uint32
	cod uint32

	out  []byte
	op   int // where the next byte goes
	dict int // where the dictionary starts

	state          uint32
	rep            [4]int // the last distances, counted from 0
	lc             uint
	lpMask, pbMask int
	probs
}

// probs are the adaptive probabilities of a bit's being 0, in 2048ths.
type probs struct {
	isMatch                [12][16]uint16
	isRep, isG0, isG1      [12]uint16
	isG2                   [12]uint16
	isRep0Long             [12][16]uint16
	slot                   [4][64]uint16
	special                [128]uint16
	align                  [16]uint16
	matchLength, repLength lengths
	literal                [0x300 << 4]uint16
}

type lengths struct {
	choice, choice2 uint16
	low, mid        [16][8]uint16
	high            [256]uint16
}

// lzma2 decodes the chunks of in[at:end] to out[start:].
func (d *decoder) lzma2(out []byte, start, at, end int) ([]byte, error) {
	d.out, d.op, d.dict = out, start, start
	needs := byte(3) // a dictionary reset comes first, then properties
	for at < end {
		control := d.in[at]
		if control == 0 {
			if d.op != len(out) || end-at > 4 {
				return nil, errCorrupt
			}
			return out, nil
		}
		var err error
		switch {
		case control >= 0x80:
			at, err = d.chunk(at, end, needs)
			needs = 0
		case control <= 2:
			if control == 1 {
				needs = 2
			}
			at, err = d.stored(at, end, control == 1 || needs < 3)
		default:
			err = errCorrupt
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errCorrupt
}

// stored copies a chunk that was not compressed, and returns where the next one is.
func (d *decoder) stored(at, end int, ok bool) (int, error) {
	size := int(binary.BigEndian.Uint16(d.in[at+1:])) + 1
	if !ok || at+3+size > end || d.op+size > len(d.out) {
		return 0, errCorrupt
	}
	if d.in[at] == 1 {
		d.dict = d.op
	}
	d.op += copy(d.out[d.op:], d.in[at+3:at+3+size])
	return at + 3 + size, nil
}

// chunk decodes a chunk that starts at in[at] and has a header of its own, and
// returns where the next one is, which need not reset anything.
func (d *decoder) chunk(at, end int, needs byte) (int, error) {
	h := d.in[at : at+6]
	plain := int(h[0]&0x1f)<<16 + int(binary.BigEndian.Uint16(h[1:])) + 1
	packed := int(binary.BigEndian.Uint16(h[3:])) + 1
	reset := h[0] >> 5 & 3
	at += 5
	if reset < needs || d.op+plain > len(d.out) {
		return 0, errCorrupt
	}
	if reset >= 2 {
		if !d.properties(h[5]) {
			return 0, errCorrupt
		}
		at++
	}
	if reset == 3 {
		d.dict = d.op
	}
	if reset >= 1 {
		d.reset()
	}
	if at+packed > end || packed < 5 || d.in[at] != 0 {
		return 0, errCorrupt
	}
	d.rng, d.cod, d.pos = 1<<32-1, binary.BigEndian.Uint32(d.in[at+1:]), at+5
	if !d.symbols(d.op+plain, at+packed) {
		return 0, errCorrupt
	}
	return at + packed, nil
}

// properties reads lc, lp and pb, of which LZMA2 takes lc + lp up to 4.
func (d *decoder) properties(p byte) bool {
	lc, lp, pb := uint(p%9), uint(p/9%5), uint(p/45)
	if pb > 4 || lc+lp > 4 {
		return false
	}
	d.lc, d.lpMask, d.pbMask = lc, 1<<lp-1, 1<<pb-1
	return true
}

func (d *decoder) reset() {
	d.state, d.rep = 0, [4]int{}
	p := &d.probs
	for i := range p.isMatch {
		fill(p.isMatch[i][:])
		fill(p.isRep0Long[i][:])
	}
	for _, list := range [][]uint16{p.isRep[:], p.isG0[:], p.isG1[:], p.isG2[:], p.special[:], p.align[:], p.literal[:]} {
		fill(list)
	}
	for i := range p.slot {
		fill(p.slot[i][:])
	}
	for _, l := range []*lengths{&p.matchLength, &p.repLength} {
		l.choice, l.choice2 = 1024, 1024
		fill(l.high[:])
		for i := range l.low {
			fill(l.low[i][:])
			fill(l.mid[i][:])
		}
	}
}

func fill(list []uint16) {
	for i := range list {
		list[i] = 1024
	}
}
