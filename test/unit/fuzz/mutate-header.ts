import type { Random } from '../../support/random.ts';
import { bytes, u32, u64 } from '../formats/gguf-bytes.ts';
import { array, ARCHITECTURES, encodeHeader, flag, float, floats, type Header, ints, type Pair, soundHeader, text, texts, TYPE, uint, type Value } from './header.ts';

/** A file as a hostile server would have it: its first bytes, and how long it says that it is. */
export interface HostileFile {
  readonly head: Uint8Array<ArrayBuffer>;
  readonly size: number;
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T;

const randomBytes = (random: Random, length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256));

const COUNTS = [0n, 1n, 2n, 255n, 65_536n, 2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const NUMBERS = [0, -0, 1, -1, 3, 0.5, 1e9, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 1e38, NaN, Infinity, -Infinity];
const STRINGS = [
  '', ' ', 'llama', 'gpt2', 'constructor', '__proto__', 'toString', 'qwen2', 'llama-bpe', 'x'.repeat(5000), '\u0000', '\ud83d\ude00'.repeat(40),
  '<s>', '</s>', '{{ 1', '{% for x in range(99999999) %}{% endfor %}', '{{ raise_exception(1) }}', "{{ messages[0]['content'] * 9 }}", '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', '{{ bos_token }}',
];

function anyValue(random: Random, depth = 0): Value {
  const number = pick(random, NUMBERS);
  const choices: readonly (() => Value)[] = [
    () => uint(random.below(2) === 0 ? random.below(300) : random.uint32()),
    () => float(number),
    () => ({ type: TYPE.f64, data: new Uint8Array(Float64Array.of(number).buffer) }),
    () => ({ type: TYPE.u64, data: u64(pick(random, COUNTS)) }),
    () => ({ type: TYPE.i64, data: u64(pick(random, COUNTS)) }),
    () => ({ type: TYPE.i32, data: u32(random.uint32()) }),
    () => flag(random.below(2) === 0),
    () => text(pick(random, STRINGS)),
    () => texts(Array.from({ length: random.below(600) }, (_, i) => pick(random, ['a', `t${i}`, ...STRINGS.slice(0, 6)]))),
    () => ints(Array.from({ length: random.below(600) }, () => random.below(9) - 1)),
    () => floats(Array.from({ length: pick(random, [0, 263, 264, 2000]) }, () => pick(random, NUMBERS))),
    () => array(random.below(16), [randomBytes(random, random.below(40))], pick(random, COUNTS)),
    () => array(TYPE.array, depth > 6 ? [] : Array.from({ length: random.below(4) }, () => anyValue(random, depth + 1).data)),
    () => ({ type: random.below(20), data: randomBytes(random, random.below(30)) }),
  ];
  return pick(random, choices)();
}

type Mutation = (header: Header, random: Random) => void;

const anyPair = (header: Header, random: Random): Pair | undefined => header.pairs[random.below(Math.max(1, header.pairs.length))];

/** Wrong in what it says. */
const MUTATIONS: readonly Mutation[] = [
  (header, random) => {
    const pair = anyPair(header, random);
    if (pair !== undefined) pair.value = anyValue(random);
  },
  (header, random) => {
    const sized = header.pairs.filter(({ key }) => /^(llama|qwen\d)\./.test(key));
    const pair = sized[random.below(Math.max(1, sized.length))];
    if (pair !== undefined) pair.value = random.below(2) === 0 ? float(pick(random, NUMBERS)) : { type: TYPE.u64, data: u64(pick(random, COUNTS)) };
  },
  (header, random) => {
    const template = header.pairs.find(({ key }) => key === 'tokenizer.chat_template');
    if (template !== undefined) template.value = text(pick(random, STRINGS));
  },
  (header, random) => void header.pairs.splice(random.below(header.pairs.length + 1), 1),
  (header, random) => {
    const pair = anyPair(header, random);
    if (pair !== undefined) header.pairs.push({ ...pair, key: random.below(2) === 0 ? pair.key : pick(random, STRINGS) });
  },
  (header, random) => {
    const pair = anyPair(header, random);
    const other = anyPair(header, random);
    if (pair !== undefined && other !== undefined) pair.value = other.value;
  },
  (header, random) => {
    const tensor = header.tensors[random.below(Math.max(1, header.tensors.length))];
    if (tensor === undefined) return;
    const changes = [
      () => (tensor.dims = tensor.dims.map((dim) => (random.below(2) === 0 ? pick(random, COUNTS) : dim))),
      () => (tensor.dims = Array.from({ length: random.below(7) }, () => BigInt(random.below(300)))),
      () => (tensor.dims = tensor.dims.toReversed()),
      () => (tensor.type = random.below(50)),
      () => (tensor.offset = random.below(2) === 0 ? pick(random, COUNTS) : BigInt(random.below(header.dataBytes + 64))),
      () => (tensor.name = pick(random, STRINGS)),
    ];
    pick(random, changes)();
  },
  (header, random) => void header.tensors.splice(random.below(header.tensors.length + 1), 1 + random.below(3)),
  (header, random) => {
    const tensor = header.tensors[random.below(Math.max(1, header.tensors.length))];
    if (tensor !== undefined) header.tensors.push({ ...tensor, name: random.below(2) === 0 ? tensor.name : 'another' });
  },
  (header, random) => void (header.tensorCount = pick(random, COUNTS)),
  (header, random) => void (header.pairCount = pick(random, COUNTS)),
  (header, random) => void (header.version = pick(random, [0, 1, 2, 3, 4, 0x03000000, 2 ** 32 - 1])),
  (header, random) => void (header.dataBytes = pick(random, [0, 1, 31, header.dataBytes - 1, header.dataBytes / 2])),
];

/** Wrong in its bytes. */
function corruptBytes(head: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.below(Math.max(1, head.length));
  switch (random.below(5)) {
    case 0:
      for (let i = 0; i <= random.below(8); i++) {
        const place = random.below(Math.max(1, head.length));
        head[place] = (head[place] ?? 0) ^ (1 << random.below(8));
      }
      return head;
    case 1:
      head.set(u64(pick(random, COUNTS)).subarray(0, Math.max(0, head.length - at)), at);
      return head;
    case 2:
      head.set(u32(random.below(16)).subarray(0, Math.max(0, head.length - at)), at);
      return head;
    case 3: {
      const cut = random.below(40);
      return bytes(head.subarray(0, at), head.subarray(at + cut));
    }
    default:
      return bytes(head.subarray(0, at), randomBytes(random, random.below(20)), head.subarray(at));
  }
}

/** A sound file with one to three things wrong. */
export function hostileFile(random: Random): HostileFile {
  const header = soundHeader(random.below(2) === 0 ? 'bpe' : 'spm', pick(random, ARCHITECTURES));
  const isSound = random.below(200) === 0;
  const wrong = isSound ? 0 : random.below(3) + 1;
  let corruptions = 0;
  for (let i = 0; i < wrong; i++) {
    if (random.below(6) === 0) corruptions++;
    else pick(random, MUTATIONS)(header, random);
  }
  let head = encodeHeader(header);
  for (let i = 0; i < corruptions; i++) head = corruptBytes(head, random);
  const whole = Math.ceil(head.length / 32) * 32 + Math.max(0, Math.floor(header.dataBytes));
  const isCut = !isSound && random.below(12) === 0;
  const size = isCut ? random.below(whole) : whole;
  return { head: head.slice(0, size), size };
}
