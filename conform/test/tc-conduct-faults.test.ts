import { testTcFaults } from './examine-tc.ts';
import { tcConductFaults } from './tc-faults.ts';

testTcFaults(tcConductFaults);
