import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { ExitCode } from '../../src/cli/context.ts';
import { runCommand } from '../../src/cli/program.ts';
import { parsePassphraseHash, verifyPassphrase } from '../../src/crypto/passphrase.ts';
import { Output } from '../support/command.ts';
import { postern } from '../support/pt-programs.ts';

/** Runs `postern hash-password` with this on stdin, typed at a terminal or piped. */
async function hash(
  typed: string,
  terminal: boolean,
): Promise<{ code: number; out: Output; err: Output }> {
  const stdin = Object.assign(new PassThrough(), { isTTY: terminal, setRawMode: () => {} });
  const [out, err] = [new Output(), new Output()];
  const never = new AbortController().signal;
  if (terminal) stdin.write(typed);
  else stdin.end(typed);
  const code = await runCommand({
    args: ['hash-password'],
    env: {},
    stdin,
    stdout: out,
    stderr: err,
    stop: { drain: never, now: never, endNow: () => {} },
    parentPid: () => 1,
    ownCommand: postern.command,
    onSignal: () => () => {},
  });
  return { code, out, err };
}

describe('hash-password', () => {
  for (const [typed, terminal] of [
    ['geheim é\n', false],
    ['geheim é\r\nnext line\n', false],
    ['geheim é', false],
    ['geheim é\r', true],
    ['geheim x\x7fé\r', true],
  ] as const) {
    test(`reads ${JSON.stringify(typed)} ${terminal ? 'from a terminal' : 'from a pipe'}`, async () => {
      const { code, out, err } = await hash(typed, terminal);
      assert.equal(code, ExitCode.ok);
      assert.match(out.text, /^16:[0-9A-F]{58}\n$/);
      const parsed = parsePassphraseHash(out.text.trimEnd());
      assert.ok(verifyPassphrase(Buffer.from('geheim é'), parsed));
      assert.equal(err.text.startsWith('Passphrase: '), terminal);
      assert.ok(!err.text.includes('geheim'), 'it is not shown');
    });
  }

  test('two hashes of one passphrase differ', async () => {
    const texts = [await hash('a\n', false), await hash('a\n', false)].map(({ out }) => out.text);
    assert.notEqual(texts[0], texts[1]);
  });

  test('an empty passphrase is refused', async () => {
    for (const typed of ['', '\n']) {
      const { code, out } = await hash(typed, false);
      assert.equal(code, ExitCode.usage);
      assert.equal(out.text, '');
    }
  });

  test('Ctrl-C at the prompt ends it', async () => {
    const { code, out } = await hash('geh\x03', true);
    assert.deepEqual([code, out.text], [ExitCode.ok, '']);
  });
});
