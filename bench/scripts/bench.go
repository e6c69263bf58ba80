// The Go programs of the bench: bench inflight N | leave graceshut|bare | stuck graceshut|own PID.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/graceshut/graceshut/bindings-go"
)

func main() {
	switch os.Args[1] {
	case "inflight":
		inflight(number(os.Args[2]))
	case "leave":
		leave(os.Args[2] == "graceshut")
	case "stuck":
		stuck(os.Args[2] == "graceshut", number(os.Args[3]))
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func install() *graceshut.Runtime {
	gs, err := graceshut.Install(graceshut.Grace(10 * time.Second))
	check(err)
	return gs
}

const units = 1_000_000

// timed answers nanoseconds a unit, all goroutines together.
func timed(goroutines int, unit func(i int)) float64 {
	var all sync.WaitGroup
	begin := time.Now()
	for g := range goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			unit(g)
		}()
	}
	all.Wait()
	return float64(time.Since(begin).Nanoseconds()) / units / float64(goroutines)
}

// cell is a counter with cache lines of its own.
type cell struct {
	entered, left uint32
	_             [120]byte
}

// inflight: enter and leave, two atomic additions that nobody contends, and a WaitGroup that everybody shares.
func inflight(goroutines int) {
	gs, err := graceshut.Install(graceshut.Exit(graceshut.ExitManual), graceshut.Report("none"))
	check(err)
	group, err := gs.Group("")
	check(err)
	cells := make([]cell, goroutines+1)
	var wait sync.WaitGroup
	rounds := map[string][]float64{}
	for range 9 {
		rounds["ours"] = append(rounds["ours"], timed(goroutines, func(int) {
			for range units {
				if work, ok := group.Enter(); ok {
					work.Leave()
				}
			}
		}))
		rounds["peer"] = append(rounds["peer"], timed(goroutines, func(i int) {
			c := &cells[i]
			for range units {
				atomic.AddUint32(&c.entered, 1)
				atomic.AddUint32(&c.left, 1)
			}
		}))
		rounds["wait_group"] = append(rounds["wait_group"], timed(goroutines, func(int) {
			for range units {
				wait.Add(1)
				wait.Done()
			}
		}))
	}
	check(json.NewEncoder(os.Stdout).Encode(rounds))
}

func micros() float64 { return float64(time.Now().UnixNano()) / 1000 }

// leave prints the wall time at its last act.
func leave(ours bool) {
	if ours {
		gs := install()
		_, err := gs.Hook(graceshut.Final, "stamp", func(graceshut.Context) error {
			fmt.Printf("last %f\n", micros())
			return nil
		})
		check(err)
		fmt.Println("ready")
		gs.Wait()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("ready")
	<-stop
	fmt.Printf("last %f\n", micros())
	os.Exit(0)
}

// stuck has one P, and a goroutine that keeps it busy for 2 s.
func stuck(ours bool, pid int) {
	runtime.GOMAXPROCS(1)
	if ours {
		_, err := install().Declare(map[string]any{"phase": "drain", "name": "back", "signal": map[string]any{"pid": pid, "signal": "USR1"}})
		check(err)
	} else {
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGTERM)
		go func() {
			<-heard
			fmt.Println("handled", micros())
		}()
		runtime.Gosched() // until it waits
	}
	fmt.Println("ready")
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); {
	}
	if ours {
		_, _ = graceshut.Current().Wait()
	}
	select {}
}
