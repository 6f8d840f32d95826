/** Web servers in front of a webtunnel bridge, as operators would have them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoint } from '../../src/pt/address.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { peerProgram } from './peers.ts';
import type { Cleanup } from './pt-programs.ts';
import { type CertificateFiles, reached, startNginx, startServer } from './web-server.ts';

/** What a front is started with. */
interface FrontSetup {
  readonly folder: string;
  readonly certificate: CertificateFiles;
  readonly site: string;
  readonly listen: Endpoint;
  readonly secret: string;
  /** Where the bridge listens. */
  readonly bridge: Endpoint;
}

/** A web server that ends the TLS and hands upgrades at the secret path on. */
export interface Front {
  readonly name: string;
  /** Why it cannot be used, or false. */
  readonly missing: string | false;
  /** Whether it lets only whole WebSocket handshakes through, which the official programs have none of. */
  readonly isStrict?: true;
  /** What it needs of our server. */
  readonly options?: readonly (readonly [string, string])[];
  start(t: Cleanup, setup: FrontSetup): Promise<void>;
}

function missing(program: string): string | false {
  return peerProgram(program) === undefined && `${program} is not installed`;
}

function nginx(name: string, listenWords: string): Front {
  return {
    name,
    missing: missing('nginx'),
    async start(t, { folder, certificate, site, listen, secret, bridge }) {
      const server = `
        server {
          listen ${formatEndpoint(listen)} ${listenWords};
          server_name bridge.example;
          ssl_certificate ${certificate.cert};
          ssl_certificate_key ${certificate.key};
          root ${site};
          location = ${secret} {
            if ($http_upgrade != "websocket") { return 404; }
            proxy_pass http://${formatEndpoint(bridge)};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
          }
        }`;
      await startNginx(t, folder, server, listen);
    },
  };
}

const caddy: Front = {
  name: 'Caddy',
  missing: missing('caddy'),
  async start(t, { folder, certificate, site, listen, secret, bridge }) {
    const file = join(folder, 'Caddyfile');
    writeFileSync(
      file,
      `{
         admin off
         auto_https off
       }
       https://bridge.example:${listen.port} {
         bind ${listen.host}
         tls ${certificate.cert} ${certificate.key}
         @bridge {
           path ${secret}
           header Connection *pgrade*
           header Upgrade websocket
         }
         reverse_proxy @bridge ${formatEndpoint(bridge)}
         root * ${site}
         file_server
       }`,
    );
    const command = [peerProgram('caddy')!, 'run', '--adapter', 'caddyfile', '--config', file];
    const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    await reached(startServer(t, 'Caddy', command, env), listen);
  },
};

const apache: Front = {
  name: 'Apache with h2',
  missing: missing('apache2'),
  // It asks for / behind ProxyPass, whatever the path was.
  options: [['path-check', 'off']],
  async start(t, { folder, certificate, site, listen, secret, bridge }) {
    const file = join(folder, 'apache.conf');
    const modules = [
      ...['mpm_event', 'authz_core', 'dir', 'mime', 'ssl', 'http2'],
      ...['proxy', 'proxy_http', 'socache_shmcb', 'rewrite'],
    ].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`);
    writeFileSync(
      file,
      `${modules.join('\n')}
       ServerRoot ${folder}
       PidFile ${folder}/apache.pid
       DefaultRuntimeDir ${folder}
       ErrorLog "|/bin/cat"
       TypesConfig /etc/mime.types
       ServerName bridge.example
       Listen ${formatEndpoint(listen)}
       Protocols h2 http/1.1
       ProxyTimeout 3600
       <VirtualHost *:${listen.port}>
         SSLEngine on
         SSLCertificateFile ${certificate.cert}
         SSLCertificateKeyFile ${certificate.key}
         DocumentRoot ${site}
         <Location ${secret}>
           ProxyPass http://${formatEndpoint(bridge)}/ upgrade=websocket
         </Location>
         <Directory ${site}>
           Require all granted
         </Directory>
       </VirtualHost>\n`,
    );
    const command = [peerProgram('apache2')!, '-DFOREGROUND', '-f', file];
    await reached(startServer(t, 'Apache', command), listen);
  },
};

const haproxy: Front = {
  name: 'HAProxy, mode http',
  missing: missing('haproxy'),
  isStrict: true,
  async start(t, { folder, certificate, listen, secret, bridge }) {
    const pem = join(folder, 'haproxy.pem');
    writeFileSync(
      pem,
      readFileSync(certificate.cert, 'utf8') + readFileSync(certificate.key, 'utf8'),
    );
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
         log stderr format raw daemon
       defaults
         mode http
         timeout connect 5s
         timeout client 60s
         timeout server 60s
         timeout tunnel 1h
       frontend web
         bind ${listen.host}:${listen.port} ssl crt ${pem} alpn h2,http/1.1
         option forwardfor
         default_backend bridge
         http-request return status 404 unless { path ${secret} }
       backend bridge
         server bridge ${formatEndpoint(bridge)}\n`,
    );
    await reached(startServer(t, 'HAProxy', [peerProgram('haproxy')!, '-db', '-f', file]), listen);
  },
};

/** All that there are. */
export const fronts: readonly Front[] = [
  nginx('nginx', 'ssl'),
  nginx('nginx with http2', 'ssl http2'),
  caddy,
  apache,
  haproxy,
];
