import { PosternError } from '../errors.ts';
import { isTransportName } from '../pt/names.ts';
import type { Transport } from './contract.ts';
import { obfs2 } from './obfs2/index.ts';
import { obfs3 } from './obfs3/index.ts';
import { obfs4 } from './obfs4/index.ts';
import { scramblesuit } from './scramblesuit/index.ts';
import { webtunnel } from './webtunnel/index.ts';

/** The transports that one program knows, by their PT names. */
export class TransportRegistry implements Iterable<Transport> {
  readonly #transports = new Map<string, Transport>();

  /** @throws PosternError as `register` does */
  constructor(transports: Iterable<Transport> = []) {
    for (const transport of transports) this.register(transport);
  }

  /**
   * Adds a transport. Names are compared byte for byte (PT 3.1).
   *
   * @throws PosternError `ERR_TRANSPORT_DUPLICATE`, `ERR_PT_NAME`
   */
  register(transport: Transport): void {
    const { name } = transport;
    if (!isTransportName(name)) {
      throw new PosternError('ERR_PT_NAME', 'a transport’s name is no C identifier');
    }
    if (this.#transports.has(name)) {
      throw new PosternError('ERR_TRANSPORT_DUPLICATE', `there are two transports named ${name}`);
    }
    this.#transports.set(name, transport);
  }

  /** The transport of that name, or undefined. */
  find(name: string): Transport | undefined {
    return this.#transports.get(name);
  }

  /**
   * The transport of that name.
   *
   * @throws PosternError `ERR_TRANSPORT_UNKNOWN`, with the names that there are
   */
  get(name: string): Transport {
    const transport = this.find(name);
    if (transport === undefined) {
      const names = [...this.#transports.keys()].join(', ');
      throw new PosternError('ERR_TRANSPORT_UNKNOWN', `no such transport; there are ${names}`);
    }
    return transport;
  }

  /** All of them, in the order in which they were registered. */
  [Symbol.iterator](): Iterator<Transport> {
    return this.#transports.values();
  }
}

/** The transports that come with Postern. */
export const builtinTransports: TransportRegistry = new TransportRegistry([
  obfs2,
  obfs3,
  obfs4,
  scramblesuit,
  webtunnel,
]);
