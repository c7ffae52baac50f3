package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/statelite"
)

// firstStageFlags say what the initrd holds, and what of a node outlives its boots.
type firstStageFlags struct {
	initrd                                    string
	add, omit, firmware, include, prepend, ca cli.StringSlice
	statelite                                 string
}

func (f *firstStageFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "initrd", Usage: "take the first stage from `KIND`: builtin, rootcast's own; dracut, rootcast's own in an initrd by the image's dracut; image, the initrd that the image holds; none", Value: convert.InitrdBuiltin, Destination: &f.initrd},
		&cli.StringSliceFlag{Name: "add-module", Usage: "carry kernel module `NAME` in the initrd too, or those of a directory such as kernel/drivers/scsi; may be repeated", Destination: &f.add},
		&cli.StringSliceFlag{Name: "omit-module", Usage: "leave kernel module `NAME` out of the initrd; may be repeated", Destination: &f.omit},
		&cli.StringSliceFlag{Name: "firmware", Usage: "carry `FILE` of the image's /lib/firmware in the initrd too; may be repeated", Destination: &f.firmware},
		&cli.StringSliceFlag{Name: "initrd-include", Usage: "put file or directory SRC of this machine at DST in the initrd, as `SRC:DST`; may be repeated", Destination: &f.include},
		&cli.StringSliceFlag{Name: "initrd-prepend", Usage: "put the whole initrd in `FILE` before; may be repeated", Destination: &f.prepend},
		&cli.StringSliceFlag{Name: "ca-cert", Usage: "let nodes trust the PEM certificates in `FILE` when they fetch the root by https; may be repeated", Destination: &f.ca},
		&cli.StringFlag{Name: "statelite", Usage: "keep paths of a node over its boots as the rules in `FILE` say, in xCAT's litefile syntax", Destination: &f.statelite},
	}
}

// changed tells whether any flag differs from its default.
func (f *firstStageFlags) changed() bool {
	n := 0
	for _, list := range []*cli.StringSlice{&f.add, &f.omit, &f.firmware, &f.include, &f.prepend, &f.ca} {
		n += len(list.Value())
	}
	return n > 0 || f.initrd != convert.InitrdBuiltin || f.statelite != ""
}

// set reads the files that the flags name.
func (f *firstStageFlags) set(o *convert.Options) (err error) {
	first := convert.FirstStage{AddModules: f.add.Value(), OmitModules: f.omit.Value(), Firmware: f.firmware.Value()}
	if first.Include, err = includes(f.include.Value()); err != nil {
		return err
	}
	for _, name := range f.prepend.Value() {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--initrd-prepend: %w", err)
		}
		first.Prepend = append(first.Prepend, data)
	}
	for _, name := range f.ca.Value() {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--ca-cert: %w", err)
		}
		first.CA = append(append(first.CA, data...), '\n')
	}
	o.First = first
	o.State, err = f.rules()
	return err
}

func includes(values []string) (list []initrd.Include, err error) {
	for _, v := range values {
		src, dst, ok := strings.Cut(v, ":")
		if !ok || src == "" || dst == "" {
			return nil, usageErrorf("--initrd-include %s: it is SRC:DST, a file here and its name in the initrd", v)
		}
		list = append(list, initrd.Include{Src: src, Dst: dst})
	}
	return list, nil
}

func (f *firstStageFlags) rules() (_ *statelite.Rules, err error) {
	if f.statelite == "" {
		return nil, nil
	}
	file, err := os.Open(f.statelite)
	if err != nil {
		return nil, fmt.Errorf("--statelite: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return statelite.Parse(file, f.statelite)
}
