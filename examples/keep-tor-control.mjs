// keep-tor-control.mjs: follows a Tor, also through its restarts, until Ctrl-C.
// Argument: the port that stands behind ControlPort.
import { keepTorControl, parseBootstrapPhase } from 'postern/tor-control';

const tor = keepTorControl({
  endpoint: { host: '127.0.0.1', port: Number(process.argv[2] ?? 9051) },
  events: ['STATUS_CLIENT', 'STREAM'],
  // On each new connection, before it is told of: what a Tor forgets when it restarts.
  prepare: async (control) => {
    const info = await control.getInfo('status/bootstrap-phase');
    const phase = parseBootstrapPhase(info.get('status/bootstrap-phase') ?? '');
    console.log(`bootstrap: ${phase?.progress} %`);
  },
});

for await (const event of tor.events()) {
  if (event.type === 'connected') console.log('connected');
  if (event.type === 'disconnected') {
    console.log(`disconnected, trying again in ${event.retryMs} ms`);
  }
  if (event.type === 'bootstrap') console.log(`bootstrap: ${event.progress} %, ${event.summary}`);
  if (event.type === 'stream') console.log(`stream ${event.id} ${event.status}`);
  if (event.type === 'lost') console.log(`${event.count} events missed: this was too slow`);
}
