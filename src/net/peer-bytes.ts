import { ByteBudget } from '../bytes/budget.ts';
import { limits } from '../limits.ts';

/** The bytes of peers that this process holds. Everything that holds some counts them here. */
export const peerBytes: ByteBudget = new ByteBudget(limits.peerBytesBudget);
