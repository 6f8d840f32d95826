import { testTcFaults } from './examine-tc.ts';
import { tcStateFaults } from './tc-faults.ts';

testTcFaults(tcStateFaults);
