/** The options of a bridge. */
import { addressType, listenType, type ListenPlace, orPortType } from '../address-values.ts';
import { type ExitRule, exitPolicyType } from '../exit-policy.ts';
import {
  listenAddressType,
  serverPluginType,
  type TransportListenAddress,
  type TransportOptions,
  transportOptionsType,
  type TransportPlugin,
} from '../transport-values.ts';
import { booleanType, intervalType, textType } from '../value-types.ts';
import type { OptionRows } from './row.ts';

export interface BridgeOptions {
  readonly ORPort: readonly ListenPlace[];
  readonly ExtORPort: ListenPlace | undefined;
  readonly Address: readonly string[];
  readonly ServerTransportPlugin: readonly TransportPlugin[];
  readonly ServerTransportListenAddr: readonly TransportListenAddress[];
  readonly ServerTransportOptions: readonly TransportOptions[];
  readonly ExitPolicy: readonly (readonly ExitRule[])[];
  readonly ExitPolicyRejectPrivate: boolean;
  /** In seconds. */
  readonly ShutdownWaitLength: number;
  readonly Nickname: string;
  readonly ContactInfo: string | undefined;
}

export const bridgeOptions: OptionRows<BridgeOptions> = {
  ORPort: {
    type: orPortType,
    isList: true,
    default: '0',
    summary:
      'Where links arrive whose disguise has been taken off; on loopback unless an address is given, as anyone who reaches it can use it.',
  },
  ExtORPort: {
    type: listenType,
    isList: false,
    default: '0',
    summary: 'The same with the Extended ORPort protocol, which tells who the client is.',
  },
  Address: {
    type: addressType,
    isList: true,
    summary:
      'Where clients reach the bridge, for its bridge lines; once for IPv4 and once for IPv6. A name is looked up at the start.',
  },
  ServerTransportPlugin: {
    type: serverPluginType,
    isList: true,
    summary: 'Run as a bridge with these transports, by a program or by this one.',
  },
  ServerTransportListenAddr: {
    type: listenAddressType,
    isList: true,
    summary: 'Where a transport of the bridge takes connections.',
  },
  ServerTransportOptions: {
    type: transportOptionsType,
    isList: true,
    isSecret: true,
    summary: 'Options of a transport of the bridge, like iat-mode=1.',
  },
  ExitPolicy: {
    type: exitPolicyType,
    isList: true,
    summary: 'Where streams may leave to; the first rule that fits decides, else they may.',
  },
  ExitPolicyRejectPrivate: {
    type: booleanType,
    isList: false,
    default: '1',
    summary:
      'Whether streams to private, local and multicast addresses are refused, before ExitPolicy is asked.',
  },
  ShutdownWaitLength: {
    type: intervalType(0),
    isList: false,
    default: '30',
    summary: 'How long a bridge that is asked to end waits for its streams.',
  },
  Nickname: {
    type: textType(
      'NAME',
      /^[a-zA-Z0-9]{1,19}$/,
      'must have from 1 to 19 letters and digits, nothing else',
    ),
    isList: false,
    default: 'Unnamed',
    summary: 'The name by which this daemon goes in logs.',
  },
  ContactInfo: {
    type: textType('TEXT', /^/, 'must be text'),
    isList: false,
    summary: 'How to reach the operator; kept for the operator’s own tools, sent nowhere.',
  },
};
