// @ts-check
/** @typedef {import('./table.mjs').Mutation} Mutation */

/** @param {string} area
 * @param {string} file
 * @param {readonly (readonly [name: string, from: string, to: string, ...tests: string[]])[]} changes
 * @returns {Mutation[]} */
function of(area, file, changes) {
  return changes.map(([name, from, to, ...tests]) => {
    const survives = SURVIVES.get(name);
    return { area, name, file, from, to, tests, ...(survives === undefined ? {} : { survives }) };
  });
}

/** @param {string} file
 * @param {readonly (readonly [name: string, anchor: string, from: string, to: string, ...tests: string[]])[]} changes
 * @returns {Mutation[]} */
function ofShader(file, changes) {
  return changes.flatMap(([name, anchor, ...change]) => of('kernels', file, [[name, ...change]]).map((mutation) => ({ ...mutation, anchor })));
}

const MATMUL = 'test/gpu/kernels/matmul.test.ts';
const DEFERRED = 'test/gpu/deferred-kernels.test.ts';
const ATTENTION = 'test/gpu/kernels/attention.test.ts';
const FUSED_ROPE = 'test/gpu/kernels/matmul-rope-kv-write.test.ts';
const FILTER = 'test/gpu/kernels/filter.test.ts';
const REPACK = 'test/unit/quant/repack.test.ts';
const CACHE = 'test/unit/download/cached-source.test.ts';
const HTTP = 'test/unit/download/http-source.test.ts';
const HUB = 'test/unit/download/hub.test.ts';
const FAULTS = 'test/gpu/loading-faults.browser.test.ts';
const TOKENIZER = 'test/unit/tokenizer/tokenizer.test.ts';
const DETOKENIZER = 'test/unit/tokenizer/detokenizer.test.ts';
const MERGE = 'test/unit/tokenizer/merge.test.ts';
const VOCABULARIES = 'test/unit/tokenizer/vocabularies.test.ts';
const TEMPLATES = 'test/unit/tokenizer/hostile-templates.test.ts';
const TEMPLATE_DATA = 'test/unit/tokenizer/template-data.test.ts';
const GOLDENS = 'test/unit/tokenizer/template-goldens.test.ts';
const FOUND = 'test/unit/fuzz/found.test.ts';
const STOPS = 'test/unit/tokenizer/stop-matcher.test.ts';
const SCHEDULER = 'test/unit/scheduler/scheduler.test.ts';
const PARTIALS = 'test/unit/scheduler/partials.test.ts';
const PREFIXES = 'test/unit/scheduler/prefix-caching.test.ts';
const PROPERTIES = 'test/unit/scheduler/properties.test.ts';
const HOST = 'test/unit/worker/host.test.ts';
const MANAGER = 'test/unit/worker/model-manager.test.ts';
const RECOVERY = 'test/unit/worker/host-recovery.test.ts';
const LEASE = 'test/unit/worker/gpu-lease.test.ts';
const CHAT = 'test/unit/api/chat-request.test.ts';
const CLIENT = 'test/unit/client/client.test.ts';
const FAILOVER = 'test/unit/client/failover.test.ts';
const FRAMES = 'test/unit/client/request-frames.test.ts';

/** Why no test sees it, by what is wrong then. */
const SURVIVES = new Map([
  [
    'no barrier before the next slices overwrite the last',
    'SwiftShader runs the subgroups of a workgroup one after the other, from barrier to barrier, and never meets the race',
  ],
]);

