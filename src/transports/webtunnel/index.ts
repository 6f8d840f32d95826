/**
 * webtunnel: TLS to a web server, one request to become a WebSocket, and then bytes as they are. To an observer it is
 * a visit to a web site. Compatible with webtunnel's own client and server and with lyrebird.
 */
import { derOfPem, hashOfChain } from '../../crypto/certificates.ts';
import { PosternError } from '../../errors.ts';
import { type Endpoint, isDocumentation, isUnspecified } from '../../pt/address.ts';
import type { Folder, ServerContext, ServerTls, Transport, TransportServer } from '../contract.ts';
import { HandshakeOnlySession } from '../handshake-only.ts';
import { reasonOf } from '../kept-state.ts';
import { syntheticEndpoint } from './bridge-url.ts';
import { clientArgumentNames, parseClientArguments } from './client-arguments.ts';
import { ClientUpgrade } from './client-upgrade.ts';
import { clientBehind } from './forwarded-for.ts';
import { ServerConversation } from './server-conversation.ts';
import { parseServerOptions, type ServerOptions, serverOptionNames } from './server-options.ts';
import { Site } from './site.ts';
import { keptEndpoint, ownCertificate } from './state.ts';

/**
 * webtunnel. A client takes what bridge lines in circulation have; a server stands behind a web server, or
 * alone with a certificate and a site of its own.
 */
export const webtunnel: Transport = {
  name: 'webtunnel',
  summary:
    'a visit to a web site over TLS; who knows the path in the bridge line finds the bridge, and a web server in front sees whom it serves',

  argumentNames: { client: clientArgumentNames, server: serverOptionNames },

  client(args, { rng, notify }) {
    const { url, routes, wantsBrowserHello } = parseClientArguments(args, rng);
    if (wantsBrowserHello) {
      notify?.('webtunnel: `utls` asks for a browser’s ClientHello; Node’s own is sent instead');
    }
    return Object.assign(() => new HandshakeOnlySession(new ClientUpgrade(url, rng)), { routes });
  },

  async server(options, context) {
    const parsed = parseServerOptions(options);
    const folder = await openSite(parsed, context);
    const tls = await serverTls(parsed, context);
    const { urlText, url, checksPath, trustedFronts } = parsed;
    const settings = {
      path: checksPath ? url.path : undefined,
      site: new Site(folder, url),
      folder,
      clock: context.clock,
    };
    return {
      clientArguments: [
        ['url', urlText],
        ['ver', PROTOCOL_VERSION],
        ...(tls !== undefined && 'cert' in tls ? [['cert', pinOf(tls.cert)] as const] : []),
      ],
      // Nobody is rejected: visitors of a web site are answered.
      rejectAfterMs: 0,
      ...(tls !== undefined && { tls }),
      ...placeOf(urlText, tls !== undefined, context),
      createSession: (peer) =>
        new HandshakeOnlySession(
          new ServerConversation({
            ...settings,
            // With TLS of our own there is no web server in front.
            clientOf: ({ fields }) =>
              tls === undefined ? clientBehind(peer, fields, trustedFronts) : undefined,
          }),
        ),
      createSessionWithoutTls: () =>
        new HandshakeOnlySession(
          new ServerConversation({ ...settings, isWithoutTls: true, clientOf: () => undefined }),
        ),
      async close() {},
    };
  },
};

/** What bridges say that clients have ever asked of them. */
const PROTOCOL_VERSION = '0.0.3';

async function openSite(
  { site }: ServerOptions,
  { openFolder }: ServerContext,
): Promise<Folder | undefined> {
  if (site === undefined) return undefined;
  if (openFolder === undefined) {
    throw new PosternError('ERR_TRANSPORT_ARGUMENT', 'webtunnel: `site` needs access to files');
  }
  return openFolder(site);
}

async function serverTls(
  { tls, url }: ServerOptions,
  context: ServerContext,
): Promise<ServerTls | undefined> {
  return tls === 'self-signed' ? ownCertificate(url, context) : tls;
}

function pinOf(pem: string): string {
  return hashOfChain([derOfPem(pem)]).toString('base64');
}

/**
 * Where it listens, and what is told of it. A parent that is told an address hands that back at the next start,
 * which no machine can bind when it stands for a URL: so the real one is kept here.
 */
function placeOf(
  urlText: string,
  isAlone: boolean,
  context: ServerContext,
): Required<Pick<TransportServer, 'listenAt' | 'publish'>> {
  const kept = keptEndpoint(context);
  let keepsPort = false;
  return {
    async listenAt(asked) {
      keepsPort = isDocumentation(asked.host) || (isUnspecified(asked.host) && asked.port === 0);
      if (!isDocumentation(asked.host)) return asked;
      const anywhere: Endpoint = { host: isAlone ? '0.0.0.0' : '127.0.0.1', port: 0 };
      return (await kept.load(() => undefined)) ?? anywhere;
    },
    async publish(listening) {
      if (keepsPort) {
        await kept.save(listening).catch((error: unknown) => {
          context.notify(`its port will be another at the next start: ${reasonOf(error)}`);
        });
      }
      return syntheticEndpoint(urlText);
    },
  };
}
