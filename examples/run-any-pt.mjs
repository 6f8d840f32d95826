// run-any-pt.mjs: runs somebody's transport program and connects through it.
// Arguments: a bridge line, and the program with its own arguments.
import { once } from 'node:events';
import { createPtDialer, launch } from 'postern/parent';
import { parseBridgeLine } from 'postern/pt';

const [bridgeLine = '', program = '', ...args] = process.argv.slice(2);
const { transport = '', endpoint, args: bridgeArgs } = parseBridgeLine(bridgeLine);

const child = await launch({
  command: [program, ...args],
  configuration: {
    role: 'client',
    transports: [transport],
    stateLocation: `${process.cwd()}/pt-state`,
    outboundBind: {},
  },
  onEvent(event) {
    if (event.type === 'line') console.error(`it says: ${event.line}`);
  },
});
const method = child.methods.get(transport);
if (method === undefined) throw new Error(`${program} does not offer ${transport}`);

const stream = await createPtDialer(method, bridgeArgs)(endpoint);
stream.end('Hello through another program\n');
stream.pipe(process.stdout);
await once(stream, 'close');
await child.close();
