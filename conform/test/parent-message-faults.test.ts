import { testParentFaults } from './examine.ts';
import { messageFaults } from './parent-faults.ts';

testParentFaults(messageFaults);
