/** Which fault this faulty PT has been started with, and for which side. */
import { argv } from 'node:process';

/** The sides that it can be reduced to. A client alone has transports that need no arguments. */
export type Side = 'client' | 'server';

/** The transports that it has. */
export const faultyPtTransports = ['xora', 'xorb'] as const;

const [, , fault, only] = argv;

/** The side that it is reduced to; undefined for both. */
export const side: string | undefined = only;

/** Whether it is to go wrong in this way. */
export const has = (name: string): boolean => fault === name;
