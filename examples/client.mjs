// client.mjs: takes the bridge line as its argument, says something, and prints what comes back.
import { connect } from 'postern';

const stream = await connect(process.argv[2] ?? '');
stream.end('Hello through the bridge\n');
stream.pipe(process.stdout);
