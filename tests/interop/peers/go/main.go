// Enqueues the way the guide's Go example does. Usage: enqueue URL QUEUE MAX_RETRY < lines of ID<tab>PAYLOAD
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

func enqueueTask(ctx context.Context, rdb *redis.Client, taskID, queue string, payload map[string]any, maxRetry int) error {
	payloadJSON, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	err = rdb.HSet(ctx, fmt.Sprintf("asynq:t:%s", taskID), map[string]any{
		"type":      "task",
		"payload":   string(payloadJSON),
		"retry":     "0",
		"max_retry": fmt.Sprintf("%d", maxRetry),
		"queue":     queue,
	}).Err()
	if err != nil {
		return err
	}
	return rdb.LPush(ctx, fmt.Sprintf("asynq:%s:pending", queue), taskID).Err()
}

func run(url, queue, maxRetry string) error {
	ctx := context.Background()
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	retries, err := strconv.Atoi(maxRetry)
	if err != nil {
		return err
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		taskID, text, _ := strings.Cut(lines.Text(), "\t")
		var payload map[string]any
		if err := json.Unmarshal([]byte(text), &payload); err != nil {
			return err
		}
		if err := enqueueTask(ctx, rdb, taskID, queue, payload, retries); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}
