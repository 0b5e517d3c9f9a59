// Loads JSON lines into a runqy queue with go-redis: what the enqueueing guide's Go example does, pipelined.
//
// Each batch is one pipeline of HSETs and the LPUSH of their ids. See package peer for the command line.
package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"runqy-loader/benchmarks/peers/go"
)

type client struct{ rdb *redis.Client }

func main() {
	peer.Main(func(network, addr string, workers int) (peer.Client, error) {
		return client{redis.NewClient(&redis.Options{Network: network, Addr: addr, PoolSize: workers})}, nil
	})
}

func (c client) Send(ctx context.Context, queue string, payloads [][]byte) error {
	pipe := c.rdb.Pipeline()
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

func (c client) Close() { c.rdb.Close() }
