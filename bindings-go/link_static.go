//go:build !graceshut_wasm && !graceshut_system && linux && amd64

package graceshut

// The C library of this platform, in the module's own layout.

// #cgo CFLAGS: -I${SRCDIR}/lib/linux_amd64
// #cgo LDFLAGS: ${SRCDIR}/lib/linux_amd64/libgraceshut.a -lgcc_s -lutil -lrt -lpthread -lm -ldl
import "C"

import _ "github.com/graceshut/graceshut/bindings-go/lib/linux_amd64" // kept by `go mod vendor`
