import { WEBGPU_BROWSERS, type BrowserPlatform, type BrowserSupport, type PageScope } from '../../src/index.ts';

/** The first missing requirement for running models. */
export type Lack = 'secure-context' | 'api' | 'locks' | 'adapter';

/** Why models cannot run here, and what the engine said about it. */
export interface Obstacle {
  readonly lack: Lack;
  readonly detail: string;
}

/** The remedy, for the browser that this page is open in. */
export interface WebGpuHelp {
  readonly title: string;
  readonly lead: string;
  /** Whose steps they are. */
  readonly browser: string;
  readonly steps: readonly string[];
  /** Whether another browser, or a newer one, is a way out. */
  readonly suggestsBrowsers: boolean;
}

/**
 * The page's missing requirement. A page with all of them may still lack an adapter, which only loading a model finds
 * out.
 */
export function lackOf({ isSecureContext, navigator }: Pick<PageScope, 'isSecureContext' | 'navigator'>): Lack {
  if (!isSecureContext) return 'secure-context';
  if (navigator?.gpu === undefined) return 'api';
  return navigator.locks === undefined ? 'locks' : 'adapter';
}

/** @param userAgent navigator.userAgent */
export function webGpuHelp(lack: Lack, userAgent: string): WebGpuHelp {
  const browser = browserOf(userAgent);
  const { name } = browser;
  switch (lack) {
    case 'secure-context':
      return {
        title: 'Open this page over https',
        lead: 'Browsers give WebGPU to secure pages only, and this one came over plain http.',
        browser: name,
        steps: ['Open it over https, or from localhost.'],
        suggestsBrowsers: false,
      };
    case 'locks':
      return {
        title: 'This page may not use Web Locks',
        lead: 'Tabs share one engine, and know of each other by Web Locks.',
        browser: name,
        steps: ['Open the page in a tab of its own, not in a frame of another page.', 'Update the browser.'],
        suggestsBrowsers: false,
      };
    case 'api':
      return browser.hasWebGpu
        ? {
            title: 'WebGPU is switched off in this browser',
            lead: 'This version has it, but does not offer it to the page.',
            browser: name,
            steps: STEPS[browser.engine].switchOn,
            suggestsBrowsers: false,
          }
        : {
            title: 'This browser has no WebGPU',
            lead: 'tabserve computes on your GPU, which a page reaches through WebGPU.',
            browser: name,
            steps: [...STEPS[browser.engine].update, ...STEPS[browser.engine].tryEarly],
            suggestsBrowsers: true,
          };
    case 'adapter':
      return {
        title: 'This browser offers no GPU',
        lead: 'It has WebGPU, but gives the page no GPU to compute on.',
        browser: name,
        steps: [...STEPS[browser.engine].adapter, 'After crashes a browser may hold the GPU back: wait some minutes, or restart it.'],
        suggestsBrowsers: false,
      };
  }
}

type Engine = 'chromium' | 'firefox' | 'safari' | 'ios' | 'other';

interface Browser {
  readonly engine: Engine;
  readonly name: string;
  /** Whether this version has WebGPU on this platform, unless it is switched off. */
  readonly hasWebGpu: boolean;
}

function browserOf(userAgent: string): Browser {
  if (/iPhone|iPad/.test(userAgent)) {
    // Newer ones no longer tell the system's version.
    return { engine: 'ios', name: 'iPhone and iPad', hasWebGpu: isSince('Safari', 'iOS', /Version\/(\d+)/.exec(userAgent)) };
  }
  const platform = platformOf(userAgent);
  const firefox = /Firefox\/(\d+)/.exec(userAgent);
  if (firefox !== null) return { engine: 'firefox', name: 'Firefox', hasWebGpu: isSince('Firefox', platform, firefox) };
  const chromium = /(?:Chrome|Chromium)\/(\d+)/.exec(userAgent);
  if (chromium !== null) {
    const name = /Edg\//.test(userAgent) ? 'Edge' : 'Chrome';
    return { engine: 'chromium', name, hasWebGpu: isSince('Chrome', platform, chromium) };
  }
  const safari = /Version\/(\d+).* Safari\//.exec(userAgent);
  if (safari !== null) return { engine: 'safari', name: 'Safari', hasWebGpu: isSince('Safari', platform, safari) };
  return { engine: 'other', name: 'This browser', hasWebGpu: false };
}

