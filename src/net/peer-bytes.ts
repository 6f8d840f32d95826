import { ByteBudget } from '../bytes/budget.ts';
import { limits } from '../limits.ts';

/** What this process holds of its peers' bytes. Whatever holds some counts into it. */
export const peerBytes: ByteBudget = new ByteBudget(limits.peerBytesBudget);
