import { obfs2 } from '../../../src/transports/obfs2/index.ts';
import { testWithObfs4proxy } from '../../support/interop.ts';

testWithObfs4proxy(obfs2);