function platformOf(userAgent: string): BrowserPlatform | undefined {
  if (/Android/.test(userAgent)) return 'Android';
  if (/Windows/.test(userAgent)) return 'Windows';
  if (/Macintosh/.test(userAgent)) return 'macOS';
  if (/CrOS/.test(userAgent)) return 'ChromeOS';
  return /Linux/.test(userAgent) ? 'Linux' : undefined;
}

function isSince(browser: string, platform: BrowserPlatform | undefined, version: RegExpExecArray | null): boolean {
  const first = platform === undefined ? undefined : supportOf(browser)?.since[platform];
  return first !== undefined && version !== null && Number(version[1]) >= first;
}

const supportOf = (browser: string): BrowserSupport | undefined => WEBGPU_BROWSERS.find((each) => each.browser.includes(browser));
const since = (browser: string): string => supportOf(browser)?.from ?? '';

const CHROME_GPU = 'chrome://gpu says, at “WebGPU”, whether this GPU is blocked, and why.';
const CHROME_ACCELERATION = 'Settings, System: switch on “Use graphics acceleration when available”, and restart.';

interface Steps {
  readonly update: readonly string[];
  /** For versions before that. */
  readonly tryEarly: readonly string[];
  readonly switchOn: readonly string[];
  /** To have an adapter. */
  readonly adapter: readonly string[];
}

const STEPS: Readonly<Record<Engine, Steps>> = {
  chromium: {
    update: [`Update it: Chrome and Edge have WebGPU from ${since('Chrome')}.`],
    tryEarly: ['On Linux, before that: chrome://flags/#enable-unsafe-webgpu may let you try it.'],
    switchOn: [CHROME_ACCELERATION, CHROME_GPU, 'On a managed device, its administrator may have switched WebGPU off.'],
    adapter: [
      CHROME_ACCELERATION,
      CHROME_GPU,
      'Update the graphics driver. Virtual machines and remote desktops often have no GPU.',
      'On Linux, chrome://flags/#enable-unsafe-webgpu may let you try a GPU that is blocked.',
    ],
  },
  firefox: {
    update: [`Update it: Firefox has WebGPU from ${since('Firefox')}.`],
    tryEarly: ['On Linux and elsewhere: open about:config, set dom.webgpu.enabled to true, and restart; or use Firefox Nightly.'],
    switchOn: ['Open about:config, set dom.webgpu.enabled to true, and restart.'],
    adapter: [
      'about:support says, at “Graphics”, whether this GPU is blocked, and why.',
      'Settings, General, Performance: switch on “Use hardware acceleration when available”, and restart.',
      'Update the graphics driver. Virtual machines and remote desktops often have no GPU.',
    ],
  },
  safari: {
    update: [`Update macOS: Safari has WebGPU from ${since('Safari')}.`],
    tryEarly: ['Before that: Develop, Feature Flags, and switch WebGPU on.'],
    switchOn: ['Develop, Feature Flags: switch WebGPU on.', 'Lockdown Mode switches it off: allow this site in Safari’s settings, Websites.'],
    adapter: ['Quit Safari, and open it again.', 'Install the latest update of macOS.'],
  },
  ios: {
    update: ['Update to iOS or iPadOS 26: every browser there has WebGPU from then on.'],
    tryEarly: ['On 18: Settings, Apps, Safari, Advanced, Feature Flags, and switch WebGPU on.'],
    switchOn: ['Settings, Apps, Safari, Advanced, Feature Flags: switch WebGPU on.', 'Lockdown Mode switches it off: allow this site in its settings.'],
    adapter: ['Close other apps and tabs, and open the page again.'],
  },
  other: {
    update: ['Update it, or use one of those below.'],
    tryEarly: [],
    switchOn: ['Switch hardware acceleration on in its settings, and restart it.'],
    adapter: ['Switch hardware acceleration on in its settings, and restart it.', 'Update the graphics driver.'],
  },
};
