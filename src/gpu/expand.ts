/** The values of a template's directives: the count of a `#for`, the condition of an `#if`. */
export type TemplateValues = Readonly<Record<string, number | boolean>>;

/** A WGSL file that another one includes. */
export interface IncludedText {
  readonly path: string;
  readonly text: string;
}

/** The files of a template's `#include` lines, by their names there. */
export type Includes = Readonly<Record<string, IncludedText>>;

/** A line of expanded WGSL, and the line (from 1) of the file that it comes from. */
export interface ExpandedLine {
  readonly text: string;
  readonly line: number;
  /** Of an included file. */
  readonly path?: string;
}

const INCLUDE = /^\s*#include (\w+)$/;
const FOR = /^\s*#for (\w+) in (\w+)$/;
const IF = /^\s*#if (\w+)$/;
const ELSE = /^\s*#else$/;
const END = /^\s*#end$/;
/** WGSL has no such lines: a misspelt or misplaced directive. */
const STRAY = /^\s*#/;

/**
 * Expands the directives of a WGSL file. Each stands on its own line, and they nest:
 *
 *     #for t in TOKENS      the lines up to #end once for each t = 0 .. TOKENS - 1, with `#t` replaced by the number;
 *     #end                  instead of a value's name there may be a number
 *     #if SUBGROUPS         the lines up to #else or #end, where the value is true or above 0
 *     #else
 *     #end
 *     #include PRODUCTS     the lines of the file of that name, before anything is expanded
 *
 * Directives stand in for loops, arrays and functions, because compilers of software adapters keep arrays, structs and
 * loop variables in memory. Named variables in straight-line code cost half as much there, and nothing on a GPU.
 *
 * @throws Error for a directive that is not closed or is misplaced, or a value or file that is not given.
 */
export function expand(text: string, values: TemplateValues, includes: Includes = {}): readonly ExpandedLine[] {
  return expandLines(withIncluded({ text }, includes), values);
}

function withIncluded({ text, path }: Partial<IncludedText> & Pick<IncludedText, 'text'>, includes: Includes): readonly ExpandedLine[] {
  return text.split('\n').flatMap((code, index) => {
    const line = { text: code, line: index + 1, ...(path === undefined ? {} : { path }) };
    const [, name] = INCLUDE.exec(code) ?? [];
    if (name === undefined) return [line];
    const { [name]: included, ...others } = includes; // no file includes itself
    if (included === undefined) throw new Error(`${placeOf(line)}: a file for #include ${name} is not given`);
    return withIncluded(included, others);
  });
}

function expandLines(lines: readonly ExpandedLine[], values: TemplateValues): readonly ExpandedLine[] {
  const result: ExpandedLine[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i] as ExpandedLine;
    const [, variable, count] = FOR.exec(line.text) ?? [];
    const [, condition] = IF.exec(line.text) ?? [];
    if (variable !== undefined && count !== undefined) {
      const { body, next } = blockAt(lines, i);
      for (let n = 0; n < valueOf(count, values, line); n++) result.push(...expandLines(replaced(body, variable, n), values));
      i = next;
    } else if (condition !== undefined) {
      const { body, otherwise, next } = blockAt(lines, i);
      result.push(...expandLines(valueOf(condition, values, line) > 0 ? body : otherwise, values));
      i = next;
    } else if (STRAY.test(line.text)) {
      throw stray(line);
    } else {
      result.push(line);
      i++;
    }
  }
  return result;
}

/** The lines between a directive and its `#end`. */
function blockAt(lines: readonly ExpandedLine[], start: number) {
  let depth = 0;
  let middle: number | undefined;
  for (let i = start; i < lines.length; i++) {
    const { text } = lines[i] as ExpandedLine;
    if (FOR.test(text) || IF.test(text)) depth++;
    else if (ELSE.test(text) && depth === 1) middle = elseAt(lines, start, i, middle);
    else if (END.test(text)) depth--;
    if (depth > 0) continue;
    const otherwise = middle === undefined ? [] : lines.slice(middle + 1, i);
    return { body: lines.slice(start + 1, middle ?? i), otherwise, next: i + 1 };
  }
  const first = lines[start] as ExpandedLine;
  throw new Error(`${placeOf(first)}: ${first.text.trim()} has no #end`);
}

function elseAt(lines: readonly ExpandedLine[], start: number, at: number, earlier: number | undefined): number {
  if (earlier !== undefined || !IF.test(lines[start]?.text ?? '')) throw stray(lines[at] as ExpandedLine);
  return at;
}

function stray(line: ExpandedLine): Error {
  return new Error(`${placeOf(line)}: ${line.text.trim()} is no directive here`);
}

function placeOf({ path, line }: ExpandedLine): string {
  return path === undefined ? `line ${line}` : `${path}, line ${line}`;
}

function replaced(lines: readonly ExpandedLine[], variable: string, n: number): ExpandedLine[] {
  const place = new RegExp(`#${variable}(?![a-zA-Z0-9])`, 'g');
  return lines.map((line) => ({ ...line, text: line.text.replace(place, String(n)) }));
}

function valueOf(name: string, values: TemplateValues, line: ExpandedLine): number {
  const value = /^\d+$/.test(name) ? Number(name) : values[name];
  if (value === undefined) throw new Error(`${placeOf(line)}: a template's value ${name} is not given`);
  return Number(value);
}