/** A wrong kernel gives fluent wrong text, and a wrong scheduler gives another tab's: what must not pass unseen. */
export const MUTATIONS = [
  ...ofShader('shaders/quant/int4.wgsl', [
    ['one of a word’s eight weights has the next one’s place value', 'weight-place-value', 'return x * 0x1p-20;', 'return x * 0x1p-16;', MATMUL],
    ['the bias of the top nibble stays in', 'top-nibble-bias', 'vec4(-0x10000000)) + 0x1p31', 'vec4(-0x10000000))', MATMUL],
  ]),
  ...ofShader('shaders/dot/f32.wgsl', [
    ['a group’s minimum is added for three of four k', 'group-minimum', '(sum.x + sum.y) + (sum.z + sum.w)', '(sum.x + sum.y) + (sum.z + sum.x)', MATMUL],
  ]),
  ...ofShader('shaders/products/exact.wgsl', [
    ['slices past the end of k are added', 'slices-past-k', 'select(run_#r_#t, next_#t, group < groups)', 'next_#t', MATMUL, 'test/gpu/kernels/matmul-normalised.test.ts'],
  ]),
  ...ofShader('shaders/products/quantised.wgsl', [
    ['quantised slices past the end of k are added', 'quantised-slices-past-k', 'select(run_#r_#t, next_#t, group < groups)', 'next_#t', 'test/gpu/kernels/numerics.test.ts'],
  ]),
  ...ofShader('shaders/slices/long-runs.wgsl', [['all runs of a slice but the last are forgotten', 'long-runs', 'slice_#r_#t += run_#r_#t;', '', MATMUL]]),
  ...ofShader('shaders/slices/single-groups.wgsl', [['runs of one group are forgotten', 'single-runs', 'slice_#r_#t += run_#r_#t;', '', MATMUL]]),
  ...ofShader('shaders/matmul.wgsl', [
    ['all tokens of a lane have the norm of the first', 'shared-norm', 'row_of(first_token + t)', 'row_of(first_token)', 'test/gpu/kernels/matmul-normalised.test.ts'],
  ]),
  ...ofShader('shaders/sets/several.wgsl', [
    ['no barrier before the next slices overwrite the last', 'barrier-between-slices', 'workgroupBarrier();', '', 'test/gpu/kernels/compile.test.ts', MATMUL],
  ]),
  ...ofShader('shaders/common/inverse-rms.wgsl', [
    ['epsilon is left out of the norm', 'norm-epsilon', '/ f32(NORM_SIZE) + EPSILON)', '/ f32(NORM_SIZE))', 'test/gpu/kernels/matmul-normalised.test.ts', FUSED_ROPE],
  ]),
  ...ofShader('shaders/epilogue/residual.wgsl', [
    ['the next norm’s gain is forgotten', 'next-norm-gain', 'weighted[at] = sum * gain[output / 4u];', 'weighted[at] = sum;', 'test/gpu/kernels/matmul-residual.test.ts'],
  ]),
  ...ofShader('shaders/common/silu.wgsl', [
    ['the gate is a sigmoid', 'gate', 'gate / (1.0 + exp(-gate)) * up', '1.0 / (1.0 + exp(-gate)) * up', 'test/gpu/kernels/matmul-silu-mul.test.ts'],
  ]),
  ...ofShader('shaders/epilogue/rope-kv-write.wgsl', [
    ['biases are left out', 'bias', 'multiply_add4(vec4(norm), total, bias[(OUTPUT_OFFSET + output) / 4u])', 'norm * total', FUSED_ROPE],
  ]),
  ...ofShader('shaders/before-rope/norm.wgsl', [
    ['QK-norm gives keys the gain of queries', 'key-gain', 'select(0u, HEAD_SIZE, head >= NUM_HEADS)', '0u', 'test/gpu/kernels/rope-kv-write.test.ts'],
  ]),
  ...ofShader('shaders/epilogue/logits.wgsl', [
    ['a head’s second matrix leaves its candidates among the first’s', 'candidate-place', '(OUTPUT_OFFSET + output) / 32u', 'output / 32u', 'test/gpu/kernels/matmul-logits.test.ts'],
  ]),
  ...ofShader('shaders/quant/bf16.wgsl', [
    ['the two of a word have each other’s bits', 'upper-of-word', 'word & vec4(-0x10000)', 'word', MATMUL],
  ]),
  ...of('kernels', 'src/kernels/rope-kv-write.ts', [
    ['Llama 3’s RoPE factors are ignored', ' / (factors?.[i] ?? 1)', '', 'test/unit/models/architectures.test.ts'],
  ]),

  ...ofShader('shaders/attention.wgsl', [
    ['a token sees the one after it', 'causal-mask', 'counts[r] = min(max(rows[row].y + 1u, start) - start, SPLIT);', 'counts[r] = min(max(rows[row].y + 2u, start) - start, SPLIT);', ATTENTION],
    ['scores are not scaled', 'score-scale', 'return SCALE * key_scale(', 'return key_scale(', ATTENTION],
  ]),
  ...ofShader('shaders/common/attention-values.wgsl', [
    ['a row that a later row’s NaN must not reach', 'last-token', 'let last_token = max(seen, 1u) - 1u;', 'let last_token = max(counts[0], 1u) - 1u;', ATTENTION],
  ]),
  ...ofShader('shaders/common/partials.wgsl', [
    ['the splits of a row leave their results in one place', 'partial-place', '((row.w >> 12u) + split)', '(row.w >> 12u)', ATTENTION],
  ]),
  ...ofShader('shaders/attention-merge.wgsl', [
    ['splits are added without their maxima', 'split-maximum', 'exp(max_and_sum.x - highest) / sum', '1.0 / sum', ATTENTION],
  ]),
  ...of('kernels', 'src/kernels/attention.ts', [
    ['partial results of attention grow with the context', 'Math.min(rows * maxSplits(shape), within, MAX_PARTIALS)', 'rows * maxSplits(shape)', 'test/unit/kernels/partials.test.ts'],
  ]),
  ...of('kernels', 'src/runner/step-inputs.ts', [
    ['two rows’ partial results lie in one place', 'numPartials += numPartialsAt(start + i, ATTENTION_SPLIT);', 'numPartials += 1;', 'test/unit/runner/step-inputs.test.ts'],
  ]),
  ...of('scheduler', 'src/scheduler/partials.ts', [
    ['a batch’s rows need more partial results than there is room for', '<= maxNumPartials;', '<= Infinity;', PARTIALS, PROPERTIES],
  ]),
  ...of('scheduler', 'src/scheduler/step-shares.ts', [
    ['the room that a chunk takes is not counted', 'this.#numPartials -= numPartialsOf(this.#endOf(running), numTokens, this.#splitTokens);', '', PARTIALS, PROPERTIES],
    ['a long prompt leaves no room for the next in a step', 'this.#fitting(running, numTokens, this.#numPartials / 2)', 'fitting', PARTIALS],
  ]),
  ...ofShader('shaders/kv-write/f16.wgsl', [
    ['halves of a pair change places', 'pair-order', 'let word = pack2x16float(held);', 'let word = pack2x16float(held.yx);', FUSED_ROPE, 'test/gpu/kernels/rope-kv-write.test.ts'],
  ]),
  ...ofShader('shaders/common/draw.wgsl', [
    ['all positions of an answer draw the same noise', 'noise-position', 'hash(first.z ^ hash(first.w ^ hash(second.x)))', 'hash(first.z ^ hash(first.w))', 'test/gpu/kernels/sample.test.ts', 'test/gpu/sampling.test.ts'],
  ]),
  ...ofShader('shaders/sample-final.wgsl', [
    ['the higher token id wins a tie', 'tie', 'b.y < a.y', 'b.y > a.y', 'test/gpu/kernels/sample.test.ts'],
  ]),
  ...ofShader('shaders/penalties.wgsl', [
    ['the repetition penalty favours what has a negative logit', 'negative-logit', 'select(logit * penalties.x, logit / penalties.x, logit > 0.0)', 'logit / penalties.x', 'test/gpu/kernels/penalties.test.ts'],
  ]),
  ...ofShader('shaders/filter-pick.wgsl', [
    ['the goal is not lowered by what lies above', 'remaining-goal', 'selection.goal = subtract64(selection.goal, above);', '', FILTER],
  ]),

  ...of('deferred kernels', 'src/gpu/variant-set.ts', [
    ['a deferred kernel is never used', 'isReady && options.tokens >= tokens', 'isReady && options.isDeferred !== true && options.tokens >= tokens', DEFERRED],
    ['nothing is missed', 'if (best?.isReady === false)', 'if (best === undefined)', DEFERRED],
    ['rows are never attended to in tiles', 'return Math.max(', 'return Math.min(', DEFERRED],
    ['rows are in tiles before there is a kernel for them', 'variantSets.filter(({ isReady }) => isReady)', 'variantSets', DEFERRED],
  ]),
  ...of('deferred kernels', 'src/engine/idle-queue.ts', [
    ['a software adapter compiles while it serves', 'entry.task.besideRequests === true || isIdle()', 'true', 'test/unit/tuning/deferred-kernels.test.ts'],
  ]),
  ...of('tuning', 'src/tuning/autotuner.ts', [
    ['the fastest variant is used unchecked', 'variant === initial || (await', 'true || (await', 'test/unit/tuning/autotuner.test.ts'],
  ]),
  ...of('tuning', 'src/tuning/kept-variants.ts', [
    ['a kept variant is used unchecked', 'else if (await trial.agrees(variant))', 'else if (true)', 'test/unit/tuning/kernel-tuning.test.ts'],
  ]),
  ...of('tuning', 'src/gpu/output-check.ts', [
    ['differences do not count', 'differing === 0 && compared', 'compared', 'test/unit/gpu/output-check.test.ts'],
    ['a comparison that did not run finds no difference', ' && compared === numWords', '', 'test/unit/gpu/output-check.test.ts'],
  ]),
  ...of('repacking', 'src/quant/repack.ts', [
    ['Q4_0’s offset of 8 is one of 4', 'const value = mantissa * 8;', 'const value = mantissa * 4;', REPACK],
    ['neighbouring lanes have the same order of k', 'const order = lane & 3;', 'const order = lane & 2;', REPACK, MATMUL],
    ['Q4’s halves of a block change places', 'words[half + 2] = lowNibbles(a >>> 4)', 'words[half + 2] = lowNibbles(a)', REPACK],
    ['wide minima come before scales', 'wide[at + 4] = halves[word >>> 16] ?? 0;', 'wide[at + 4] = halves[word & 0xffff] ?? 0;', REPACK],
  ]),

  ...of('repacking', 'src/quant/repack-floats.ts', [
    ['a quad’s pairs of floats stay where all lanes have them', 'pair ^ (order >> 1)', 'pair', REPACK, MATMUL],
  ]),
  ...of('repacking', 'src/models/row-permutation.ts', [
    ['partly rotated heads move all their rows', 'if (element >= ropeDimensions) return row;', '', 'test/unit/models/row-permutation.test.ts'],
  ]),

  ...of('tokenizer', 'src/tokenizer/piece-ends.ts', [
    ['a word takes all spaces before it', 'last < end && last - place > 1 ? last - 1 : last', 'last', 'test/unit/tokenizer/smollm2.test.ts'],
  ]),
  ...of('tokenizer', 'src/core/cooperative-task.ts', [
    ['a long text is one time slice', 'while (!slice.isOver) {', 'for (;;) {', 'test/unit/core/cooperative-task.test.ts'],
  ]),
  ...of('tokenizer', 'src/worker/encoding-prompts.ts', [
    ['a prompt is encoded for a tab that has gone', 'ended.abort(reason);', '', 'test/unit/worker/encoding-prompts.test.ts'],
  ]),
  ...of('tokenizer', 'src/tokenizer/control-tokens.ts', [
    ['a user’s control token is one', 'part.isOwn ? yield* matcher.split(part.text) : [part.text]', 'yield* matcher.split(part.text)', TOKENIZER, 'test/unit/tokenizer/smollm2.test.ts'],
  ]),
  ...of('tokenizer', 'src/tokenizer/detokenizer.ts', [
    ['half a code point is shown as it comes', 'decoder.decode(bytesToShow(id), { stream: true })', 'decoder.decode(bytesToShow(id))', DETOKENIZER],
    ['a byte order mark is swallowed', 'ignoreBOM: true', 'ignoreBOM: false', DETOKENIZER],
  ]),
  ...of('tokenizer', 'src/tokenizer/merge.ts', [
    ['of equal merges the last comes first', 'const entry = (ranks[merge] ?? 0) * PLACES + place;', 'const entry = (ranks[merge] ?? 0) * PLACES + length - place;', MERGE],
    ['a merge that is out of date is taken', 'if (merge < 0 || ranks[merge] !== rank) continue;', 'if (merge < 0) continue;', MERGE],
  ]),
  ...of('tokenizer', 'src/tokenizer/sentencepiece.ts', [
    ['the lowest score merges first', 'ranks[id] = tokens.length - countAtMost', 'ranks[id] = countAtMost', VOCABULARIES],
    ['no space is put before the text', "addSpacePrefix && section !== ''", 'false', VOCABULARIES],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/budget.ts', [
    ['a template may take forever', 'this.#steps -= steps;', '', TEMPLATES],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/comparing.ts', [
    ['a search costs what its texts are long', 'text.length * Math.max(1, part.length)', 'text.length', TEMPLATES],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/text-methods.ts', [
    ['a method costs nothing', 'budget.spendChars(chars);', '', TEMPLATES],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/operators.ts', [
    ['a text many times costs nothing', 'budget.spendChars(chars.length * count);', '', TEMPLATES],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/text.ts', [
    ['what is made of a message is the template’s', 'isOwn(text) ? ownText(mapped) : mapped', 'ownText(mapped)', TEMPLATE_DATA],
    ['what is cut from a message is the template’s', 'data.push(Math.max(spanStart, start) - start, Math.min(spanEnd, end) - start);', '', TEMPLATE_DATA],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/provenance.ts', [
    ['what is made of the template’s words and a message is the template’s', 'values.every((value) => isOwnValue', 'values.some((value) => isOwnValue', TEMPLATE_DATA],
    ['a number of a message is the template’s', 'budget.numbersAreData ? digits : ownText(digits)', 'ownText(digits)', TEMPLATE_DATA],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/evaluator.ts', [
    ['a chain of comparisons compares a truth', 'compareBy(operator.value, before.last, last, this.#budget)', 'compareBy(operator.value, before.holds, last, this.#budget)', GOLDENS],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/interpreter.ts', [
    ['what a round of a loop sets is there in the next', 'const inner = this.#scopeOf(loopvar, item, scope);', 'const inner = scope; this.#assign(loopvar, item, inner);', GOLDENS],
  ]),
  ...of('tokenizer', 'src/tokenizer/jinja/text-splitting.ts', [
    ['strip takes white space, whatever it is told', 'characters === undefined ? undefined : new Set(characters)', 'undefined', GOLDENS],
  ]),
  ...of('tokenizer', 'src/tokenizer/chat-template.ts', [
    ['a template at fault is told at the first question', 'render(SHORT_CHAT);', '', TOKENIZER],
    ['a template at fault blames the messages', 'if (cause instanceof TemplateRefusal) {', 'if (cause instanceof Error) {', TOKENIZER],
  ]),
  ...of('loader', 'src/formats/gguf-cursor.ts', [
    ['a header may become any number of objects', 'if (this.#madeBytes <= MAX_MADE_BYTES) return;', 'return;', 'test/unit/formats/gguf-limits.test.ts'],
  ]),
  ...of('models', 'src/models/config-bounds.ts', [
    ['there may be more layers than tensors', 'config.numLayers > tensors.length', 'false', FOUND],
    ['there may be tokens without a row', 'tokens.length > vocabSize', 'false', FOUND],
  ]),
  ...of('tokenizer', 'src/tokenizer/stop-matcher.ts', [
    ['a stop string’s beginning is shown', 'return { text: all.slice(0, i + 1 - state.stopLength), stopped };', 'return { text: all.slice(0, i + 1), stopped };', STOPS],
  ]),

  ...of('scheduler', 'src/scheduler/block-pool.ts', [
    ['a shared block is free when its first holder ends', 'if (count === 1) this.#free.add(block);', 'this.#free.add(block);', 'test/unit/scheduler/block-pool.test.ts'],
  ]),
  ...of('scheduler', 'src/scheduler/prefix-cache.ts', [
    ['blocks of equal hash are taken for equal', 'cached.tokenIds.every((token, i) => token === sequence.tokenIds[start + i])', 'true', PREFIXES, PROPERTIES],
    ['another salt’s KV is shared', 'cached.cacheSalt === sequence.cacheSalt &&', '', PREFIXES, PROPERTIES],
    ['a block handed out is still found', 'this.#byHash.delete(cached.hash);', '', PREFIXES, PROPERTIES],
  ]),
  ...of('scheduler', 'src/scheduler/running-batch.ts', [
    ['blocks that nobody has filled are findable', 'const numFull = Math.floor(numTokens / this.#config.blockSize);', 'const numFull = Math.ceil(numTokens / this.#config.blockSize);', PREFIXES],
    ['what is in flight gives up its blocks at once', 'if (isInFlight) this.#leaving.push(running);\n    else this.#release(running);', 'this.#release(running);', PROPERTIES, SCHEDULER],
  ]),
  ...of('scheduler', 'src/scheduler/request-queue.ts', [
    ['a tab’s fifty requests come before another’s first', 'ofSession === 0 ? 0 : 1, hasRun', '0, hasRun', 'test/unit/scheduler/fairness.test.ts'],
    ['a preempted request has to queue anew', 'hasRun ? 0 : 1,', '0,', 'test/unit/scheduler/fairness.test.ts', SCHEDULER, PROPERTIES],
  ]),
  ...of('scheduler', 'src/scheduler/request-state.ts', [
    ['an answer has a token more than it may', 'state.tokenIds.length >= state.maxNumTokens', 'state.tokenIds.length > state.maxNumTokens', SCHEDULER],
  ]),
  ...of('scheduler', 'src/scheduler/num-steps.ts', [
    ['a plan runs on behind an answer’s last token', 'Math.min(maxSteps, ...remaining)', 'maxSteps', 'test/unit/scheduler/multi-step.test.ts'],
  ]),
  ...of('scheduler', 'src/scheduler/scheduler.ts', [
    ['what the runner failed at is given out', 'if (failure !== undefined) {', 'if (false) {', 'test/unit/scheduler/failure.test.ts'],
    ['tokens of a plan’s later steps are not counted as computed', 'scheduled.tokenIds.length + plan.numSteps - 1', 'scheduled.tokenIds.length', 'test/unit/scheduler/multi-step.test.ts'],
  ]),

  ...of('cache', 'src/storage/part-cache.ts', [
    ['a damaged part is believed', "&& !this.#verified.has(index) && (await sha256(bytes)) !== hash) problem = 'damaged'", "&& false) problem = 'damaged'", CACHE],
    ['a short part is believed', 'bytes.length !== partLength(this.file, index)', 'false', CACHE],
    ['a storage that refuses ends the load', 'if (!this.#isWritable) return;', 'throw error;', CACHE],
  ]),
  ...of('cache', 'src/storage/part-cache.ts', [
    ['a new version leaves the old one behind', 'if (isStored) await this.#dropSuperseded();', '', HUB],
    ['other bytes repair a verified file', 'if (!this.isVerified || (await sha256(bytes)) === this.stored?.parts[index]) return;', 'return;', HUB],
    ['an old version keeps a full disk full', "if (!isFull(error) || (this.#superseded.length === 0 && this.#dropping === undefined)) throw error;", 'throw error;', FAULTS],
  ]),
  ...of('cache', 'src/storage/stored-versions.ts', [
    ['an old version goes before the new one is here', 'others.filter((other) => !isComplete(other))', 'others', HUB],
  ]),
  ...of('cache', 'src/storage/whole-check.ts', [
    ['a file with a wrong SHA-256 is believed', 'if (found === this.#expected) return', 'if (found !== undefined) return', HUB],
  ]),
  ...of('cache', 'src/download/cached-source.ts', [
    ['a pinned file asks its server', 'isPinned ? undefined : await options.checkVersion()', 'await options.checkVersion()', HUB],
    ['a Wi-Fi portal takes a stored model away', "if (whole[0] === undefined || (error instanceof TabserveError && error.code === 'aborted')) throw error;", 'if (whole[0] === undefined || error) throw error;', FAULTS],
  ]),
  ...of('cache', 'src/download/hub.ts', [
    ['a branch is pinned to itself', ': info.lastCommit?.id;', ': revision;', HUB],
  ]),
  ...of('cache', 'src/download/check-start.ts', [
    ['a web page is stored as a model', "if (text.startsWith('GGUF')) return;", 'if (text.length > 0) return;', 'test/unit/download/open-source.test.ts'],
  ]),
  ...of('cache', 'src/storage/with-lock.ts', [
    ['two workers download the same part', 'if (locks === undefined) return run();', 'if (locks !== null) return run();', FAULTS],
  ]),
  ...of('cache', 'src/download/http-request.ts', [
    ['a token is sent to any server', 'new URL(url).origin === credentials.origin ? credentials.token : undefined', 'url.length > 0 ? credentials.token : undefined', HUB],
  ]),
  ...of('cache', 'src/download/retry.ts', [
    ['a server that names a date is not waited for', 'Number.isNaN(date) ? 0 : Math.max(0, date - now)', '0', 'test/unit/download/retry.test.ts'],
  ]),
  ...of('cache', 'src/download/http-source.ts', [
    ['a cut download begins anew in the middle of its bytes', 'const start = offset + received;', 'const start = offset;', HTTP],
    ['more than was asked for is taken', 'if (received + chunk.length > length) throw', 'if (false) throw', HTTP],
  ]),
  ...of('cache', 'src/storage/prefix-manifest.ts', [
    ['kept KV is named by its own tokens alone', '`${parent} ${tokenIds.join()}`', 'tokenIds.join()', 'test/unit/storage/prefix-store.test.ts'],
  ]),

  ...of('sources', 'src/download/signed-url.ts', [
    ['one parameter makes a signature', 'marks.every((mark) => keys.has(mark))', 'marks.some((mark) => keys.has(mark))', 'test/unit/download/model-name.test.ts'],
  ]),
  ...of('sources', 'src/download/http-source.ts', [
    ['a signature is in what is kept and said', 'const at: Address = { url, name: modelName(url) };', 'const at: Address = { url, name: url };', 'test/unit/download/signed-source.test.ts'],
  ]),
  ...of('sources', 'src/download/ask-version.ts', [
    ['a server that refuses HEAD is not asked by GET', 'if (isWaitedFor(error)) throw error;\n    return undefined;', 'throw error;', HTTP],
  ]),
  ...of('sources', 'src/worker/model-identity.ts', [
    ['two hubs’ files are one model', "hubEndpoint(hub ?? {}))", 'hubEndpoint({}))', 'test/unit/worker/model-identity.test.ts'],
  ]),
  ...of('sources', 'src/worker/model-addresses.ts', [
    ['a refused link is the last word', 'if (next === undefined) throw error;', 'throw error;', 'test/unit/worker/model-identity.test.ts'],
  ]),
  ...of('sources', 'src/client/file-fingerprint.ts', [
    ['of a file only the header is looked at', 'start < size; start += stride', 'start < 0; start += stride', 'test/unit/client/file-fingerprint.test.ts'],
  ]),

  ...of('protocol', 'src/core/transfer-errors.ts', [
    ['an error loses its code on the way', 'if (!(thrown.value instanceof TabserveError)) return', 'if (thrown.value !== null) return', CLIENT, 'test/gpu/worker-sessions.browser.test.ts'],
  ]),
  ...of('protocol', 'src/api/completion-request.ts', [
    ['an unknown model name is answered', "checkModel(body['model'], modelNames);", '', CHAT],
    ['an empty stop string is taken', "typeof text === 'string' && text !== ''", "typeof text === 'string'", CHAT],
  ]),
  ...of('protocol', 'src/worker/output-processor.ts', [
    ['text goes on behind a stop string', "if (stopped) return [...frames, this.#finishFrame('stop', '')];", '', 'test/unit/worker/output-processor.test.ts'],
    ['a stop token’s text is shown', "if (this.#options.stopTokenIds.includes(tokenId)) return { text: '', stopped: false };", '', 'test/unit/worker/output-processor.test.ts', HOST],
  ]),
  ...of('protocol', 'src/worker/request-table.ts', [
    ['a tab ends another tab’s request', 'if (request?.session !== session) return false;', 'if (request === undefined) return false;', HOST],
  ]),
  ...of('protocol', 'src/worker/active-request.ts', [
    ['a request on a new engine begins anew', '{ ...this.#request, outputTokenIds: [...this.#tokenIds] }', 'this.#request', RECOVERY],
  ]),
  ...of('protocol', 'src/worker/eviction-plan.ts', [
    ['the model used last makes room', 'a.lastUsed - b.lastUsed', 'b.lastUsed - a.lastUsed', MANAGER],
    ['a model takes what others hold', 'Math.min(wantedBytes, leftBytes)', 'wantedBytes', MANAGER],
  ]),
  ...of('protocol', 'src/worker/model-instance.ts', [
    ['a model at work is unloaded', 'return this.lifecycle.model !== undefined && !this.isBusy;', 'return this.lifecycle.model !== undefined;', MANAGER],
    ['what a tab asked of its last model runs on', 'this.lifecycle.model?.engine.abortSession(session.sessionId);', '', MANAGER, HOST],
  ]),
  ...of('protocol', 'src/worker/model-pool.ts', [
    ['models stay when nobody has them', 'if (other !== instance && other.numSessions === 0) other.close();', '', MANAGER, HOST],
    ['a load begins before the one given up has let go', 'await waitFor(beginWait, ABANDONED, this.#abandoned.settled(signal));\n    await waitFor(beginWait, LEASE', 'await waitFor(beginWait, LEASE', MANAGER, HOST],
    ['another engine’s turn ends what runs', 'isBusy || lifecycle.isLoading)) return', 'false)) return', MANAGER, RECOVERY],
  ]),
  ...of('protocol', 'src/worker/gpu-lease.ts', [
    ['each model asks for the lease', 'const request = (this.#request ??= this.#requestLock());', 'const request = (this.#request = this.#requestLock());', MANAGER],
    ['a wish from before the lease is held is lost', 'void this.#query(); // others may have asked before', '', LEASE],
    ['a wish is said before it can be seen', 'await locks.query(); // answered once the request is queued', '', LEASE],
    ['whoever gives up says nothing', "signal.addEventListener('abort', () => void withdraw());", '', LEASE],
    ['old releases wait for ever', 'const timer = setInterval(() => void this.#query(), QUERY_MS);', 'const timer = setInterval(() => {}, QUERY_MS);', LEASE],
  ]),

  ...of('client', 'src/client/request-frames.ts', [
    ['a token that comes twice passes unseen', "if (frame.type === 'token' && frame.index !== this.#tokenIds.length) {", 'if (false) {', FRAMES],
    ['what a failed request had got is lost', "else if (this.#end?.kind === 'failed') throw this.#end.error;", "else if (this.#end?.kind === 'failed') return;", CLIENT],
  ]),
  ...of('client', 'src/client/pending-request.ts', [
    ['the next worker gives a request its whole time again', 'Math.max(0, timeoutMs - (now - this.#called))', 'timeoutMs', FRAMES],
  ]),
  ...of('client', 'src/client/session.ts', [
    ['the next worker is not given the model’s settings', 'this.#recovery.model = { ...info.settings, ...addressOf(options), persistOwnPrefixes: mayPersist(options) };', 'this.#recovery.model = options;', FAILOVER, CLIENT],
    ['the next worker is not told the hub token', 'this.#recovery.model = { ...info.settings, ...addressOf(options), persistOwnPrefixes: mayPersist(options) };', 'this.#recovery.model = { ...info.settings, source };', FAILOVER],
  ]),
  ...of('client', 'src/client/recovery.ts', [
    ['requests of a dead worker are not handed on', 'const submits = Array.from(pending, (each) => this.#submit(host, each));', 'const submits = [];', FAILOVER],
  ]),
  ...of('client', 'src/core/recovery.ts', [
    ['a GPU that every load kills is tried for ever', "if (this.#lostAtWork <= MAX_FRUITLESS_LOSSES) return 'retry';", "return 'retry';", RECOVERY, FAILOVER],
  ]),
];
