import { useEffect, useRef, useState } from 'react';
import { type ChatMessageParam, type Client, createClient, type TabserveError } from 'tabserve';

/**
 * A model, and one answer of it at a time. Unmounting ends the answer, or the loading, and closes the client. StrictMode,
 * which mounts twice, leaves one client. For another model give the component that uses it a `key`.
 */
export function useChat(model: string) {
  const [state, setState] = useState<'loading' | 'ready' | 'answering' | 'failed'>('loading');
  const [progress, setProgress] = useState('');
  const [answer, setAnswer] = useState('');
  const [error, setError] = useState<string>();
  const client = useRef<Client>(undefined);
  const request = useRef<AbortController>(undefined);

  useEffect(() => {
    const mounted = new AbortController();
    const { signal } = mounted;
    const opening = createClient({
      model,
      signal,
      onProgress: ({ stage, bytesDone, bytesTotal }) => setProgress(`${stage}: ${bytesDone} of ${bytesTotal} bytes`),
    });
    opening.then(
      (opened) => {
        if (signal.aborted) return;
        client.current = opened;
        setState('ready');
      },
      ({ code, message }: TabserveError) => {
        if (signal.aborted) return;
        setError(`${code}: ${message}`);
        setState('failed');
      },
    );
    return () => {
      mounted.abort();
      request.current?.abort();
      client.current = undefined;
      opening.then((opened) => opened.close(), () => {});
    };
  }, [model]);

  /** Ends the answer, which keeps the text that it has. */
  const stop = () => request.current?.abort();

  /** Streams an answer into `answer`, in place of the one before. */
  const ask = async (messages: ChatMessageParam[]) => {
    if (client.current === undefined) return;
    stop();
    const current = (request.current = new AbortController());
    const { signal } = current;
    setAnswer('');
    setError(undefined);
    setState('answering');
    try {
      const stream = await client.current.chat.completions.create({ messages, stream: true }, { signal });
      for await (const chunk of stream) {
        if (!signal.aborted) setAnswer((text) => text + (chunk.choices[0]?.delta.content ?? ''));
      }
    } catch (thrown) {
      const { code, message } = thrown as TabserveError;
      if (!signal.aborted) setError(`${code}: ${message}`);
    }
    if (request.current === current) setState('ready');
  };

  return { state, progress, answer, error, ask, stop };
}
