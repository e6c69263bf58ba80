//go:build graceshut_system

package graceshut

// The C library that is installed on this machine, found by pkg-config.

// #cgo pkg-config: graceshut
import "C"
