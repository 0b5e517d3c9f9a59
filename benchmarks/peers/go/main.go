// Loads JSON lines into a runqy queue with go-redis: what the enqueueing guide's Go example does, pipelined.
//
//	load --addr HOST:PORT|/SOCKET --queue NAME [--batch 1000] [--workers 4] [--report FILE] PAYLOADS.jsonl
//
// Each batch is one pipeline of HSETs and the LPUSH of their ids. Every reply is checked.
package main

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

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:6379", "HOST:PORT, or the path of a socket")
	queue := flag.String("queue", "inference.default", "full name of the queue")
	batch := flag.Int("batch", 1000, "tasks a pipeline")
	workers := flag.Int("workers", 4, "goroutines, each with a connection")
	report := flag.String("report", "", "write the seconds it took to this file, as JSON")
	flag.Parse()

	started := time.Now()
	if err := load(context.Background(), flag.Arg(0), *addr, *queue, *batch, *workers); err != nil {
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
func load(ctx context.Context, path, addr, queue string, batch, workers int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	rdb := redis.NewClient(&redis.Options{Network: network, Addr: addr, PoolSize: workers})
	defer rdb.Close()

	batches := make(chan [][]byte, 2*workers)
	failures := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for payloads := range batches {
				if err := send(ctx, rdb, queue, payloads); err != nil {
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

// send enqueues one batch: the hashes, then their ids.
func send(ctx context.Context, rdb *redis.Client, queue string, payloads [][]byte) error {
	pipe := rdb.Pipeline()
	ids := make([]any, len(payloads))
	for i, payload := range payloads {
		id := uuid.NewString()
		ids[i] = id
		pipe.HSet(ctx, "asynq:t:"+id,
			"type", "task", "payload", payload, "retry", "0", "max_retry", "3", "queue", queue)
	}
	pipe.LPush(ctx, "asynq:"+queue+":pending", ids...)
	_, err := pipe.Exec(ctx) // the first error of any command
	return err
}
