import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { modelName } from '../../../src/download/model-name.ts';
import { signatureOf, withoutSignature } from '../../../src/download/signed-url.ts';

const FILE = 'https://bucket.s3.eu-west-1.amazonaws.com/models/a%20b.gguf';
const S3 =
  'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Credential=AKIA%2F20260101%2Fauto%2Fs3%2Faws4_request' +
  '&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-Security-Token=tok&X-Amz-Signature=abc&X-Amz-SignedHeaders=host' +
  '&x-amz-checksum-mode=ENABLED&x-id=GetObject';
const GCS =
  'X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=me%40p.iam&X-Goog-Date=20260101T000000Z&X-Goog-Expires=60' +
  '&X-Goog-SignedHeaders=host&X-Goog-Signature=abc';
const CLOUDFRONT = 'Expires=1767229200&Signature=abc~-_&Key-Pair-Id=K2';
const CLOUDFRONT_POLICY = 'Policy=eyJTdGF0ZW1lbnQiOltdfQ__&Signature=abc&Key-Pair-Id=K2';
const AZURE = 'sv=2024-11-04&st=2025-12-31T23%3A00%3A00Z&se=2026-01-01T01%3A00%3A00Z&sr=b&sp=r&spr=https&sip=1.2.3.4&sig=a%2Fb%3D';
const AZURE_USER =
  'skoid=1&sktid=2&skt=2025-12-31T00%3A00%3A00Z&ske=2026-01-02T00%3A00%3A00Z&sks=b&skv=2024-11-04&' + AZURE;
const AZURE_POLICY = 'sv=2024-11-04&si=readers&sr=c&sig=abc';
const S3_V2 = 'AWSAccessKeyId=AKIA&Expires=1767229200&Signature=abc%3D';
const GCS_V2 = 'GoogleAccessId=me%40p.iam&Expires=1767229200&Signature=abc%3D';
const HOUR = Date.parse('2026-01-01T01:00:00Z');
const SIGNED = { S3, GCS, CLOUDFRONT, CLOUDFRONT_POLICY, AZURE, AZURE_USER, AZURE_POLICY, S3_V2, GCS_V2 };

describe.each(Object.entries(SIGNED))('signed as %s', (_scheme, signature) => {
  test('the name is the URL before it was signed', () => {
    expect(withoutSignature(`${FILE}?${signature}`)).toBe(FILE);
    expect(withoutSignature(`${FILE}?${signature.split('&').toReversed().join('&')}`)).toBe(FILE);
  });

  test('any other query stays, to the letter', () => {
    const query = 'file=b%20c+d&versionId=7&empty=&flag&a[]=1&snapshot=2026';
    expect(withoutSignature(`${FILE}?file=b%20c+d&${signature}&versionId=7&empty=&flag&a[]=1&snapshot=2026`)).toBe(`${FILE}?${query}`);
  });

  test('nothing of it is in the name', () => {
    const values = signature.split('&').map((pair) => pair.slice(pair.indexOf('=') + 1)).filter((value) => value.length > 2 && value !== 'https');
    const name = modelName(`${FILE}?file=b&${signature}#part`);
    expect(name).toBe(`${FILE}?file=b`);
    for (const value of values) expect(name).not.toContain(value);
  });
});

test.each([
  ['S3', S3, HOUR],
  ['GCS', GCS, Date.parse('2026-01-01T00:01:00Z')],
  ['CloudFront', CLOUDFRONT, HOUR],
  ['a policy of CloudFront’s', CLOUDFRONT_POLICY, undefined],
  ['Azure', AZURE, HOUR],
  ['Azure, a stored policy', AZURE_POLICY, undefined],
  ['S3, the old way', S3_V2, HOUR],
  ['a date beyond all dates', 'Expires=-99999999999999999999&Signature=a&Key-Pair-Id=K2', undefined],
  ['a date that is none', S3.replace('20260101T000000Z', 'soon'), undefined],
])('when a link of %s expires', (_scheme, query, expires) => {
  expect(signatureOf(`${FILE}?${query}`)).toEqual({ expires });
});

// What belongs to a scheme is only dropped where the scheme's whole set is there.
test.each([
  '', '?', '?file=b', '?Expires=1767229200', '?Expires=1767229200&Key-Pair-Id=K2', '?sv=2024-11-04&se=2026-01-01&sp=r',
  '?X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600', '?versionId=3', '?sr=b&sp=r&st=1', '?x-id=GetObject', '?Policy=a&Expires=1',
])('%s is no signature', (query) => {
  expect(withoutSignature(FILE + query)).toBe(FILE + query);
  expect(signatureOf(FILE + query)).toBeUndefined();
});

test('what is no URL is its own name', () => {
  for (const source of ['hf:o/r/f.gguf@main', 'a', 'my file.gguf', '']) expect(modelName(source)).toBe(source);
});

describe('a secret that is no signature', () => {
  test.each([
    'token', 'access_token', 'accessToken', 'apiKey', 'api-key', 'key', 'rlkey', 'sig', 'Signature', 'auth', 'Authorization',
    'password', 'client_secret', 'credential', 'jwt',
  ])('%s is told by a hash', (parameter) => {
    const name = modelName(`${FILE}?file=b&${parameter}=s%33cret&z=1`);
    const hash = createHash('sha256').update('s%33cret').digest('hex').slice(0, 16);
    expect(name).toBe(`${FILE}?file=b&${parameter}=~${hash}&z=1`);
  });

  test('so that two are two, and a name is its own', () => {
    const [one, two] = ['one', 'two'].map((token) => modelName(`${FILE}?token=${token}`));
    expect(one).not.toBe(two);
    expect(modelName(String(one))).toBe(one);
  });

  test('other parameters are as they were', () => {
    const url = `${FILE}?tokenizer=a&author=b&config=c&keys=d&file=token&=e&token=`;
    expect(modelName(url)).toBe(url);
  });
});

test('whatever the query, only what is signature or secret is changed, and the name is its own name', () => {
  const text = fc.stringMatching(/^[A-Za-z0-9%+._~[\]-]{0,8}$/);
  const pair = fc.tuple(fc.stringMatching(/^[a-j][0-9a-z]{0,4}$/).map((key) => `${key}x`), text).map(([key, value]) => `${key}=${value}`);
  const pairs = fc.array(pair, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(pairs, pairs, fc.constantFrom(...Object.values(SIGNED)), (before, after, signature) => {
      const name = modelName(`${FILE}?${[...before, signature, ...after].join('&')}`);
      expect(name).toBe(`${FILE}?${[...before, ...after].join('&')}`);
      expect(modelName(name)).toBe(name);
    }),
  );
});
