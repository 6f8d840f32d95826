import type { Duplex } from 'node:stream';
import type { BudgetMember } from '../bytes/budget.ts';
import { PosternError } from '../errors.ts';
import { breakOff } from './break-off.ts';
import { peerBytes } from './peer-bytes.ts';

/**
 * What a stream holds because somebody does not read: in the budget of the process as long as the stream
 * lives, and gone with it when that is used up and nobody holds more.
 */
export class Backlog implements BudgetMember {
  readonly #stream: Duplex;
  #bytes = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.once('close', () => this.set(0));
  }

  /** It holds so many bytes now. */
  set(bytes: number): void {
    const more = this.#stream.destroyed ? -this.#bytes : bytes - this.#bytes;
    this.#bytes += more;
    if (more !== 0) peerBytes.hold(this, more);
  }

  shed(): void {
    const why = 'the process held more than it can bear, and this connection most of it';
    breakOff(this.#stream, new PosternError('ERR_STREAM_TRUNCATED', why));
  }
}
