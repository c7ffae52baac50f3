package unxz

// symbols decodes until the output has reached stop, which must be where the
// input has reached end.
func (d *decoder) symbols(stop, end int) bool {
	for d.op < stop {
		at := (d.op - d.dict) & d.pbMask
		if d.bit(&d.isMatch[d.state][at&15]) == 0 {
			d.literalByte()
		} else if !d.match(at, stop) {
			return false
		}
		if d.pos > end {
			return false
		}
	}
	d.normalise()
	return d.pos == end && d.cod == 0
}

// literalByte decodes a byte that is no copy of another one.
func (d *decoder) literalByte() {
	before := 0
	if d.op > d.dict {
		before = int(d.out[d.op-1])
	}
	i := (d.op-d.dict)&d.lpMask<<d.lc + before>>(8-d.lc)
	p := (*[0x300]uint16)(d.literal[0x300*i:])
	if d.state < 7 {
		d.out[d.op] = d.literalPlain(p)
	} else {
		d.out[d.op] = d.literalAfterMatch(p, uint32(d.out[d.op-d.rep[0]-1]))
	}
	d.op++
	switch {
	case d.state < 4:
		d.state = 0
	case d.state < 10:
		d.state -= 3
	default:
		d.state -= 6
	}
}

// match decodes a copy, whose length may not lead beyond stop.
func (d *decoder) match(at, stop int) bool {
	length := 1
	if d.bit(&d.isRep[d.state]) == 0 {
		d.rep[3], d.rep[2], d.rep[1] = d.rep[2], d.rep[1], d.rep[0]
		length = d.length(&d.matchLength, at)
		d.rep[0] = d.distance(length)
		d.state = after(d.state, 7, 10)
	} else if d.repeat(at) {
		length = d.length(&d.repLength, at)
		d.state = after(d.state, 8, 11)
	} else {
		d.state = after(d.state, 9, 11)
	}
	from := d.op - d.rep[0] - 1
	if from < d.dict || from >= d.op || length > stop-d.op {
		return false
	}
	to := d.out[d.op : d.op+length]
	if d.rep[0]+1 >= length {
		copy(to, d.out[from:])
	} else {
		for i := range to {
			to[i] = d.out[from+i]
		}
	}
	d.op += length
	return true
}

func after(state, literal, other uint32) uint32 {
	if state < 7 {
		return literal
	}
	return other
}

// repeat takes one of the last distances to the front; false: a single byte of
// the last one.
func (d *decoder) repeat(at int) bool {
	if d.bit(&d.isG0[d.state]) == 0 {
		return d.bit(&d.isRep0Long[d.state][at&15]) != 0
	}
	switch {
	case d.bit(&d.isG1[d.state]) == 0:
		d.rep[0], d.rep[1] = d.rep[1], d.rep[0]
	case d.bit(&d.isG2[d.state]) == 0:
		d.rep[0], d.rep[1], d.rep[2] = d.rep[2], d.rep[0], d.rep[1]
	default:
		d.rep[0], d.rep[1], d.rep[2], d.rep[3] = d.rep[3], d.rep[0], d.rep[1], d.rep[2]
	}
	return true
}

func (d *decoder) length(l *lengths, at int) int {
	switch {
	case d.bit(&l.choice) == 0:
		return 2 + int(d.tree(l.low[at&15][:], 3))
	case d.bit(&l.choice2) == 0:
		return 10 + int(d.tree(l.mid[at&15][:], 3))
	default:
		return 18 + int(d.tree(l.high[:], 8))
	}
}

// distance decodes how far back a match is, counted from 0.
func (d *decoder) distance(length int) int {
	slot := d.tree(d.slot[min(length-2, 3)][:], 6)
	if slot < 4 {
		return int(slot)
	}
	bits := slot>>1 - 1
	base := (2 | slot&1) << bits
	if slot < 14 {
		return int(base + d.reverse(d.special[base-slot:], bits))
	}
	return int(base + d.direct(bits-4)<<4 + d.reverse(d.align[:], 4))
}
