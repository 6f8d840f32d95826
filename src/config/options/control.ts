/** The options of the control ports. */
import {
  formatPassphraseHash,
  parsePassphraseHash,
  type PassphraseHash,
} from '../../crypto/passphrase.ts';
import type { ListenPlace } from '../address-values.ts';
import { controlPortType, controlSocketType, type SocketPlace } from '../socket-values.ts';
import { booleanType, pathType } from '../value-types.ts';
import type { OptionRows } from './row.ts';

export interface ControlOptions {
  readonly ControlPort: readonly (ListenPlace | SocketPlace)[];
  readonly ControlSocket: readonly SocketPlace[];
  readonly ControlSocketsGroupWritable: boolean;
  readonly CookieAuthentication: boolean;
  readonly CookieAuthFile: string | undefined;
  readonly CookieAuthFileGroupReadable: boolean;
  readonly HashedControlPassword: readonly PassphraseHash[];
}

export const controlOptions: OptionRows<ControlOptions> = {
  ControlPort: {
    type: controlPortType,
    isList: true,
    default: '0',
    isForEveryEngine: true,
    summary: 'Where controllers connect (TC); off loopback only with authentication.',
  },
  ControlSocket: {
    type: controlSocketType,
    isList: true,
    isForEveryEngine: true,
    summary: 'A Unix socket for controllers; its file permissions say who may connect.',
  },
  ControlSocketsGroupWritable: {
    type: booleanType,
    isList: false,
    default: '0',
    isForEveryEngine: true,
    summary: 'Whether everyone of the socket’s group may connect to ControlSocket, too.',
  },
  CookieAuthentication: {
    type: booleanType,
    isList: false,
    default: '0',
    isForEveryEngine: true,
    summary: 'Whether controllers must show the cookie, which is renewed at each start.',
  },
  CookieAuthFile: {
    type: pathType,
    isList: false,
    isForEveryEngine: true,
    summary: 'Where the cookie is written; `control_auth_cookie` in DataDirectory when not set.',
  },
  CookieAuthFileGroupReadable: {
    type: booleanType,
    isList: false,
    default: '0',
    isForEveryEngine: true,
    summary: 'Whether everyone of the file’s group may read the cookie, too.',
  },
  HashedControlPassword: {
    type: { syntax: '16:HEX', parse: parsePassphraseHash, format: formatPassphraseHash },
    isList: true,
    isForEveryEngine: true,
    isSecret: true,
    summary: 'A passphrase that opens the control port, as `postern hash-password` prints it.',
  },
};
