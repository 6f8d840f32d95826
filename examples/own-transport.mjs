// own-transport.mjs: a bridge and a client that use a transport of one's own.
import { connect, listen } from 'postern';
import { TransportRegistry } from 'postern/transports';
import { rotByN } from './rot-by-n.mjs';

const transports = new TransportRegistry([rotByN]);
const bridge = await listen(
  { transport: 'rot_by_N', transports, host: '127.0.0.1', port: 0, options: [['N', '13']] },
  (stream) => stream.pipe(stream),
);
const stream = await connect(bridge.bridgeLine, { transports });
stream.end('Hello through my own transport\n');
stream.pipe(process.stdout);
await bridge.close();
