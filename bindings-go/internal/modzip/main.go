// Modzip packs this module as a module proxy would serve it: modzip VERSION MODULE_FOLDER PROXY_FOLDER.
//
// What is in it: every file of the module but tests, this program, hidden files and nested modules. The C library of each
// platform is one of them; none is an error.
package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const module = "github.com/graceshut/graceshut/bindings-go"

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "modzip VERSION MODULE_FOLDER PROXY_FOLDER")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], filepath.Join(os.Args[3], filepath.FromSlash(module), "@v")); err != nil {
		fmt.Fprintln(os.Stderr, "modzip:", err)
		os.Exit(1)
	}
}

func pack(version, from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(to, version+".zip"))
	if err != nil {
		return err
	}
	defer out.Close()
	z := zip.NewWriter(out)
	archives := 0
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(from, path)
		if skipped(path, name, entry) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		if strings.HasSuffix(name, ".a") {
			archives++
		}
		return add(z, module+"@"+version+"/"+filepath.ToSlash(name), path)
	})
	for _, license := range []string{"LICENSE-APACHE", "LICENSE-MIT"} {
		if err == nil {
			err = add(z, module+"@"+version+"/"+license, filepath.Join(from, "..", license))
		}
	}
	if err == nil && archives == 0 {
		err = errors.New("no lib/*/libgraceshut.a: make go-archive first")
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(from, "go.mod"))
	if err != nil {
		return err
	}
	info := fmt.Sprintf("{\"Version\":%q,\"Time\":%q}\n", version, time.Unix(0, 0).UTC().Format(time.RFC3339))
	for name, text := range map[string]string{version + ".mod": string(mod), version + ".info": info, "list": version + "\n"} {
		if err := os.WriteFile(filepath.Join(to, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	size, err := out.Stat()
	if err == nil {
		fmt.Printf("%s@%s: %d bytes zipped\n", module, version, size.Size())
	}
	return err
}

func add(z *zip.Writer, name, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

func skipped(path, name string, entry fs.DirEntry) bool {
	if name == "." {
		return false
	}
	base := entry.Name()
	if strings.HasPrefix(base, ".") || strings.HasSuffix(base, "_test.go") || strings.HasSuffix(base, ".sh") {
		return true
	}
	if !entry.IsDir() {
		return false
	}
	_, nested := os.Stat(filepath.Join(path, "go.mod"))
	return nested == nil || base == "internal" || base == "testdata"
}
