import { TabserveError } from '../core/errors.ts';
import type { LogFrame } from '../core/frames.ts';
import type { AdapterSummary } from '../core/metrics.ts';
import { explainFailure, type Gpu } from '../gpu/device.ts';
import type { Op, OpBuilder } from '../gpu/op.ts';
import type { TestedModel } from './known-answers/known-answer.ts';
import { findWrongKernel, type WrongKernel } from './known-answers/run.ts';

/** A decoder's ops, and what they were built with. */
export interface BuiltDecoder {
  readonly builder: OpBuilder;
  readonly ops: readonly Op[];
  readonly subgroups: boolean;
  /** The most rows of a request that one attention tile takes, by the kernels compiled so far. */
  readonly tileRows: () => number;
}

export interface TrustedDecoderOptions {
  readonly gpu: Gpu;
  /** The model, its weights on the GPU. */
  readonly model: Omit<TestedModel, 'builder' | 'ops' | 'tileRows'>;
  readonly first: BuiltDecoder;
  /** Builds it without subgroups. Undefined where the first one is so. */
  readonly plain: (() => Promise<BuiltDecoder>) | undefined;
  readonly signal: AbortSignal;
  readonly log: ((level: LogFrame['level'], message: string) => void) | undefined;
}

/**
 * A decoder whose kernels compute right numbers on this GPU, as far as a test with known answers shows: the first one, or where
 * it is wrong or does not compile, one without subgroups.
 *
 * @throws TabserveError `wrong_results` where those are wrong, too; and what compiling and testing throw
 */
export async function trustedDecoder({ gpu, model, first, plain, signal, log }: TrustedDecoderOptions): Promise<BuiltDecoder> {
  const { adapter } = gpu;
  const test = async ({ builder, ops, tileRows }: BuiltDecoder): Promise<WrongKernel | undefined> => {
    await builder.ready();
    signal.throwIfAborted();
    return findWrongKernel(gpu, { ...model, builder, ops, tileRows: tileRows() }).catch((error: unknown) => {
      if (!(error instanceof TabserveError) || error.code !== 'out_of_memory') throw error;
      log?.('warn', `Kernels are used without a test of their results, for which the GPU has no memory left. ${error.message}`);
      return undefined;
    });
  };
  if (plain === undefined) return requireRight(first, await test(first), adapter);
  const fault = await test(first).then((wrong) => wrong && sentenceOf(wrong), (error: unknown) => messageOf(gpu, error));
  if (fault === undefined) return first;
  log?.('warn', `${fault} It is built again, without subgroups. The GPU is ${nameOf(adapter)}.`);
  const other = await plain();
  return requireRight(other, await test(other), adapter);
}

function requireRight(built: BuiltDecoder, fault: WrongKernel | undefined, adapter: AdapterSummary): BuiltDecoder {
  if (fault !== undefined) throw wrongResults(adapter, fault);
  return built;
}

/** The message of a kernel that does not compile. @throws TabserveError any other error */
async function messageOf({ lost }: Gpu, error: unknown): Promise<string> {
  const failure = await explainFailure(lost, error);
  if (failure.code !== 'internal') throw failure;
  return failure.message;
}

function sentenceOf({ kernel, what }: WrongKernel): string {
  return `The kernel ${kernel} computes wrong numbers on this GPU: ${what}.`;
}

/** The driver is part of the description, where a browser gives one. */
function nameOf({ vendor, architecture, device, description }: AdapterSummary): string {
  const name = [vendor, architecture, device, description].filter((part) => part !== '').join(', ');
  const agent = (globalThis.navigator as Partial<Navigator> | undefined)?.userAgent;
  return agent === undefined ? name : `${name} (in ${agent})`;
}

function wrongResults(adapter: AdapterSummary, fault: WrongKernel): TabserveError {
  return new TabserveError(
    'wrong_results',
    `${sentenceOf(fault)} The model would talk nonsense, so it is not started; its download is kept. The GPU is ${nameOf(adapter)}. ` +
      'Update the graphics driver and the browser, or use another browser. If that does not help, report this message in an issue of tabserve.',
  );
}
