package adaptertest

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func init() {
	scenarios["websocket"] = func() { serveWebSocket(true) }
	scenarios["websocket untold"] = func() { serveWebSocket(false) }
}

// serveWebSocket is the README's recipe.
func serveWebSocket(tells bool) {
	gs := install()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	upgrader := websocket.Upgrader{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		check(err)
		defer c.Close()
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-gs.Draining():
				if !tells {
					return
				}
				bye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "draining")
				c.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
				c.SetReadDeadline(time.Now().Add(time.Second))
			case <-ended:
			}
		}()
		for {
			kind, message, err := c.ReadMessage()
			if err != nil {
				return
			}
			check(c.WriteMessage(kind, message))
		}
	}
	fmt.Println("at", ln.Addr())
	go gs.Serve(&http.Server{Handler: http.HandlerFunc(handler)}, ln)
	gs.Wait()
}

func TestWebSocketsThatAreToldEndInOrder(t *testing.T) {
	for _, is := range []struct {
		scenario string
		silent   bool // the client never answers the close
		code     int
		outcome  string
		closed   int
	}{
		{"websocket", false, 0, "clean", websocket.CloseGoingAway},
		{"websocket", true, 0, "clean", 0},
		{"websocket untold", false, 1, "degraded", websocket.CloseAbnormalClosure},
	} {
		t.Run(fmt.Sprint(is.scenario, ", silent ", is.silent), func(t *testing.T) {
			c, address := start(t, is.scenario)
			ws, _, err := websocket.DefaultDialer.Dial("ws://"+address, nil)
			must(t, err)
			defer ws.Close()
			must(t, ws.SetReadDeadline(time.Now().Add(10*time.Second)))
			must(t, ws.WriteMessage(websocket.TextMessage, []byte("hello")))
			_, _, err = ws.ReadMessage()
			must(t, err)
			must(t, c.cmd.Process.Signal(syscall.SIGTERM))
			if !is.silent {
				if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, is.closed) {
					t.Error(err)
				}
			}
			c.end(is.code, "flush", `"outcome":"`+is.outcome+`"`)
		})
	}
}
