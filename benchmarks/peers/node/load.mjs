// Loads JSON lines into a runqy queue with ioredis: what the enqueueing guide's Node.js example does, pipelined.
//
//   node load.mjs --addr HOST:PORT|/SOCKET --queue NAME [--batch 1000] [--workers 4] [--report FILE] PAYLOADS.jsonl
//
// Each batch is one pipeline of HSETs and the LPUSH of their ids. Every reply is checked.
import { randomUUID } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    addr: { type: 'string', default: '127.0.0.1:6379' },
    queue: { type: 'string', default: 'inference.default' },
    batch: { type: 'string', default: '1000' },
    workers: { type: 'string', default: '4' },
    report: { type: 'string' },
  },
});

/** Yields arrays of at most `size` lines. */
async function* batches(path, size) {
  let lines = [];
  let tail = '';
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const found = (tail + chunk).split('\n');
    tail = found.pop();
    lines.push(...found);
    let start = 0;
    for (; lines.length - start >= size; start += size) yield lines.slice(start, start + size);
    lines = lines.slice(start);
  }
  if (tail) lines.push(tail);
  if (lines.length) yield lines;
}

/** Enqueues one batch: the hashes, then their ids. */
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

const [host, port] = options.addr.split(':');
const connect = () => (options.addr.startsWith('/') ? new Redis(options.addr) : new Redis(Number(port), host));

const started = performance.now();
const source = batches(positionals[0], Number(options.batch));
await Promise.all(
  Array.from({ length: Number(options.workers) }, async () => {
    const redis = connect();
    for (let next = await source.next(); !next.done; next = await source.next()) {
      await send(redis, options.queue, next.value);
    }
    await redis.quit();
  }),
);
const seconds = (performance.now() - started) / 1000;
if (options.report) writeFileSync(options.report, `${JSON.stringify({ seconds })}\n`);
