// Runs miniredis, which has no program of its own: miniredis ADDRESS.
//
// Its keys do not expire by themselves. SIGUSR1 has a minute pass for them.
package main

import (
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	passed := make(chan os.Signal, 1)
	signal.Notify(passed, syscall.SIGUSR1)
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	for range passed {
		server.FastForward(time.Minute)
	}
}
