/** nginx and others, as the web server in front of a bridge or beside it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoint } from '../../src/pt/address.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { LoggedProcess } from './logged-process.ts';
import { peerProgram } from './peers.ts';
import type { Cleanup } from './pt-programs.ts';
import { dial } from './sockets.ts';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A folder with a small site: index.html, style.css, sub/index.html, empty/. */
export function makeSite(folder: string): string {
  const site = join(folder, 'site');
  mkdirSync(join(site, 'sub'), { recursive: true });
  mkdirSync(join(site, 'empty'));
  const file = (name: string, text: string): void => {
    writeFileSync(join(site, name), text);
    utimesSync(join(site, name), 1_700_000_000, 1_700_000_000);
  };
  file('index.html', '<h1>A site</h1>\n');
  file('style.css', 'h1 { color: green }\n');
  file(join('sub', 'index.html'), '<h1>Below</h1>\n');
  return site;
}

/** Files of a certificate. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate of its own for names and addresses. */
export function makeCertificate(folder: string, altNames: string): CertificateFiles {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '30',
        '-subj',
        '/CN=bridge.example',
      ],
      ...['-addext', `subjectAltName=${altNames}`, '-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  );
  return { cert, key };
}

const nginxPath = peerProgram('nginx');

/** For `skip` of a test: why it cannot run, or false. */
export const nginxMissing: string | false = nginxPath === undefined && 'nginx is not installed';

/** Starts nginx with some `server` blocks until the test has ended. */
export async function startNginx(
  t: Cleanup,
  folder: string,
  servers: string,
  first: Endpoint,
): Promise<LoggedProcess> {
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off;
     user root;
     pid ${folder}/nginx.pid;
     error_log stderr notice;
     worker_processes 1;
     events { worker_connections 2000; }
     http {
       access_log off;
       server_tokens off;
       include /etc/nginx/mime.types;
       default_type application/octet-stream;
       client_body_temp_path ${folder}/body;
       proxy_temp_path ${folder}/proxy;
       fastcgi_temp_path ${folder}/fastcgi;
       uwsgi_temp_path ${folder}/uwsgi;
       scgi_temp_path ${folder}/scgi;
       ${servers}
     }`,
  );
  const child = startServer(t, 'nginx', [nginxPath!, '-c', file, '-p', folder]);
  await reached(child, first);
  return child;
}

/** A server that logs to both outputs, ended after the test. */
export function startServer(
  t: Cleanup,
  name: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): LoggedProcess {
  const child = new LoggedProcess(name, ['sh', '-c', 'exec "$0" "$@" 2>&1', ...command], env);
  t.after(async () => {
    child.process.kill('SIGTERM');
    await child.ended;
  });
  return child;
}

/** Waits until a server takes connections. @throws Error when it ends before */
export async function reached(child: LoggedProcess, endpoint: Endpoint): Promise<void> {
  let isOver = false;
  void child.ended.then(() => (isOver = true));
  for (;;) {
    const stream = await dial(endpoint).catch(() => undefined);
    if (stream !== undefined) {
      stream.destroy();
      return;
    }
    if (isOver) {
      throw new Error(
        `${child.name} ended before ${formatEndpoint(endpoint)} was there:\n${child.log.join('\n')}`,
      );
    }
    await nextTurn();
  }
}
