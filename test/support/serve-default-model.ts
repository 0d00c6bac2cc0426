import type { TestProject } from 'vitest/node';
import { defaultModel } from './default-model.ts';
import { startFileServer } from './file-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where tests in a browser find the default model; or why it cannot be had. */
    readonly defaultModel: { readonly url: string } | { readonly reason: string };
  }
}

/** A project's globalSetup: fetches the default model as the demo does and serves it while tests run. */
export default async function serveDefaultModel(project: TestProject): Promise<() => Promise<void>> {
  const model = await defaultModel();
  if (!model.available) {
    project.provide('defaultModel', { reason: model.reason });
    return async () => {};
  }
  const server = await startFileServer({ '/model.gguf': model.path });
  project.provide('defaultModel', { url: `${server.origin}/model.gguf` });
  return () => server.close();
}
