// The flags of a sample; see src/kernels/step-inputs.ts.
const PENALISED = 1u;
const FILTERED = 2u;
