import { expect, test } from 'vitest';
import type { SchedulerSnapshot } from '../../../src/core/snapshot.ts';
import { SnapshotAnonymizer } from '../../../src/worker/snapshot-anonymizer.ts';

const session = (sessionId: string) => ({ sessionId, isHidden: false, send: () => {} });
const request = (requestId: string, sessionId: string): SchedulerSnapshot['requests'][number] =>
  ({ requestId, sessionId, state: 'running', numTokens: 5, numComputedTokens: 4, blockTable: [3] });
const [a, b, c] = [session('tab-a'), session('tab-b'), session('tab-c')];
const pool = { numBlocks: 8, blockSize: 16, numFree: 7, cachedFree: [1], shared: [] };
const scheduler = (...requests: SchedulerSnapshot['requests']): SchedulerSnapshot => ({ requests, maxNumSeqs: 4, pool });

test('numbers stay while a request or a session does; those of sessions are given anew, those of requests never', () => {
  const anonymizer = new SnapshotAnonymizer();
  const look = (sessions: (typeof a)[], ...requests: SchedulerSnapshot['requests']) => {
    const shown = anonymizer.anonymize(a, sessions, scheduler(...requests));
    return [shown.sessions.map(({ session: n }) => n), shown.requests.map(({ id, session: n }) => `${id} of ${n}`)];
  };
  expect(look([a, b], request('x', 'tab-b'))).toEqual([[1, 2], ['r1 of 2']]);
  expect(look([a, b], request('y', 'tab-a'), request('x', 'tab-b'))).toEqual([[1, 2], ['r2 of 1', 'r1 of 2']]);
  expect(look([a, c], request('y', 'tab-a'), request('z', 'tab-c'))).toEqual([[1, 2], ['r2 of 1', 'r3 of 2']]);
  expect(look([b, a, c], request('x', 'tab-b'))).toEqual([[3, 1, 2], ['r4 of 3']]);
});

test('who asks sees which are its own, and nothing by which to read or end another’s', () => {
  const anonymizer = new SnapshotAnonymizer();
  const shown = anonymizer.anonymize(b, [a, b], scheduler(request('secret-x', 'tab-a'), request('secret-y', 'tab-b')));
  expect(shown).toEqual({
    sessions: [{ session: 1, isOwn: false }, { session: 2, isOwn: true }],
    requests: [
      { id: 'r1', session: 1, isOwn: false, state: 'running', numTokens: 5, numComputedTokens: 4, blockTable: [3] },
      { id: 'r2', session: 2, isOwn: true, state: 'running', numTokens: 5, numComputedTokens: 4, blockTable: [3] },
    ],
    maxNumSeqs: 4,
    pool,
  });
  expect(JSON.stringify(shown)).not.toMatch(/secret|tab-/);
});

test('a request of a session that has gone is nobody’s; without an engine there are no blocks', () => {
  const anonymizer = new SnapshotAnonymizer();
  expect(anonymizer.anonymize(a, [a], scheduler(request('x', 'tab-gone'))).requests).toMatchObject([{ session: 0, isOwn: false }]);
  const { requests, pool: none, maxNumSeqs } = anonymizer.anonymize(a, [a], [request('x', 'tab-a')]);
  expect(requests).toMatchObject([{ session: 1, isOwn: true }]);
  expect([none.numBlocks, maxNumSeqs]).toEqual([0, 0]);
});
