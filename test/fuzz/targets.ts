/** Whatever of ours accepts connections, each as a running program that is attacked. */
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext, TLSSocket } from 'node:tls';
import { encodeFrame, encodeRequest } from '../../src/control/encode.ts';
import { MessageType } from '../../src/control/messages.ts';
import { connectControl } from '../../src/control/node/client.ts';
import { derOfPem, hashOfChain } from '../../src/crypto/certificates.ts';
import { TunnelServer } from '../../src/engine/embedded/tunnel-server.ts';
import { FrameFlag, FrameType, HEADER_BYTES } from '../../src/mux/messages.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { type Endpoint, formatEndpoint } from '../../src/pt/address.ts';
import { encodeSocksArguments, splitForUserPass } from '../../src/pt/socks-arguments.ts';
import { buildEnvironment } from '../../src/pt/launch-environment.ts';
import {
  encodeGreeting,
  encodeReply5,
  encodeRequest4,
  encodeRequest5,
  encodeUserPass,
} from '../../src/socks/encode.ts';
import { SocksMethod } from '../../src/socks/messages.ts';
import { obfs4 } from '../../src/transports/obfs4/index.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { webtunnel } from '../../src/transports/webtunnel/index.ts';
import { unawaited } from '../../src/unawaited.ts';
import { makeTestCertificate } from '../support/certificates.ts';
import { startOwnServer } from '../support/interop.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { checkStream, ProbedBridge, type Wire } from '../support/probed-bridge.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import type { Cleanup } from '../support/pt-programs.ts';
import { dial, echo, listen, readBytes, socksConnect } from '../support/sockets.ts';
import { Dice } from './dice.ts';
import { frame, randomFrames } from './frames.ts';
import { mutate } from './mutate.ts';
import { leave, MutatingSocket, play } from './play.ts';

/** A program under attack. */
export interface Attacked {
  readonly process: ProbedProcess;
  /** One hostile connection, to its end. @returns how many messages were said */
  readonly attack: (dice: Dice) => Promise<number>;
  /** An ordinary client. @throws Error unless it is served */
  readonly serveOne: () => Promise<void>;
  /** Called when the attacks are over, where nobody else can be served before. */
  readonly relent?: () => Promise<void>;
}

/** Every target, by the name that `--only` takes. */
export const targets: Readonly<Record<string, (t: Cleanup) => Promise<Attacked>>> = {
  link: (t) => attackLinks(t, 'ORPort'),
  'link-obfs4': (t) => attackLinks(t, 'obfs4'),
  'link-client': attackLinkClient,
  extorport: attackExtOrPort,
  ...Object.fromEntries(
    [...builtinTransports].map(({ name }) => [name, (t: Cleanup) => attackTransport(t, name)]),
  ),
  'web-site': attackWebSite,
  'webtunnel-client': attackWebtunnelClient,
  control: attackControl,
  socks: (t) => attackApplications(t, SOCKS_PORT, socksMessages),
  'http-tunnel': (t) => attackApplications(t, /HTTPTunnelPort (\S+) is open/, httpMessages),
  'pt-socks': attackManagedProxy,
};

/** Frames of the multiplexer at a bridge. */
async function attackLinks(t: Cleanup, way: string): Promise<Attacked> {
  const bridge = await ProbedBridge.start(t);
  return {
    process: bridge.process,
    serveOne: () => bridge.serveOne(way),
    async attack(dice) {
      const frames = randomFrames(dice, { firstId: 1, opening: () => opening(dice, bridge) });
      await play(dice, await bridge.connect(way), frames);
      return frames.length;
    },
  };
}

/** What a stream may begin with at a bridge: good requests and bad ones, and payload at once. */
function opening(dice: Dice, { targets: { echo, sink, source, refused } }: ProbedBridge): Buffer {
  const target = dice.pick([echo, echo, echo, sink, source, refused, refused, PRIVATE]);
  const host = dice.pick([target.host, target.host, target.host, 'localhost', '::1']);
  const request = encodeRequest5({ ...target, host });
  if (dice.percent(50)) return Buffer.concat([request, dice.bytes(dice.below(100))]);
  // A name that was turned into another one would be looked up.
  return dice.percent(60) || host === 'localhost' ? request : mutate(dice, request);
}

