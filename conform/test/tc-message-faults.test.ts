import { testTcFaults } from './examine-tc.ts';
import { tcMessageFaults } from './tc-faults.ts';

testTcFaults(tcMessageFaults);
