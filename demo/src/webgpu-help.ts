import { WEBGPU_BROWSERS } from '../../src/index.ts';

/** What to do in one browser to have WebGPU. */
export interface WebGpuHelp {
  readonly browser: string;
  readonly steps: readonly string[];
}

const SINCE = (browser: string): string => WEBGPU_BROWSERS.find((each) => each.browser.includes(browser))?.from ?? '';

/** What to do where this page is open. @param userAgent navigator.userAgent @param isSecure isSecureContext */
export function webGpuHelp(userAgent: string, isSecure: boolean): WebGpuHelp {
  const help = ofBrowser(userAgent);
  const insecure = 'Open the page over https, or from localhost: browsers give WebGPU to no other.';
  return isSecure ? help : { ...help, steps: [insecure, ...help.steps] };
}

function ofBrowser(userAgent: string): WebGpuHelp {
  if (/iPhone|iPad/.test(userAgent)) {
    return {
      browser: 'iPhone and iPad',
      steps: [
        'Update to iOS or iPadOS 26: every browser there has WebGPU from then on.',
        'On 18: Settings, Apps, Safari, Advanced, Feature Flags, and switch WebGPU on.',
      ],
    };
  }
  if (/Firefox\//.test(userAgent)) {
    return {
      browser: 'Firefox',
      steps: [
        `Update it: Firefox has WebGPU from ${SINCE('Firefox')}.`,
        'On Linux and elsewhere: open about:config, set dom.webgpu.enabled to true, and restart; or use Firefox Nightly.',
      ],
    };
  }
  if (/Chrome\/|Chromium\//.test(userAgent)) {
    return {
      browser: /Edg\//.test(userAgent) ? 'Edge' : 'Chrome',
      steps: [
        `Update it: Chrome and Edge have WebGPU from ${SINCE('Chrome')}.`,
        'Settings, System: switch on “Use graphics acceleration when available”, and restart.',
        'chrome://gpu says, at “WebGPU”, whether this GPU is blocked and why; on Linux, chrome://flags/#enable-unsafe-webgpu may let you try it.',
      ],
    };
  }
  if (/Safari\//.test(userAgent)) {
    return {
      browser: 'Safari',
      steps: [
        `Update macOS: Safari has WebGPU from ${SINCE('Safari')}.`,
        'Before that: Develop, Feature Flags, and switch WebGPU on.',
      ],
    };
  }
  return { browser: 'This browser', steps: ['Update it, switch hardware acceleration on, or use one of those below.'] };
}
