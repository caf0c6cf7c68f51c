package image

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"doppel/internal/image/kmod"
	"doppel/internal/image/progress"
	"doppel/internal/image/tree"
)

// index gives the files of depmod for all modules of the kernel. Reading the modules is slow (they are compressed), and
// their package is known by its hash, so what was read is kept in the cache.
func (k *kernel) index(ctx context.Context, cacheDir, packageHash string, p progress.Progress) (map[string][]byte, error) {
	dir := "usr/lib/modules/" + k.version + "/"
	var files []tree.Entry
	extra := map[string][]byte{}
	for _, e := range k.modules {
		rel, ok := strings.CutPrefix(cleanName(e.Name), dir)
		if !ok || e.Size() == 0 {
			continue
		}
		if kmod.IsModule(rel) {
			files = append(files, e)
		} else if !strings.Contains(rel, "/") {
			data := make([]byte, e.Size())
			if _, err := k.spool.Reader(e.Node.Data).ReadAt(data, 0); err != nil {
				return nil, err
			}
			extra[rel] = data
		}
	}
	cached := filepath.Join(cacheDir, "kmod", packageHash+".json")
	modules := readModuleCache(cached)
	if modules == nil {
		var err error
		if modules, err = k.parseAll(ctx, files, dir, p); err != nil {
			return nil, err
		}
		writeModuleCache(cached, modules)
	}
	sortByOrder(modules, extra["modules.order"])
	return kmod.Index(modules, extra["modules.builtin"], extra["modules.builtin.modinfo"])
}

func (k *kernel) parseAll(ctx context.Context, files []tree.Entry, dir string, p progress.Progress) ([]*kmod.Module, error) {
	task := p.Start("Indexing kernel modules", int64(len(files)), progress.Items)
	modules := make([]*kmod.Module, len(files))
	err := parallel(ctx, len(files), min(runtime.NumCPU(), 8), func(_ context.Context, i int) error {
		rel := strings.TrimPrefix(cleanName(files[i].Name), dir)
		data, err := kmod.Read(k.spool.Reader(files[i].Node.Data))
		if err == nil {
			modules[i], err = kmod.Parse(rel, data)
		}
		if err != nil {
			return fmt.Errorf("kernel %s: module %s: %w", k.version, rel, err)
		}
		task.Advance(1)
		return nil
	})
	task.Finish(err)
	return modules, err
}

// cleanName gives an archive member's path without a leading "./" or "/".
func cleanName(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// sortByOrder puts modules in the order of modules.order, which names them uncompressed.
func sortByOrder(modules []*kmod.Module, order []byte) {
	rank := map[string]int{}
	for line := range strings.Lines(string(order)) {
		rank[strings.TrimSpace(line)] = len(rank)
	}
	of := func(m *kmod.Module) int {
		base, _, _ := strings.Cut(m.Path, ".ko")
		if r, ok := rank[base+".ko"]; ok {
			return r
		}
		return len(rank)
	}
	slices.SortStableFunc(modules, func(a, b *kmod.Module) int {
		if d := of(a) - of(b); d != 0 {
			return d
		}
		return strings.Compare(a.Path, b.Path)
	})
}

// readModuleCache gives nil when there is none that can be used; it is then made again.
func readModuleCache(file string) []*kmod.Module {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var modules []*kmod.Module
	if json.Unmarshal(data, &modules) != nil {
		return nil
	}
	if slices.Contains(modules, nil) {
		return nil
	}
	return modules
}

// writeModuleCache keeps what was read; when it cannot, the next build is slower and no more.
func writeModuleCache(file string, modules []*kmod.Module) {
	data, err := json.Marshal(modules)
	if err != nil {
		return
	}
	if os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(data)
	if cerr := tmp.Close(); err != nil || cerr != nil || os.Rename(tmp.Name(), file) != nil {
		os.Remove(tmp.Name())
	}
}
