/** The number formats that tabserve reads, in words. */
export const FORMATS = 'Q4_0, Q4_1, Q8_0, F16, BF16 or F32';

const SUPPORTED: ReadonlySet<string> = new Set(FORMATS.match(/[A-Z]+\d+(_\d)?/g));
/** A quantisation's name at the end of a file's name, as llama.cpp writes it: `Q4_K_M`, `IQ2_XS`, `BF16`. */
const FORMAT = /(?:^|[-._])((?:U[DC]-)?(?:I?Q\d+|TQ\d)(?:_[A-Z\d]+)*|BF16|F16|F32|FP16|FP32|MXFP4(?:_[A-Z\d]+)*)$/i;

/** Why a GGUF file cannot be loaded, as far as its name tells. */
export function obstacleOf(path: string): string | undefined {
  const name = path.replace(/\.gguf$/i, '');
  if (/-\d{5}-of-\d{5}$/.test(name)) return 'One of several parts: not supported yet';
  if (/(^|[/._-])mmproj/i.test(name)) return 'For images: not a language model';
  const format = FORMAT.exec(name)?.[1]?.toUpperCase().replace(/^FP(?=16|32)/, 'F');
  return format === undefined || SUPPORTED.has(format) ? undefined : `${format} is not supported yet`;
}
