// Cuts a model file down to its tokenizer: a GGUF without tensors, gzipped.
//   node test/oracle/vocabulary-fixture.mjs MODEL.gguf test/fixtures/smollm2-vocabulary.gguf.gz
import fs from 'node:fs';
import zlib from 'node:zlib';
import { readGgufHeader } from './gguf-file.mjs';
import { importTypeScript } from './typescript.mjs';

const { writeGguf } = await importTypeScript('test/support/gguf-writer.ts');

const [source, target] = process.argv.slice(2);
const { metadata } = await readGgufHeader(source);
const keep = /^tokenizer\.|^general\.(architecture|name|organization|license)$|\.(context_length|vocab_size)$/;
const kept = Object.entries(metadata).filter(([key]) => keep.test(key));
const file = writeGguf({ metadata: Object.fromEntries(kept), tensors: [] });
fs.writeFileSync(target, zlib.gzipSync(file, { level: 9 }));
console.log(file.length, 'bytes, gzipped', fs.readFileSync(target).length);
