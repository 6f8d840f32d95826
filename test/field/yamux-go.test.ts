/** Our yamux and hashicorp's, which wrote the specification, as each other's peer. */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { packageRoot } from '../../scripts/paths.ts';
import { formatEndpoint, parseIpEndpoint } from '../../src/pt/address.ts';
import { LoggedProcess } from '../support/logged-process.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { askYamuxEcho, serveYamuxEcho, wholeLoad } from '../support/yamux-echo.ts';

const run = promisify(execFile);
const go = peerProgram('go');
const source = join(packageRoot, 'test', 'peers', 'yamux-go');

/** Why it cannot run, or false. */
function whyNot(): string | false {
  if (go === undefined) return 'Go is not installed';
  const version = execFileSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' }).trim();
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  const isNew = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 20);
  return isNew ? false : `${version} is older than Go 1.20`;
}

/** Builds the Go program, which fetches hashicorp/yamux where it is not there yet. */
async function build(t: TestContext): Promise<string> {
  const program = join(temporaryDirectory(t), 'yamux-go');
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };
  await run(go!, ['build', '-o', program, '.'], { cwd: source, env });
  return program;
}

describe('hashicorp/yamux', { skip: whyNot() }, () => {
  test('64 MB and 1,000 streams, our client and their server', async (t) => {
    const server = new LoggedProcess('yamux-go', [await build(t), 'server']);
    t.after(() => server.kill());
    const [address] = await server.line(/^.+$/);
    await askYamuxEcho(parseIpEndpoint(address)!, wholeLoad);
  });

  test('64 MB and 1,000 streams, their client and our server', async (t) => {
    const server = formatEndpoint(await serveYamuxEcho(t));
    const { bytes, streams } = wholeLoad;
    await run(await build(t), ['client', server, String(bytes), String(streams)]);
  });
});
