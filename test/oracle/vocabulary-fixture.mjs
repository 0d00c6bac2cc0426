// Cuts a model file down to its tokenizer: a GGUF without tensors, gzipped. A tokenizer.json of byte-level BPE serves as well.
//   node test/oracle/vocabulary-fixture.mjs MODEL.gguf test/fixtures/NAME-vocabulary.gguf.gz
//   node test/oracle/vocabulary-fixture.mjs tokenizer.json test/fixtures/NAME-vocabulary.gguf.gz PRE
import fs from 'node:fs';
import zlib from 'node:zlib';
import { readGgufHeader } from './gguf-file.mjs';
import { importTypeScript } from './typescript.mjs';

const { writeGguf } = await importTypeScript('test/support/gguf-writer.ts');

const [source, target, pre] = process.argv.slice(2);
const metadata = source.endsWith('.json') ? readTokenizerJson(source, pre) : (await readGgufHeader(source)).metadata;
const keep = /^tokenizer\.|^general\.(architecture|name|organization|license)$|\.(context_length|vocab_size)$/;
const kept = Object.entries(metadata).filter(([key]) => keep.test(key));
const file = writeGguf({ metadata: Object.fromEntries(kept), tensors: [] });
fs.writeFileSync(target, zlib.gzipSync(file, { level: 9 }));
console.log(file.length, 'bytes, gzipped', fs.readFileSync(target).length);

/** What llama.cpp's converter makes of a tokenizer.json, as far as tokens go. */
function readTokenizerJson(path, pre) {
  const { model, added_tokens: added } = JSON.parse(fs.readFileSync(path, 'utf8'));
  const tokens = [];
  const types = [];
  const put = (token, id, type) => {
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(model.vocab)) put(token, id, 1);
  for (const { content, id, special } of added) put(content, id, special ? 3 : 4);
  const merges = model.merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge));
  return {
    'tokenizer.ggml.model': { type: 'string', value: 'gpt2' },
    'tokenizer.ggml.pre': { type: 'string', value: pre },
    'tokenizer.ggml.tokens': { type: 'strings', value: Array.from(tokens, (token, id) => token ?? `[PAD${id}]`) },
    'tokenizer.ggml.token_type': { type: 'i32s', value: Array.from(tokens, (_, id) => types[id] ?? 5) },
    'tokenizer.ggml.merges': { type: 'strings', value: merges },
  };
}
