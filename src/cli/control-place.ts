/** Where a daemon's control port is, and what opens it: from the command line, a torrc or the defaults. */
import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Configuration } from '../config/configuration.ts';
import { expandPath, localDefaults, torrcFile } from '../config/node.ts';
import { readTorrc } from '../config/store.ts';
import { embeddedVocabulary, readEngine, torVocabulary } from '../config/vocabulary.ts';
import { COOKIE_FILE_NAME, readControlCookie } from '../control/node/cookie-file.ts';
import type { ControlAddress } from '../control/node/dial.ts';
import { cookiePath } from '../engine/data-directory.ts';
import { isLoopback } from '../pt/address.ts';
import { parseControlAddress } from './arguments.ts';
import type { CommandContext } from './context.ts';
import { type ControlSecretOptions, readControlSecret } from './control-secret.ts';
import { UsageError } from './report-error.ts';

/** What a command line may say of a daemon that is to be controlled. */
export interface ControlPlaceOptions extends ControlSecretOptions {
  readonly control?: string;
  /** Its torrc. */
  readonly file?: string;
}

/** A control port and the way in. */
export interface ControlPlace {
  readonly address: ControlAddress;
  readonly secret?: Uint8Array | string;
  /** What to do when that does not open it, as a sentence. */
  readonly whenRefused: string;
}

/**
 * Finds them.
 *
 * @throws PosternError `ERR_CONFIG_*`, `ERR_CONTROL_COOKIE`; UsageError
 */
export async function findControl(
  { env }: CommandContext,
  options: ControlPlaceOptions,
): Promise<ControlPlace> {
  const home = env['HOME'] ?? homedir();
  const torrc = options.file === undefined ? undefined : await readPlaces(options.file, env, home);
  const address =
    options.control === undefined
      ? (torrc?.address ?? parseControlAddress('--control', '127.0.0.1:9051'))
      : parseControlAddress('--control', options.control);
  const given = await readControlSecret(options);
  if (given !== undefined) {
    return {
      address,
      secret: given,
      whenRefused: 'Check that it belongs to the daemon that listens there.',
    };
  }
  const usual = join(localDefaults(env, home).DataDirectory!, COOKIE_FILE_NAME);
  const path = torrc === undefined ? usual : torrc.cookie;
  const whenRefused =
    `${path === undefined ? 'The torrc sets no cookie.' : `The cookie was looked for in ${path}.`} ` +
    'The daemon’s log names its own: give that, --cookie FILE, or its torrc, -f TORRC, or a password, --password-file FILE.';
  // A cookie goes to whatever listens there: to another machine only if the user named the cookie.
  const isHere = !('host' in address) || isLoopback(address.host);
  const isThere = path !== undefined && isHere && (await isReadable(path));
  return { address, ...(isThere && { secret: await readControlCookie(path) }), whenRefused };
}

/** What a torrc says of its control port. */
async function readPlaces(
  file: string,
  env: CommandContext['env'],
  home: string,
): Promise<{ readonly address: ControlAddress; readonly cookie: string | undefined }> {
  const pieces = await readTorrc(torrcFile(resolve(file)));
  const vocabulary = readEngine(pieces) === 'tor' ? torVocabulary(undefined) : embeddedVocabulary;
  const { values } = Configuration.parse(pieces, localDefaults(env, home), vocabulary);
  const places = [...values.ControlPort, ...values.ControlSocket];
  const known = places.find((place) => !('host' in place) || place.port !== 0);
  if (known === undefined) {
    throw new UsageError(
      places.length === 0
        ? 'the torrc has no ControlPort line: add one, and start the daemon again'
        : 'the torrc leaves the ControlPort to the system: the daemon’s log tells it; give it with --control',
    );
  }
  return {
    address: 'host' in known ? known : { socketPath: expandPath(known.path, home) },
    cookie: values.CookieAuthentication ? cookiePath(values, home) : undefined,
  };
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
