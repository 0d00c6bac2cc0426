import { expect, test } from 'vitest';
import { createRandom } from '../../support/random.ts';
import { attemptLoad } from './load-attempt.ts';
import { ARCHITECTURES, encodeHeader, soundHeader } from './header.ts';
import { hostileFile } from './mutate-header.ts';

/** On demand more: `TABSERVE_FUZZ_FILES=100000 TABSERVE_FUZZ_SEED=2 npx vitest run --project unit test/unit/fuzz`. */
const FILES = Number(process.env['TABSERVE_FUZZ_FILES'] ?? 20_000);
const SEED = Number(process.env['TABSERVE_FUZZ_SEED'] ?? 1);

// The models' planner names buffer usages, which only browsers have.
Object.assign(globalThis, { GPUBufferUsage: globalThis.GPUBufferUsage ?? { UNIFORM: 64, STORAGE: 128, COPY_DST: 8, COPY_SRC: 4 } });

const SOUND = ARCHITECTURES.flatMap((architecture) => [['bpe', architecture] as const, ['spm', architecture] as const]);

test.each(SOUND)('the file that is made hostile is a sound one: %s, %s', async (tokenizer, architecture) => {
  const header = soundHeader(tokenizer, architecture);
  const head = encodeHeader(header);
  const size = Math.ceil(head.length / 32) * 32 + header.dataBytes;
  const attempt = await attemptLoad({ head, size });
  expect(attempt).toMatchObject({ header: 'ok', weights: 'ok', tokenizer: 'ok', bytesRead: size });
});

test(`${FILES} hostile files end in a typed error or load, and read no more than themselves`, { timeout: 3_600_000 }, async () => {
  const outcomes = new Map<string, number>();
  for (let index = 0; index < FILES; index++) {
    const file = hostileFile(createRandom(SEED * 1_000_003 + index));
    const attempt = await attemptLoad(file).catch((error: unknown) => {
      throw new Error(`file ${index} of seed ${SEED}: ${String(error)}`, { cause: error });
    });
    expect(attempt.bytesRead, `file ${index} of seed ${SEED}`).toBeLessThanOrEqual(file.size);
    // Each weight is held twice at most: as it is, and as its scales.
    expect(attempt.gpuBytes, `file ${index} of seed ${SEED}`).toBeLessThanOrEqual(16 * file.size);
    for (const [stage, code] of [['header', attempt.header], ['weights', attempt.weights], ['tokenizer', attempt.tokenizer]]) {
      outcomes.set(`${stage} ${code}`, (outcomes.get(`${stage} ${code}`) ?? 0) + 1);
    }
  }
  // Had all ended at the magic number, nothing would have been tried.
  for (const expected of ['header ok', 'header corrupt_model', 'weights ok', 'weights corrupt_model', 'tokenizer ok', 'tokenizer corrupt_model', 'tokenizer unsupported_model']) {
    expect(outcomes.get(expected) ?? 0, expected).toBeGreaterThan(FILES / 200);
  }
});
