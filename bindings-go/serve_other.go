//go:build !linux

package graceshut

// Without a filter and a look into the queue, only time tells that nobody comes any more.
func (l *listener) turnAway() bool { return false }

func queued(uintptr) int { return 0 }
