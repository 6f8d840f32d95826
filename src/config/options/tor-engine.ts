/** The options of a daemon in front of a real Tor. */
import type { Endpoint } from '../../pt/address.ts';
import { plainPortType } from '../address-values.ts';
import { pathType } from '../value-types.ts';
import type { OptionRows } from './row.ts';

export interface TorEngineOptions {
  readonly TorBinary: string | undefined;
  readonly TorControlPort: Endpoint | undefined;
  readonly TorControlSocket: string | undefined;
  readonly TorControlPasswordFile: string | undefined;
}

export const torEngineOptions: OptionRows<TorEngineOptions> = {
  TorBinary: {
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'The Tor to start; without it the first `tor` of the search path or a usual place.',
  },
  TorControlPort: {
    type: plainPortType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'Start no Tor but control the one that runs there.',
  },
  TorControlSocket: {
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'The same over a Unix-domain socket.',
  },
  TorControlPasswordFile: {
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary: 'A file with the password that this Tor wants; a cookie it names itself.',
  },
};
