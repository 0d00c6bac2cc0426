import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A folder for what is built once in a run. */
    readonly buildsFolder: string;
  }
}

/** A project's globalSetup: a folder for {@link builtOnce}, removed after the run. */
export default function prepareBuilds(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-builds-'));
  project.provide('buildsFolder', folder);
  return () => rmSync(folder, { recursive: true, force: true });
}

/**
 * Builds into a folder, unless a test file of the same run has done so. The files of a project run one after another.
 *
 * @param name of the build; the same name has to mean the same content
 * @param build writes everything into the folder that it is given
 * @returns the folder, to be read only
 */
export async function builtOnce(name: string, build: (outDir: string) => Promise<unknown>): Promise<string> {
  const folder = join(inject('buildsFolder'), name);
  if (!existsSync(folder)) {
    await build(`${folder}.unfinished`);
    renameSync(`${folder}.unfinished`, folder);
  }
  return folder;
}
