// Loads JSON lines into a runqy queue with Valkey GLIDE.
//
// Each batch is one non-atomic Batch of HSETs and the LPUSH of their ids. Every reply is checked. See batches.mjs.
import { randomUUID } from 'node:crypto';
import { Batch, GlideClient } from '@valkey/valkey-glide';
import { load } from './batches.mjs';

const TIMEOUT_MS = 60_000; // the default of 250 ms is for single commands, not for batches on a busy machine

function connect(addr) {
  const [host, port] = addr.split(':'); // version 2.5.2 for Node.js has no Unix sockets
  return GlideClient.createClient({ addresses: [{ host, port: Number(port) }], requestTimeout: TIMEOUT_MS });
}

async function send(client, queue, payloads) {
  const batch = new Batch(false);
  const ids = [];
  for (const payload of payloads) {
    const id = randomUUID();
    ids.push(id);
    batch.hset(`asynq:t:${id}`, { type: 'task', payload, retry: '0', max_retry: '3', queue });
  }
  batch.lpush(`asynq:${queue}:pending`, ids);
  await client.exec(batch, true); // true: the first error of any command is thrown
}

await load(connect, send, (client) => client.close());
