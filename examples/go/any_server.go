// A server that graceshut has no adapter for: lines over TCP, each answered in capitals.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	graceshut "github.com/graceshut/graceshut/bindings-go"
)

func main() {
	gs, err := graceshut.Install()
	check(err)
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	check(err)
	l, err := gs.Listener(ln, nil) // nil: stopping this server is closing its listener
	check(err)
	fmt.Println("at", ln.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(l, c)
		}
	}()
	gs.Wait()
}

func serve(l *graceshut.Listener, c net.Conn) {
	defer c.Close()
	for lines := bufio.NewScanner(c); lines.Scan(); {
		leave, ok := l.Enter()
		if !ok {
			fmt.Fprintln(c, "BYE") // not taken: ask another instance
			return
		}
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintln(c, strings.ToUpper(lines.Text()))
		leave()
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
