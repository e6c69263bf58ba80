package graceshut

import (
	"syscall"
	"unsafe"
)

// turnAway drops every SYN from now on: who connects later is refused after the close, before it has sent anything, and who is
// in the middle of connecting still gets into the queue. Closing a listener over a queue would reset those in it. False where
// the kernel has no filter for such a socket: MPTCP, which net.Listen gives to modules of Go 1.24 and up.
func (l *listener) turnAway() (turned bool) {
	code := [4]syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_B | syscall.BPF_ABS, K: 13}, // the flags of the TCP header
		{Code: syscall.BPF_JMP | syscall.BPF_JSET | syscall.BPF_K, Jt: 0, Jf: 1, K: 0x02},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 0},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 0xffffffff},
	}
	program := syscall.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	l.raw(func(fd uintptr) {
		if !isTCP(fd) {
			return
		}
		_, _, errno := syscall.Syscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
		turned = errno == 0
	})
	return turned
}

// queued is how many connections wait to be accepted: for a listener the kernel says so in tcpi_unacked.
func queued(fd uintptr) int {
	if !isTCP(fd) {
		return 0
	}
	var info syscall.TCPInfo
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return int(info.Unacked)
}

const ipprotoMPTCP = 262

func isTCP(fd uintptr) bool {
	protocol, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PROTOCOL)
	return err == nil && (protocol == syscall.IPPROTO_TCP || protocol == ipprotoMPTCP)
}
