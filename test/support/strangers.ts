/**
 * A process of strangers, until it is killed: each connects and sends what is no handshake, or nothing.
 * Says `all came` when each has connected.
 *
 *     node strangers.js PORT COUNT [BYTES]
 */
import { connect } from 'node:net';

const [port, count, byteCount = 9000] = process.argv.slice(2).map(Number);
const noise = Buffer.alloc(byteCount, 'x');
let begun = 0;
let settled = 0;

function next(): void {
  if (begun === count) return;
  begun += 1;
  const socket = connect(port!, '127.0.0.1');
  const onSettled = (): void => {
    settled += 1;
    if (settled === count) process.stdout.write('all came\n');
    next();
  };
  socket.on('error', () => {}).once('connect', onSettled);
  socket.once('error', () => socket.connecting && onSettled());
  if (noise.length > 0) socket.write(noise);
  socket.resume();
}

/** Few enough that each finds room in the queue of the listener. */
for (let lane = 0; lane < 64; lane += 1) next();
