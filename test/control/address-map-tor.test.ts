/** `MapAddress`, wildcards included, leads where it leads in a Tor. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { AddressMap } from '../../src/control/address-map.ts';
import { addressMapSettings } from '../../src/engine/embedded/address-map-settings.ts';
import { encodeGreeting, encodeRequest5 } from '../../src/socks/encode.ts';
import { SocksMethod } from '../../src/socks/messages.ts';
import { connectTorControl } from '../../src/tor-control/node/connect.ts';
import { seededRng } from '../support/rng.ts';
import { dial } from '../support/sockets.ts';
import { Tor, torMissing } from '../support/tor.ts';

const lines = [
  '*.example.com *.example.org',
  '*.example.org 192.0.2.7',
  '*.b.com b.com',
  '*.w.net z.net',
  'q.w.net q2.net',
  'd.com e.com',
  'e.com d.com',
  '*.d.de deep.de',
  '*.c.d.de *.deeper.de',
  // The later of two counts, whether or not it is for all names below.
  '*.s.fr t.fr',
  's.fr u.fr',
  'v.fr 192.0.2.9',
  '*.v.fr *.x.fr',
  '192.0.2.5 192.0.2.6',
  // Not used.
  'n.org',
  'n.org *.m.org',
  'n.org m.org o.org',
  '* n.org',
];
const names = [
  ...['a.example.com', 'example.com', 'x.y.example.com', 'A.Example.COM', 'notexample.com'],
  ...[
    'www.b.com',
    'b.com',
    'q.w.net',
    'p.q.w.net',
    'r.w.net',
    'w.net',
    'd.com',
    'e.com',
    'f.d.com',
  ],
  ...['deep.c.d.de', 'c.d.de', 'z.d.de', 's.fr', 't.s.fr', 'v.fr', 'w.v.fr', '192.0.2.5', 'n.org'],
];

test('MapAddress leads where it leads in a Tor', { skip: torMissing }, async (t) => {
  const torrc = lines.map((line) => `MapAddress ${line}`);
  const map = new AddressMap({ rng: seededRng('tor') });
  map.configure(...addressMapSettings(Configuration.parse(torrc.join('\n')).values));

  const tor = new Tor(t, ['SocksPort auto', 'ControlPort auto', 'Log notice stdout', ...torrc]);
  const [, controlPort] = await tor.line(/Opened Control listener.* 127\.0\.0\.1:(\d+)/);
  const [, socksPort] = await tor.line(/Opened Socks listener.* 127\.0\.0\.1:(\d+)/);
  const local = (port: string | undefined) => ({ host: '127.0.0.1', port: Number(port) });
  await using control = await connectTorControl({ endpoint: local(controlPort) });
  await control.setEvents(['STREAM']);
  for (const name of names) {
    const socket = await dial(local(socksPort));
    socket.on('error', () => {}).resume();
    const led = new Promise<string>((resolve) => {
      const stop = control.onEvent((event) => {
        if (event.type !== 'stream') return;
        // It is mapped as soon as it is there; at its end Tor says where it was to go.
        if (event.status === 'NEW') socket.destroy();
        if (event.status !== 'CLOSED') return;
        stop();
        resolve(event.host);
      });
    });
    socket.write(encodeGreeting([SocksMethod.none]));
    socket.write(encodeRequest5({ host: name, port: 80 }));
    assert.equal((await led).toLowerCase(), map.lookUp(name).toLowerCase(), name);
  }
});
