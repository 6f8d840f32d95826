import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatBridgeLine,
  parseBridgeLine,
  publicLines,
  type BridgeLine,
} from '../../src/pt/bridge-line.ts';
import { endpoints, holds, textOf } from '../support/properties.ts';

const fingerprint = '0123456789ABCDEF0123456789ABCDEF01234567';
const cert = 'HszPy3vWfjsESCEOo9ZBkRv6zQ/1mGHzc8arF0y2SpwFr3WhsMu8rK0zyaoyERfbz3ddFw';

test('bridge lines as they are handed out', () => {
  const bridge: BridgeLine = {
    transport: 'obfs4',
    endpoint: { host: '192.0.2.3', port: 443 },
    fingerprint,
    args: [
      ['cert', cert],
      ['iat-mode', '0'],
    ],
  };
  const line = `obfs4 192.0.2.3:443 ${fingerprint} cert=${cert} iat-mode=0`;
  assert.deepEqual(parseBridgeLine(line), bridge);
  assert.deepEqual(parseBridgeLine(`Bridge ${line}`), bridge);
  assert.deepEqual(
    parseBridgeLine(`  bridge\t${line.toLowerCase().replace(cert.toLowerCase(), cert)} \r\n`),
    bridge,
  );
  assert.equal(formatBridgeLine(bridge), line);
});

test('every part but the address may be missing', () => {
  assert.deepEqual(parseBridgeLine('192.0.2.3'), {
    endpoint: { host: '192.0.2.3', port: 443 },
    args: [],
  });
  assert.deepEqual(parseBridgeLine('[2001:db8::3]'), {
    endpoint: { host: '2001:db8::3', port: 443 },
    args: [],
  });
  assert.deepEqual(parseBridgeLine(`192.0.2.3:9001 ${fingerprint}`), {
    endpoint: { host: '192.0.2.3', port: 9001 },
    fingerprint,
    args: [],
  });
  assert.deepEqual(parseBridgeLine('obfs3 [2001:db8::3]:80'), {
    transport: 'obfs3',
    endpoint: { host: '2001:db8::3', port: 80 },
    args: [],
  });
});

test('argument values keep their equal signs, and may be empty', () => {
  assert.deepEqual(parseBridgeLine('x 192.0.2.3:1 a=b=c= d= a=2').args, [
    ['a', 'b=c='],
    ['d', ''],
    ['a', '2'],
  ]);
});

const pasted = `obfs4 192.0.2.3:443 ${fingerprint} cert=${cert} iat-mode=0`;

for (const [what, line] of [
  ['white space around', `  ${pasted} \r\n`],
  ['a byte order mark', `\ufeff${pasted}`],
  ['direction marks', `\u200e\u202a${pasted}\u202c\u200f`],
  ['a zero-width space beside a space', pasted.replace(' cert', ' \u200bcert')],
  ['a zero-width space inside a value', pasted.replace('vWfj', 'vW\u200bfj')],
  ['a soft hyphen inside a value', pasted.replace('vWfj', 'vW\u00adfj')],
  ['non-breaking spaces', pasted.replaceAll(' ', '\u00a0')],
  ['HTML spaces', pasted.replaceAll(' ', '&nbsp;')],
  ['a non-breaking hyphen', pasted.replace('iat-mode', 'iat\u2011mode')],
  ['a dash', pasted.replace('iat-mode', 'iat\u2013mode')],
  ['quotes', `"${pasted}"`],
  ['typographic quotes', `\u201c${pasted}\u201d`],
  ['guillemets', `\u00ab ${pasted} \u00bb`],
  ['a bullet', `\u2022 ${pasted}`],
  ['a dash in front', `- ${pasted}`],
  ['a number', `1. ${pasted}`],
  ['a number in brackets', `12) Bridge ${pasted}`],
  ['a quotation', `> > ${pasted}`],
  ['backticks', `\`${pasted}\``],
  ['a fence', `\`\`\`\n${pasted}\n\`\`\``],
  ['Bridge in front', `Bridge ${pasted}`],
  ['Bridge: in front', `> Bridge: ${pasted}`],
  ['a comma at the end', `${pasted},`],
  ['commas and quotes', `'${pasted}',`],
  ['HTML breaks', `${pasted}<br/>\n<br>`],
  ['a wrapped line', pasted.replace(' cert', '\ncert')],
  ['a wrapped quotation', `> ${pasted.replace(' cert', '\n> cert')}`],
] as const) {
  test(`a pasted line with ${what} is read`, () => {
    assert.equal(formatBridgeLine(parseBridgeLine(line)), pasted);
  });
}

for (const [what, line, message] of [
  ['a zero-width space', pasted.replace(' cert', '\u200bcert'), /a zero-width space before cert=/],
  ['another', pasted.replace(' iat', '\u2063iat'), /an invisible character before iat-mode=/],
  ['two lines', `${pasted}\n${pasted}`, /these are two lines/],
  ['two in one', `${pasted} ${pasted}`, /these are two lines/],
  ['three by HTML', `${pasted}<br>${pasted}<br>${pasted}`, /these are three lines/],
  ['0.0.0.0', pasted.replace('192.0.2.3', '0.0.0.0'), /is a wildcard/],
  ['[::]', pasted.replace('192.0.2.3', '[::]'), /is a wildcard/],
] as const) {
  test(`a pasted line with ${what} is refused by name`, () => {
    assert.throws(() => parseBridgeLine(line), { code: 'ERR_PT_BRIDGE_LINE', message });
  });
}

