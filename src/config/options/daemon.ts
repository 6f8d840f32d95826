/** The options of the daemon as a whole. */
import type { Endpoint } from '../../pt/address.ts';
import { metricsPortType } from '../address-values.ts';
import { type ExitRule, exitPolicyType } from '../exit-policy.ts';
import { type LogLine, logType } from '../log-values.ts';
import { choiceType, pathType, scrubbingType } from '../value-types.ts';
import type { OptionRows } from './row.ts';

export interface DaemonOptions {
  readonly DataDirectory: string | undefined;
  readonly Engine: 'embedded' | 'tor';
  readonly MetricsPort: readonly Endpoint[];
  readonly MetricsPortPolicy: readonly (readonly ExitRule[])[];
  readonly Log: readonly LogLine[];
  readonly SafeLogging: boolean;
}

export const daemonOptions: OptionRows<DaemonOptions> = {
  DataDirectory: {
    type: pathType,
    isList: false,
    isFixed: true,
    isForEveryEngine: true,
    summary:
      'Where identities and the cookie are kept; without it `$STATE_DIRECTORY` (systemd), else `postern` in `$XDG_STATE_HOME` or ~/.local/state.',
  },
  Engine: {
    type: choiceType(['embedded', 'tor']),
    isList: false,
    default: 'embedded',
    isFixed: true,
    isForEveryEngine: true,
    summary:
      'What stands behind the control port: the tunnel built in, or a real Tor (not in Tor).',
  },
  MetricsPort: {
    type: metricsPortType,
    isList: true,
    default: '0',
    summary:
      'Where Prometheus finds figures, at /metrics; nobody is answered whom MetricsPortPolicy does not accept.',
  },
  MetricsPortPolicy: {
    type: exitPolicyType,
    isList: true,
    summary:
      'Who may come to MetricsPort, as in ExitPolicy without ports; the others are rejected.',
  },
  Log: {
    type: logType,
    isList: true,
    default: 'notice stdout',
    isForEveryEngine: true,
    summary: 'Which lines are logged, and where to.',
  },
  SafeLogging: {
    type: scrubbingType,
    isList: false,
    default: '1',
    isForEveryEngine: true,
    summary: 'Whether addresses are scrubbed from the log.',
  },
};
