import { testPtFaults } from './examine.ts';
import { startFaults } from './pt-faults.ts';

testPtFaults(startFaults);
