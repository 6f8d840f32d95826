import { testPtFaults } from './examine.ts';
import { endFaults, loneFaults } from './pt-faults.ts';

testPtFaults(endFaults);
testPtFaults(loneFaults.client, 'client');
testPtFaults(loneFaults.server, 'server');
