package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"doppel"
	"doppel/internal/image"
	"doppel/internal/image/store"
)

func imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build, import, pull and list the images that machines boot",
		Long: `Images are kept in $XDG_DATA_HOME/doppel (by default ~/.local/share/doppel), what
was downloaded for them in $XDG_CACHE_HOME/doppel (~/.cache/doppel). Making one
needs no root privileges. An interrupted command leaves no half image; the next
one goes on from what was downloaded.`,
		Example: `  doppel image build debian:trixie --packages python3,gcc --size 8G
  doppel image import ./rootfs.tar.gz --name mine
  doppel image pull REGISTRY/NAME:TAG
  doppel image ls`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see doppel image --help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(buildCommand(), importCommand(), pullCommand(), lsCommand(), rmCommand(), inspectCommand())
	return cmd
}

func openStore() (*store.Store, error) {
	dir, err := image.DataDir()
	if err != nil {
		return nil, err
	}
	return store.Open(dir)
}

// interruptible ends ctx when the user gives up.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

func buildCommand() *cobra.Command {
	var o image.BuildOptions
	var packages, size string
	cmd := &cobra.Command{
		Use:   "build debian:SUITE",
		Short: "Build an image from Debian's packages",
		Long: `Build an image from Debian's packages. The mirror is the host's own, from its apt
configuration, or --mirror; signatures and hashes are verified. The packages are
unpacked here and configured inside a machine, as the last step.`,
		Example: `  doppel image build debian:trixie
  doppel image build debian:trixie --packages python3,gcc --size 8G --name dev
  doppel image build debian:trixie --mirror http://mirror.example/debian`,
		Args: arguments(1, 1, "one argument, such as debian:trixie"),
		RunE: func(cmd *cobra.Command, args []string) error {
			suite, ok := strings.CutPrefix(args[0], "debian:")
			if !ok || suite == "" {
				return usageError{fmt.Errorf("%q cannot be built; want debian:SUITE, such as debian:trixie", args[0])}
			}
			o.Suite = suite
			for _, p := range strings.Split(packages, ",") {
				if p = strings.TrimSpace(p); p != "" {
					o.Packages = append(o.Packages, p)
				}
			}
			var err error
			if o.Size, err = diskSize(size); err != nil {
				return err
			}
			if o.Store, err = openStore(); err != nil {
				return err
			}
			ctx, stop := interruptible(cmd)
			defer stop()
			return announce(buildDebian(ctx, o))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.Arch, "arch", "riscv64", "`ARCH`itecture, in Debian's name")
	fl.StringVar(&packages, "packages", "", "more packages: `a,b,c`")
	fl.StringVar(&size, "size", "4G", "`SIZE` of the disk; the file is sparse")
	fl.StringVar(&o.Mirror, "mirror", "", "`URL` of a Debian mirror (default: the host's apt configuration)")
	fl.StringArrayVar(&o.Keyrings, "keyring", nil, "trust the OpenPGP keys in `FILE` instead of the host's; may be repeated")
	fl.StringVar(&o.Name, "name", "", "`NAME` of the image (default: debian:SUITE)")
	return cmd
}

// buildDebian builds with progress and with a machine of ours to configure the
// packages in.
func buildDebian(ctx context.Context, o image.BuildOptions) (*store.Image, error) {
	o.Progress = newProgress()
	o.Configure = configure
	return image.BuildDebian(ctx, o)
}

// configure runs the packages' maintainer scripts in a machine.
func configure(ctx context.Context, s *image.Staging) error {
	m, err := doppel.New(doppel.Config{
		Kernel: s.Kernel, Initrd: s.Initrd, Append: s.Append,
		Memory:  1 << 30,
		Disks:   []doppel.Disk{{Path: s.Disk}},
		Console: doppel.WriteOnly(s.Console),
	})
	if err != nil {
		return err
	}
	_, err = m.Run(ctx)
	return errors.Join(err, m.Close())
}

func importCommand() *cobra.Command {
	return makeCommand(&cobra.Command{
		Use:   "import FILE|DIR|TAR|OCI-LAYOUT",
		Short: "Make an image from a disk file, a folder, a tar archive or an OCI layout",
		Long: `Make an image from a raw disk file, a folder, a tar archive (plain, or compressed
with gzip, bzip2, xz or zstd) or an OCI layout. An image without a kernel boots the
default one, taken from Debian's package on first use.`,
		Example: `  doppel image import rootfs.tar.xz
  doppel image import ./layout --name web`,
		Args: arguments(1, 1, "one path"),
	}, image.Import)
}

func pullCommand() *cobra.Command {
	return makeCommand(&cobra.Command{
		Use:   "pull OCI-REFERENCE",
		Short: "Make an image from a container image of a registry",
		Long: `Make an image from a container image of a registry. It boots the default kernel,
and a small init runs the image's entry point as its configuration says.`,
		Example: `  doppel image pull REGISTRY/NAME:TAG --name web`,
		Args:    arguments(1, 1, "one reference"),
	}, image.Pull)
}

// makeCommand completes a command that makes an image from its one argument.
func makeCommand(cmd *cobra.Command, do func(context.Context, string, image.ImportOptions) (*store.Image, error)) *cobra.Command {
	var o image.ImportOptions
	var size string
	cmd.Flags().StringVar(&o.Name, "name", "", "`NAME` of the image (default: from the argument)")
	cmd.Flags().StringVar(&size, "size", "4G", "`SIZE` of the disk; the file is sparse")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if o.Size, err = diskSize(size); err != nil {
			return err
		}
		if o.Store, err = openStore(); err != nil {
			return err
		}
		o.Progress = newProgress()
		ctx, stop := interruptible(cmd)
		defer stop()
		return announce(do(ctx, args[0], o))
	}
	return cmd
}

