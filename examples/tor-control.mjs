// tor-control.mjs: asks a running Tor for its version, changes an option, and prints what Tor does.
// Argument: the port that stands behind ControlPort.
import { connectTorControl } from 'postern/tor-control';

const port = Number(process.argv[2] ?? 9051);
const tor = await connectTorControl({ endpoint: { host: '127.0.0.1', port } });

const info = await tor.getInfo('version', 'config-file');
console.log(`Tor ${info.get('version')}`);

await tor.setConf([{ key: 'MaxCircuitDirtiness', value: '5 minutes' }]);
for (const { key, value } of await tor.getConf(['MaxCircuitDirtiness'])) {
  console.log(`${key} ${value}`);
}

const events = tor.events(); // all from here on
await tor.setEvents(['CIRC', 'STREAM', 'SIGNAL']);
await tor.signal('CLEARDNSCACHE');
for await (const event of events) {
  if (event.type === 'circuit') console.log(`circuit ${event.id} ${event.status}`);
  if (event.type === 'stream') console.log(`stream ${event.id} to ${event.host}:${event.port}`);
  if (event.type === 'signal') {
    console.log(`signal ${event.name}`);
    break; // without this, for as long as Tor runs
  }
}
await tor.close();
