// What the Node.js peers share: the command line, the reading of the file, and the workers that send.
//
//   node PEER.mjs --addr HOST:PORT|/SOCKET --queue NAME [--batch 1000] [--workers 4] [--report FILE] PAYLOADS.jsonl
import { createReadStream, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

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

/**
 * Loads the file that the command line names.
 *
 * @param connect makes a worker's client, given the address.
 * @param send enqueues one batch, given a client, the queue and the payloads: the hashes, then their ids.
 * @param close closes a client.
 */
export async function load(connect, send, close) {
  const started = performance.now();
  const source = batches(positionals[0], Number(options.batch));
  await Promise.all(
    Array.from({ length: Number(options.workers) }, async () => {
      const client = await connect(options.addr);
      for (let next = await source.next(); !next.done; next = await source.next()) {
        await send(client, options.queue, next.value);
      }
      await close(client);
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  if (options.report) writeFileSync(options.report, `${JSON.stringify({ seconds })}\n`);
}
