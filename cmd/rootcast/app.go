package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// version is set by the Makefile.
var version = "dev"

const appDescription = `rootcast builds the operating-system images of diskless cluster nodes as OCI
images and casts them into what nodes boot from: kernel, ramdisk, manifest.

   rootcast bootstrap -t localhost/base/debian:12 debian:bookworm
   rootcast build -t localhost/compute:1 --build-arg BASE=localhost/base/debian:12 recipes/debian12/compute
   rootcast push localhost/compute:1 registry.example/compute:1
   rootcast convert --rootimgdir /srv/boot/compute registry.example/compute:1
   rootcast boot /srv/boot/compute

Who comes from xCAT: rootcast help xcat tells in what rootcast differs.

Exit codes: 0 done, 1 it failed, 2 wrong usage, 130 interrupted.`

// newApp returns the whole command line over e.
func newApp(e *env) *cli.App {
	return &cli.App{
		Name:                      "rootcast",
		Usage:                     "build OCI images of diskless nodes and convert them to netboot ramdisks",
		Description:               appDescription,
		Version:                   version,
		HideVersion:               true, // -v is --verbose; "rootcast version" and --version say it
		Reader:                    e.stdin,
		Writer:                    e.stdout,
		ErrWriter:                 e.stderr,
		DisableSliceFlagSeparator: true, // console=ttyS0,115200 is one value
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError,
		// The library adds its own help flag only beside its own help command.
		Flags:    append(e.globalFlags(), &cli.BoolFlag{Name: "version", Usage: "print the version and exit", DisableDefaultText: true}, cli.HelpFlag),
		Commands: commands(e),
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				_, err := fmt.Fprintln(e.stdout, "rootcast "+version)
				return err
			}
			if name := c.Args().First(); name != "" {
				return unknownCommand(c, name)
			}
			return cli.ShowAppHelp(c)
		},
	}
}

// commands lists every subcommand in the order help shows them.
func commands(e *env) []*cli.Command {
	list := []*cli.Command{
		newBootstrapCommand(e),
		newBuildCommand(e),
		newBuildNodeCommand(e),
		newPushCommand(e),
		newPullCommand(e),
		newImagesCommand(e),
		newInspectCommand(e),
		newTagCommand(e),
		newRmiCommand(e),
		newPruneCommand(e),
		newLoginCommand(e),
		newLogoutCommand(e),
		newConvertCommand(e),
		newVerifyCommand(e),
		newRollbackCommand(e),
		newReportCommand(e),
		newDiffCommand(e),
		newBootCommand(e),
		newBinfmtCommand(e),
		newOsimageCommand(e),
		newLsdefCommand(e),
		newMkdefCommand(e),
		newChdefCommand(e),
		newRmdefCommand(e),
		newGenimageCommand(e),
		newPackimageCommand(e),
		newImgexportCommand(e),
		newImgimportCommand(e),
		newCopycdsCommand(e),
		newLiteimgCommand(e),
		newRmimageCommand(e),
		newHelpCommand(e),
		newVersionCommand(e),
	}
	completeCommands(e, list)
	return list
}

// completeCommands gives commands what all of them have.
func completeCommands(e *env, list []*cli.Command) {
	for _, c := range list {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		c.Flags = append(c.Flags, e.commonFlags()...)
		completeCommands(e, c.Subcommands)
	}
}

func newVersionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version",
		Action: action(e, "", 0, 0, func(context.Context, []string) error {
			_, err := fmt.Fprintln(e.stdout, "rootcast "+version)
			return err
		}),
	}
}

// action adapts run, which never sees the CLI library, to a command that takes
// min to max arguments (max < 0: any number); usage names them for messages.
func action(e *env, usage string, minArgs, maxArgs int, run func(ctx context.Context, args []string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		args := c.Args().Slice()
		if err := checkArgs(c, usage, args, minArgs, maxArgs); err != nil {
			return err
		}
		e.setUpLog()
		return run(c.Context, args)
	}
}

func checkArgs(c *cli.Context, usage string, args []string, minArgs, maxArgs int) error {
	name := commandName(c)
	for _, a := range args {
		if len(a) > 1 && strings.HasPrefix(a, "-") {
			return usageErrorf("flag %s stands after an argument; flags go first: rootcast %s %s … %s", a, name, a, usage)
		}
	}
	switch {
	case len(args) < minArgs && usage != "":
		return usageErrorf("%s needs %s; see rootcast %s --help", name, usage, name)
	case maxArgs >= 0 && len(args) > maxArgs:
		return usageErrorf("%s: unexpected argument %q; see rootcast %s --help", name, args[maxArgs], name)
	}
	return nil
}
