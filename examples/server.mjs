// server.mjs: a bridge that sends everything back. It prints the line that its clients need.
import { listen } from 'postern';

const bridge = await listen(
  { transport: 'obfs4', host: '127.0.0.1', port: 0, stateDir: './bridge-state' },
  (stream) => stream.pipe(stream),
);
console.log(bridge.bridgeLine);
