import type { Duplex } from 'node:stream';
import type { BudgetMember } from '../bytes/budget.ts';
import { PosternError } from '../errors.ts';
import { breakOff } from './break-off.ts';
import { peerBytes } from './peer-bytes.ts';

/**
 * What a stream holds because its reader does not read. It counts against the budget of the process; when that
 * is used up, the stream that holds most is ended.
 */
export class Backlog implements BudgetMember {
  readonly #stream: Duplex;
  #bytes = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.once('close', () => this.set(0));
  }

  /** The stream holds this many bytes now. */
  set(bytes: number): void {
    const more = this.#stream.destroyed ? -this.#bytes : bytes - this.#bytes;
    this.#bytes += more;
    if (more !== 0) peerBytes.hold(this, more);
  }

  shed(): void {
    const why =
      'the process held too many bytes for slow readers, and this connection most of them';
    breakOff(this.#stream, new PosternError('ERR_STREAM_TRUNCATED', why));
  }
}
