// own-transport.mjs: a bridge and a client that use a transport of one's own.
import { connect, listen } from 'postern';
import { builtinTransports } from 'postern/transports';
import { rotByN } from './rot-by-n.mjs';

// Once it is registered it is a transport like any other.
builtinTransports.register(rotByN);
const bridge = await listen(
  { transport: 'rot_by_N', host: '127.0.0.1', port: 0, stateDir: '.', options: [['N', '13']] },
  (stream) => stream.pipe(stream),
);
const stream = await connect(bridge.bridgeLine);
stream.end('Hello through my own transport\n');
stream.pipe(process.stdout);
await bridge.close();
