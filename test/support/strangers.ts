/**
 * A process of strangers, until it is killed: each connects and sends what is no handshake.
 *
 *     node strangers.js PORT COUNT
 */
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number);
const noise = Buffer.alloc(9000, 'x');
for (let number = 0; number < count!; number += 1) {
  connect(port!, '127.0.0.1')
    .on('error', () => {})
    .write(noise);
}
