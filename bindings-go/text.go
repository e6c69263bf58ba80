package graceshut

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"strings"
	"time"
	"unsafe"
)

// cString copies text for C; the caller frees it. Text with a NUL inside would end early and is refused.
func cString(text, what string) (*C.char, error) {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, fail(ErrBadValue, "%s %q has a NUL character at byte %d: leave it out", what, text, i)
	}
	return C.CString(text), nil
}

// valid replaces what is not UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// cWords is cString for words that must get through: a NUL is left out.
func cWords(text string) *C.char { return C.CString(strings.ReplaceAll(text, "\x00", "")) }

func free(p *C.char) { C.free(unsafe.Pointer(p)) }

// given takes over a string that C gave away; "" for null.
func given(p *C.char) string {
	if p == nil {
		return ""
	}
	defer C.graceshut_string_free(p)
	return C.GoString(p)
}

// micros rounds up: a wait never gets shorter than asked for.
func micros(d time.Duration) C.int64_t {
	if d > 0 {
		return C.int64_t((d-1)/time.Microsecond + 1)
	}
	return C.int64_t(d / time.Microsecond)
}

// needed is micros for a time that has to be positive: 0 means "not said" to C.
func needed(d time.Duration, what string) (C.int64_t, error) {
	if d <= 0 {
		return 0, fail(ErrBadTime, "%s is %v: give a time above 0, or leave it out", what, d)
	}
	return micros(d), nil
}
