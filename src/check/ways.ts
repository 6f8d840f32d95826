/** The ways to a bridge: by a transport of ours, without one, or by another program's. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError } from '../errors.ts';
import { bridgeDialer } from '../index.ts';
import { abortable } from '../net/abortable.ts';
import type { Dialer } from '../net/dialer.ts';
import { createDirectDialer } from '../net/direct-dialer.ts';
import { createUpstreamDialer } from '../net/upstream-dialer.ts';
import { createPtDialer } from '../parent/dial.ts';
import type { Child } from '../parent/launch.ts';
import { startTransports } from '../parent/start.ts';
import type { Supervisor } from '../parent/supervise.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import type { CmethodMessage } from '../pt/messages.ts';
import { parseUpstreamProxy } from '../pt/upstream-proxy.ts';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../state/temporary-directory.ts';
import { TransportRegistry } from '../transports/registry.ts';
import type { Course } from './course.ts';
import { nothingSeen, observeTransport, type WireRecord } from './observed-transport.ts';

/** Another program that runs the transports. */
export interface CheckProgram {
  readonly command: readonly [string, ...string[]];
  /** Where it gets the few variables from that it inherits. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How bridges are reached. */
export interface WayOptions {
  readonly transports: TransportRegistry;
  /** The only way out, if given. */
  readonly dial?: Dialer | undefined;
  readonly upstreamProxy?: string | undefined;
  readonly program?: CheckProgram | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reaches a bridge and runs the transport's handshake. What the line says is checked before anything is
 * sent, by `prepare`.
 */
export class Ways {
  readonly #options: WayOptions;
  readonly #programs = new Map<string, Promise<Supervisor<Child<CmethodMessage>>>>();
  readonly #closing = new AbortController();
  #directory: Promise<TemporaryDirectory> | undefined;

  constructor(options: WayOptions) {
    this.#options = options;
  }

  /**
   * @param wire is told what is seen
   * @returns the way, which is to be taken once
   * @throws PosternError for a line, or an upstream proxy, that cannot be understood
   */
  prepare(bridge: BridgeLine, course: Course, wire: WireRecord): () => Promise<Duplex> {
    const { transport } = bridge;
    if (transport === undefined) return this.#plain(bridge, course);
    if (this.#options.program !== undefined) return this.#byProgram(bridge, transport, course);
    const { transports } = this.#options;
    const outward = this.#outward(course);
    let isSecure = false;
    const observed = observeTransport(transports.get(transport), {
      wire,
      onRoutes: (routes) => (isSecure = routes.some(({ tls }) => tls !== undefined)),
      onStart: () => course.enter('handshake'),
      onEstablished: () => course.leave(),
    });
    const dial = bridgeDialer(bridge, {
      transports: new TransportRegistry([observed]),
      dial: async (target, options) => {
        course.begin();
        Object.assign(wire, nothingSeen());
        const stream = await outward(target, options);
        if (isSecure) course.enter('https');
        return stream;
      },
      // What silence can mean is in the report.
      onNotice: () => {},
    });
    return () => dial(bridge.endpoint, { signal: course.signal });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const starting of this.#programs.values()) {
      const supervisor = await starting.catch(() => undefined);
      await supervisor?.close();
    }
    await (await this.#directory)?.[Symbol.asyncDispose]();
  }

  #plain({ endpoint }: BridgeLine, course: Course): () => Promise<Duplex> {
    const outward = this.#outward(course);
    return async () => {
      const stream = await outward(endpoint, { signal: course.signal });
      course.leave();
      return stream;
    };
  }

  /** Behind an upstream proxy the rest of the way is the step `tcp`. @throws PosternError */
  #outward(course: Course): Dialer {
    const { dial = createDirectDialer(), upstreamProxy } = this.#options;
    if (upstreamProxy === undefined) {
      // A dialer of the caller's looks names up itself.
      if (this.#options.dial === undefined) return createLookingDialer(course, dial);
      return (target, options) => {
        course.enter('tcp');
        return dial(target, options);
      };
    }
    return createUpstreamDialer(parseUpstreamProxy(upstreamProxy), async (target, options) => {
      course.enter('proxy');
      const stream = await dial(target, options);
      course.enter('tcp');
      return stream;
    });
  }

  #byProgram(bridge: BridgeLine, transport: string, course: Course): () => Promise<Duplex> {
    if (this.#options.upstreamProxy !== undefined) parseUpstreamProxy(this.#options.upstreamProxy);
    return async () => {
      course.enter('program');
      const running = this.#start(transport).then((supervisor) => supervisor.child());
      const child = await abortable(running, course.signal);
      const dial = createPtDialer(child.methods.get(transport)!, bridge.args);
      course.enter('connect');
      const stream = await dial(bridge.endpoint, { signal: course.signal });
      course.leave();
      return stream;
    };
  }

  /** One process for each transport: a program that lacks one of them is of use for the others. */
  #start(transport: string): Promise<Supervisor<Child<CmethodMessage>>> {
    let starting = this.#programs.get(transport);
    if (starting === undefined) {
      starting = this.#launch(transport);
      this.#programs.set(transport, starting);
    }
    return starting;
  }

  async #launch(transport: string): Promise<Supervisor<Child<CmethodMessage>>> {
    const { program, upstreamProxy, signal } = this.#options;
    const closing = this.#closing.signal;
    this.#directory ??= makeTemporaryDirectory('postern-check-');
    return startTransports({
      ...program!,
      configuration: {
        role: 'client',
        transports: [transport],
        stateLocation: (await this.#directory).path,
        outboundBind: {},
        ...(upstreamProxy !== undefined && { upstreamProxy: parseUpstreamProxy(upstreamProxy) }),
      },
      signal: signal === undefined ? closing : AbortSignal.any([closing, signal]),
    });
  }
}

/** A direct dialer whose lookups are a step of their own. */
function createLookingDialer(course: Course, dial: Dialer): Dialer {
  return async (target, options) => {
    course.enter(isIP(target.host) === 0 ? 'lookup' : 'tcp');
    if (course.current === 'tcp') return dial(target, options);
    const looking = lookup(target.host, { all: true }).catch((cause: unknown) => {
      throw new PosternError('ERR_DIAL_NAME_NOT_FOUND', 'the host name does not resolve', {
        cause,
      });
    });
    const found = await abortable(looking, options?.signal);
    course.enter('tcp');
    let failure: unknown;
    for (const { address } of found) {
      try {
        return await dial({ host: address, port: target.port }, options);
      } catch (error) {
        options?.signal?.throwIfAborted();
        failure ??= error;
      }
    }
    throw failure;
  };
}
