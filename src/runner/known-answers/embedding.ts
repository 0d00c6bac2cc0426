import { FROM_SLOT } from '../../kernels/step-inputs.ts';
import { matrixBytes } from '../../kernels/matmul.ts';
import { dequantise } from '../../quant/dequantise.ts';
import { flushErrors } from '../../quant/subnormal-halves.ts';
import { bufferOf, countOf, type KnownAnswer, ROWS, stepOf, type TestedModel, type TestedOp, wrong } from './known-answer.ts';
import { normInputs, wrongNormInputs } from './products.ts';

/** Rows of the table, by token id and by the token last sampled in a slot, with the inputs of the first norm. */
export function embedAnswers(model: TestedModel, op: TestedOp): KnownAnswer[] {
  const { matrix } = op;
  if (matrix === undefined) throw new Error('an embedding has a table');
  const { columns, rows: tableRows } = matrix.matrix;
  const firstToken = model.weights.embedding.find((part) => part.matrix === matrix.matrix)?.outputOffset ?? 0;
  const inVocabulary = matrix.rows.filter(({ row }) => firstToken + row < model.config.vocabSize);
  const chosen = Array.from({ length: ROWS }, (_, i) => inVocabulary[Math.round((i * (inVocabulary.length - 1)) / (ROWS - 1))]);
  const slot = model.maxNumSeqs - 1;
  const tokens = chosen.map((row) => firstToken + (row?.row ?? 0));
  const rows = tokens.map((token, i) => [i === 1 ? FROM_SLOT + slot : token, 0, 0, 0]).flat();
  return [{
    kernel: op.op.name,
    writes: [
      { to: bufferOf(op, 'rows'), data: new Uint32Array(rows) },
      { to: bufferOf(op, 'lastTokens'), offset: 4 * slot, data: Uint32Array.of(tokens[1] ?? 0) },
      { to: bufferOf(op, 'counts'), data: countOf(ROWS) },
    ],
    dispatches: [{ op: op.op, step: stepOf({ tokens: ROWS }) }],
    reads: normInputs(op, ROWS, columns),
    bytes: (ROWS * matrixBytes(matrix.matrix)) / tableRows,
    check: (results) => {
      const hidden = results.floats('hidden');
      for (const [row, reference] of chosen.entries()) {
        if (reference === undefined) continue;
        const weights = dequantise(reference.type, reference.bytes);
        const flushed = flushErrors(reference, weights);
        for (const [k, value] of weights.values.entries()) {
          if (!Number.isFinite(value)) continue; // in the file
          const error = 4 * 2 ** -24 * (weights.magnitudes[k] ?? NaN) + (flushed?.[k] ?? 0);
          const fault = wrong(`element ${k} of token ${tokens[row]}`, hidden[row * columns + k], { value, error });
          if (fault !== undefined) return fault;
        }
      }
      return wrongNormInputs(results, ROWS, columns, columns);
    },
  }];
}
