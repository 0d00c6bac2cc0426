import type { ModelInfo, RecommendedSampling } from '../../src/index.ts';

/** How a model is to be sampled, and who says so. */
export interface Recommendation {
  readonly by: 'file' | 'publisher' | 'page';
  readonly sampling: RecommendedSampling;
}

interface Family {
  readonly name: RegExp;
  readonly sampling: RecommendedSampling;
}

/**
 * The recommendations of publishers, from their models' cards and generation_config.json, for files without them. The
 * first match counts, because a distilled model's name contains its base model's name too.
 */
const FAMILIES: readonly Family[] = [
  { name: /deepseek-r1/, sampling: { temperature: 0.6, top_p: 0.95 } },
  { name: /qwen3.*instruct-2507/, sampling: { temperature: 0.7, top_p: 0.8, top_k: 20 } },
  { name: /qwen3/, sampling: { temperature: 0.6, top_p: 0.95, top_k: 20 } },
  { name: /qwen2(\.5)?-(0\.5b|1\.5b)-instruct/, sampling: { temperature: 0.7, top_p: 0.8, top_k: 20, repetition_penalty: 1.1 } },
  { name: /qwen2(\.5)?-.*instruct/, sampling: { temperature: 0.7, top_p: 0.8, top_k: 20, repetition_penalty: 1.05 } },
  { name: /llama-3/, sampling: { temperature: 0.6, top_p: 0.9 } },
  { name: /tinyllama.*chat/, sampling: { temperature: 0.7, top_p: 0.95, top_k: 50 } },
  { name: /smollm2/, sampling: { temperature: 0.2, top_p: 0.9 } },
  { name: /smollm-/, sampling: { temperature: 0.6, top_p: 0.92 } },
];

/** Of a model that nobody has said anything of. */
export const PAGE_DEFAULT: Recommendation = { by: 'page', sampling: { temperature: 0.7, top_p: 0.95 } };

/** By the model's file, else by its publisher, as far as its names tell. @param label what the page calls it */
export function recommendationFor({ name, recommendedSampling }: ModelInfo, label: string): Recommendation {
  if (Object.keys(recommendedSampling).length > 0) return { by: 'file', sampling: recommendedSampling };
  const names = [name, label].map((each) => each.toLowerCase().replace(/[\s_]+/g, '-'));
  const family = FAMILIES.find((each) => names.some((candidate) => each.name.test(candidate)));
  return family === undefined ? PAGE_DEFAULT : { by: 'publisher', sampling: family.sampling };
}
