// A client, a server and an inspector of queues, made of the asynq library alone; each answer is a line of JSON.
//
// Usage:
//
//	asynq enqueue -redis ADDRESS -queue NAME -type TYPE [options]
//	asynq serve   -redis ADDRESS -queues NAME,NAME [options]
//	asynq inspect -redis ADDRESS COMMAND [arguments]
//
// ADDRESS is host:port, or the path of a Unix socket. A refusal of asynq is a line {"error": …} and exit status 1.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// target is where Redis is.
type target struct {
	address string
	db      int
}

func (t *target) register(flags *flag.FlagSet) {
	flags.StringVar(&t.address, "redis", "127.0.0.1:6379", "host:port, path of a Unix socket, or cluster:host:port")
	flags.IntVar(&t.db, "db", 0, "database")
}

func (t *target) options() asynq.RedisConnOpt {
	if address, isCluster := strings.CutPrefix(t.address, "cluster:"); isCluster {
		return asynq.RedisClusterClientOpt{Addrs: []string{address}}
	}
	network := "tcp"
	if strings.HasPrefix(t.address, "/") {
		network = "unix"
	}
	return asynq.RedisClientOpt{Network: network, Addr: t.address, DB: t.db}
}

var output sync.Mutex

// say writes one line of JSON; handlers of several tasks call it at once.
func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	output.Lock()
	defer output.Unlock()
	if _, err := fmt.Printf("%s\n", text); err != nil {
		log.Fatal(err)
	}
}

// kind names what asynq refused, in a word.
func kind(err error) string {
	switch {
	case errors.Is(err, asynq.ErrDuplicateTask):
		return "duplicate"
	case errors.Is(err, asynq.ErrTaskIDConflict):
		return "id conflict"
	case errors.Is(err, asynq.ErrQueueNotFound):
		return "queue not found"
	case errors.Is(err, asynq.ErrTaskNotFound):
		return "task not found"
	default:
		return "other"
	}
}

// task is a TaskInfo with times as Unix seconds and durations as seconds, null where there is none.
type task struct {
	ID            string            `json:"id"`
	Queue         string            `json:"queue"`
	Type          string            `json:"type"`
	Payload       []byte            `json:"payload"`
	Headers       map[string]string `json:"headers"`
	State         string            `json:"state"`
	MaxRetry      int               `json:"max_retry"`
	Retried       int               `json:"retried"`
	LastError     string            `json:"last_error"`
	LastFailedAt  *int64            `json:"last_failed_at"`
	Timeout       float64           `json:"timeout"`
	Deadline      *int64            `json:"deadline"`
	NextProcessAt *int64            `json:"next_process_at"`
	Retention     float64           `json:"retention"`
	CompletedAt   *int64            `json:"completed_at"`
	Result        []byte            `json:"result"`
	Orphaned      bool              `json:"orphaned"`
}

func describe(info *asynq.TaskInfo) task {
	return task{
		ID:            info.ID,
		Queue:         info.Queue,
		Type:          info.Type,
		Payload:       info.Payload,
		Headers:       info.Headers,
		State:         info.State.String(),
		MaxRetry:      info.MaxRetry,
		Retried:       info.Retried,
		LastError:     info.LastErr,
		LastFailedAt:  unix(info.LastFailedAt),
		Timeout:       info.Timeout.Seconds(),
		Deadline:      unix(info.Deadline),
		NextProcessAt: unix(info.NextProcessAt),
		Retention:     info.Retention.Seconds(),
		CompletedAt:   unix(info.CompletedAt),
		Result:        info.Result,
		Orphaned:      info.IsOrphaned,
	}
}

func unix(moment time.Time) *int64 {
	if moment.IsZero() {
		return nil
	}
	seconds := moment.Unix()
	return &seconds
}

func main() {
	log.SetFlags(0)
	commands := map[string]func([]string) error{"enqueue": enqueue, "serve": serve, "inspect": inspect}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: asynq enqueue|serve|inspect -redis ADDRESS …")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		say(map[string]any{"error": map[string]string{"kind": kind(err), "message": err.Error()}})
		os.Exit(1)
	}
}
