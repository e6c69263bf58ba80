package adaptertest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func init() { scenarios["fasthttp"] = serveFastHTTP }

// serveFastHTTP is the README's recipe.
func serveFastHTTP() {
	gs := install()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := &fasthttp.Server{}
	l, err := gs.Listener(ln, server.ShutdownWithContext)
	check(err)
	server.Handler = func(c *fasthttp.RequestCtx) {
		leave, ok := l.Enter()
		if !ok {
			c.Error("draining", 503)
			c.SetConnectionClose()
			return
		}
		defer leave()
		if string(c.Path()) == "/slow" {
			fmt.Println("slow")
			<-gs.Draining()
			time.Sleep(300 * time.Millisecond)
		}
		if l.Stopping() {
			c.SetConnectionClose()
		}
		c.WriteString("ok")
	}
	go server.Serve(l)
	fmt.Println("at", ln.Addr())
	<-gs.Draining()
	fmt.Println("draining")
	gs.Wait()
}

// RequestCtx.Error resets the answer: a refusal that does not say close keeps the client on a connection that is about to end.
func TestFastHTTPRefusesAndCloses(t *testing.T) {
	c, address := start(t, "fasthttp")
	kept, slow := connect(t, address), connect(t, address)
	if answer := kept.get(t, "/"); answer.StatusCode != 200 || answer.Close {
		t.Error(answer.Status, answer.Close)
	}
	fmt.Fprint(slow.conn, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	c.until("slow")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	c.until("draining")
	if answer := kept.get(t, "/"); answer.StatusCode != 503 || !answer.Close {
		t.Error(answer.Status, answer.Close)
	}
	if answer := slow.read(t); answer.StatusCode != 200 || !answer.Close {
		t.Error(answer.Status, answer.Close)
	}
	c.end(0, "flush", `"outcome":"clean"`)
}

type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func connect(t *testing.T, address string) client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return client{conn, bufio.NewReader(conn)}
}

func (c client) get(t *testing.T, path string) *http.Response {
	t.Helper()
	_, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	must(t, err)
	return c.read(t)
}

func (c client) read(t *testing.T) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(c.r, nil)
	must(t, err)
	_, err = c.r.Discard(int(answer.ContentLength))
	must(t, err)
	return answer
}
