import type { Duplex } from 'node:stream';
import type { AddressMap } from '../../control/address-map.ts';
import type { EventStatus } from '../../control/messages.ts';
import { PosternError, describeError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Application } from '../../net/applications.ts';
import { relay } from '../../net/relay.ts';
import type { Timers } from '../../time.ts';
import { formatEndpoint } from '../../pt/address.ts';
import type { EngineEvents } from '../events.ts';
import type { DaemonLog } from '../log.ts';
import type { Circuits } from './circuits.ts';

/** What streams are given. */
export interface StreamsOptions {
  readonly events: EngineEvents;
  readonly circuits: Circuits;
  readonly addressMap: AddressMap;
  readonly log: DaemonLog;
  readonly timers: Timers;
}

/** The streams of a client: one for each connection of an application. */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #open = new Map<number, { readonly target: string; circuit: number | undefined }>();
  #lastId = 0;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** Those that have not ended. */
  get all(): readonly { readonly id: number; target: string; circuit: number | undefined }[] {
    return [...this.#open].map(([id, stream]) => ({ id, ...stream }));
  }

  /** Carries one application's connection to its end. Never rejects. */
  async serve(application: Application): Promise<void> {
    const { socket } = application;
    const id = (this.#lastId += 1);
    const target = formatEndpoint(application.target);
    this.#open.set(id, { target, circuit: undefined });
    const tell = (status: EventStatus['stream']): void =>
      this.#options.events.emit({ type: 'stream', status, id, target });
    let connected: Connected;
    try {
      connected = await this.#connect(application, id, tell);
    } catch (error) {
      this.#open.delete(id);
      tell('failed');
      application.fail(error);
      this.#options.log.write('info', `stream ${id} failed: ${describeError(error)}`);
      return;
    }
    tell('succeeded');
    application.succeed();
    const failure = await relay(socket, connected.stream);
    connected.detach();
    this.#open.delete(id);
    tell(failure === undefined ? 'closed' : 'failed');
  }

  /** Tries circuit after circuit until the far end has said something about the target. */
  async #connect(
    { socket, target }: Application,
    id: number,
    tell: (status: EventStatus['stream']) => void,
  ): Promise<Connected> {
    const { circuits, addressMap, timers } = this.#options;
    const mapped = { host: addressMap.lookUp(target.host), port: target.port };
    const gaveUp = new AbortController();
    const onClose = (): void =>
      gaveUp.abort(new PosternError('ERR_SOCKS_CLOSED', 'the application left while it waited'));
    socket.once('close', onClose);
    if (socket.destroyed) onClose();
    const cancel = timers.after(limits.streamAttachMs, () =>
      gaveUp.abort(new PosternError('ERR_LINK_FAILED', 'no bridge could be reached in time')),
    );
    try {
      for (let attempt = 1; ; attempt += 1) {
        const { circuit, detach } = await circuits.acquire(gaveUp.signal);
        cancel();
        this.#open.get(id)!.circuit = circuit.id;
        tell('sentConnect');
        try {
          const stream = await circuit.link.connect(mapped, { signal: gaveUp.signal });
          return { stream, detach };
        } catch (error) {
          detach();
          // The circuit died before anything was said: the target has seen nothing of it.
          const mayMove = error instanceof PosternError && error.code === 'ERR_LINK_FAILED';
          if (!mayMove || attempt >= limits.streamCircuits) throw error;
        }
      }
    } finally {
      cancel();
      socket.off('close', onClose);
    }
  }
}

interface Connected {
  readonly stream: Duplex;
  readonly detach: () => void;
}
