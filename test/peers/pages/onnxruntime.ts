import { wrap } from 'comlink';
import { exposePeer } from './expose.ts';
import type { OnnxRuntimeWorker } from './onnxruntime-worker.ts';

// In a worker, as its documentation advises: a session's work would block the page.
const worker = new Worker(new URL('./onnxruntime-worker.ts', import.meta.url), { type: 'module' });
const peer = wrap<OnnxRuntimeWorker>(worker);

exposePeer({ load: (options) => peer.load(options), ask: (task) => peer.ask(task), gpuSubmits: () => peer.gpuSubmits() });
