import { testPtFaults } from './examine.ts';
import { trafficFaults } from './pt-faults.ts';

testPtFaults(trafficFaults);
