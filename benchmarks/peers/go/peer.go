// Package peer is what the Go peers share: the command line, the reading of the file, and the goroutines that send.
//
//	PEER --addr HOST:PORT|/SOCKET --queue NAME [--batch 1000] [--workers 4] [--report FILE] PAYLOADS.jsonl
package peer

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"
)

// Client enqueues through one client library.
type Client interface {
	// Send enqueues one batch: the hashes, then their ids. It is called by several goroutines, and checks every reply.
	Send(ctx context.Context, queue string, payloads [][]byte) error
	Close()
}

// Connect makes a client with as many connections as goroutines. The network is tcp or unix.
type Connect func(network, addr string, workers int) (Client, error)

// Main loads the file that the command line names, and ends the program if that fails.
func Main(connect Connect) {
	addr := flag.String("addr", "127.0.0.1:6379", "HOST:PORT, or the path of a socket")
	queue := flag.String("queue", "inference.default", "full name of the queue")
	batch := flag.Int("batch", 1000, "tasks a pipeline")
	workers := flag.Int("workers", 4, "goroutines, and connections")
	report := flag.String("report", "", "write the seconds it took to this file, as JSON")
	flag.Parse()

	started := time.Now()
	if err := load(context.Background(), connect, flag.Arg(0), *addr, *queue, *batch, *workers); err != nil {
		log.Fatal(err)
	}
	if *report != "" {
		text := fmt.Sprintf("{\"seconds\": %f}\n", time.Since(started).Seconds())
		if err := os.WriteFile(*report, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// load reads the file into batches and sends them from several goroutines.
func load(ctx context.Context, connect Connect, path, addr, queue string, batch, workers int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	client, err := connect(network, addr, workers)
	if err != nil {
		return err
	}
	defer client.Close()

	batches := make(chan [][]byte, 2*workers)
	failures := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for payloads := range batches {
				if err := client.Send(ctx, queue, payloads); err != nil {
					failures <- err
					for range batches { // the reader must not wait for us
					}
					return
				}
			}
		}()
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	payloads := make([][]byte, 0, batch)
	for lines.Scan() {
		payloads = append(payloads, bytes.Clone(lines.Bytes()))
		if len(payloads) == batch {
			batches <- payloads
			payloads = make([][]byte, 0, batch)
		}
	}
	if len(payloads) > 0 {
		batches <- payloads
	}
	close(batches)
	group.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	return lines.Err()
}
