/**
 * The options, from which everything else about them follows: a file in `options/` for each section, with the
 * type and the row of each of its options. `docs/OPTIONS.md` is generated from them. The names are Tor's; where
 * a meaning differs, the row says so.
 */
import { type BandwidthOptions, bandwidthOptions } from './options/bandwidth.ts';
import { type BridgeOptions, bridgeOptions } from './options/bridge.ts';
import { type ClientOptions, clientOptions } from './options/client.ts';
import { type ControlOptions, controlOptions } from './options/control.ts';
import { type DaemonOptions, daemonOptions } from './options/daemon.ts';
import type { OptionRow } from './options/row.ts';
import { type TorEngineOptions, torEngineOptions } from './options/tor-engine.ts';

export type { OptionRow } from './options/row.ts';

/**
 * The values in force, defaults included. An array is an option with many lines; undefined is a
 * single one that is not set and has no default.
 */
export interface OptionValues
  extends
    ClientOptions,
    BridgeOptions,
    BandwidthOptions,
    ControlOptions,
    DaemonOptions,
    TorEngineOptions {}

export type OptionName = keyof OptionValues;

/** The table of options, in the order of the documents. */
export const optionTable: Readonly<Record<OptionName, OptionRow>> = {
  ...clientOptions,
  ...bridgeOptions,
  ...bandwidthOptions,
  ...controlOptions,
  ...daemonOptions,
  ...torEngineOptions,
};

/** Options whose lines mean something together and in their order (TC 3.4). */
export interface OptionGroup {
  /** The option with which each part begins. */
  readonly head: string;
  /** All options of the group with one sentence each, the head among them. */
  readonly members: Readonly<Record<string, string>>;
}

/** The groups, by the virtual key that all lines of a group are fetched with. */
export const optionGroups: Readonly<Record<string, OptionGroup>> = {
  HiddenServiceOptions: {
    head: 'HiddenServiceDir',
    members: {
      HiddenServiceDir:
        'Begins a hidden service; kept and answered, but the embedded engine has none.',
      HiddenServicePort: 'A port of the hidden service.',
      HiddenServiceNodes: 'Nodes to use as its introduction points.',
      HiddenServiceExcludeNodes: 'Nodes not to use as its introduction points.',
    },
  },
};
