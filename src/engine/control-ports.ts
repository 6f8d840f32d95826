/** `ControlPort`, `ControlSocket` and what opens them. */
import { expandPath } from '../config/node.ts';
import type { OptionValues } from '../config/options.ts';
import type { SocketPlace } from '../config/socket-values.ts';
import type { ControlSecrets } from '../control/authentication.ts';
import type { ControlEngine } from '../control/engine.ts';
import {
  checkControlCookie,
  makeControlCookie,
  writeControlCookie,
} from '../control/node/cookie-file.ts';
import { openControlPort, openControlSocket } from '../control/node/listeners.ts';
import { ControlServer } from '../control/node/server.ts';
import type { Rng } from '../crypto/rng.ts';
import type { AnyListener } from '../net/listener.ts';
import { checkUnixSocket } from '../net/unix-listener.ts';
import { describeError } from '../errors.ts';
import { formatEndpoint, type Endpoint } from '../pt/address.ts';
import { cookiePath } from './data-directory.ts';
import type { Log } from './log.ts';
import type { Change, Part } from './part.ts';
import type { Places } from './places.ts';
import { forOption, numbered, type ResourceChange, Resources, type Wanted } from './resources.ts';

/** What the control ports are given. */
export interface ControlPortsOptions {
  readonly engine: ControlEngine;
  readonly log: Log;
  readonly rng: Rng;
  readonly home: string;
  readonly places: Places;
}

/** A TCP port or a Unix-domain socket. */
interface ControlListener extends Pick<AnyListener, 'close'> {
  readonly name: string;
  readonly endpoint?: Endpoint;
}

/** The control server of a daemon and its listeners. */
export class ControlPorts implements Part {
  readonly #options: ControlPortsOptions;
  readonly #server: ControlServer;
  readonly #listeners: Resources<ControlListener>;
  #secrets: ControlSecrets = {};
  /** By path. A cookie lives as long as the process: controllers keep it (TC 4.1). */
  readonly #cookies = new Map<string, Uint8Array>();

  constructor(options: ControlPortsOptions) {
    const { engine, places } = options;
    const log = options.log.in('control');
    this.#options = { ...options, log };
    this.#listeners = new Resources((listener) => listener.close(), {
      places,
      onLost: (error) =>
        log.write('err', `a control port cannot be opened again: ${describeError(error)}`),
    });
    this.#server = new ControlServer({
      engine,
      secrets: () => this.#secrets,
      log: (level, message) => log.write(level, `control: ${message}`, message),
    });
  }

  /** Where TCP controllers connect. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#listeners.current.values()].flatMap(({ endpoint }) => endpoint ?? []);
  }

  async prepare(next: OptionValues): Promise<Change> {
    const { log, home } = this.#options;
    const earlier = this.#secrets;
    const cookie = this.#cookieFor(next);
    // At once: a port that opens must not admit those whom the new configuration shuts out.
    this.#secrets = {
      passphrases: next.HashedControlPassword,
      ...(cookie !== undefined && { cookie: cookie.bytes }),
    };
    const forget = (): void => {
      this.#secrets = earlier;
    };
    const wanted: Wanted<ControlListener> = new Map(
      numbered(placesOf(next), ([, place]) => JSON.stringify(place)).map(
        ([key, [option, place]]) => [
          key,
          {
            takes: ['host' in place ? place : { path: expandPath(place.path, home) }],
            open: () => forOption(option, () => this.#open(place, home)),
          },
        ],
      ),
    );
    let change: ResourceChange<ControlListener> | undefined;
    try {
      change = await this.#listeners.prepare(wanted);
      // Only now that nothing else can fail: until here the old cookie may belong to another daemon.
      await cookie?.publish();
    } catch (error) {
      await change?.rollback();
      forget();
      throw error;
    }
    const { fresh, commit, rollback } = change;
    return {
      commit() {
        commit();
        for (const { name } of fresh) log.announce(`Controllers connect to ${name}`);
        if (cookie?.isNew) log.write('notice', `The cookie that lets them in is in ${cookie.path}`);
      },
      rollback: async () => {
        await rollback();
        forget();
      },
    };
  }

  async verify(first: OptionValues): Promise<void> {
    const { home } = this.#options;
    for (const [option, place] of placesOf(first)) {
      if ('host' in place) continue;
      await forOption(option, () => checkUnixSocket(expandPath(place.path, home), place));
    }
    if (!first.CookieAuthentication) return;
    await forOption('CookieAuthFile', () => checkControlCookie(cookiePath(first, home)));
  }

  async close(): Promise<void> {
    await this.#listeners.close();
    await this.#server.close();
  }

  async #open(place: Endpoint | SocketPlace, home: string): Promise<ControlListener> {
    if ('host' in place) {
      const listener = await openControlPort(this.#server, place);
      return { name: formatEndpoint(listener.endpoint), ...listener };
    }
    const path = expandPath(place.path, home);
    return { name: path, ...(await openControlSocket(this.#server, path, place)) };
  }

  /** The cookie that opens the ports, if one does, and how it becomes known. */
  #cookieFor(next: OptionValues): Cookie | undefined {
    if (!next.CookieAuthentication) return undefined;
    const { home, rng } = this.#options;
    const path = cookiePath(next, home);
    const known = this.#cookies.get(path);
    if (known !== undefined) return { path, bytes: known, isNew: false, publish: async () => {} };
    const bytes = makeControlCookie(rng);
    return {
      ...{ path, bytes, isNew: true },
      publish: async () => {
        await writeControlCookie(path, bytes, next.CookieAuthFileGroupReadable);
        this.#cookies.set(path, bytes);
      },
    };
  }
}

function placesOf({
  ControlPort,
  ControlSocket,
  ControlSocketsGroupWritable,
}: OptionValues): readonly (readonly [option: string, place: Endpoint | SocketPlace])[] {
  return [
    ...ControlPort.map((place) => ['ControlPort', place] as const),
    ...ControlSocket.map((place) => {
      const isGroupWritable = place.isGroupWritable || ControlSocketsGroupWritable;
      return ['ControlSocket', { ...place, isGroupWritable }] as const;
    }),
  ];
}

/** The cookie: who can read its file is trusted. */
interface Cookie {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly isNew: boolean;
  /** Writes it, unless that was done before. */
  publish(): Promise<void>;
}
