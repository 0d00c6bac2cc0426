/** Characters. */
const MAX_NAME = 256;

/** What a file's name ends with: its type of weights (`Q4_K_M`, `F16`), the number of a part. */
const SUFFIXES = /[-._ ]((i1|ud)[-._ ])?(i?q\d\w*|tq\d\w*|mxfp4\w*|bf16|fp?16|fp?32|\d{5}-of-\d{5})$/i;

/** Files that are called after what they are, by a converter or a download, and not after their model. */
const SAYS_NOTHING = /^((ggml|gguf|model|weights|file|blob|data|download|output|merged|unsloth|final)*|\d+|[0-9a-f]{12,})$/;

/**
 * What to call a model: as its file is called, without `.gguf` and the type of its weights, because that is the name it is
 * published and known by, while converters write anything into the metadata (the name of a folder, a training run). The
 * metadata's name where it is the same but for its writing, or where the file's says nothing (`model.gguf`).
 *
 * @param metadataName `general.name`, or what a file without it is to be called where its name says nothing
 * @param fileId the file's name, or its URL
 */
export function displayName(metadataName: string, fileId: string): string {
  const fileName = nameOfFile(fileId);
  const said = letters(fileName);
  const name = said === letters(metadataName) || SAYS_NOTHING.test(said) ? metadataName : fileName;
  return name.slice(0, MAX_NAME);
}

/** Empty where it is no GGUF's. */
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

/** Without what only writing is: case, spaces, dashes and dots. */
function letters(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}
