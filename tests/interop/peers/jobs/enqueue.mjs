// Enqueues jobs with the real library of another system. Usage: node enqueue.mjs SYSTEM URL QUEUE
// It prints the ids as a JSON array; see enqueue.py.
import BeeQueue from "bee-queue";
import { FlowProducer, Queue } from "bullmq";

const HOUR = 3_600_000;
const [, , system, url, name] = process.argv;
const { hostname: host, port } = new URL(url);

async function bullmq() {
  const connection = { host, port: Number(port) };
  const queue = new Queue(name, { connection });
  const made = [
    await queue.add("send", { to: "ä", n: 1.1 }),
    await queue.add("send", { n: 2 }, { attempts: 5, backoff: 1000 }),
    await queue.add("send", { n: 3 }, { priority: 7, jobId: "own" }),
    await queue.add("send", { n: 4 }, { delay: HOUR }),
    await queue.add("send", { n: 5 }, { lifo: true }),
  ];
  const flows = new FlowProducer({ connection });
  await flows.add({ name: "parent", queueName: name, children: [{ name: "child", queueName: "another" }] });
  await flows.close();
  await queue.close();
  return made.map((job) => job.id);
}

async function beeQueue() {
  const redis = { host, port: Number(port) };
  const queue = new BeeQueue(name, { redis, isWorker: false, getEvents: false, sendEvents: false });
  const made = [
    await queue.createJob({ to: "ä", n: 1.1 }).save(),
    await queue.createJob({ n: 2 }).retries(4).timeout(77_000).backoff("fixed", 1000).save(),
    await queue.createJob({ n: 4 }).delayUntil(Date.now() + HOUR).save(),
  ];
  await queue.close();
  return made.map((job) => job.id);
}

console.log(JSON.stringify(await { bullmq, "bee-queue": beeQueue }[system]()));
