import { Template } from '@huggingface/jinja';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TabserveError } from '../../../src/core/errors.ts';
import type { ChatMessage } from '../../../src/core/protocol.ts';
import { createChatTemplate } from '../../../src/tokenizer/chat-template.ts';
import { TemplateBudget } from '../../../src/tokenizer/jinja/budget.ts';
import { FAMILY_TEMPLATES } from './family-templates.ts';

const TOKENS = { bos: '<s>', eos: '</s>' };
const HI: readonly ChatMessage[] = [{ role: 'user', content: 'hi' }];

const textOf = (parts: readonly { readonly text: string }[]): string => parts.map(({ text }) => text).join('');

function attempt(source: string, messages = HI): TabserveError | string {
  try {
    return textOf(createChatTemplate(source, TOKENS)(messages));
  } catch (error) {
    if (error instanceof TabserveError) return error;
    throw error;
  }
}

/** A text of 64 * 2 ** n characters, as `ns.s`. */
const text = (n: number): string =>
  `{% set ns = namespace(s='${'a'.repeat(64)}') %}{% for i in range(${n}) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`;
/** Each body is looked through for the names that a macro may use, so the innermost is looked through 60 times. */
const MACROS = Array.from({ length: 60 }).reduce<string>(
  (inner) => `{% macro f() %}${inner}{% endmacro %}{{ f() }}`,
  '{{ 1 + 1 }}'.repeat(2000),
);
/** Cases that are alike but for one name. */
const each = (names: string, caseOf: (name: string) => [string, string]): [string, string][] => names.split(' ').map(caseOf);
const SHARED = '{% set ns = namespace(a=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}';

