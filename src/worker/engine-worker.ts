import { BROKER_NAME } from '../core/rendezvous.ts';
import { loadRunner } from '../runner/load-runner.ts';
import { serveBroker } from './broker.ts';
import { KeptPrefixes } from './keep-prefixes.ts';
import { createModelLoader } from './load-model.ts';
import { serveElectedWorker, serveSharedWorker } from './serve.ts';

// One script for all kinds of worker. The way in which it was started says which it is.
const prefixes = new KeptPrefixes();
const parts = { prefixes, loadModel: createModelLoader({ loadRunner, baseUrl: location.href, prefixes }) };
if (!('onconnect' in self)) serveElectedWorker(parts);
else if (self.name.startsWith(BROKER_NAME)) serveBroker();
else serveSharedWorker(parts);
