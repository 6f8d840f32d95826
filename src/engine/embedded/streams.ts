import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import { forbidden, soleFamily, type Traffic } from '../../config/traffic.ts';
import type { AddressMap } from '../../control/address-map.ts';
import type { EventStatus } from '../../control/messages.ts';
import { PosternError, describeError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import {
  type Application,
  type DialForApplication,
  serveApplication,
} from '../../net/applications.ts';
import { countStreamFailure } from '../../tallies.ts';
import type { Timers } from '../../time.ts';
import { formatEndpoint, type Endpoint } from '../../pt/address.ts';
import type { Log } from '../log.ts';
import type { Circuits } from './circuits.ts';
import type { StreamTarget } from './stream-request.ts';

/** What streams are given. */
export interface StreamsOptions {
  readonly events: Emitter<EngineEvent>;
  readonly circuits: Circuits;
  readonly addressMap: AddressMap;
  readonly log: Log;
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
  serve(application: Application, traffic: Traffic): Promise<void> {
    const id = (this.#lastId += 1);
    const target = formatEndpoint(application.target);
    this.#open.set(id, { target, circuit: undefined });
    const dial = this.#dialFor(application.target, traffic, id, target);
    const served = serveApplication(application, dial);
    // This closure lives as long as the stream, so it must not capture the application and its request.
    return served.then(
      (failure) => this.#ended(id, failure === undefined ? 'closed' : 'failed', failure),
      (error: unknown) => this.#ended(id, 'failed', error),
    );
  }

  #dialFor(endpoint: Endpoint, traffic: Traffic, id: number, target: string): DialForApplication {
    return async ({ signal }) => {
      const mapped = this.#mapped(endpoint, traffic);
      const stream = await this.#connect(mapped, id, signal, () =>
        this.#tell('sentConnect', id, target),
      );
      this.#tell('succeeded', id, target);
      return stream;
    };
  }

  #ended(id: number, status: 'closed' | 'failed', failure: unknown): void {
    const { target } = this.#open.get(id)!;
    this.#open.delete(id);
    // Before the event, which has no place for a reason.
    if (status === 'failed') this.#logFailure(id, failure);
    this.#tell(status, id, target);
  }

  #tell(status: EventStatus['stream'], id: number, target: string): void {
    this.#options.events.emit({ type: 'stream', status, id, target });
  }

  /** That an application left is not logged. */
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

  /**
   * Where it really goes.
   *
   * @throws PosternError `ERR_PORT_TRAFFIC` when the port that it came to lets nobody there
   */
  #mapped({ host, port }: Endpoint, traffic: Traffic): StreamTarget {
    const mapped = { host: this.#options.addressMap.lookUp(host), port };
    const reason = forbidden(traffic, mapped.host);
    if (reason !== undefined) throw new PosternError('ERR_PORT_TRAFFIC', reason);
    const family = soleFamily(traffic);
    return family === undefined ? mapped : { ...mapped, family };
  }

  /** Tries circuit after circuit until the far end has said something about the target. */
  async #connect(
    target: StreamTarget,
    id: number,
    left: AbortSignal,
    onSent: () => void,
  ): Promise<Duplex> {
    const { circuits, timers } = this.#options;
    // Not AbortSignal.any: it leaves memory behind, as much as a connection needs.
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
          const stream = await circuit.link.connect(target, { signal });
          // Not `once`, whose wrapper would be as large as all that a circuit knows of a stream.
          stream.on('close', detach);
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
