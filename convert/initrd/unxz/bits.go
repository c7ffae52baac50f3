package unxz

// The functions of this file are the range decoder. Those that decode several bits
// keep its state in registers and are the reason for this package.

const (
	top      = 1 << 24 // below that the range takes one more byte
	probBits = 11
	moveBits = 5 // how fast probabilities adapt
)

func (d *decoder) normalise() {
	if d.rng < top {
		d.rng <<= 8
		d.cod = d.cod<<8 | uint32(d.in[d.pos])
		d.pos++
	}
}

// bit decodes one bit.
func (d *decoder) bit(p *uint16) uint32 {
	if d.rng < top {
		d.rng <<= 8
		d.cod = d.cod<<8 | uint32(d.in[d.pos])
		d.pos++
	}
	v := uint32(*p)
	bound := d.rng >> probBits * v
	if d.cod < bound {
		d.rng = bound
		*p = uint16(v + (1<<probBits-v)>>moveBits)
		return 0
	}
	d.rng -= bound
	d.cod -= bound
	*p = uint16(v - v>>moveBits)
	return 1
}

// tree decodes bits, the highest first, each with a probability that depends on
// those before.
func (d *decoder) tree(p []uint16, bits uint32) uint32 {
	rng, cod, pos, in := d.rng, d.cod, d.pos, d.in
	limit := uint32(1) << bits
	p = p[:limit]
	i := uint32(1)
	for i < limit {
		if rng < top {
			rng <<= 8
			cod = cod<<8 | uint32(in[pos])
			pos++
		}
		v := uint32(p[i])
		bound := rng >> probBits * v
		if cod < bound {
			rng = bound
			p[i] = uint16(v + (1<<probBits-v)>>moveBits)
			i <<= 1
		} else {
			rng -= bound
			cod -= bound
			p[i] = uint16(v - v>>moveBits)
			i = i<<1 | 1
		}
	}
	d.rng, d.cod, d.pos = rng, cod, pos
	return i - limit
}

// literalPlain is tree for the 8 bits of a byte.
func (d *decoder) literalPlain(p *[0x300]uint16) byte {
	rng, cod, pos, in := d.rng, d.cod, d.pos, d.in
	i := uint32(1)
	for i < 0x100 {
		if rng < top {
			rng <<= 8
			cod = cod<<8 | uint32(in[pos])
			pos++
		}
		v := uint32(p[i])
		bound := rng >> probBits * v
		if cod < bound {
			rng = bound
			p[i] = uint16(v + (1<<probBits-v)>>moveBits)
			i <<= 1
		} else {
			rng -= bound
			cod -= bound
			p[i] = uint16(v - v>>moveBits)
			i = i<<1 | 1
		}
	}
	d.rng, d.cod, d.pos = rng, cod, pos
	return byte(i)
}

// literalAfterMatch decodes a byte that differs from the one that the last match
// would have had next: as long as its bits agree they have probabilities of their own.
func (d *decoder) literalAfterMatch(p *[0x300]uint16, match uint32) byte {
	rng, cod, pos, in := d.rng, d.cod, d.pos, d.in
	i, offset := uint32(1), uint32(0x100)
	for i < 0x100 {
		if rng < top {
			rng <<= 8
			cod = cod<<8 | uint32(in[pos])
			pos++
		}
		match <<= 1
		bit := match & offset
		at := &p[offset+bit+i]
		v := uint32(*at)
		bound := rng >> probBits * v
		if cod < bound {
			rng = bound
			*at = uint16(v + (1<<probBits-v)>>moveBits)
			i <<= 1
			offset &^= bit
		} else {
			rng -= bound
			cod -= bound
			*at = uint16(v - v>>moveBits)
			i = i<<1 | 1
			offset &= bit
		}
	}
	d.rng, d.cod, d.pos = rng, cod, pos
	return byte(i)
}

// reverse decodes bits like tree, the lowest first.
func (d *decoder) reverse(p []uint16, bits uint32) uint32 {
	i, value := uint32(1), uint32(0)
	for n := range bits {
		bit := d.bit(&p[i])
		i = i<<1 | bit
		value |= bit << n
	}
	return value
}

// direct decodes bits that are 0 or 1 alike, the highest first.
func (d *decoder) direct(bits uint32) uint32 {
	value := uint32(0)
	for range bits {
		d.normalise()
		d.rng >>= 1
		bit := uint32(0)
		if d.cod >= d.rng {
			d.cod -= d.rng
			bit = 1
		}
		value = value<<1 | bit
	}
	return value
}
