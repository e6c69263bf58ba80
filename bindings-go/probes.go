package graceshut

// #include "bridge.h"
import "C"

import "syscall"

// For the tests, which cannot use cgo.

// flagsOf is what the kernel has as sa_flags of a signal's handler.
func flagsOf(signo syscall.Signal) int { return int(C.gs_go_flags_of(C.int(signo))) }

func ignored(signo syscall.Signal) bool { return C.gs_go_handler_of(C.int(signo)) == C.GS_GO_IGNORED }

func errorName(code int) string { return C.GoString(C.graceshut_error_name(C.int(code))) }
