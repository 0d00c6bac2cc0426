const CHANNEL = 'peers: gpu submits';

/** Run in a worker before its own code: counts submits, and tells their number whenever it is asked. */
const COUNTER = `{
  const prototype = globalThis.GPUQueue?.prototype;
  let submits = 0;
  if (prototype !== undefined) {
    const submit = prototype.submit;
    prototype.submit = function (buffers) {
      submits++;
      return submit.call(this, buffers);
    };
  }
  const channel = new BroadcastChannel(${JSON.stringify(CHANNEL)});
  channel.onmessage = ({ data }) => data === 'count' && channel.postMessage({ submits });
}\n`;

/** A worker that waits for others in WebAssembly does not answer, and submits nothing either. */
const ANSWER_MS = 500;

/** Counts the GPU submits of all workers that are made of a Blob from here on. */
export function countSubmitsOfBlobWorkers(): () => Promise<number> {
  const create = URL.createObjectURL.bind(URL);
  URL.createObjectURL = (object) => {
    const isScript = object instanceof Blob && /javascript/.test(object.type);
    return create(isScript ? new Blob([COUNTER, object], { type: object.type }) : object);
  };
  return countSubmits;
}

async function countSubmits(): Promise<number> {
  const channel = new BroadcastChannel(CHANNEL);
  let sum = 0;
  channel.addEventListener('message', ({ data }: MessageEvent<{ submits?: number }>) => {
    sum += data.submits ?? 0;
  });
  channel.postMessage('count');
  await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  channel.close();
  return sum;
}

/** Counts those of this page or worker from here on. */
export function countSubmitsHere(): () => number {
  let submits = 0;
  if ('GPUQueue' in globalThis) {
    const submit = Reflect.get(GPUQueue.prototype, 'submit') as GPUQueue['submit'];
    GPUQueue.prototype.submit = function (buffers) {
      submits++;
      return submit.call(this, buffers);
    };
  }
  return () => submits;
}
