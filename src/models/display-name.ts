/** In characters. */
const MAX_NAME = 256;

/** Suffixes of file names: the type of the weights (`Q4_K_M`, `F16`), the number of a shard. */
const SUFFIXES = /[-._ ]((i1|ud)[-._ ])?(i?q\d\w*|tq\d\w*|mxfp4\w*|bf16|fp?16|fp?32|\d{5}-of-\d{5})$/i;

/** File names given by a converter or a download, which say nothing of the model. */
const SAYS_NOTHING = /^((ggml|gguf|model|weights|file|blob|data|download|output|merged|unsloth|final)*|\d+|[0-9a-f]{12,})$/;

/**
 * The name to show for a model: the file's name without `.gguf` and the type of the weights. Models are published under
 * that name, while converters write anything into the metadata (a folder's name, a training run). The metadata's name
 * is used where it differs only in case and punctuation, or where the file's name says nothing (`model.gguf`).
 *
 * @param metadataName `general.name`, or the fallback for a file without it
 * @param fileId the file's name, or its URL
 */
export function displayName(metadataName: string, fileId: string): string {
  const fileName = nameOfFile(fileId);
  const said = letters(fileName);
  const name = said === letters(metadataName) || SAYS_NOTHING.test(said) ? metadataName : fileName;
  return name.slice(0, MAX_NAME);
}

/** '' where the file is not called `.gguf`. */
function nameOfFile(fileId: string): string {
  const path = URL.canParse(fileId) ? new URL(fileId).pathname : fileId;
  const file = decoded(path.split('/').at(-1) ?? '');
  if (!/\.gguf$/i.test(file)) return '';
  let name = file.slice(0, -'.gguf'.length);
  while (SUFFIXES.test(name)) name = name.replace(SUFFIXES, '');
  return name;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Lower case, without spaces, dashes and dots. */
function letters(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}