describe('a template that would never end, or need more memory than there is', () => {
  it.each<[string, string]>([
    ['a long range', '{% for i in range(1000000000) %}{% endfor %}'],
    ['a range that goes down', '{% for i in range(0, -1000000000, -1) %}{% endfor %}'],
    ['loops in loops', '{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}'],
    ['loops over what was made once', '{% set a = range(5000) %}{% for i in a %}{% for x in a if x > 10 %}{% endfor %}{% endfor %}'],
    ['a text that doubles', text(40)],
    ['a text of 16 million characters', text(18)],
    ['a text of 16 million characters by +', text(18).replace('~', '+')],
    ['a list that doubles', '{% set ns = namespace(l=[1]) %}{% for i in range(18) %}{% set ns.l = ns.l + ns.l %}{% endfor %}'],
    ['a tuple that doubles', '{% set ns = namespace(l=(1,)) %}{% for i in range(18) %}{% set ns.l = ns.l + ns.l %}{% endfor %}'],
    ['a long list that is made again and again', `{% for i in range(1000) %}{% set x = [${'1,'.repeat(2000)}] %}{% endfor %}`],
    ['loops that do nothing', '{% set a = [1] * 9999 %}{% for x in a %}{% for y in a %}{% endfor %}{% endfor %}'],
    ['a long text that is not written', `${text(10)}{% set x %}{% for i in range(1000) %}{{ ns.s }}{% endfor %}{% endset %}`],
    ['a long output', `${text(10)}{% for i in range(100) %}{{ ns.s }}{% endfor %}`],
    ['recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    ['recursion that forks', '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}'],
    ['deep expressions', `{{ ${'not '.repeat(1000)} 1 }}`],
    ['a list that holds itself twice, forty times over', `${SHARED}{{ ns.a | tojson }}`],
    ['the same list as text', `${SHARED}{{ 'x' ~ ns.a }}`],
    ['the same list compared', `${SHARED}{% set b = ns.a %}${SHARED}{{ ns.a == b }}`],
    ['the same list looked for', `${SHARED}{% set b = ns.a %}${SHARED}{{ b in [ns.a] }}`],
    ['the same list ordered', `${SHARED}{% set b = ns.a %}${SHARED}{{ [ns.a, b] | sort }}`],
    ['the same list in a text', `${SHARED}{{ '%s' % (ns.a,) }}`],
    ['the same list in braces', `${SHARED}{{ '{}'.format(ns.a) }}`],
    ['the same list joined', `${SHARED}{{ [ns.a] | join }}`],
    ['a tuple that holds itself twice, as a key', `${SHARED.replaceAll('[1]', '(1,)').replace('[ns.a, ns.a]', '(ns.a, ns.a)')}{{ {ns.a: 1} }}`],
    ['namespaces that hold one another twice', '{% set ns = namespace(a=1) %}{% for i in range(40) %}{% set ns = namespace(a=ns) %}{% endfor %}{% set o = namespace(a=namespace()) %}{% for i in range(40) %}{% set o.a = namespace(a=o.a, b=o.a) %}{% endfor %}{{ [o.a] }}'],
    ['a namespace in itself', '{% set ns = namespace(x=1) %}{% set ns.x = [ns] %}{{ ns.x }}'],
    ['a namespace in itself, compared', '{% set a = namespace() %}{% set a.x = [a] %}{% set b = [a.x] %}{% for i in range(99) %}{% set a.x = [a.x] %}{% endfor %}{{ a.x == [a.x] }}{{ a }}'],
    ['a search that backtracks', `${text(13)}{{ (ns.s ~ 'b') in (ns.s ~ ns.s) }}`],
    ['a text put between all characters', `${text(12)}{{ ns.s | replace('', ns.s) }}`],
    ['the same by a method', `${text(12)}{{ ns.s.replace('', ns.s) }}`],
    ['the same by a method under another name', `${text(12)}{% set f = ns.s.replace %}{{ f('', ns.s) }}`],
    ['the same over a block', `${text(12)}{% filter replace('', ns.s) %}{{ ns.s }}{% endfilter %}`],
    ['a split', `${text(13)}{{ (ns.s ~ 'c').split(ns.s ~ 'b') | length }}`],
    ['a join', `${text(12)}{% set x = range(5000) | join(ns.s) %}`],
    ['an indent', "{% set x = 'a\nb' | indent(300000000) %}"],
    ['an indent of JSON', '{% set x = [[1]] | tojson(indent=500000000) %}'],
    ['sorting again and again', '{% set a = [3, 1] * 999 %}{% for i in range(1000) %}{% set x = a | sort %}{% endfor %}'],
    ['lists of arguments', '{% macro f() %}{{ varargs | length }}{% endmacro %}{% set a = [1] * 5000 %}{% for i in range(1000) %}{{ f(*a) }}{% endfor %}'],
    ['upper case again and again', `${text(14)}{% for i in range(1000) %}{% set x = ns.s | upper %}{% endfor %}`],
    ['slices again and again', `${text(14)}{% for i in range(1000) %}{% set x = ns.s[::-1] %}{% endfor %}`],
    ['slices of a list again and again', '{% set a = [1] * 9999 %}{% for i in range(1000) %}{% set x = a[1:] %}{% endfor %}'],
    ['slices without steps again and again', `${text(14)}{% for i in range(1000) %}{% set x = ns.s[1:] %}{% endfor %}`],
    ['characters again and again', `${text(14)}{% for i in range(1000) %}{% set x = ns.s[7] %}{% endfor %}`],
    ['texts that are equal again and again', `${text(14)}{% set t = ns.s ~ '' %}{% for i in range(1000) %}{% if ns.s == t %}{% endif %}{% endfor %}`],
    ['texts in order again and again', `${text(14)}{% set t = ns.s ~ '' %}{% for i in range(1000) %}{% if ns.s < t %}{% endif %}{% endfor %}`],
    ['sorting a long list', '{% set x = ([3, 1, 2] * 40000) | sort %}'],
    ...each('items keys values', (name) => [
      `${name} again and again`,
      `{% set d = dict(range(4000) | batch(2)) %}{% for i in range(1000) %}{% set x = d.${name}() %}{% endfor %}`,
    ]),
    ['items by the filter again and again', '{% set d = dict(range(4000) | batch(2)) %}{% for i in range(1000) %}{% set x = d | items %}{% endfor %}'],
    ...each("select reject('odd') selectattr('x','undefined') map('default',1) map(attribute='x') sum reverse batch(2)", (filter) => [
      `${filter} again and again`,
      `{% set a = [1] * 9999 %}{% for i in range(1000) %}{% set x = a | ${filter} %}{% endfor %}`,
    ]),
    ['macros defined again and again', `{% for i in range(1000) %}${'{% macro f() %}{% endmacro %}'.repeat(2000)}{% endfor %}`],
    ['arguments of a method', "{% set a = [1] * 9999 %}{% for i in range(1000) %}{% set x = ''.format(*a) %}{% endfor %}"],
    ['named arguments', "{% set d = dict(range(4000) | map('string') | batch(2)) %}{% for i in range(1000) %}{% set x = ''.format(**d) %}{% endfor %}"],
    ['a test again and again', `${text(14)}{% for i in range(1000) %}{% if ns.s is upper %}{% endif %}{% endfor %}`],
    ['a text many times', "{% set x = 'a' * 300000000 %}"],
    ['many times a text', "{% set x = 300000000 * 'a' %}"],
    ['a list many times', '{% set x = [1] * 1000000000 %}'],
    ['a tuple many times', '{% set x = (1,) * 1000000000 %}'],
    ['a text twice again and again', `${text(1)}{% for i in range(40) %}{% set ns.s = ns.s * 2 %}{% endfor %}`],
    ['the sum of lists', '{% set a = [[1] * 500] * 500 %}{{ a | sum(start=[]) | length }}'],
    ['a width of %', "{% set x = '%300000000d' % 1 %}"],
    ['a width of % for text', "{% set x = '%-300000000s' % 'a' %}"],
    ['a width of % that is given', "{% set x = '%*d' % (300000000, 1) %}"],
    ['a width by the filter', "{% set x = '%300000000s' | format('a') %}"],
    ['a width in braces', "{% set x = '{:300000000}'.format(1) %}"],
    ['a width in braces that is given', "{% set x = '{:{w}}'.format('a', w=300000000) %}"],
    ['a long text in braces, often', `${text(12)}{% set x = ('{0}' * 1000).format(ns.s) %}`],
    ['a long text by %, often', `${text(12)}{% set x = ('%(a)s' * 1000) % {'a': ns.s} %}`],
    ['very many fields', "{% set x = ('{0}' * 50000).format(1) %}"],
    ['very many fields by %', "{% set x = ('%(a)d' * 50000) % {'a': 1} %}"],
    ['a long text without fields, again and again', `${text(14)}{% for i in range(1000) %}{% set x = ns.s.format() %}{% endfor %}`],
    ['a long text without fields by %, again and again', `${text(14)}{% for i in range(1000) %}{% set x = ns.s % () %}{% endfor %}`],
    ...each('center ljust rjust zfill', (name) => [`the width of ${name}`, `{% set x = 'a'.${name}(300000000) %}`]),
    ['the width of the filter center', "{% set x = 'a' | center(300000000) %}"],
    ['a text as an indent', `${text(12)}{% set x = ('a\n' * 5000) | indent(ns.s) %}`],
    ['a text as an indent of JSON', `${text(12)}{% set x = ([1] * 1000) | tojson(indent=ns.s) %}`],
    ['separators of JSON', `${text(12)}{% set x = ([1] * 5000) | tojson(separators=(ns.s, ':')) %}`],
    ...each('find rfind index count split rsplit partition rpartition', (name) => [
      `a search by ${name}`,
      `${text(13)}{{ (ns.s ~ ns.s).${name}(ns.s ~ 'b') }}`,
    ]),
    ...each('strip removeprefix removesuffix startswith endswith', (name) => [
      `${name} again and again`,
      `${text(14)}{% for i in range(1000) %}{% set x = ns.s.${name}(ns.s) %}{% endfor %}`,
    ]),
    ...each('splitlines split rsplit title swapcase isalnum', (name) => [
      `${name} again and again`,
      `${text(14)}{% for i in range(1000) %}{% set x = ns.s.${name}() %}{% endfor %}`,
    ]),
    ...each('reverse list length title wordcount int float e first last sort unique min max truncate indent', (name) => [
      `the filter ${name} again and again`,
      `${text(14)}{% for i in range(1000) %}{% set x = ns.s | ${name} %}{% endfor %}`,
    ]),
    ['a join by a method', `${text(12)}{% set x = ns.s.join(['a'] * 5000) %}`],
    ['a join of each item', `${text(12)}{% set x = (['ab'] * 5000) | map('join', ns.s) %}`],
    ['a replacement of nothing by nothing', `${text(14)}{% for i in range(1000) %}{% set x = ns.s.replace('a', '') %}{% endfor %}`],
    ['a loop over a text', `${text(16)}{% for c in ns.s %}{% endfor %}`],
    ['a batch that is filled up', '{% set x = [1] | batch(1000000000, 0) | list %}'],
    ['very many slices', '{% set x = [1] | slice(1000000000) | list %}'],
    ['mappings copied', '{% set d = dict(range(4000) | batch(2)) %}{% for i in range(1000) %}{% set x = dict(d) %}{% endfor %}'],
    ['a date of a long format', `${text(14)}{% set x = strftime_now(ns.s) %}`],
    ['a text in quotes again and again', `${text(14)}{% for i in range(20) %}{% set x = [ns.s] | string %}{% endfor %}`],
    ['a text as JSON again and again', `${text(14)}{% for i in range(20) %}{% set x = ns.s | tojson %}{% endfor %}`],
    ['macros in macros', MACROS],
    ['a call that calls itself', '{% macro f() %}{{ caller() }}{% call f() %}{% endcall %}{% endmacro %}{% call f() %}{% endcall %}'],
    ['a long chain of comparisons', `{{ ${'1 < '.repeat(1000)} 2 }}`],
  ])('%s is an error', (_name, source) => {
    expect(attempt(source)).toMatchObject({ code: 'unsupported_model', message: expect.stringContaining('more than tabserve allows') });
  });

  it.each([
    ['of a million characters', 'x'.repeat(1e6)],
    ['of parentheses', `{{ ${'('.repeat(30_000)}1${')'.repeat(30_000)} }}`],
    ['that is no template', '{% if %}'],
  ])('one %s is refused before it runs', (_name, source) => {
    expect(attempt(source)).toMatchObject({ code: 'unsupported_model', message: expect.stringMatching(/too long|cannot be read/) });
  });

  it.each([
    ['white space', `a${' '.repeat(60_000)}{{ 'b' }}`],
    ['white space in a tag', `a{{${' '.repeat(60_000)}'b' }}`],
    ['white space in a string', `{{ 'a${' '.repeat(60_000)}b' }}`],
    ['tests without parentheses', '{{ 1 is eq 1 }}'.repeat(1000)],
    ['macros', '{% macro f() %}{{ a.b }}{% endmacro %}'.repeat(1000)],
  ])('one with much of %s is read', (_name, source) => {
    expect(attempt(source)).toBeTypeOf('string');
  });

  it.each([
    ['a number', "{{ '9' * 5000000 | int }}{{ ('1' * 5000000 ~ 'x') | float }}{{ ('1' * 5000000 ~ 'x') | int }}"],
    ['a format', "{{ ('%(' * 2000000) % {} }}"],
    ['a field', "{{ ('{a' ~ '[' * 5000000 ~ '}').format(a=1) }}"],
    ['a conversion', "{{ ('{' * 5000000).format(a=1) }}"],
  ])('%s that takes long to read is an error at once', (_name, source) => {
    expect(attempt(source)).toMatchObject({ code: 'unsupported_model' });
  });

  it('a loop may be left, and entered again, as often as the budget has steps', () => {
    const leaves = '{% for i in range(300) %}{% for j in range(9) %}{% if j > 1 %}{% break %}{% endif %}{% continue %}{% endfor %}{% endfor %}ok';
    expect(attempt(leaves)).toBe('ok');
  });
});

