// @ts-check
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium } from '../../support/find-chromium.mjs';
import { setUpDawn } from '../../support/dawn-setup.mjs';
import { packBench } from '../dawn/pack.mjs';

/** The most that travels beside the tree. */
export const MAX_PACKED_BYTES = 54 * 2 ** 20;

/** The libraries that Node and Dawn need beyond the C library. */
const CXX_LIBRARIES = ['libstdc++.so.6', 'libgcc_s.so.1'];
/** Vulkan's loader, and libraries that its drivers load, which a machine without a display may lack. */
const VULKAN_LIBRARY = 'libvulkan.so.1';
const DRIVER_LIBRARIES = [
  'libGLdispatch.so.0', 'libGLX.so.0', 'libEGL.so.1', 'libX11.so.6', 'libXext.so.6', 'libxcb.so.1', 'libXau.so.6', 'libXdmcp.so.6',
  'libbsd.so.0', 'libmd.so.0',
];

/**
 * Packs the benchmark, Node and Dawn for a machine that has none of them: a folder of two files, of which `run.sh` unpacks
 * the other and runs it.
 *
 * @param {string} out the folder
 * @returns {Promise<number>} bytes of both files
 * @throws Error on other systems than Linux on x86-64, whose Node is packed; where a library is missing; or for more than
 *   {@link MAX_PACKED_BYTES}
 */
export async function packRun(out) {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('It packs the Node that runs it, which has to be of Linux on x86-64.');
  const dawn = setUpDawn('native')['TABSERVE_WEBGPU'];
  const staging = mkdtempSync(join(tmpdir(), 'tabserve-pack-'));
  try {
    copyFileSync(process.execPath, join(staging, 'node'));
    for (const file of DAWN_FILES) {
      mkdirSync(dirname(join(staging, 'webgpu', file)), { recursive: true });
      copyFileSync(new URL(file, dawn), join(staging, 'webgpu', file));
    }
    await packBench(join(staging, 'bench.mjs'), new URL('main.ts', import.meta.url));
    copyLibraries(join(staging, 'lib', 'cxx'), CXX_LIBRARIES, []);
    copyLibraries(join(staging, 'lib', 'drivers'), [VULKAN_LIBRARY], DRIVER_LIBRARIES);
    mkdirSync(out, { recursive: true });
    compress(staging, join(out, 'gpu-run.tar.xz'));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  copyFileSync(fileURLToPath(new URL('run.sh', import.meta.url)), join(out, 'run.sh'));
  const bytes = ['gpu-run.tar.xz', 'run.sh'].reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
  requireSize(bytes);
  return bytes;
}

/** The `webgpu` package, without the binaries of other systems. */
const DAWN_FILES = ['index.js', 'package.json', 'dist/linux-x64/dawn.node'];

/** @param {number} bytes
 * @throws Error for more than may travel */
export function requireSize(bytes) {
  if (bytes > MAX_PACKED_BYTES) throw new Error(`It packs to ${(bytes / 2 ** 20).toFixed(1)} MiB, more than ${MAX_PACKED_BYTES / 2 ** 20}.`);
}

/** @param {string} folder
 * @param {readonly string[]} needed
 * @param {readonly string[]} others that are left out where they are not here */
function copyLibraries(folder, needed, others) {
  mkdirSync(folder, { recursive: true });
  const listed = spawnSync('ldconfig', ['-p'], { encoding: 'utf8', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } }).stdout ?? '';
  for (const name of [...needed, ...others]) {
    const found = findLibrary(name, listed);
    if (found !== undefined) copyFileSync(found, join(folder, name));
    else if (needed.includes(name)) throw new Error(`There is no ${name} here to pack.`);
  }
}

/** @param {string} name
 * @param {string} listed by ldconfig
 * @returns {string | undefined} the system's, else the one beside Chromium */
function findLibrary(name, listed) {
  const line = listed.split('\n').find((each) => each.trim().startsWith(`${name} (libc6,x86-64`));
  const path = line?.split(' => ')[1];
  if (path !== undefined) return path;
  const browser = findChromium();
  const folders = ['/usr/lib/chromium', '/opt/google/chrome', ...(browser === undefined ? [] : [dirname(browser)])];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

/** @param {string} folder
 * @param {string} file */
function compress(folder, file) {
  const archive = resolve(`${file}.tar`);
  run('tar', ['--owner=0', '--group=0', '-cf', archive, '-C', folder, '.']);
  const { status, stdout } = spawnSync('xz', ['-c', '--x86', '--lzma2=preset=9e', archive], { maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'inherit'] });
  rmSync(archive);
  if (status !== 0) throw new Error('xz failed; Debian has it in xz-utils.');
  writeFileSync(file, stdout);
}

/** @param {string} command
 * @param {readonly string[]} args */
function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`${command} failed`);
}
