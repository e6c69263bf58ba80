package main

import (
	"net"

	"github.com/valyala/fasthttp"
)

// serveFastHTTP is the README's recipe, to the letter.
func serveFastHTTP(ln net.Listener) {
	server := &fasthttp.Server{}
	handle := func(c *fasthttp.RequestCtx) { c.WriteString("ok\n") }
	if gs == nil {
		server.Handler = handle
		go server.Serve(ln)
		<-signalled().Done()
		server.Shutdown()
		return
	}
	l, err := gs.Listener(ln, server.ShutdownWithContext)
	if err != nil {
		panic(err)
	}
	server.Handler = func(c *fasthttp.RequestCtx) {
		leave, ok := l.Enter()
		if !ok {
			c.Error("draining", 503)
			c.SetConnectionClose()
			return
		}
		defer leave()
		if l.Stopping() {
			c.SetConnectionClose()
		}
		handle(c)
	}
	go server.Serve(l)
	gs.Wait()
}