/** A server of a transport, whose handshake goes wrong somewhere, and the frames behind it. */
async function attackTransport(t: Cleanup, name: string): Promise<Attacked> {
  const bridge = await ProbedBridge.start(t);
  return {
    process: bridge.process,
    serveOne: () => bridge.serveOne(name),
    attack(dice) {
      const { endpoint, secure, open } = bridge.client(name);
      return attackExchange(dice, bridge, endpoint, async (wire, signal) =>
        open(await secure(wire, { signal }), { signal }),
      );
    },
  };
}

/** A bridge that is a web site, by whoever speaks TLS well, and HTTP badly. */
async function attackWebSite(t: Cleanup): Promise<Attacked> {
  const bridge = await ProbedBridge.start(t);
  return {
    process: bridge.process,
    serveOne: () => bridge.serveOne('webtunnel'),
    async attack(dice) {
      const { endpoint, secure } = bridge.client('webtunnel');
      const socket = (await dial(endpoint)) as Socket;
      const stream = await secure(socket);
      const requests = Array.from({ length: 1 + dice.below(6) }, () => webRequest(dice));
      await play(dice, { stream, socket }, requests);
      return requests.length;
    },
  };
}

function webRequest(dice: Dice): Buffer {
  const fields = [
    'Host: bridge.example',
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Content-Length: ${dice.pick(['0', '5', '-1', '99999999999999999999'])}`,
    'Transfer-Encoding: chunked',
    `Range: bytes=${dice.pick(['0-1', '-1', '5-2', '0-0,2-3,1-', '9999999999-'])}`,
    'If-None-Match: *',
    `X: ${'a'.repeat(dice.below(dice.pick([10, 9000])))}`,
  ].filter(() => dice.percent(35));
  const path = dice.pick([
    '/',
    '/secret',
    '/style.css',
    '/sub',
    '/sub/',
    '/../x',
    '/%2e%2e/%zz',
    '*',
  ]);
  const method = dice.pick(['GET', 'GET', 'HEAD', 'POST', 'PUT', 'PRI']);
  const head = [`${method} ${path} HTTP/1.${dice.below(3)}`, ...fields, '', ''].join('\r\n');
  const request = Buffer.concat([Buffer.from(head), dice.bytes(dice.below(30))]);
  return dice.percent(60) ? mutate(dice, request) : request;
}

/** A client of webtunnel whose web server lies, in TLS and in HTTP. */
async function attackWebtunnelClient(t: Cleanup): Promise<Attacked> {
  const good = await startOwnServer(t, webtunnel, echo, [
    ['url', 'https://bridge.example/secret'],
    ['tls-cert', 'self-signed'],
  ]);
  const certificate = makeTestCertificate({ names: ['bridge.example'] });
  const secureContext = createSecureContext(certificate);
  let liar = new Dice('a web server');
  let said = 0;
  const lie = async (socket: Socket, dice: Dice): Promise<void> => {
    const wire = new MutatingSocket(socket, dice);
    const stream = new TLSSocket(wire, { isServer: true, secureContext });
    stream.on('error', () => {});
    stream.once('data', () => void stream.write(webAnswer(dice)));
    await delay(1 + dice.below(EXCHANGE_MS));
    await leave(dice, { stream, socket });
    said += wire.messages;
  };
  const bad = await listen(t, (socket) => unawaited(() => lie(socket, liar)));
  const process = new ProbedProcess(t, [], {
    env: {
      ...buildEnvironment({
        role: 'client',
        stateLocation: temporaryDirectory(t),
        transports: [webtunnel.name],
      }),
      TOR_PT_EXIT_ON_STDIN_CLOSE: '0',
    },
  });
  const socks = await process.address(/^CMETHOD webtunnel socks5 (\S+)$/);
  const known = {
    ...Object.fromEntries(good.clientArguments),
    addr: formatEndpoint(good.listening),
  };
  const argsOf = (values: Readonly<Record<string, string>>): string =>
    Buffer.from(encodeSocksArguments(Object.entries(values))).toString();
  const pin = hashOfChain([derOfPem(certificate.cert)]).toString('base64');
  const led = argsOf({ ...known, cert: pin, addr: formatEndpoint(bad.endpoint) });
  return {
    process,
    serveOne: async () => checkStream(await socksConnect(socks, good.endpoint, argsOf(known))),
    async attack(dice) {
      liar = dice;
      const stream = socksConnect(socks, good.endpoint, led);
      const socket = (await stream.catch(() => undefined)) as Socket | undefined;
      if (socket !== undefined) {
        await play(dice, { stream: socket, socket }, [dice.bytes(dice.below(2000))]);
      }
      const count = said;
      said = 0;
      return count;
    },
  };
}

/** What a web server may say to a request for an upgrade, and bytes behind it. */
function webAnswer(dice: Dice): Buffer {
  const fields = [
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'Content-Length: 5',
    `X: ${'a'.repeat(dice.below(dice.pick([10, 20_000])))}`,
  ].filter((_, index) => dice.percent(index < 2 ? 85 : 30));
  const status = dice.pick(['101', '101', '101', '100', '200', '302', '502', '99999']);
  const head = [`HTTP/1.${dice.below(2)} ${status} Some reason`, ...fields, '', ''].join('\r\n');
  const answer = Buffer.concat([Buffer.from(head), dice.bytes(dice.below(2000))]);
  return dice.percent(50) ? mutate(dice, answer) : answer;
}

async function attackExtOrPort(t: Cleanup): Promise<Attacked> {
  const bridge = await ProbedBridge.start(t);
  return {
    process: bridge.process,
    serveOne: () => bridge.serveOne('ExtORPort'),
    attack: (dice) =>
      attackExchange(dice, bridge, bridge.extOrPort, async (wire, signal) => {
        await runExchange(wire, bridge.extOrClient(), { signal });
        return wire;
      }),
  };
}

/** An exchange in which each end answers the other, mutated on the wire, and link frames behind it. */
async function attackExchange(
  dice: Dice,
  bridge: ProbedBridge,
  endpoint: Endpoint,
  exchange: (wire: MutatingSocket, signal: AbortSignal) => Promise<Wire['stream']>,
): Promise<number> {
  const socket = (await dial(endpoint)) as Socket;
  const wire = new MutatingSocket(socket, dice);
  let stream: Wire['stream'];
  try {
    // Who was rejected is told nothing, and leaves.
    stream = await exchange(wire, AbortSignal.timeout(1 + dice.below(EXCHANGE_MS)));
  } catch {
    await leave(dice, { stream: wire, socket });
    return wire.messages;
  }
  const frames = randomFrames(dice, { firstId: 1, opening: () => opening(dice, bridge) });
  await play(dice, { stream, socket }, frames);
  return wire.messages + frames.length;
}

/** A client daemon whose bridge is hostile, until it relents. */
async function attackLinkClient(t: Cleanup): Promise<Attacked> {
  let liar: Dice | undefined = new Dice('a bridge');
  let said = 0;
  const lies = new Set<Promise<void>>();
  const lie = async (socket: Socket, dice: Dice): Promise<void> => {
    const ping = await readBytes(socket, HEADER_BYTES);
    socket.write(frame(FrameType.ping, FrameFlag.ack, 0, EMPTY, ping.readUInt32BE(8)));
    const opening = (): Buffer => mutate(dice, encodeReply5(dice.below(9)));
    const frames = randomFrames(dice, { firstId: 2, openIds: [1, 1, 3], opening });
    said += frames.length;
    await play(dice, { stream: socket, socket }, frames);
  };
  const client = await startClient(t, (socket, server) => {
    if (liar === undefined) return server.accept(socket);
    const told = lie(socket, liar).catch(() => void socket.destroy());
    lies.add(told);
    unawaited(() => told.finally(() => lies.delete(told)));
  });
  const socks = await client.process.address(SOCKS_PORT);
  return {
    process: client.process,
    serveOne: async () => checkStream(await socksConnect(socks, client.target)),
    async attack(dice) {
      if (liar === undefined) client.server.close();
      liar = dice;
      const socket = (await dial(socks)) as Socket;
      const request = [encodeGreeting([SocksMethod.none]), encodeRequest5(client.target)];
      await play(dice, { stream: socket, socket }, request);
      const count = said;
      said = 0;
      return count;
    },
    async relent() {
      liar = undefined;
      while (lies.size > 0) await Promise.all(lies);
    },
  };
}

/** What an application may ask a client daemon for. */
async function attackApplications(
  t: Cleanup,
  port: RegExp,
  messagesOf: (dice: Dice, target: Endpoint) => Buffer[],
): Promise<Attacked> {
  const client = await startClient(t, (socket, server) => server.accept(socket));
  const [endpoint, socks] = [
    await client.process.address(port),
    await client.process.address(SOCKS_PORT),
  ];
  return {
    process: client.process,
    serveOne: async () => checkStream(await socksConnect(socks, client.target)),
    async attack(dice) {
      const messages = mutateSome(dice, messagesOf(dice, client.target));
      const socket = (await dial(endpoint)) as Socket;
      await play(dice, { stream: socket, socket }, messages);
      return messages.length;
    },
  };
}

/** A managed proxy as a client of obfs4, whose applications say transport arguments as well. */
async function attackManagedProxy(t: Cleanup): Promise<Attacked> {
  const server = await startOwnServer(t, obfs4, echo);
  // Whom a server rejects it keeps for a minute; there is no time for that here.
  const hasty = await listen(t, (socket) => {
    const onward = connect({ ...server.endpoint, allowHalfOpen: true });
    socket
      .on('close', () => onward.destroy())
      .pipe(onward.on('error', () => {}))
      .pipe(socket);
    setTimeout(() => socket.destroy(), EXCHANGE_MS);
  });
  const args = encodeSocksArguments(server.clientArguments);
  const process = new ProbedProcess(t, [], {
    env: {
      ...buildEnvironment({
        role: 'client',
        stateLocation: temporaryDirectory(t),
        transports: [obfs4.name],
      }),
      TOR_PT_EXIT_ON_STDIN_CLOSE: '0',
    },
  });
  const endpoint = await process.address(/^CMETHOD obfs4 socks5 (\S+)$/);
  return {
    process,
    serveOne: async () =>
      checkStream(await socksConnect(endpoint, server.endpoint, Buffer.from(args).toString())),
    async attack(dice) {
      const messages = mutateSome(dice, socksMessages(dice, hasty.endpoint, args));
      const socket = (await dial(endpoint)) as Socket;
      await play(dice, { stream: socket, socket }, messages);
      return messages.length;
    },
  };
}

/** Everything that a SOCKS client says, without waiting for answers, and payload. */
function socksMessages(dice: Dice, target: Endpoint, args: Uint8Array = EMPTY): Buffer[] {
  const payload = dice.bytes(dice.below(2000));
  if (dice.percent(30)) {
    return [encodeRequest4('socks4', target, args), payload];
  }
  if (args.length === 0) {
    return [encodeGreeting([SocksMethod.none]), encodeRequest5(target), payload];
  }
  const { username, password } = splitForUserPass(args);
  const greeting = encodeGreeting([SocksMethod.none, SocksMethod.usernamePassword]);
  return [greeting, encodeUserPass(username, password), encodeRequest5(target), payload];
}

function httpMessages(dice: Dice, { host, port }: Endpoint): Buffer[] {
  const method = dice.percent(80) ? 'CONNECT' : dice.pick(['GET', 'POST', 'PRI', 'OPTIONS']);
  const headers = [
    `Host: ${host}:${port}`,
    `Content-Length: ${dice.pick(['0', '5', '-1', '99999999999999999999'])}`,
    'Transfer-Encoding: chunked',
    'Upgrade: websocket',
    'Expect: 100-continue',
    `X: ${'a'.repeat(dice.below(dice.pick([10, 20_000])))}`,
  ].filter(() => dice.percent(30));
  const target = dice.pick([`${host}:${port}`, `${host}:${port}`, host, '*', '[::1', ':0']);
  const head = [`${method} ${target} HTTP/1.${dice.below(3)}`, ...headers, '', ''].join('\r\n');
  return [Buffer.from(head), dice.bytes(dice.below(2000))];
}

async function attackControl(t: Cleanup): Promise<Attacked> {
  const { process, controlPort } = await ProbedBridge.start(t);
  return {
    process,
    async serveOne() {
      const control = await connectControl(controlPort);
      await control.getConf(['SocksPort']);
      await control.close();
    },
    async attack(dice) {
      const messages = controlMessages(dice);
      const socket = (await dial(controlPort)) as Socket;
      await play(dice, { stream: socket, socket }, messages);
      return messages.length;
    },
  };
}

/** Requests of a controller, but for those that would end or change what is attacked. */
function controlMessages(dice: Dice): Buffer[] {
  const messages = Array.from({ length: 1 + dice.below(30) }, () =>
    dice.pick([
      () => encodeRequest({ type: 'getConf', keys: ['Nickname', 'Bridge', 'Nonsense'] }),
      () => encodeRequest({ type: 'setConf', lines: 'MaxCircuitDirtiness 600 seconds\n' }),
      () => encodeRequest({ type: 'setConf', lines: 'Nonsense 1\nNickname\n' }),
      () => encodeRequest({ type: 'setEvents', kinds: ['circuit', 'stream', 'log', 'bandwidth'] }),
      () => encodeRequest({ type: 'authenticate', secret: dice.bytes(dice.below(100)) }),
      () => encodeRequest({ type: 'getAllMappings' }),
      () => encodeFrame(dice.below(0x10), dice.bytes(dice.below(50))),
    ])(),
  );
  for (;;) {
    const mutated = mutateSome(dice, messages);
    if (!isHarmful(Buffer.concat(mutated))) return mutated;
  }
}

/** Whether a server would find a request that stops or changes it, however the frames were mutated. */
function isHarmful(bytes: Buffer): boolean {
  const harmful: readonly number[] = [
    MessageType.signal,
    MessageType.saveConf,
    MessageType.mapAddress,
  ];
  for (let at = 0; at + 4 <= bytes.length; at += 4 + bytes.readUInt16BE(at)) {
    const type = bytes.readUInt16BE(at + 2);
    if (harmful.includes(type)) return true;
    const body = bytes.toString('latin1', at + 4, at + 4 + bytes.readUInt16BE(at));
    const isOurs = /^(?:MaxCircuitDirtiness 600 seconds\n|Nonsense 1\n)/.test(body);
    if (type === MessageType.setConf && !isOurs) return true;
  }
  return false;
}

function mutateSome(dice: Dice, messages: readonly Buffer[]): Buffer[] {
  const percent = dice.pick([0, 10, 50]);
  return messages.map((message) => (dice.percent(percent) ? mutate(dice, message) : message));
}

/** A client daemon whose bridge this process plays: whatever is asked for, it is the echo. */
async function startClient(
  t: Cleanup,
  onLink: (socket: Socket, server: TunnelServer) => void,
): Promise<{
  readonly process: ProbedProcess;
  readonly target: Endpoint;
  readonly server: TunnelServer;
}> {
  const { endpoint: target } = await listen(t, echo);
  const server = new TunnelServer({
    dial: () => (_anything, options) => dial(target, options),
    meter: { onRead: () => 0, onWrite: () => 0 },
    log: { write() {} } as never,
  });
  const bridge = await listen(t, (socket) => onLink(socket, server));
  t.after(() => server.close());
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  const ports = ['SocksPort auto', 'HTTPTunnelPort auto', 'UseBridges 1', `Bridge ${bridge.text}`];
  writeFileSync(torrc, [`DataDirectory ${directory}`, ...ports, ''].join('\n'));
  return { process: new ProbedProcess(t, ['run', '-f', torrc]), target, server };
}

/** A target that no exit policy of ours lets through, and no machine has. */
const PRIVATE: Endpoint = { host: '192.0.2.1', port: 80 };
const SOCKS_PORT = /SocksPort (\S+) is open/;
const EXCHANGE_MS = 200;
const EMPTY = Buffer.alloc(0);
