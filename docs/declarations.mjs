// @ts-check
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseSync } from 'vite';

/**
 * @typedef {{ type: string, start: number, end: number, [key: string]: unknown }} Node a node of the syntax tree
 * @typedef {{ name: string, node: Node, statement: Node, module: Module }} Declaration
 */

/** A module of declarations (`.d.ts`), parsed, and those that it takes names from. */
export class Module {
  /** @type {Map<string, Module>} */
  static #parsed = new Map();
  /** @type {Map<string, Declaration>} */
  #own = new Map();
  /** Names of other modules': those imported, and those exported again. @type {Map<string, { from: string, name: string }>} */
  #others = new Map();
  /** In the order in which they are exported. @type {string[]} */
  #exported = [];

  /** @param {string} file */
  static of(file) {
    const known = this.#parsed.get(file);
    if (known !== undefined) return known;
    const module = new Module(file);
    this.#parsed.set(file, module);
    return module;
  }

  /** @param {string} file */
  constructor(file) {
    this.file = file;
    this.text = readFileSync(file, 'utf8');
    const { program, comments } = parseSync(file, this.text);
    this.comments = comments.filter(({ value }) => value.startsWith('*'));
    for (const statement of /** @type {readonly Node[]} */ (/** @type {unknown} */ (program.body))) this.#read(statement);
  }

  /** What the module exports, its own and others'. */
  exported() {
    return this.#exported.map((name) => this.find(name) ?? this.#fail(name));
  }

  /**
   * @param {string} name as this module calls it
   * @returns {Declaration | undefined} undefined where it is none of the package's
   */
  find(name) {
    const own = this.#own.get(name);
    if (own !== undefined) return own;
    const other = this.#others.get(name);
    return other && Module.of(other.from).find(other.name);
  }

  /** The docstring right before a node, `/**` and all; undefined where it has none. @param {number} start */
  commentBefore(start) {
    return this.comments.findLast(({ end }) => end <= start && this.text.slice(end, start).trim() === '');
  }

  /** @param {string} name @returns {never} */
  #fail(name) {
    throw new Error(`${this.file} exports ${name}, which is declared nowhere`);
  }

  /** @param {Node} statement */
  #read(statement) {
    const { source, specifiers, declaration } = /** @type {any} */ (statement);
    const from = source === null || source === undefined ? undefined : join(dirname(this.file), source.value.replace(/\.ts$/, '.d.ts'));
    if (from !== undefined && source.value.startsWith('.')) {
      for (const { local, imported, exported } of specifiers) {
        const isExport = exported !== undefined;
        this.#others.set(nameOf(isExport ? exported : local), { from, name: nameOf(isExport ? local : imported) });
        if (isExport) this.#exported.push(nameOf(exported));
      }
    }
    if (from !== undefined) return;
    const isExport = statement.type === 'ExportNamedDeclaration';
    const node = isExport ? declaration : statement;
    const id = node?.id ?? node?.declarations?.[0]?.id;
    if (id?.name === undefined) return;
    this.#own.set(id.name, { name: id.name, node, statement, module: this });
    if (isExport) this.#exported.push(id.name);
  }
}

/** @param {any} identifier or the text in quotes that may stand for it */
function nameOf(identifier) {
  return /** @type {string} */ (identifier.name ?? identifier.value);
}