describe('the templates of the families', () => {
  afterEach(() => vi.restoreAllMocks());

  const chat = (turns: number, system: boolean): ChatMessage[] => {
    const messages: ChatMessage[] = system ? [{ role: 'system', content: 'Be brief.' }] : [];
    messages.push({ role: 'user', content: 'Hello' });
    for (let i = 0; i < turns; i++) {
      messages.push({ role: 'assistant', content: `<think>\nhm ${i}\n</think>\n\nFine. ${'So it goes. '.repeat(20)}` });
      messages.push({ role: 'user', content: 'And now?' });
    }
    return messages;
  };

  it.each(Object.entries(FAMILY_TEMPLATES))('%s: the same text as without a budget, far within it', (_name, source) => {
    const spent = vi.spyOn(TemplateBudget.prototype, 'spend');
    for (const messages of [chat(0, false), chat(1, false), chat(1, true), chat(200, true)]) {
      spent.mockClear();
      const reference = new Template(source).render({ messages, add_generation_prompt: true, bos_token: '<s>', eos_token: '</s>' });
      expect(attempt(source, messages)).toBe(reference);
      const steps = spent.mock.calls.reduce((sum, [cost]) => sum + cost, 0);
      expect(steps).toBeLessThan(500 + 300 * messages.length);
    }
  });

  it('dates are in English wherever the user is', () => {
    expect(attempt("{{ strftime_now('%d %b %Y, %B %H:%M%%') }}")).toMatch(
      /^\d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 20\d\d, [A-Z][a-z]+ \d\d:\d\d%$/,
    );
  });
});
