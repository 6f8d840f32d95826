import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { AddressMap } from '../../control/address-map.ts';
import type { EventStatus } from '../../control/messages.ts';
import { PosternError, describeError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type Application, serveApplication } from '../../net/applications.ts';
import { countStreamFailure } from '../../tallies.ts';
import type { Timers } from '../../time.ts';
import { formatEndpoint, type Endpoint } from '../../pt/address.ts';
import type { DaemonLog } from '../log.ts';
import type { Circuits } from './circuits.ts';

/** What streams are given. */
export interface StreamsOptions {
  readonly events: Emitter<EngineEvent>;
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
  serve(application: Application): Promise<void> {
    const id = (this.#lastId += 1);
    // What is captured here lives as long as the stream: not the application with all that it asked.
    const endpoint = application.target;
    const target = formatEndpoint(endpoint);
    this.#open.set(id, { target, circuit: undefined });
    const tell = (status: EventStatus['stream']): void =>
      this.#options.events.emit({ type: 'stream', status, id, target });
    const served = serveApplication(application, async ({ signal }) => {
      const stream = await this.#connect(endpoint, id, signal, () => tell('sentConnect'));
      tell('succeeded');
      return stream;
    });
    return this.#follow(served, id, tell);
  }

  async #follow(
    served: Promise<Error | undefined>,
    id: number,
    tell: (status: EventStatus['stream']) => void,
  ): Promise<void> {
    try {
      const failure = await served;
      this.#open.delete(id);
      if (failure !== undefined) this.#logFailure(id, failure);
      tell(failure === undefined ? 'closed' : 'failed');
    } catch (error) {
      this.#open.delete(id);
      // Before the event, which has no place for a reason.
      this.#logFailure(id, error);
      tell('failed');
    }
  }

  /** An application that left is nothing that anybody must know of. */
  #logFailure(id: number, error: unknown): void {
    countStreamFailure(error);
    const isLeft = error instanceof PosternError && error.code === 'ERR_SOCKS_CLOSED';
    const errno =
      error instanceof Error && 'errno' in error
        ? (error as NodeJS.ErrnoException).code
        : undefined;
    const reason = errno === undefined ? describeError(error) : `a connection broke (${errno})`;
    const level = isLeft || errno !== undefined ? 'info' : 'notice';
    this.#options.log.write(level, `stream ${id} failed: ${reason}`, `stream ${reason}`);
  }

  /** Tries circuit after circuit until the far end has said something about the target. */
  async #connect(
    target: Endpoint,
    id: number,
    left: AbortSignal,
    onSent: () => void,
  ): Promise<Duplex> {
    const { circuits, addressMap, timers } = this.#options;
    const mapped = { host: addressMap.lookUp(target.host), port: target.port };
    // Not AbortSignal.any: what that leaves behind outlives a connection, and costs as much as one.
    const gaveUp = new AbortController();
    const { signal } = gaveUp;
    const abortion = addAbortListener(left, () => gaveUp.abort(left.reason));
    const cancel = timers.after(limits.streamAttachMs, () =>
      gaveUp.abort(new PosternError('ERR_LINK_FAILED', 'no bridge could be reached in time')),
    );
    try {
      for (let attempt = 1; ; attempt += 1) {
        const { circuit, detach } = await circuits.acquire(signal);
        cancel();
        this.#open.get(id)!.circuit = circuit.id;
        onSent();
        try {
          const stream = await circuit.link.connect(mapped, { signal });
          stream.once('close', detach);
          return stream;
        } catch (error) {
          detach();
          // The circuit died before anything was said: the target has seen nothing of it.
          const mayMove = error instanceof PosternError && error.code === 'ERR_LINK_FAILED';
          if (!mayMove || attempt >= limits.streamCircuits) throw error;
        }
      }
    } finally {
      abortion[Symbol.dispose]();
      cancel();
    }
  }
}
