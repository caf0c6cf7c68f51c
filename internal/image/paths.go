package image

import (
	"errors"
	"os"
	"path/filepath"
)

// CacheDir gives the folder of downloads: $XDG_CACHE_HOME/doppel, else ~/.cache/doppel.
func CacheDir() (string, error) { return xdg("XDG_CACHE_HOME", ".cache", "") }

// DataDir gives the folder of images: $XDG_DATA_HOME/doppel/images, else ~/.local/share/doppel/images.
func DataDir() (string, error) { return xdg("XDG_DATA_HOME", ".local/share", "images") }

// xdg obeys the XDG Base Directory Specification: a relative path in the variable is ignored.
func xdg(variable, fallback, sub string) (string, error) {
	base := os.Getenv(variable)
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("there is no home folder to keep images in; set " + variable)
		}
		base = filepath.Join(home, fallback)
	}
	return filepath.Join(base, "doppel", sub), nil
}
