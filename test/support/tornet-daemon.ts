/** `postern run` with `Engine tor` as a client of the network, in a directory that holds all that it writes. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ControlEvent } from '../../src/control/messages.ts';
import { connectControl, type ControlClient } from '../../src/control/node/client.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { DaemonProcess } from './daemon-process.ts';
import type { ProcessEnd } from './logged-process.ts';
import { temporaryDirectory } from './managed.ts';
import { processesOf, processGone } from './processes.ts';
import { closedPort, socksConnect } from './sockets.ts';
import type { TorNetwork } from './tornet.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** A line of the torrc that is nobody's option, and must be there after SAVECONF as well. */
export const COMMENT = '# a way to a network of our own';

/** A daemon, as its user and its controllers see it. */
export class NetworkDaemon {
  readonly process: DaemonProcess;
  readonly #directory: string;
  readonly #socks: Endpoint;

  private constructor(directory: string, socks: Endpoint, process: DaemonProcess) {
    this.#directory = directory;
    this.#socks = socks;
    this.process = process;
  }

  /** Starts one, whose transport is `builtin`, until the test has ended. */
  static async start(t: Cleanup, network: TorNetwork): Promise<NetworkDaemon> {
    const directory = temporaryDirectory(t);
    const socks = await closedPort();
    const torrc = [
      COMMENT,
      'Engine tor',
      `DataDirectory ${directory}/data`,
      ...network.clientLines,
      `SocksPort 127.0.0.1:${socks.port}`,
      'ControlPort 127.0.0.1:auto',
      'UseBridges 1',
      network.bridgeLine,
      'ClientTransportPlugin obfs4 builtin',
      'GeoIPFile /dev/null',
      'GeoIPv6File /dev/null',
    ];
    writeFileSync(join(directory, 'torrc'), `${torrc.join('\n')}\n`);
    for (const folder of ['home', 'tmp']) mkdirSync(join(directory, folder));
    const process = new DaemonProcess(t, join(directory, 'torrc'), {
      PATH: globalThis.process.env['PATH'],
      HOME: join(directory, 'home'),
      TMPDIR: join(directory, 'tmp'),
    });
    return new NetworkDaemon(directory, socks, process);
  }

  /** Connects a controller, and records what it is told. */
  async control(t: Cleanup): Promise<{ control: ControlClient; events: RecordedControlEvents }> {
    const control = await connectControl(
      await this.process.address(/Controllers connect to (\S+)/),
    );
    t.after(() => control.close());
    await control.setEvents(['circuit', 'stream', 'orConnection', 'bandwidth']);
    return { control, events: new RecordedControlEvents(control) };
  }

  /** Connects to a target by the SOCKS port. */
  connect(target: Endpoint): Promise<Duplex> {
    return socksConnect(this.#socks, target);
  }

  /** Kills its Tor in the hardest way. */
  killTor(): void {
    const tor = processesOf(this.#directory).filter(({ program }) => program === 'tor');
    if (tor.length !== 1) throw new Error(`it has ${tor.length} of tor`);
    process.kill(tor[0]!.pid, 'SIGKILL');
  }

  get torrc(): string {
    return this.file('torrc');
  }

  /** A file in its directory. */
  file(name: string): string {
    return readFileSync(join(this.#directory, name), 'utf8');
  }

  /** Waits until it has ended, and every process that came from it. */
  async gone(): Promise<ProcessEnd> {
    const children = processesOf(this.#directory);
    const end = await this.process.ended;
    await Promise.all(children.map(({ pid }) => processGone(pid)));
    const left = processesOf(this.#directory);
    if (left.length > 0) throw new Error(`left behind: ${left.map((it) => it.program).join()}`);
    return end;
  }

  /** What is in its directory, apart from the state that a Tor keeps for its next start. */
  get files(): readonly string[] {
    return readdirSync(this.#directory, { recursive: true, encoding: 'utf8' })
      .filter((path) => !torState.test(path))
      .sort();
  }
}

const torState = /^data\/(?:cached-|diff-cache|keys|lock|state|unverified-|pt_state)/;

/** All events that a controller gets from now on. */
export class RecordedControlEvents {
  readonly events: ControlEvent[] = [];
  #wake: () => void = () => {};
  #hasEnded = false;

  constructor(control: ControlClient) {
    void this.#record(control);
  }

  /**
   * The first event, past or to come, for which the predicate holds.
   *
   * @param from how many of the first events do not count
   */
  async until(
    what: string,
    predicate: (event: ControlEvent) => boolean,
    from = 0,
  ): Promise<ControlEvent> {
    for (let index = from; ; index++) {
      while (index >= this.events.length) {
        if (this.#hasEnded) throw new Error(`no event has said that ${what}`);
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      const event = this.events[index]!;
      if (predicate(event)) return event;
    }
  }

  /** What became of a circuit or a stream. */
  statuses(type: 'circuit' | 'stream', id: number): readonly string[] {
    return this.events.flatMap((event) =>
      event.type === type && event.id === id ? [event.status] : [],
    );
  }

  /** The circuits that are built and have not ended. */
  openCircuits(): readonly number[] {
    const open = new Set<number>();
    for (const event of this.events) {
      if (event.type !== 'circuit') continue;
      if (event.status === 'built') open.add(event.id);
      else if (event.status === 'failed' || event.status === 'closed') open.delete(event.id);
    }
    return [...open];
  }

  async #record(control: ControlClient): Promise<void> {
    try {
      for await (const event of control.events()) {
        this.events.push(event);
        this.#wake();
      }
    } catch {
      // The daemon has ended: who waits for an event is told below.
    }
    this.#hasEnded = true;
    this.#wake();
  }
}
