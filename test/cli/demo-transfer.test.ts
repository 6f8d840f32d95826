import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { duplexPair, Transform } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { type DemoService, startDemoService } from '../../src/cli/demo/service.ts';
import { download, upload } from '../../src/cli/demo/transfer.ts';

const BYTES = 3 * 65_536 + 5;

describe('the transfer of the demo', () => {
  let service: DemoService;
  before(async () => {
    service = await startDemoService();
  });
  after(() => service[Symbol.asyncDispose]());

  const options = () => {
    const progress: number[] = [];
    return {
      bytes: BYTES,
      signal: new AbortController().signal,
      onProgress: (bytes: number) => void progress.push(bytes),
      progress,
    };
  };

  for (const transfer of [upload, download]) {
    test(`${transfer.name}: carries every byte and says so`, async () => {
      const given = options();
      const result = await transfer(connect(service.endpoint), given);
      assert.equal(result.intact, true);
      assert.equal(result.bytes, BYTES);
      assert.equal(given.progress.at(-1), BYTES);
    });

    test(`${transfer.name}: sees a single changed bit`, async () => {
      const result = await transfer(connectThroughFault(service), options());
      assert.equal(result.intact, false);
    });

    test(`${transfer.name}: gives up when told to`, async () => {
      const abort = new AbortController();
      const running = transfer(connect(service.endpoint), {
        ...options(),
        signal: abort.signal,
        onProgress: () => abort.abort(),
      });
      await assert.rejects(running);
    });
  }
});

/** A connection that flips one bit of the 100,000th byte in each direction: always of the body. */
function connectThroughFault({ endpoint }: DemoService): ReturnType<typeof duplexPair>[0] {
  const [near, far] = duplexPair();
  const socket = connect(endpoint);
  far.pipe(flipBit()).pipe(socket);
  socket.pipe(flipBit()).pipe(far);
  return near;
}

function flipBit(): Transform {
  let offset = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      const index = 100_000 - offset;
      offset += chunk.length;
      if (index >= 0 && index < chunk.length) chunk[index]! ^= 1;
      callback(null, chunk);
    },
  });
}
