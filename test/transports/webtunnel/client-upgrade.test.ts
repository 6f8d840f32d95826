import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../src/limits.ts';
import { parseBridgeUrl } from '../../../src/transports/webtunnel/bridge-url.ts';
import { ClientUpgrade } from '../../../src/transports/webtunnel/client-upgrade.ts';
import { seededRng } from '../../support/rng.ts';

type Actions = ReturnType<ClientUpgrade['receive']>;

function upgrade(url = 'https://bridge.example/secret%20path'): ClientUpgrade {
  const machine = new ClientUpgrade(parseBridgeUrl(url), seededRng('upgrade'));
  machine.start();
  return machine;
}

const OFFICIAL =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

test('it asks as a browser does, with the words that webtunnel-server needs', () => {
  const machine = new ClientUpgrade(
    parseBridgeUrl('https://bridge.example:8443/secret%20path?x'),
    seededRng('upgrade'),
  );
  const [sent, patience] = machine.start();
  assert.equal(patience?.type, 'patience');
  assert.ok(sent?.type === 'send');
  assert.match(
    Buffer.from(sent.bytes).toString(),
    /^GET \/secret%20path HTTP\/1\.1\r\nHost: bridge\.example:8443\r\nUser-Agent: \S+\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n\r\n$/,
  );
});

test('a whole answer is the end, wherever it is cut, and what is behind it is kept', () => {
  for (const answer of [
    OFFICIAL,
    'HTTP/1.0 101 \r\nUPGRADE: WebSocket\r\nServer: x\r\nconnection: keep-alive, Upgrade\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n',
    `HTTP/1.1 100 Continue\r\n\r\n${OFFICIAL}`,
  ]) {
    const bytes = Buffer.from(`${answer}payload`);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const machine = upgrade();
      let kept = '';
      let isDone = false;
      for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        if (isDone) {
          kept += part.toString();
          continue;
        }
        const [action] = machine.receive(part);
        if (action === undefined) continue;
        assert.ok(action.type === 'done', action.type);
        isDone = true;
        kept += Buffer.from(action.leftover).toString();
      }
      assert.equal(kept, 'payload', `${answer} cut at ${cut}`);
    }
  }
});

test('every other answer says what it is', () => {
  const errorOf = (actions: Actions): { code: string; message: string } => {
    const [action] = actions;
    assert.ok(action?.type === 'failed');
    return action.error;
  };
  for (const [answer, code, message] of [
    ['HTTP/1.1 404 Not Found\r\n\r\n', 'ERR_UPGRADE_REFUSED', /404: .*no bridge at the path/],
    ['HTTP/1.1 502 Bad Gateway\r\n\r\n', 'ERR_UPGRADE_REFUSED', /502: .*behind it does not/],
    ['HTTP/1.1 200 OK\r\n\r\n', 'ERR_UPGRADE_REFUSED', /200: .*a page/],
    ['HTTP/1.1 302 Found\r\n\r\n', 'ERR_UPGRADE_REFUSED', /302: .*elsewhere/],
    ['HTTP/1.1 418 Tea\r\n\r\n', 'ERR_UPGRADE_REFUSED', /418$/],
    ['HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n', 'ERR_UPGRADE_REFUSED', /another protocol/],
    [
      'HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
      'ERR_UPGRADE_REFUSED',
      /another/,
    ],
    ['SSH-2.0-OpenSSH', 'ERR_HANDSHAKE_REJECTED', /no web server/],
    ['HTTP/1.1 hello\r\n\r\n', 'ERR_HANDSHAKE_REJECTED', /no web server/],
    ['HTTP/2', 'ERR_HANDSHAKE_REJECTED', /no web server/],
    [`HTTP/1.1 101 ${'x'.repeat(limits.webHeadBytes)}`, 'ERR_BYTES_OVERFLOW', /over the limit/],
  ] as const) {
    const error = errorOf(upgrade().receive(Buffer.from(answer)));
    assert.equal(error.code, code, answer.slice(0, 80));
    assert.match(error.message, message);
  }
});
