/** A session that is a handshake and leaves all bytes after it as they are. */
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { PosternBug, PosternError } from '../errors.ts';
import type { Action, ClientAddress, Session } from './contract.ts';

/**
 * The whole session, for drivers that run sessions; one that knows `onlyHandshake` does without it.
 */
export class HandshakeOnlySession implements Session {
  /** All that is written is sent at once. */
  readonly queuedBytes: number = 0;
  readonly onlyHandshake: Exchange<ClientAddress>;
  #isEstablished = false;

  constructor(handshake: Exchange<ClientAddress>) {
    this.onlyHandshake = handshake;
  }

  start(): readonly Action[] {
    return this.#translate(this.onlyHandshake.start());
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (this.#isEstablished) return [{ type: 'deliver', bytes: Buffer.from(chunk) }];
    return this.#translate(this.onlyHandshake.receive(chunk));
  }

  write(chunk: Uint8Array): readonly Action[] {
    return [{ type: 'send', bytes: Buffer.from(chunk) }];
  }

  timerFired(): readonly Action[] {
    const { peer, codes } = this.onlyHandshake;
    return [{ type: 'failed', error: new PosternError(codes.timedOut, `${peer} took too long`) }];
  }

  receiveEnd(): readonly Action[] {
    if (this.#isEstablished) return [{ type: 'deliverEnd' }];
    const { peer, codes } = this.onlyHandshake;
    const error = new PosternError(codes.closed, `${peer} closed before the handshake was over`);
    return [{ type: 'failed', error }];
  }

  writeEnd(): readonly Action[] {
    return [{ type: 'sendEnd' }];
  }

  #translate(actions: readonly ExchangeAction<ClientAddress>[]): readonly Action[] {
    return actions.flatMap((action): readonly Action[] => {
      switch (action.type) {
        case 'patience':
          return [{ type: 'setTimer', delayMs: action.ms }];
        case 'wait':
          throw new PosternBug('whoever waits needs a driver of exchanges');
        case 'done':
          this.#isEstablished = true;
          return [
            { type: 'clearTimer' },
            { type: 'established' },
            ...(action.leftover.length === 0
              ? []
              : [{ type: 'deliver', bytes: action.leftover } as const]),
          ];
        default:
          return [action];
      }
    });
  }
}
