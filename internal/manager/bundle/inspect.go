package bundle

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// binary is what a program's file tells about itself.
type binary struct {
	// minGlibc is the newest version of the GNU C library that it names, empty if it is linked statically.
	minGlibc string
	// version of Istio that it was linked with, empty if it does not tell.
	version string
}

// inspect looks at a program. What is not ELF (a script that stands in for a program) has nothing to tell.
func inspect(file io.ReaderAt, architecture string) (binary, error) {
	magic := make([]byte, len(elf.ELFMAG))
	if _, err := file.ReadAt(magic, 0); err != nil || !bytes.Equal(magic, []byte(elf.ELFMAG)) {
		return binary{}, nil
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return binary{}, fmt.Errorf("is no valid ELF file: %w", err)
	}
	if want, ok := machines()[architecture]; ok && program.Machine != want {
		return binary{}, fmt.Errorf("is built for %s, not for %s", program.Machine, architecture)
	}
	var told binary
	needs, err := program.DynamicVersionNeeds()
	// A static program has no dynamic symbols.
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return binary{}, fmt.Errorf("names its libraries in no readable way: %w", err)
	}
	for _, library := range needs {
		for _, need := range library.Needs {
			if version, ok := strings.CutPrefix(need.Dep, "GLIBC_"); ok {
				told.minGlibc = newer(told.minGlibc, version)
			}
		}
	}
	if info, err := buildinfo.Read(file); err == nil {
		for _, setting := range info.Settings {
			if setting.Key == "-ldflags" {
				told.version = linkedVersion(setting.Value)
			}
		}
	}
	return told, nil
}

func machines() map[string]elf.Machine {
	return map[string]elf.Machine{
		"amd64":   elf.EM_X86_64,
		"arm64":   elf.EM_AARCH64,
		"ppc64le": elf.EM_PPC64,
		"riscv64": elf.EM_RISCV,
		"s390x":   elf.EM_S390,
	}
}

// linkedVersion finds what Istio's build sets at link time (istio.io/istio, pkg/version).
func linkedVersion(ldflags string) string {
	found := regexp.MustCompile(`istio\.io/istio/pkg/version\.buildVersion=([^'"\s]+)`).FindStringSubmatch(ldflags)
	if found == nil {
		return ""
	}
	return found[1]
}

// versionOf chooses the best of what tells the version: the agent itself, the image's environment (Istio's images have
// ISTIO_META_ISTIO_VERSION in some releases), the tag. A build with -trimpath does not tell its link flags.
func versionOf(agent string, environment []string, image string) string {
	if agent != "" {
		return agent
	}
	for _, variable := range environment {
		if version, ok := strings.CutPrefix(variable, "ISTIO_META_ISTIO_VERSION="); ok && version != "" {
			return version
		}
	}
	tag := image[strings.LastIndexAny(image, ":/@")+1:]
	if version := regexp.MustCompile(`^\d+\.\d+(\.\d+)?`).FindString(tag); version != "" {
		return version
	}
	return "unknown"
}

// newer returns the higher of two dotted versions; one that is empty is lower than any.
func newer(a, b string) string {
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(left), len(right)) {
		x, y := number(left, i), number(right, i)
		if x != y {
			if x > y {
				return a
			}
			return b
		}
	}
	return a
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return -1
	}
	value, err := strconv.Atoi(parts[i])
	if err != nil {
		return -1
	}
	return value
}
