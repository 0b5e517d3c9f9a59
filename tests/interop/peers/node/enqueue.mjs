// Enqueues the way the guide's Node.js example does. Usage: enqueue.mjs URL QUEUE MAX_RETRY < lines of ID<tab>PAYLOAD
import Redis from "ioredis";
import { createInterface } from "node:readline";

const [url, queue, maxRetry] = process.argv.slice(2);
const redis = new Redis(url);

async function enqueueTask(taskId, payload) {
  await redis.hset(`asynq:t:${taskId}`, {
    type: "task",
    payload: JSON.stringify(payload),
    retry: "0",
    max_retry: String(maxRetry),
    queue: queue,
  });
  await redis.lpush(`asynq:${queue}:pending`, taskId);
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const tab = line.indexOf("\t");
  await enqueueTask(line.slice(0, tab), JSON.parse(line.slice(tab + 1)));
}
await redis.quit();
