import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { TemplateBudget } from '../../../src/tokenizer/jinja/budget.ts';
import { TemplateFault, TemplateRefusal } from '../../../src/tokenizer/jinja/errors.ts';
import { renderTemplate } from '../../../src/tokenizer/jinja/render.ts';
import { charsOf } from '../../../src/tokenizer/jinja/text.ts';
import { type Block, parseTemplate } from '../../../src/tokenizer/jinja/syntax.ts';

/** What Jinja2 makes of a template: a text, or why none (`raise_exception: ` begins it where the template itself refuses). */
export type Golden = { readonly text: string } | { readonly error: string };

export type Variables = Readonly<Record<string, unknown>>;

/** What `test/oracle/template-goldens.py` writes: each template's outcome by the name of a conversation. */
export interface TemplateGoldens {
  readonly contexts: Readonly<Record<string, Variables>>;
  readonly expected: Readonly<Record<string, Readonly<Record<string, Golden>>>>;
}

/** The date that the goldens are of. */
export const NOW = new Date(2026, 10, 30, 12);

const FIXTURE = new URL('../../fixtures/chat-templates.json.gz', import.meta.url);

interface Fixture extends TemplateGoldens {
  readonly templates: Readonly<Record<string, { readonly text: string }>>;
}

export const fixture = JSON.parse(gunzipSync(readFileSync(FIXTURE)).toString()) as Fixture;

/** More templates, whose licences keep them out of the repository: a folder that `template-goldens.py` has been run on. */
const FOLDER = process.env['TABSERVE_TEMPLATES'];

/** All templates that are there, by name. */
export function modelTemplates(): readonly { readonly name: string; readonly source: string; readonly goldens: TemplateGoldens }[] {
  const committed = Object.entries(fixture.templates).map(([name, { text }]) => ({ name, source: text, goldens: fixture }));
  if (FOLDER === undefined) return committed;
  const goldens = JSON.parse(readFileSync(join(FOLDER, 'golden-jinja2.json'), 'utf8')) as TemplateGoldens;
  const names = Object.keys(goldens.expected).filter((name) => existsSync(join(FOLDER, name)));
  return [...committed, ...names.map((name) => ({ name, source: readFileSync(join(FOLDER, name), 'utf8'), goldens }))];
}

/** What the renderer makes of a template, in the goldens' words: which error it is, not its text, is Jinja2's. */
export function outcome(read: () => Block, variables: Variables, budget = new TemplateBudget(200_000)): Golden {
  try {
    return { text: charsOf(renderTemplate(read(), { variables, budget, now: NOW })) };
  } catch (error) {
    if (error instanceof TemplateRefusal) return { error: `raise_exception: ${error.message}` };
    if (error instanceof TemplateFault) return { error: 'fault' };
    throw error;
  }
}

export function reader(source: string): () => Block {
  const program = parseTemplate(source);
  return () => program;
}

/** The golden with a fault's own words left out. */
export function withoutWords(golden: Golden): Golden {
  return 'text' in golden || golden.error.startsWith('raise_exception: ') ? golden : { error: 'fault' };
}
