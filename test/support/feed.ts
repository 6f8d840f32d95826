/** Ways to hand the same bytes to a machine: every one of them must come to the same result. */
import type { Action } from '../../src/transports/contract.ts';

/** The bytes whole, byte by byte, and in two parts split at each point: lists of chunks. */
export function feedings(bytes: Uint8Array): Uint8Array[][] {
  const all = [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))];
  for (let split = 1; split < bytes.length; split += 1) {
    all.push([bytes.subarray(0, split), bytes.subarray(split)]);
  }
  return all;
}

/**
 * Feeds chunks and collects the actions, until one of them is of a type in `last`. What the machine
 * gets is overwritten as soon as the call returns: it was borrowed.
 *
 * @returns the actions, and what was not fed any more
 */
export function feed<A extends { readonly type: string }>(
  receive: (chunk: Uint8Array) => readonly A[],
  chunks: readonly Uint8Array[],
  last: readonly A['type'][],
): { readonly actions: A[]; readonly rest: Buffer } {
  const actions: A[] = [];
  for (const [index, chunk] of chunks.entries()) {
    const lent = Uint8Array.from(chunk);
    actions.push(...receive(lent));
    lent.fill(0xaa);
    if (actions.some(({ type }) => last.includes(type))) {
      return { actions, rest: Buffer.concat(chunks.slice(index + 1)) };
    }
  }
  return { actions, rest: Buffer.alloc(0) };
}

/** All bytes that the actions send, in order. */
export function sentBytes(
  actions: readonly { readonly type: string; readonly bytes?: Uint8Array }[],
): Buffer {
  return Buffer.concat(
    actions.filter(({ type }) => type === 'send').map(({ bytes }) => bytes ?? Buffer.alloc(0)),
  );
}

/** The actions, with every computation done at once. */
export function computeAll(actions: readonly Action[]): readonly Action[] {
  return actions.flatMap((action) => {
    if (action.type !== 'compute') return [action];
    let result: readonly Action[] | undefined;
    while (result === undefined) result = action.step();
    return computeAll(result);
  });
}
