import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hubEndpoint, resolveModelUrl } from '../../../src/download/model-url.ts';

const BASE = 'https://site.example/app/index.html?x=1';
const COMMIT = 'ab810cf68114990406fdf996510dd3d3c6adbdf5';

test.each([
  ['https://host.example/m.gguf', 'https://host.example/m.gguf', false],
  [' https://host.example/a%20b.gguf?token=1#top ', 'https://host.example/a%20b.gguf?token=1', false],
  ['/models/m.gguf', 'https://site.example/models/m.gguf', false],
  ['m.gguf', 'https://site.example/app/m.gguf', false],
  ['../m.gguf', 'https://site.example/m.gguf', false],
  ['hf:owner/repo/file.gguf', 'https://huggingface.co/owner/repo/resolve/main/file.gguf', false],
  ['hf:o/r/sub dir/f.gguf@refs/pr/1', 'https://huggingface.co/o/r/resolve/refs%2Fpr%2F1/sub%20dir/f.gguf', false],
  [`hf:o/r/f.gguf@${COMMIT}`, `https://huggingface.co/o/r/resolve/${COMMIT}/f.gguf`, true],
  ['hf:o/r/file@x.gguf', 'https://huggingface.co/o/r/resolve/main/file%40x.gguf', false],
  ['hf:o/r/file@x.gguf@rev', 'https://huggingface.co/o/r/resolve/rev/file%40x.gguf', false],
  ['hf:o/r/dir@2/f.GGUF', 'https://huggingface.co/o/r/resolve/main/dir%402/f.GGUF', false],
  ['hf:o/r/f.gguf@v1@2', 'https://huggingface.co/o/r/resolve/v1%402/f.gguf', false],
  ['hf:o/r/a.gguf@b.gguf@c', 'https://huggingface.co/o/r/resolve/c/a.gguf%40b.gguf', false],
  ['hf:o/r/a.gguf@b.gguf', 'https://huggingface.co/o/r/resolve/b.gguf/a.gguf', false],
  ['hf:o/r/f.bin@v1', 'https://huggingface.co/o/r/resolve/v1/f.bin', false],
  ['HF:o/r/f.gguf', 'https://huggingface.co/o/r/resolve/main/f.gguf', false],
  ['https://huggingface.co/o/r/blob/main/f.gguf', 'https://huggingface.co/o/r/resolve/main/f.gguf', false],
  [`https://huggingface.co/o/r/resolve/${COMMIT}/f.gguf`, `https://huggingface.co/o/r/resolve/${COMMIT}/f.gguf`, true],
  [`https://elsewhere.example/o/r/resolve/${COMMIT}/f.gguf`, `https://elsewhere.example/o/r/resolve/${COMMIT}/f.gguf`, false],
])('%s', (source, url, isPinned) => {
  expect(resolveModelUrl(source, BASE)).toMatchObject({ url, isPinned });
});

test('what is fetched has its signature and its secrets, and what it is called has none', () => {
  const signed = 'https://host.example/m.gguf?file=b&X-Amz-Date=1&X-Amz-Signature=abc';
  expect(resolveModelUrl(signed, BASE)).toMatchObject({ url: signed, name: 'https://host.example/m.gguf?file=b' });
  const { url, name } = resolveModelUrl('/m.gguf?token=abc', BASE);
  expect(url).toBe('https://site.example/m.gguf?token=abc');
  expect(name).toMatch(/^https:\/\/site\.example\/m\.gguf\?token=~[0-9a-f]{16}$/);
  expect(() => resolveModelUrl('https://?X-Amz-Signature=abc', BASE)).toThrow(/'https:\/\/\?…' is not a URL/);
});

test('a hub name is of the endpoint', () => {
  expect(resolveModelUrl('hf:o/r/dir/f.gguf@v1', BASE, 'https://mirror.example/hf')).toEqual({
    url: 'https://mirror.example/hf/o/r/resolve/v1/dir/f.gguf',
    name: 'https://mirror.example/hf/o/r/resolve/v1/dir/f.gguf',
    isPinned: false,
    hub: { endpoint: 'https://mirror.example/hf', repo: 'o/r', path: 'dir/f.gguf', revision: 'v1' },
  });
});

