#!/bin/sh
# bullmq 6.7.0 (Node.js): after `npm install bullmq`, the example of its documentation does not connect.
#
# Guess: bullmq brings the Redis client that `new Queue(name, {connection: {host, port}})` needs, as its releases before 6
# did, so that a project that takes the new version goes on.
# Seen: npm installs no client, and says nothing about it. The queue ends the process with an error event that says that the
# optional package ioredis is missing. bullmq 5.81.5 brings it.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >queue.mjs <<'NODE'
import { Queue } from "bullmq";

const queue = new Queue("mail", { connection: { host: "127.0.0.1", port: 1, lazyConnect: true, retryStrategy: () => null } });
queue.on("error", (error) => {
  console.log(error.message.includes("ioredis") ? "no client" : "a client");
  process.exit();
});
NODE
for version in 5.81.5 6.7.0; do
  rm -rf node_modules package.json package-lock.json
  echo '{"type": "module"}' >package.json
  npm install --silent --no-audit --no-fund --ignore-scripts "bullmq@$version"
  said=$(node queue.mjs)
  echo "bullmq $version: $said"
  case "$version $said" in
    "5.81.5 a client" | "6.7.0 no client") ;;
    *) exit 1 ;;
  esac
done
