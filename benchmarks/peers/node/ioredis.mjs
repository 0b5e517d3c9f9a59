// Loads JSON lines into a runqy queue with ioredis: what the enqueueing guide's Node.js example does, pipelined.
//
// Each batch is one pipeline of HSETs and the LPUSH of their ids. Every reply is checked. See batches.mjs.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { load } from './batches.mjs';

function connect(addr) {
  const [host, port] = addr.split(':');
  return addr.startsWith('/') ? new Redis(addr) : new Redis(Number(port), host);
}

async function send(redis, queue, payloads) {
  const pipeline = redis.pipeline();
  const ids = [];
  for (const payload of payloads) {
    const id = randomUUID();
    ids.push(id);
    pipeline.hset(`asynq:t:${id}`, 'type', 'task', 'payload', payload, 'retry', '0', 'max_retry', '3', 'queue', queue);
  }
  pipeline.lpush(`asynq:${queue}:pending`, ids);
  for (const [error] of await pipeline.exec()) if (error) throw error;
}

await load(connect, send, (redis) => redis.quit());