test('any path that ends in .gguf, with or without a revision, is read as it was written', () => {
  const segment = fc.stringMatching(/^[A-Za-z0-9@ ._-]{1,12}$/).filter((text) => text.trim() === text && !/^\.{1,2}$/.test(text));
  // What follows the last `.gguf@` is the revision, so a path of its own must not have one where no revision is given.
  const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => `${segments.join('/')}.gguf`);
  const revision = fc.stringMatching(/^[A-Za-z0-9@._/-]{1,12}$/).filter((text) => {
    return !text.toLowerCase().includes('.gguf@') && text.split('/').every((part) => !/^\.{0,2}$/.test(part));
  });
  fc.assert(
    fc.property(path, fc.option(revision, { nil: undefined }), (file, wanted) => {
      fc.pre(wanted !== undefined || !file.toLowerCase().includes('.gguf@'));
      const { hub } = resolveModelUrl(`hf:o/r/${file}${wanted === undefined ? '' : `@${wanted}`}`, BASE);
      expect(hub).toMatchObject({ repo: 'o/r', path: file, revision: wanted ?? 'main' });
    }),
  );
});

test.each([
  [{}, 'https://huggingface.co'],
  [{ endpoint: 'https://mirror.example/hf/', token: 'hf_x' }, 'https://mirror.example/hf'],
  [{ endpoint: 'http://localhost:8080', token: 'hf_x' }, 'http://localhost:8080'],
  [{ endpoint: 'http://127.0.0.1:8080', token: 'hf_x' }, 'http://127.0.0.1:8080'],
  [{ endpoint: 'http://127.1:8080', token: 'hf_x' }, 'http://127.0.0.1:8080'],
  [{ endpoint: 'http://[::1]:8080', token: 'hf_x' }, 'http://[::1]:8080'],
  [{ endpoint: 'http://mirror.example' }, 'http://mirror.example'],
])('the endpoint of %j', (hub, endpoint) => {
  expect(hubEndpoint(hub)).toBe(endpoint);
});

test.each([
  [{ endpoint: 'mirror' }, /not a URL/],
  [{ endpoint: 'ftp://mirror.example' }, /not a web address/],
  [{ endpoint: 'https://me:secret@mirror.example' }, /user name or password/],
  [{ endpoint: 'http://mirror.example', token: 'hf_secret' }, /unencrypted/],
  [{ endpoint: 'http://127.0.0.1.evil.example', token: 'hf_secret' }, /unencrypted/],
  [{ endpoint: 'http://127.evil.example', token: 'hf_secret' }, /unencrypted/],
  [{ endpoint: 'http://localhost.evil.example', token: 'hf_secret' }, /unencrypted/],
  [{ token: 'hf_secret\nX-Header: 1' }, /`hub.token`/],
  [{ token: '' }, /`hub.token`/],
])('refuses the hub %j, and does not repeat its token', (hub, message) => {
  expect(() => hubEndpoint(hub)).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'hub', message: expect.stringMatching(message) }),
  );
  expect(() => hubEndpoint(hub)).not.toThrow(/secret/);
});

test.each([
  ['', /empty/],
  ['   ', /empty/],
  ['hf:owner/file.gguf', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/repo/', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/../file.gguf', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/repo/../../../x.gguf', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/repo/f.gguf@..', /hf:owner\/repo\/file.gguf/],
  ['HF:owner/f.gguf', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/repo/f.gguf@a b', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/repo/f@x.gguf@', /hf:owner\/repo\/file.gguf/],
  ['hf:owner/repo/f.gguf@', /hf:owner\/repo\/file.gguf/],
  ['https://', /not a URL/],
  ['ftp://host.example/m.gguf', /'ftp:'/],
  ['file:///m.gguf', /'file:'/],
  ['data:,GGUF', /'data:'/],
  ['https://me:secret@host.example/m.gguf', /user name or password/],
])('refuses %j', (source, message) => {
  expect(() => resolveModelUrl(source, BASE)).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'model', message: expect.stringMatching(message) }),
  );
});
