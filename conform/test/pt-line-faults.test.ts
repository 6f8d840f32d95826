import { testPtFaults } from './examine.ts';
import { lineFaults } from './pt-faults.ts';

testPtFaults(lineFaults);
