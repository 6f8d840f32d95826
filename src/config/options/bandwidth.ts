/** The options of the bandwidth, for both roles. */
import { memoryType } from '../value-types.ts';
import type { OptionRows } from './row.ts';

export interface BandwidthOptions {
  /** In bytes a second. */
  readonly BandwidthRate: number;
  /** In bytes. */
  readonly BandwidthBurst: number;
}

export const bandwidthOptions: OptionRows<BandwidthOptions> = {
  BandwidthRate: {
    type: memoryType(1, 2 ** 31 - 1),
    isList: false,
    default: '1073741824',
    summary: 'How many bytes a second may pass in each direction, on average.',
  },
  BandwidthBurst: {
    type: memoryType(1, 2 ** 31 - 1),
    isList: false,
    default: '1073741824',
    summary: 'How many bytes may pass at once after a pause.',
  },
};
