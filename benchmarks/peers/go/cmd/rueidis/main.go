// Loads JSON lines into a runqy queue with rueidis: a DoMulti a batch.
//
// Each batch is one DoMulti of HSETs and the LPUSH of their ids. See package peer for the command line.
package main

import (
	"context"
	"crypto/tls"
	"math/bits"
	"net"

	"github.com/google/uuid"
	"github.com/redis/rueidis"
	"runqy-loader/benchmarks/peers/go"
)

type client struct{ rueidis.Client }

func main() { peer.Main(connect) }

func connect(network, addr string, workers int) (peer.Client, error) {
	multiplex := bits.Len(uint(workers - 1)) // 2^n connections: as many as goroutines, or more
	if multiplex == 0 {
		multiplex = -1 // one connection; 0 would be the default: no more than there are processors
	}
	made, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress:       []string{addr},
		ForceSingleClient: true, // the server is known to be a single one, so it is not asked
		DisableCache:      true, // nothing is read, so the server need not track keys
		PipelineMultiplex: min(multiplex, rueidis.MaxPipelineMultiplex),
		DialCtxFn: func(ctx context.Context, addr string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
	})
	return client{made}, err
}

func (c client) Send(ctx context.Context, queue string, payloads [][]byte) error {
	commands := make(rueidis.Commands, 0, len(payloads)+1)
	ids := make([]string, len(payloads))
	for i, payload := range payloads {
		id := uuid.NewString()
		ids[i] = id
		commands = append(commands, c.B().Hset().Key("asynq:t:"+id).FieldValue().
			FieldValue("type", "task").FieldValue("payload", rueidis.BinaryString(payload)).
			FieldValue("retry", "0").FieldValue("max_retry", "3").FieldValue("queue", queue).Build())
	}
	commands = append(commands, c.B().Lpush().Key("asynq:"+queue+":pending").Element(ids...).Build())
	for _, result := range c.DoMulti(ctx, commands...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}
