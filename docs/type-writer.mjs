// @ts-check
/** @typedef {import('./declarations.mjs').Module} Module */
/** @typedef {import('./declarations.mjs').Node} Node */
/** @typedef {import('./declarations.mjs').Declaration} Declaration */
/** @typedef {{ name: string, text: string }} Member of an object type; the text is indented by four and has the docstring */

/**
 * Writes declarations so that they are complete in themselves: in place of a type that the reference does not have come
 * its members, also where an interface inherits them, and in place of `(typeof VALUES)[number]` the values.
 */
export class TypeWriter {
  #documented;

  /** @param {ReadonlySet<string>} documented the names that the reference has */
  constructor(documented) {
    this.#documented = documented;
  }

  /** @param {Declaration} declaration */
  write({ module, node, statement }) {
    const { type, id, typeParameters, extends: bases } = /** @type {any} */ (node);
    const lost = type === 'TSInterfaceDeclaration' ? bases.filter((/** @type {Node} */ base) => !this.#isKnown(module, base)) : [];
    if (lost.length === 0) return this.#print(module, statement);
    const kept = bases.filter((/** @type {Node} */ base) => !lost.includes(base)).map((/** @type {Node} */ base) => textOf(module, base));
    const head = `interface ${id.name}${typeParameters ? textOf(module, typeParameters) : ''}`;
    const members = this.#ofInterface(module, node, lost);
    return `${head}${kept.length > 0 ? ` extends ${kept.join(', ')}` : ''} ${block(members, '')}`;
  }

  /** @param {Module} module @param {Node} node @param {number} [start] where its docstring begins */
  #print(module, node, start = node.start) {
    let text = '';
    let at = start;
    for (const { start, end, replacement } of this.#replacements(module, node)) {
      text += module.text.slice(at, start) + replacement;
      at = end;
    }
    return text + module.text.slice(at, node.end);
  }

  /**
   * @param {Module} module
   * @param {Node} node
   * @returns {Generator<{ start: number, end: number, replacement: string }, void>} in the text's order
   */
  *#replacements(module, node) {
    const replacement = valuesOf(module, node)?.join(' | ') ?? this.#membersInPlace(module, node);
    if (replacement !== undefined) yield { start: node.start, end: node.end, replacement };
    else for (const child of childrenOf(node)) yield* this.#replacements(module, child);
  }

  /** @param {Module} module @param {Node} node */
  #membersInPlace(module, node) {
    if (node.type !== 'TSTypeReference' || this.#isKnown(module, node)) return undefined;
    const line = module.text.slice(module.text.lastIndexOf('\n', node.start) + 1);
    return block(this.#members(module, node), /^ */.exec(line)?.[0] ?? '');
  }

  /** Whether a reader can look the type up: here, or in the platform's documentation. @param {Module} module @param {Node} reference
   * @returns {boolean} */
  #isKnown(module, reference) {
    const { name, args } = referenceOf(reference);
    if (args[0] !== undefined && (name === 'Pick' || name === 'Omit')) return this.#isKnown(module, args[0]);
    return this.#documented.has(name) || module.find(name) === undefined;
  }

  /**
   * @param {Module} module
   * @param {Node} type
   * @returns {Member[]}
   * @throws where it has none
   */
  #members(module, type) {
    if (type.type === 'TSTypeLiteral') return this.#own(module, /** @type {any} */ (type).members);
    const { name, args } = referenceOf(type);
    const [of, keys] = args;
    if (of !== undefined && keys !== undefined && (name === 'Pick' || name === 'Omit')) {
      const names = literalsOf(keys);
      return this.#members(module, of).filter((member) => names.includes(member.name) === (name === 'Pick'));
    }
    const found = module.find(name);
    if (found?.node.type === 'TSInterfaceDeclaration') return this.#ofInterface(found.module, found.node, /** @type {any} */ (found.node).extends);
    if (found?.node.type === 'TSTypeAliasDeclaration') return this.#members(found.module, /** @type {any} */ (found.node).typeAnnotation);
    throw new Error(`${module.file}: ${textOf(module, type)} cannot be written out: export what it names`);
  }

  /** An interface's own members, then those that it inherits from some of its bases. @param {Module} module @param {Node} node @param {readonly Node[]} bases */
  #ofInterface(module, node, bases) {
    const inherited = bases.flatMap((base) => this.#members(module, base));
    const own = this.#own(module, /** @type {any} */ (node).body.body);
    const names = new Set(own.map(({ name }) => name));
    return [...own, ...inherited.filter(({ name }) => !names.has(name))];
  }

  /** @param {Module} module @param {readonly Node[]} nodes @returns {Member[]} */
  #own(module, nodes) {
    return nodes.map((node) => {
      const start = module.commentBefore(node.start)?.start ?? node.start;
      const indent = /[^\n]*$/.exec(module.text.slice(0, start))?.[0] ?? '';
      const lines = this.#print(module, node, start).split('\n').map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
      return { name: /** @type {any} */ (node).key?.name ?? textOf(module, node), text: lines.map((line) => `    ${line}`).join('\n') };
    });
  }
}

/** @param {Module} module @param {Node} node */
function textOf(module, node) {
  return module.text.slice(node.start, node.end);
}

/** @param {readonly Member[]} members @param {string} indent of the line in which the block begins */
function block(members, indent) {
  const lines = members.flatMap(({ text }) => text.split('\n')).map((line) => `${indent}${line}`);
  return ['{', ...lines, `${indent}}`].join('\n');
}

/** @param {Node} node @returns {Node[]} in the text's order */
function childrenOf(node) {
  const nodes = Object.values(node).flat().filter((value) => typeof (/** @type {any} */ (value)?.type) === 'string');
  return /** @type {Node[]} */ (nodes).toSorted((a, b) => a.start - b.start);
}

/** @param {Node} node a type's name, or what an interface extends */
function referenceOf(node) {
  const { typeName, expression, typeArguments } = /** @type {any} */ (node);
  return {
    name: /** @type {string} */ ((typeName ?? expression)?.name ?? ''),
    args: /** @type {readonly Node[]} */ (typeArguments?.params ?? []),
  };
}

/** The values of `(typeof VALUES)[number]`; undefined where the type is another. @param {Module} module @param {Node} node */
function valuesOf(module, node) {
  const { type, objectType, indexType } = /** @type {any} */ (node);
  if (type !== 'TSIndexedAccessType' || indexType.type !== 'TSNumberKeyword') return undefined;
  const { type: query, exprName } = objectType.typeAnnotation ?? objectType;
  const constant = query === 'TSTypeQuery' ? module.find(exprName.name) : undefined;
  if (constant === undefined) return undefined;
  const annotation = /** @type {any} */ (constant.node).declarations[0].id.typeAnnotation.typeAnnotation;
  const { elementTypes } = annotation.typeAnnotation ?? annotation; // readonly or not
  return /** @type {Node[]} */ (elementTypes).map((element) => textOf(constant.module, element).replaceAll('"', "'"));
}

/** @param {Node} keys @returns {string[]} */
function literalsOf(keys) {
  const { types, literal } = /** @type {any} */ (keys);
  return types === undefined ? [literal.value] : types.flatMap(literalsOf);
}
