import { PosternError } from '../errors.ts';
import type { Action, Session } from './contract.ts';

/** A connection after its handshake; the methods are those of `Session`. */
export type DataPhase = Omit<Session, 'start'>;

/** A session that is a handshake until it is done, and a data phase from then on. */
export abstract class TwoPhaseSession implements Session {
  /** Set once the handshake is done. */
  protected established: DataPhase | undefined;

  /** The PT name, for messages. */
  protected abstract readonly transport: string;
  /** How this side ends a failed handshake: clients fail, servers reject. */
  protected abstract readonly failure: 'failed' | 'rejected';

  abstract start(): readonly Action[];
  /** Takes bytes of the peer's handshake; a PosternError that it throws ends the session. */
  protected abstract handshake(chunk: Uint8Array): readonly Action[];

  get queuedBytes(): number {
    return this.established?.queuedBytes ?? 0;
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (this.established !== undefined) return this.established.receive(chunk);
    try {
      return this.handshake(chunk);
    } catch (error) {
      if (error instanceof PosternError) return [{ type: this.failure, error }];
      throw error;
    }
  }

  receiveEnd(): readonly Action[] {
    if (this.established !== undefined) return this.established.receiveEnd();
    const error = new PosternError('ERR_HANDSHAKE_CLOSED', 'the peer closed during the handshake');
    return [{ type: 'failed', error }];
  }

  timerFired(): readonly Action[] {
    if (this.established !== undefined) return this.established.timerFired();
    const text = `the ${this.transport} handshake took too long`;
    return [{ type: this.failure, error: new PosternError('ERR_HANDSHAKE_TIMED_OUT', text) }];
  }

  write(chunk: Uint8Array): readonly Action[] {
    return this.established!.write(chunk);
  }

  writeEnd(): readonly Action[] {
    return this.established!.writeEnd();
  }
}
