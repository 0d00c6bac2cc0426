import { BROKER_NAME } from '../core/rendezvous.ts';
import { loadRunner } from '../runner/load-runner.ts';
import { serveBroker } from './broker.ts';
import { createModelLoader } from './load-model.ts';
import { serveElectedWorker, serveSharedWorker } from './serve.ts';

// One script for all that a worker can be here, told apart by what started it.
const loadModel = createModelLoader({ loadRunner, baseUrl: location.href });
if (!('onconnect' in self)) serveElectedWorker(loadModel);
else if (self.name.startsWith(BROKER_NAME)) serveBroker();
else serveSharedWorker(loadModel);