test('a fingerprint in groups of four is one, as tor takes it', () => {
  const groups = fingerprint.match(/.{4}/g)!.join(' ');
  assert.equal(parseBridgeLine(`192.0.2.3:9001 ${groups}`).fingerprint, fingerprint);
  assert.equal(formatBridgeLine(parseBridgeLine(pasted.replace(fingerprint, groups))), pasted);
  assert.throws(() => parseBridgeLine(`192.0.2.3:9001 ${groups} 0123`), /40 hexadecimal digits/);
});

test('the lines that a bridge hands out', () => {
  const at = (host: string): BridgeLine => ({
    transport: 'x',
    endpoint: { host, port: 1 },
    args: [],
  });
  const lines = (...[line, addresses]: Parameters<typeof publicLines>) =>
    publicLines(line, addresses).map(formatBridgeLine);
  assert.deepEqual(lines(at('0.0.0.0'), []), ['x 0.0.0.0:1']);
  assert.deepEqual(lines(at('::'), []), ['x 0.0.0.0:1', 'x [::]:1']);
  assert.deepEqual(lines(at('192.168.0.2'), ['192.0.2.3']), ['x 192.0.2.3:1']);
  assert.deepEqual(lines(at('::'), ['192.0.2.3', '2001:db8::3']), [
    'x 192.0.2.3:1',
    'x [2001:db8::3]:1',
  ]);
});

test('a line that a paste would change is not written', () => {
  const endpoint = { host: '192.0.2.3', port: 1 };
  for (const value of ['v,', 'v"', 'v\u200b', 'a\u2011b']) {
    assert.throws(() => formatBridgeLine({ transport: 'x', endpoint, args: [['k', value]] }), {
      code: 'ERR_PT_BRIDGE_LINE',
    });
  }
});

for (const [line, message] of [
  ['', /the line is empty/],
  ['Bridge', /the line is empty/],
  ['obfs4', /no address after the word obfs4/],
  ['localhost', /a host name cannot stand/],
  ['obfs4 example.net:443', /no host names/],
  ['obfs4 192.0.2.3:0', /port of 1\.\.65535/],
  ['obfs4 192.0.2.3:65536', /port of 1\.\.65535/],
  ['obfs4 192.0.2.300:1', /the address is not/],
  ['obfs4 2001:db8::3:80', /IPv6 in brackets/],
  ['ob-fs4 192.0.2.3:1', /the address is not/],
  ['obfs4 192.0.2.3:1 0123', /40 hexadecimal digits/],
  [`obfs4 192.0.2.3:1 $${fingerprint}`, /40 hexadecimal digits/],
  [`obfs4 192.0.2.3:1 ${fingerprint} cert`, /argument 1 has no '='/],
  [`obfs4 192.0.2.3:1 a=b ${fingerprint}`, /argument 2 has no '='/],
  ['obfs4 192.0.2.3:1 =secret', /argument 1 has an empty key/],
  ['192.0.2.3:1 cert=secret', /no transport before the address/],
  ['obfs4 192.0.2.3:1 a=\0', /NUL/],
  [`obfs4 192.0.2.3:1 a=${'x'.repeat(509)}`, /511 bytes; SOCKS carries at most 510/],
] as const) {
  test(`refused: ${JSON.stringify(line.slice(0, 60))}`, () => {
    assert.throws(() => parseBridgeLine(line), { code: 'ERR_PT_BRIDGE_LINE', message });
    assert.throws(
      () => parseBridgeLine(line),
      (error: Error) => !/192\.0\.2|secret/.test(error.message),
    );
  });
}

test('510 bytes of arguments are allowed', () => {
  assert.equal(parseBridgeLine(`obfs4 192.0.2.3:1 a=${'x'.repeat(508)}`).args[0]?.[1].length, 508);
});

test('a bridge survives its line, and one that would not is refused', () => {
  const text = textOf('az/=+;\\0', { maxLength: 10 });
  const bridges = fc.record(
    {
      transport: fc.constantFrom('obfs4', '_x'),
      endpoint: endpoints,
      fingerprint: fc.constant(fingerprint),
      args: fc.array(
        fc.tuple(
          text.map((key) => `k${key.replaceAll('=', '')}`),
          text,
        ),
        { maxLength: 5 },
      ),
    },
    { requiredKeys: ['transport', 'endpoint', 'args'], noNullPrototype: true },
  );
  holds(
    fc.property(bridges, (bridge) =>
      assert.deepEqual(parseBridgeLine(formatBridgeLine(bridge)), bridge),
    ),
    300,
  );
  const endpoint = { host: '192.0.2.3', port: 1 };
  for (const bridge of [
    { transport: 'a b', endpoint, args: [] },
    { transport: 'a-b', endpoint, args: [] },
    { transport: 'a', endpoint: { host: 'example.net', port: 1 }, args: [] },
    { transport: 'a', endpoint, args: [['k', 'a b']] },
    { transport: 'a', endpoint, args: [['k=', 'v']] },
    { transport: 'a', endpoint, args: [['', 'v']] },
    { transport: 'a', endpoint, fingerprint: 'x', args: [] },
    { endpoint, args: [['k', 'v']] },
  ] as const) {
    assert.throws(
      () => formatBridgeLine(bridge),
      { code: 'ERR_PT_BRIDGE_LINE' },
      JSON.stringify(bridge),
    );
  }
});

test('any text at all is parsed or refused with the code', () => {
  holds(
    fc.property(textOf('a1.:[] =;\\\n'), (text) => {
      try {
        parseBridgeLine(text);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ERR_PT_BRIDGE_LINE');
      }
    }),
    1000,
  );
});
