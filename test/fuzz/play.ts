/** How a hostile peer says what it says, and how it leaves. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { breakOff } from '../../src/net/break-off.ts';
import type { Wire } from '../support/probed-bridge.ts';
import type { Dice } from './dice.ts';
import { mutate } from './mutate.ts';

const MAX_DELAY_MS = 40;

/** Says it whole, message by message, or cut anywhere; then FIN, RST or destroy after up to 40 ms. */
export async function play(
  dice: Dice,
  { stream, socket }: Wire,
  messages: readonly Buffer[],
): Promise<void> {
  stream.on('error', () => {});
  if (dice.percent(80)) stream.resume();
  for (const piece of cut(dice, messages)) {
    if (stream.destroyed || stream.writableEnded) break;
    stream.write(piece);
    if (dice.percent(20)) await turn();
  }
  await leave(dice, { stream, socket });
}

/** Ends a connection in one way or another, and waits until it is gone. */
export async function leave(dice: Dice, { stream, socket }: Wire): Promise<void> {
  stream.on('error', () => {});
  await delay(dice.below(MAX_DELAY_MS + 1));
  // Not by `once`, which would reject when the other end resets.
  const closed = new Promise<void>((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
  const way = dice.pick(['FIN', 'RST', 'destroy']);
  if (way === 'RST') breakOff(socket, new Error('enough'));
  else if (way === 'FIN') {
    stream.end();
    await Promise.race([closed, delay(MAX_DELAY_MS)]);
  }
  stream.destroy();
  socket.destroy();
  await closed;
}

function cut(dice: Dice, messages: readonly Buffer[]): readonly Buffer[] {
  if (dice.percent(40)) return messages;
  const whole = Buffer.concat(messages);
  if (dice.percent(50)) return [whole];
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length;) {
    const length = 1 + dice.below(dice.pick([3, 50, 5000]));
    pieces.push(whole.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** A socket that mutates some of what is written to it: for protocols in which each answers the other. */
export class MutatingSocket extends Duplex {
  readonly #socket: Socket;
  readonly #dice: Dice;
  readonly #mutates: boolean;
  /** How many messages were written. */
  messages = 0;

  constructor(socket: Socket, dice: Dice) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#dice = dice;
    // Some get through, so that what lies behind is reached as well.
    this.#mutates = dice.percent(60);
    this.on('error', () => {});
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => void (this.push(chunk) || socket.pause()));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.messages += 1;
    const isMutated = this.#mutates && this.#dice.percent(30);
    this.#socket.write(isMutated ? mutate(this.#dice, chunk) : chunk, () => callback());
  }

  override _final(callback: () => void): void {
    this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }
}
