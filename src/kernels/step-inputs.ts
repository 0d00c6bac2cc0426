/** The token id field of a row that takes the token last sampled for a slot: this plus the slot. */
export const FROM_SLOT = 0x80000000;

/** Bytes of one row: token id or FROM_SLOT + slot, position, cache slot, row of the block tables; u32 each. */
export const ROW_BYTES = 16;

/** Bytes of one sample: (row, slot, seed, choice), (position of the drawn token, temperature as f32 bits, -, -). */
export const SAMPLE_BYTES = 32;
