import type { AdapterSummary } from '../../../src/core/metrics.ts';
import { requestAdapter } from '../../../src/core/request-adapter.ts';
import { summarizeAdapter } from '../../../src/gpu/adapter-summary.ts';

/** What a run was made on, as far as a page is told. */
export interface Machine extends AdapterSummary {
  /** `Chrome 156`, say. */
  readonly browser: string;
  readonly os: string;
  readonly cores: number;
}

/** Asks the browser, of the GPU no more than its name. */
export async function readMachine({ gpu, userAgent, userAgentData, hardwareConcurrency }: Navigator & UserAgentHints): Promise<Machine | undefined> {
  const found = gpu === undefined ? undefined : await requestAdapter(gpu);
  if (found === undefined) return undefined;
  const { adapter, isCompatibility } = found;
  return {
    ...summarizeAdapter(adapter, { hasSubgroups: adapter.features.has('subgroups'), isCompatibility }),
    browser: browserName(userAgent, userAgentData?.brands),
    os: userAgentData?.platform ?? '',
    cores: hardwareConcurrency,
  };
}

/** Chromium's, which TypeScript's library does not know. */
interface UserAgentHints {
  readonly userAgentData?: { readonly platform: string; readonly brands: readonly Brand[] };
}

interface Brand {
  readonly brand: string;
  readonly version: string;
}

/** The browser's own name, not the engine's, nor the made-up one that keeps sites from guessing. */
export function browserName(userAgent: string, brands: readonly Brand[] = []): string {
  const real = brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand.replace(/[^a-z]/gi, '')));
  const own = real.find(({ brand }) => brand !== 'Chromium') ?? real[0];
  if (own !== undefined) return `${own.brand} ${own.version}`;
  const found = /(Firefox|Edg|HeadlessChrome|Chrome)\/(\d+)/.exec(userAgent) ?? /(Version)\/(\d+[.\d]*).*Safari/.exec(userAgent);
  return found === null ? userAgent : `${found[1] === 'Version' ? 'Safari' : found[1]} ${found[2]}`;
}

/** What people would call the adapter. */
export function machineInWords({ vendor, architecture, device, description }: Pick<AdapterSummary, 'vendor' | 'architecture' | 'device' | 'description'>): string {
  const parts = [vendor, architecture].filter((part) => part !== '').join(' ');
  return description || device || parts || 'an adapter without a name';
}
