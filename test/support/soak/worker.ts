import '../../../src/worker/engine-worker.ts';
import { countHoldings } from './count-holdings.ts';

countHoldings();
