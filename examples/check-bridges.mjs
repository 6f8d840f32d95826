// check-bridges.mjs: takes bridge lines as its arguments, and says of each whether it works.
import { checkBridges } from 'postern/check';

for (const { index, outcome, failure } of await checkBridges(process.argv.slice(2))) {
  console.log(`${index + 1}: ${outcome}${failure === undefined ? '' : `, ${failure.message}`}`);
}
