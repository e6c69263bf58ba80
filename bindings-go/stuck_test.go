package graceshut

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// stopTheWorld holds the only P in a system call that Go does not know of, on a thread that takes no signal.
func stopTheWorld() {
	runtime.LockOSThread()
	all := ^uint64(0)
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	long := syscall.Timespec{Sec: 60}
	syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&long)), 0, 0)
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS speaks HTTP/2.
func serveTLS() {
	gs := withHook()
	srv := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate()}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				say("slow came")
				time.Sleep(300 * time.Millisecond)
			}
			w.Write([]byte(r.Proto))
		}),
	}
	ln := listenLoopback()
	ready()
	answered(gs, func() error { return gs.ServeTLS(srv, ln, "", "") })
}
