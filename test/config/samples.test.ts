/** The files of examples/ that people copy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { readEngine, torVocabulary } from '../../src/config/vocabulary.ts';
import { parseTorrcFile } from '../../src/config/torrc.ts';
import { readSource } from '../support/sources.ts';

/** A sample with the lines that it offers in comments switched on. */
function switchedOn(text: string): string {
  return text.replace(/^#(?=[A-Z][A-Za-z]+ )/gm, '').replace(' cert=…', ' cert=abc');
}

for (const name of ['torrc.client', 'torrc.bridge']) {
  test(`${name} is valid as it is, and with what stands there in comments`, () => {
    const { text } = readSource(`examples/${name}`);
    assert.ok(Configuration.parse(text));
    assert.ok(Configuration.parse(switchedOn(text)));
  });
}

test('torrc.tor asks for a Tor, and our part of it is valid', () => {
  const { text } = readSource('examples/torrc.tor');
  assert.equal(readEngine(parseTorrcFile(text)), 'tor');
  for (const lines of [text, switchedOn(text)]) {
    const { values } = Configuration.parse(lines, {}, torVocabulary(undefined));
    assert.deepEqual(values.ControlPort, [{ host: '127.0.0.1', port: 9051 }]);
    assert.equal(values.CookieAuthentication, true);
  }
});

test('the samples are what their names say, and open no port to others but the bridge’s', () => {
  const client = Configuration.parse(switchedOn(readSource('examples/torrc.client').text)).values;
  assert.equal(client.UseBridges, true);
  assert.equal(client.Bridge.length, 1);
  const bridge = Configuration.parse(readSource('examples/torrc.bridge').text).values;
  assert.equal(bridge.ServerTransportListenAddr.length, 1);
  assert.equal(bridge.ExitPolicyRejectPrivate, true);
  for (const { SocksPort, HTTPTunnelPort, ControlPort, CookieAuthentication } of [client, bridge]) {
    for (const place of [...SocksPort, ...HTTPTunnelPort, ...ControlPort]) {
      assert.ok('host' in place && place.host === '127.0.0.1');
    }
    assert.equal(CookieAuthentication, true);
  }
});
