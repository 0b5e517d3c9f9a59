// Tasks as the guide writes them, one a request: HSET, then LPUSH, at a constant arrival rate.
import redis from 'k6/x/redis';
import exec from 'k6/execution';

const client = new redis.Client(__ENV.REDIS_URL);
const payload = JSON.stringify({ id: 1, prompt: 'x'.repeat(80) });
const vus = Number(__ENV.VUS);

export const options = {
  scenarios: {
    enqueue: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: vus,
      maxVUs: vus,
    },
  },
  summaryTrendStats: ['count', 'med', 'p(99)', 'p(99.9)', 'max'],
};

export default async function () {
  const id = `k6-${exec.scenario.iterationInTest}`;
  const fields = ['type', 'task', 'payload', payload, 'retry', 0, 'max_retry', 3, 'queue', 'load.default'];
  await client.sendCommand('HSET', `asynq:t:${id}`, ...fields);
  await client.lpush('asynq:load.default:pending', id);
}

export function handleSummary(data) {
  return { stdout: JSON.stringify(data.metrics) };
}
