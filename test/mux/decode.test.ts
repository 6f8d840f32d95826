/** Frames out of bytes, however these are cut. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { FrameDecoder } from '../../src/mux/decode.ts';
import { feedings } from '../support/feed.ts';
import { frame } from '../support/mux.ts';

/** Every frame with its whole body, however many parts it came in. */
function decodeAll(chunks: readonly Uint8Array[]): string[] {
  const decoder = new FrameDecoder();
  const frames: string[] = [];
  let body = '';
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    decoder.push(lent);
    for (let next = decoder.next(); next !== NEED_MORE; next = decoder.next()) {
      if (next.isStart) body = '';
      body += next.body.toString('latin1');
      const { type, flags, streamId, length } = next;
      if (next.isEnd) frames.push(`${type} ${flags} ${streamId} ${length} ${body}`);
    }
    lent.fill(0xaa);
  }
  return frames;
}

function errorOf(bytes: Buffer): string {
  const codes = feedings(bytes).map((chunks) => {
    try {
      decodeAll(chunks);
      return 'none';
    } catch (error) {
      return (error as { code: string }).code;
    }
  });
  assert.equal(new Set(codes).size, 1, codes.join());
  return codes[0]!;
}

describe('frames', () => {
  // By hand from the specification: version, type, flags, stream ID, length.
  const stream = Buffer.concat([
    Buffer.from('000100010000000100000000', 'hex'), // window update, SYN, stream 1
    Buffer.from('00000000000000010000000568656c6c6f', 'hex'), // data, stream 1, 'hello'
    Buffer.from('000000040000000100000000', 'hex'), // data without payload, FIN
    Buffer.from('0002000100000000deadbeef', 'hex'), // ping, SYN
    Buffer.from('000300000000000000000001', 'hex'), // go away, protocol error
  ]);
  const expected = ['1 1 1 0 ', '0 0 1 5 hello', '0 4 1 0 ', '2 1 0 3735928559 ', '3 0 0 1 '];

  test('come out the same whole, byte by byte, and split at every point', () => {
    for (const chunks of feedings(stream)) assert.deepEqual(decodeAll(chunks), expected);
  });

  test('are encoded to the same bytes', () => {
    assert.deepEqual(frame(1, 1, 1), stream.subarray(0, 12));
    assert.deepEqual(frame(0, 0, 1, { body: 'hello' }), stream.subarray(12, 29));
    assert.deepEqual(frame(2, 1, 0, { length: 0xdeadbeef }), stream.subarray(41, 53));
  });

  test('any sequence of them survives any cutting', () => {
    const anyFrame = fc.tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.uint8Array({ maxLength: 40 }),
    );
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(
            frames.map(([type, flags, id, length, body]) =>
              type === 0
                ? frame(type, flags, id, { body: Buffer.from(body) })
                : frame(type, flags, id, { length }),
            ),
          );
          const chunks: Buffer[] = [];
          for (let at = 0, index = 0; at < bytes.length; index += 1) {
            const size = cuts[index % cuts.length]!;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          assert.deepEqual(decodeAll(chunks), decodeAll([bytes]));
          assert.equal(decodeAll([bytes]).length, frames.length);
        },
      ),
      { seed: 10, numRuns: 300 },
    );
  });

  test('of another version or of no known type are refused, as soon as a byte says so', () => {
    assert.equal(errorOf(Buffer.of(1)), 'ERR_MUX_PROTOCOL');
    assert.equal(errorOf(Buffer.concat([frame(2, 1, 0), Buffer.of(9)])), 'ERR_MUX_PROTOCOL');
    assert.equal(errorOf(frame(4, 0, 0)), 'ERR_MUX_PROTOCOL');
    assert.equal(errorOf(Buffer.from('PRX')), 'ERR_MUX_PROTOCOL');
  });

  test('an older Postern is told from other nonsense', () => {
    assert.equal(errorOf(Buffer.from('PRI * HTTP/2.0\r\n')), 'ERR_MUX_OLD_PEER');
    assert.equal(errorOf(Buffer.from('PRI')), 'none');
    // In the middle of a link it is nonsense like any other.
    assert.equal(errorOf(Buffer.concat([frame(2, 1, 0), Buffer.from('PRI ')])), 'ERR_MUX_PROTOCOL');
  });

  test('4 GiB that are announced cost nothing', () => {
    const decoder = new FrameDecoder();
    decoder.push(frame(0, 0, 1, { length: 0xffff_ffff }));
    const first = decoder.next();
    assert.ok(first !== NEED_MORE && first.isStart && !first.isEnd && first.body.length === 0);
    assert.equal(decoder.next(), NEED_MORE);
    assert.equal(decoder.isMidHeader, false);
  });

  test('half a header can be seen', () => {
    const decoder = new FrameDecoder();
    decoder.push(Buffer.alloc(5));
    assert.equal(decoder.next(), NEED_MORE);
    assert.equal(decoder.isMidHeader, true);
  });
});
