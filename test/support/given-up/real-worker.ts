import '../../../src/worker/engine-worker.ts';
import { countSteps } from './steps.ts';

countSteps();
