import { loadRunner } from '../runner/load-runner.ts';
import { createModelLoader } from './load-model.ts';
import { serveSharedWorker } from './serve.ts';

serveSharedWorker(createModelLoader({ loadRunner, baseUrl: location.href }));
