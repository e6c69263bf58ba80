// One server of the framework that is named, as its documentation shows it, with graceshut where WITH is set.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	"github.com/graceshut/graceshut/bindings-go"
	"github.com/labstack/echo/v4"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

var gs *graceshut.Runtime

func ok(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, "ok\n")
}

func chiHandler() http.Handler {
	r := chi.NewRouter()
	r.HandleFunc("/", ok)
	return r
}

func ginHandler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Any("/", func(c *gin.Context) { c.String(200, "ok\n") })
	return r
}

func echoHandler() http.Handler {
	e := echo.New()
	e.Any("/", func(c echo.Context) error { return c.String(200, "ok\n") })
	return e
}

func connectHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/case.Case/Slow", connect.NewUnaryHandler("/case.Case/Slow",
		func(context.Context, *connect.Request[emptypb.Empty]) (*connect.Response[emptypb.Empty], error) {
			return connect.NewResponse(&emptypb.Empty{}), nil
		}))
	mux.HandleFunc("/", ok)
	return mux
}

// signalled is closed by TERM where there is no graceshut.
func signalled() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	return ctx
}

func serve(ln net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler}
	if gs != nil {
		go gs.Serve(server, ln)
		gs.Wait()
	}
	go server.Serve(ln)
	<-signalled().Done()
	server.Shutdown(context.Background())
}

// serveBeside stops by itself: graceshut is installed beside it, and told nothing of the server. Requests take longer than the hooks.
func serveBeside(ln net.Listener) {
	http.HandleFunc("/", ok)
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("begun")
		time.Sleep(time.Second)
		ok(w, r)
	})
	server := &http.Server{}
	stop := signalled()
	go server.Serve(ln)
	<-stop.Done()
	server.Shutdown(context.Background())
	fmt.Println("stopped by itself")
}

func fiberApp() *fiber.App {
	return fiber.New(fiber.Config{DisableStartupMessage: true})
}

func hello(c *fiber.Ctx) error { return c.SendString("ok\n") }

func serveFiber(ln net.Listener) {
	app := fiberApp()
	if gs != nil {
		fiberWith(app, ln)
	}
	app.All("/", hello)
	go app.Listener(ln)
	<-signalled().Done()
	app.Shutdown()
}

// fiberWith is the recipe "my server has no adapter": fiber is not built on net/http.
func fiberWith(app *fiber.App, ln net.Listener) {
	l, err := gs.Listener(ln, app.ShutdownWithContext)
	if err != nil {
		panic(err)
	}
	app.Use(func(c *fiber.Ctx) error {
		leave, ok := l.Enter()
		if !ok {
			c.Set("Connection", "close")
			return c.Status(503).SendString("draining\n")
		}
		defer leave()
		if l.Stopping() {
			c.Set("Connection", "close")
		}
		return c.Next()
	})
	app.All("/", hello)
	go app.Listener(l)
	gs.Wait()
}

func serveGRPC(ln net.Listener) {
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		time.Sleep(time.Second)
		return stream.SendMsg(&emptypb.Empty{})
	}))
	fmt.Println("ready")
	if gs != nil {
		gs.GRPC(server)
		go server.Serve(ln)
		gs.Wait()
	}
	go server.Serve(ln)
	<-signalled().Done()
	server.GracefulStop()
}

func main() {
	if os.Getenv("WITH") != "" {
		var err error
		if gs, err = graceshut.Install(graceshut.Grace(8 * time.Second)); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		gs.Hook(graceshut.Flush, "flush", func(graceshut.Context) error { fmt.Println("hook flush"); return nil })
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Println(errors.Join(errors.New("listen"), err))
		os.Exit(2)
	}
	switch os.Args[1] {
	case "chi":
		serve(ln, chiHandler())
	case "gin":
		serve(ln, ginHandler())
	case "echo":
		serve(ln, echoHandler())
	case "connect":
		serve(ln, connectHandler())
	case "fiber":
		serveFiber(ln)
	case "fasthttp":
		serveFastHTTP(ln)
	case "notify":
		serveBeside(ln)
	case "grpc":
		serveGRPC(ln)
	}
}
