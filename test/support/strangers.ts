/**
 * A process of strangers, until it is killed: each connects and sends what is no handshake, or nothing.
 * Says `all came` when each has connected.
 *
 *     node strangers.js PORT|PATH COUNT [BYTES]
 */
import { connect } from 'node:net';

const [where, ...numbers] = process.argv.slice(2);
const [count, byteCount = 9000] = numbers.map(Number);
const listener = /^\d+$/.test(where!)
  ? { port: Number(where), host: '127.0.0.1' }
  : { path: where! };
const noise = Buffer.alloc(byteCount, 'x');
let begun = 0;
let settled = 0;

function next(): void {
  if (begun === count) return;
  begun += 1;
  const socket = connect(listener);
  let isSettled = false;
  const settle = (): void => {
    if (isSettled) return;
    isSettled = true;
    settled += 1;
    if (settled === count) process.stdout.write('all came\n');
    next();
  };
  // Whoever is refused has come as well.
  socket.on('error', settle).once('connect', settle);
  if (noise.length > 0) socket.write(noise);
  socket.resume();
}

/** Few enough that each finds room in the queue of the listener. */
for (let lane = 0; lane < 64; lane += 1) next();
