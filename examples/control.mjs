// control.mjs: changes an option of a daemon, reads it back, and prints what the daemon does.
// Argument: the port that stands behind ControlPort.
import { connectControl } from 'postern/control';

const port = Number(process.argv[2] ?? 9051);
const control = await connectControl({ host: '127.0.0.1', port });

await control.setConf([{ key: 'BandwidthRate', value: '1 MB' }]);
for (const { key, value } of await control.getConf(['BandwidthRate', 'Nickname'])) {
  console.log(`${key} ${value}`);
}

await control.setEvents(['log', 'circuit', 'stream']);
await control.sendSignal('dump');
for await (const event of control.events()) {
  if (event.type === 'log') console.log(event.message);
  break; // without this, for as long as the daemon runs
}
await control.close();