// diskSize reads the flag --size.
func diskSize(s string) (int64, error) {
	n, err := doppel.ParseSize(s)
	if err != nil || n > 1<<50 {
		return 0, usageError{fmt.Errorf("--size %q: want a number with an optional K, M, G or T, such as 4G", s)}
	}
	return int64(n), nil
}

func announce(img *store.Image, err error) error {
	if err != nil {
		return err
	}
	fmt.Printf("%s is ready: doppel run %s\n", img.Name, img.Name)
	return nil
}

func lsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List images",
		Example: "  doppel image ls",
		Args:    arguments(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			s, err := openStore()
			if err != nil {
				return err
			}
			images, err := s.List()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tARCH\tUSED\tSIZE\tCREATED\tSOURCE")
			for _, i := range images {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.Arch, bytes(i.DiskUsed()), bytes(i.DiskSize), i.Created.Format(time.DateTime), i.Source)
			}
			return w.Flush()
		},
	}
}

func rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Short:   "Remove images",
		Example: "  doppel image rm debian:trixie web",
		Args:    arguments(1, 1000, "names of images"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openStore()
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range args {
				errs = append(errs, s.Remove(cmd.Context(), name))
			}
			return errors.Join(errs...)
		},
	}
}

func inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "inspect NAME",
		Short:   "Show an image's description as JSON",
		Example: "  doppel image inspect debian:trixie",
		Args:    arguments(1, 1, "the name of an image"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := openStore()
			if err != nil {
				return err
			}
			i, err := s.Get(args[0])
			if err != nil {
				return err
			}
			e := json.NewEncoder(os.Stdout)
			e.SetIndent("", "  ")
			return e.Encode(struct {
				store.Config
				Dir      string `json:"dir"`
				DiskUsed int64  `json:"diskUsed"`
			}{i.Config, i.Dir, i.DiskUsed()})
		},
	}
}

// bytes shows a size for people.
func bytes(n int64) string {
	const units = "KMGT"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	return fmt.Sprintf("%.1f%c", v, units[u])
}
