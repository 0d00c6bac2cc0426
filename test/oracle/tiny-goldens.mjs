// Records llama.cpp's logits and greedy ids for the seeded tiny models of test/support/tiny-model.ts, each run on the
// F32 copy of its quantised weights.
//   node test/oracle/tiny-goldens.mjs [PRESET-TYPE ...]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openOracle, ORACLE } from './llama.mjs';
import { importTypeScript } from './typescript.mjs';

const { tinyModel, TINY_SHAPES } = await importTypeScript('test/support/tiny-model.ts');
const { createRandom } = await importTypeScript('test/support/random.ts');

const POSITIONS = 40;
const GREEDY = 64;
/** Greedy ids are only a fair test where no step of theirs is nearly a tie. */
const MIN_GAP = 0.02;
const STOP_IDS = [0, 2];
const MODELS = [
  { preset: 'gqa3', type: 'Q4_0' },
  { preset: 'gqa3', type: 'Q4_1' },
  { preset: 'gqa3', type: 'Q8_0' },
  { preset: 'gqa9', type: 'mixed' },
  { preset: 'wide', type: 'Q4_0' },
  { preset: 'narrow', type: 'Q8_0' },
  { preset: 'smollm2', type: 'mixed' },
  { preset: 'narrow', type: 'F32' },
  { preset: 'stories', type: 'F16' },
  { preset: 'qwen2', type: 'mixed' },
  { preset: 'qwen3', type: 'BF16' },
];
/** Only these, where any are named: `qwen2-f16`. */
const named = process.argv.slice(2);
const nameOf = ({ preset, type }) => `${preset}-${type}`.toLowerCase();

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tabserve-oracle-'));

async function record(preset, type, seed) {
  const file = path.join(folder, `${preset}-${type}-${seed}.gguf`);
  fs.writeFileSync(file, tinyModel({ preset, type, seed, dequantised: true }));
  const oracle = await openOracle(file, { contextSize: 256 });
  const random = createRandom(seed);
  const tokens = Array.from({ length: POSITIONS }, () => 3 + random.below(TINY_SHAPES[preset].vocabSize - 3));
  const logits = await oracle.logitsOfEveryPosition(tokens);
  const { ids, gaps } = await oracle.greedy(tokens, GREEDY);
  await oracle.dispose();
  return { tokens, logits, ids, minGap: Math.min(...gaps) };
}

for (const { preset, type } of MODELS.filter((model) => named.length === 0 || named.includes(nameOf(model)))) {
  for (let seed = 1; ; seed++) {
    const { tokens, logits, ids, minGap } = await record(preset, type, seed);
    if (minGap < MIN_GAP || ids.some((id) => STOP_IDS.includes(id)) || new Set(ids).size < 10) continue;
    const bytes = Buffer.concat(logits.map((row) => Buffer.from(row.buffer)));
    const golden = {
      madeBy: 'node test/oracle/tiny-goldens.mjs',
      oracle: ORACLE,
      notes:
        'logits: base64 of little-endian f32 [position, vocabulary]. greedyIds continue tokens; minGap is the smallest ' +
        'lead of a first logit over the second among them.',
      model: { preset, type, seed },
      tokens,
      greedyIds: ids,
      minGap: Number(minGap.toFixed(4)),
      logits: bytes.toString('base64'),
    };
    const json = JSON.stringify(golden, null, 2).replace(/\[[\s\d.,-]+\]/g, (array) => array.replace(/\s+/g, ''));
    fs.writeFileSync(new URL(`../goldens/tiny-${nameOf({ preset, type })}.json`, import.meta.url), `${json}\n`);
    console.log(
      `${preset} ${type} seed ${seed}: smallest gap ${minGap.toFixed(4)}, ${new Set(ids).size} different ids`,
    );
    break;
  }
}
fs.rmSync(folder, { recursive: true });
process.exit(0);
