/** Where a browser runs. */
export type BrowserPlatform = 'Android' | 'ChromeOS' | 'iOS' | 'Linux' | 'macOS' | 'Windows';

/** Since when a browser has WebGPU. */
export interface BrowserSupport {
  readonly browser: string;
  /** Versions, in words that follow "from": `113 on (Android 121, Linux 144)`. */
  readonly from: string;
  /** The first major version of each platform; it has none on those that are not named. */
  readonly since: Readonly<Partial<Record<BrowserPlatform, number>>>;
}

/** The browsers that have WebGPU, with the versions that brought it. */
export const WEBGPU_BROWSERS: readonly BrowserSupport[] = [
  {
    browser: 'Chrome and Edge',
    from: '113 on (Android 121, Linux 144)',
    since: { Windows: 113, macOS: 113, ChromeOS: 113, Android: 121, Linux: 144 },
  },
  { browser: 'Safari', from: '26 on (macOS, iOS and iPadOS 26)', since: { macOS: 26, iOS: 26 } },
  { browser: 'Firefox', from: '141 on Windows and 145 on macOS', since: { Windows: 141, macOS: 145 } },
];

/** The same in a sentence. */
export const WEBGPU_BROWSERS_SENTENCE =
  `WebGPU is in ${WEBGPU_BROWSERS.map(({ browser, from }) => `${browser} from ${from}`).join(', ')}.`;

/** Of a browser that has WebGPU and finds no adapter. */
export const NO_ADAPTER_SENTENCE =
  'WebGPU is here, but the browser offers no GPU: hardware acceleration may be off, the driver blocked, or GPU access revoked ' +
  'after a crash (restart the browser).';
