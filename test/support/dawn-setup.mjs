// @ts-check
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findChromium } from './find-chromium.mjs';
import { installOnDemand } from './install-on-demand.mjs';

const PACKAGE = fileURLToPath(new URL('../dawn/', import.meta.url));

/**
 * Dawn for Node, installed on demand (132 MB), and the environment under which it takes the adapter asked for.
 *
 * @param {string} adapter `swiftshader` (that of the Chromium found), `lavapipe` (Mesa's), or `native` (the system's own choice)
 * @returns {Record<string, string>} variables to start Node with: the Vulkan loader reads its own when a process starts,
 *   test/support/open-dawn.ts the others
 */
export function setUpDawn(adapter) {
  const environment = adapterEnvironment(adapter);
  // Its postinstall only lifts macOS's quarantine from downloaded files, which npm does not set; npm >= 11 asks before running one.
  const fault = installOnDemand('dawn', ['ci', '--ignore-scripts']);
  if (fault !== undefined) throw new Error(`${fault}; see above.`);
  const entry = pathToFileURL(join(PACKAGE, 'node_modules', 'webgpu', 'index.js')).href;
  return { TABSERVE_DAWN: adapter, TABSERVE_WEBGPU: entry, ...environment };
}

/** @param {string} adapter
 * @returns {Record<string, string>} */
function adapterEnvironment(adapter) {
  if (adapter === 'native') return {};
  if (adapter !== 'swiftshader' && adapter !== 'lavapipe') {
    throw new Error(`--dawn=${adapter}: the adapters are swiftshader, lavapipe and native.`);
  }
  const found = adapter === 'swiftshader' ? swiftshader() : lavapipe();
  if (found === undefined) {
    const remedy = adapter === 'lavapipe' ? 'Debian has it in mesa-vulkan-drivers' : 'it comes with Chromium';
    throw new Error(`--dawn=${adapter}: its Vulkan driver is not here (${remedy}).`);
  }
  return found;
}

/** SwiftShader's driver and loader lie beside Chromium's executable. */
function swiftshader() {
  const browser = findChromium();
  const folders = ['/usr/lib/chromium', '/usr/lib64/chromium-browser', '/opt/google/chrome'];
  for (const folder of browser === undefined ? folders : [dirname(browser), ...folders]) {
    const icd = join(folder, 'vk_swiftshader_icd.json');
    if (existsSync(icd)) return { VK_ICD_FILENAMES: icd, LD_LIBRARY_PATH: folder };
  }
  return undefined;
}

function lavapipe() {
  for (const folder of ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d']) {
    const file = existsSync(folder) ? readdirSync(folder).find((name) => /^lvp_icd.*\.json$/.test(name)) : undefined;
    if (file !== undefined) return { VK_ICD_FILENAMES: join(folder, file) };
  }
  return undefined;
}
