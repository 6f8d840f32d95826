/** A process with few file descriptors: what it accepts is bounded by them, and what it serves goes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect } from '../../src/index.ts';
import { limits } from '../../src/limits.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { serverEnv, temporaryDirectory } from '../support/managed.ts';
import { ParentedChild } from '../support/parented-child.ts';
import { postern } from '../support/pt-programs.ts';
import { dial, echo, listen, readBytes } from '../support/sockets.ts';

test(
  'strangers get no more than half of the descriptors, whoever serves is told what to raise, and who proves itself is served',
  { skip: process.platform !== 'linux' && 'only Linux tells the limit' },
  async (t) => {
    const descriptors = 128;
    const room = (descriptors - limits.descriptorReserve) / 2;
    const app = await listen(t, echo);
    const limited = ['/bin/sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh'];
    const child = await ParentedChild.start(
      t,
      [...limited, ...postern.command],
      serverEnv(temporaryDirectory(t), {
        TOR_PT_SERVER_TRANSPORTS: 'obfs3',
        TOR_PT_SERVER_BINDADDR: 'obfs3-127.0.0.1:0',
        TOR_PT_ORPORT: app.text,
      }),
    );
    const [, address] = await child.match(/^SMETHOD obfs3 (\S+)/m);
    const endpoint = parseIpEndpoint(address!)!;
    const served = await connect(`obfs3 ${address}`);
    t.after(() => void served.destroy());
    served.write('x');
    await readBytes(served, 1);

    const strangers = await Promise.all(
      Array.from({ length: 2 * room }, async () => {
        const stranger = await dial(endpoint);
        t.after(() => void stranger.destroy());
        return stranger.on('error', () => {}).resume();
      }),
    );
    // The oldest, all but those that there was room for beside the one that is served.
    let turnedAway = 0;
    const enough = new Promise<void>((resolve) => {
      const count = (): void => {
        turnedAway += 1;
        if (turnedAway === room + 1) resolve();
      };
      for (const stranger of strangers) void firstOf(stranger).then(count);
    });
    await enough;
    await child.match(/SEVERITY=warning MESSAGE="\d+ of 128 file descriptors .*LimitNOFILE=/);
    served.write('y');
    assert.equal((await readBytes(served, 1)).toString(), 'y');

    // All places are taken by strangers, and whoever comes now is served all the same.
    const admitted = strangers.filter((stranger) => !stranger.readableEnded && !stranger.destroyed);
    assert.equal(admitted.length, room - 1);
    for (let count = 0; count < 3; count += 1) {
      const next = await connect(`obfs3 ${address}`);
      next.write('z');
      assert.equal((await readBytes(next, 1)).toString(), 'z');
      next.destroy();
    }
  },
);

test(
  'four fifths in use are told before anyone is turned away',
  { skip: process.platform !== 'linux' && 'only Linux tells the limit' },
  async (t) => {
    const app = await listen(t, echo);
    const limited = ['/bin/sh', '-c', 'ulimit -n 256 && exec "$@"', 'sh'];
    const child = await ParentedChild.start(
      t,
      [...limited, ...postern.command],
      serverEnv(temporaryDirectory(t), {
        TOR_PT_SERVER_TRANSPORTS: 'obfs3',
        TOR_PT_SERVER_BINDADDR: 'obfs3-127.0.0.1:0',
        TOR_PT_ORPORT: app.text,
      }),
    );
    const [, address] = await child.match(/^SMETHOD obfs3 (\S+)/m);
    // There is room for 96, and each has a connection onward.
    for (let count = 0; count < 95; count += 1) {
      const stream = await connect(`obfs3 ${address}`);
      t.after(() => void stream.destroy());
    }
    await child.match(
      /SEVERITY=warning MESSAGE="\d+ of 256 file descriptors .* 95 of the 96 connections/,
    );
  },
);

/** Resolves at the first sign that the other side has closed. */
function firstOf(stream: Duplex): Promise<unknown> {
  return Promise.race([once(stream, 'end'), once(stream, 'close')]);
}
