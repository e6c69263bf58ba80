// Package adaptertest tests the adapters of the Go module against the real things: it alone needs them.
package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestMain(m *testing.M) {
	if name := os.Getenv("GO_TEST_CHILD"); name != "" {
		time.AfterFunc(30*time.Second, func() { os.Exit(97) })
		scenarios[name]()
		select {}
	}
	os.Exit(m.Run())
}

func check(err error) {
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(99)
	}
}

func install() *graceshut.Runtime {
	gs, err := graceshut.Install(graceshut.Grace(4*time.Second), graceshut.Report("stderr:json"))
	check(err)
	_, err = gs.Hook(graceshut.Flush, "b", func(graceshut.Context) error { fmt.Println("flush"); return nil })
	check(err)
	return gs
}

// health is a service that takes its time.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	takes time.Duration
}

func (h health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	fmt.Println("called")
	select {
	case <-time.After(h.takes):
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
	case <-ctx.Done():
		fmt.Println("call ended:", ctx.Err())
		return nil, ctx.Err()
	}
}

func serveGRPC(takes time.Duration) {
	gs := install()
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health{takes: takes})
	_, err := gs.GRPC(server)
	check(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("at", ln.Addr())
	go func() { fmt.Println("served", server.Serve(ln)) }()
	gs.Wait()
}

func group(f func(ctx context.Context) error) {
	gs := install()
	outer, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(outer)
	g.Go(func() error { return f(ctx) })
	_, err := gs.ErrGroup(graceshut.Drain, "consumers", g, cancel)
	check(err)
	fmt.Println("at work")
	gs.Wait()
}

var scenarios = map[string]func(){
	"grpc":       func() { serveGRPC(400 * time.Millisecond) },
	"grpc stuck": func() { serveGRPC(time.Minute) },
	"group": func() {
		group(func(ctx context.Context) error { <-ctx.Done(); fmt.Println("consumer told"); return ctx.Err() })
	},
	"group stuck": func() { group(func(context.Context) error { time.Sleep(time.Minute); return nil }) },
	"group fails late": func() {
		group(func(ctx context.Context) error { <-ctx.Done(); return errors.New("offsets lost") })
	},
	"group fails": func() {
		group(func(context.Context) error { time.Sleep(300 * time.Millisecond); return errors.New("broker gone") })
	},
}

type child struct {
	t   *testing.T
	cmd *exec.Cmd
	out *strings.Builder
	r   *os.File
}

func start(t *testing.T, name string) (*child, string) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	c := &child{t: t, cmd: exec.Command(os.Args[0]), out: &strings.Builder{}, r: r}
	c.cmd.Env = append(os.Environ(), "GO_TEST_CHILD="+name)
	c.cmd.Stdout, c.cmd.Stderr = w, w
	must(t, c.cmd.Start())
	w.Close()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c, strings.TrimPrefix(c.until("at "), "at ")
}

// until reads until a line begins like this.
func (c *child) until(prefix string) string {
	c.t.Helper()
	var line strings.Builder
	b := make([]byte, 1)
	for {
		if _, err := c.r.Read(b); err != nil {
			c.t.Fatalf("%q never came: %s", prefix, c.out)
		}
		c.out.Write(b)
		if b[0] != '\n' {
			line.Write(b)
			continue
		}
		if strings.HasPrefix(line.String(), prefix) {
			return line.String()
		}
		line.Reset()
	}
}

func (c *child) end(code int, words ...string) {
	c.t.Helper()
	b := make([]byte, 1<<16)
	for {
		n, err := c.r.Read(b)
		c.out.Write(b[:n])
		if err != nil {
			break
		}
	}
	_ = c.cmd.Wait()
	for _, w := range words {
		if !strings.Contains(c.out.String(), w) {
			c.t.Errorf("no %q", w)
		}
	}
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("left with %d, not %d", got, code)
	}
	if c.t.Failed() {
		c.t.Log(c.out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, address string) grpc_health_v1.HealthClient {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func TestGRPCFinishesCallsInFlight(t *testing.T) {
	c, address := start(t, "grpc")
	answered := make(chan error, 1)
	go func() {
		_, err := dial(t, address).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
		answered <- err
	}()
	c.until("called")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	if err := <-answered; err != nil {
		t.Error(err)
	}
	c.end(0, "served <nil>", "flush", `"outcome":"clean"`)
}

func TestGRPCIsStoppedAtTheSoftDeadline(t *testing.T) {
	c, address := start(t, "grpc stuck")
	answered := make(chan error, 1)
	go func() {
		_, err := dial(t, address).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
		answered <- err
	}()
	c.until("called")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	if err := <-answered; err == nil {
		t.Error("answered")
	}
	c.end(1, "call ended: context canceled", "flush", `"outcome":"degraded"`)
}

func TestErrGroup(t *testing.T) {
	c, _ := start(t, "group")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	c.end(0, "consumer told", "flush", `"outcome":"clean"`)

	c, _ = start(t, "group stuck")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	c.end(1, "flush", `"outcome":"degraded"`)

	c, _ = start(t, "group fails late")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	c.end(1, "offsets lost", "flush", `"outcome":"degraded"`)

	// A group that fails by itself is a trigger.
	c, _ = start(t, "group fails")
	c.end(1, "consumers: broker gone", "flush", `"kind":"stop"`)
}
