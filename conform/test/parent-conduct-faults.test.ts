import { testParentFaults } from './examine.ts';
import { conductFaults } from './parent-faults.ts';

testParentFaults(conductFaults);
