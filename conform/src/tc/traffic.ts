/** Connections through the server's SOCKS port, to places of the kit's own. */
import type { Endpoint } from 'postern/pt';
import { Unjudged } from '../findings.ts';
import { describeOutcome, socksConnect } from '../socks.ts';
import { dialWire, Trap, type Wire } from '../wire.ts';
import type { TcLab } from './lab.ts';

const NO_SOCKS = 'it takes traffic to see; --socks with a SOCKS port of the server lets it be seen';

/** Both ends of a connection. */
export interface Ends {
  readonly near: Wire;
  readonly far: Wire;
}

/** Connects through the server to a place of the kit's own. */
export class Traffic {
  readonly trap: Trap;
  readonly #lab: TcLab;
  readonly #socks: Endpoint;

  private constructor(lab: TcLab, socks: Endpoint, trap: Trap) {
    this.#lab = lab;
    this.#socks = socks;
    this.trap = trap;
  }

  /** @throws Unjudged without a SOCKS port, or where nobody answers at it */
  static async open(lab: TcLab): Promise<Traffic> {
    const { socks } = lab.options;
    if (socks === undefined) throw new Unjudged(NO_SOCKS);
    const wire = await dialWire(socks, lab.time);
    if (typeof wire === 'string') throw new Unjudged('nobody answers at the SOCKS port');
    wire.close();
    return new Traffic(lab, socks, await Trap.open());
  }

  /** The port of everything that goes to our own place. */
  get port(): number {
    return this.trap.endpoint.port;
  }

  /** Asks for a connection. @returns both of its ends, or what was said instead */
  async connect(
    host: string,
    version: 'socks4' | 'socks5' = 'socks5',
    port: number = this.port,
  ): Promise<Ends | string> {
    this.#lab.options.signal.throwIfAborted();
    const { time } = this.#lab;
    const near = await dialWire(this.#socks, time);
    if (typeof near === 'string') return 'the SOCKS port took no connection';
    const target = { host, port };
    const outcome = await socksConnect(near, { version, target, args: Buffer.alloc(0) }, time);
    if (!outcome.isOpen) {
      near.close();
      return describeOutcome(outcome);
    }
    const mark = `conform ${Math.random()}`;
    near.write(mark);
    const far = await this.trap.find(mark, time);
    if (far !== undefined) return { near, far };
    near.close();
    return 'the connection was opened, but led somewhere else';
  }

  /** Connects, and judges by whether that leads to our own place. */
  async arrives(
    clauses: string,
    what: string,
    host: string,
    version: 'socks4' | 'socks5' = 'socks5',
  ): Promise<void> {
    const ends = await this.connect(host, version);
    const came = typeof ends === 'string' ? ends : 'a connection';
    const judge = this.#lab.on(
      `${what}, then a ${version.toUpperCase()} request for ${host}`,
      came,
    );
    judge(clauses, typeof ends !== 'string', 'a connection to where it is mapped to');
    if (typeof ends !== 'string') await this.end(ends);
  }

  /** Closes a connection from our side, and waits until the far end has heard of it. */
  async end({ near, far }: Ends): Promise<void> {
    near.close();
    await far.ending(this.#lab.time);
    far.close();
  }

  [Symbol.dispose](): void {
    this.trap.close();
  }
}
