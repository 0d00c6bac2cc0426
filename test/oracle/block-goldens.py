#!/usr/bin/env python3
"""Writes test/goldens/dequantised-blocks.json: blocks of each type, and the f32 numbers that ggml's authors read in them.

Needs the Python package of llama.cpp (MIT; `pip install gguf==0.19.0`, which installs NumPy). Both are hexadecimal, bytes
and numbers in little-endian order. Scales and minima are ordinary, subnormal, zero and large.
"""
import json
import pathlib

import gguf
import numpy

GOLDEN = pathlib.Path(__file__).parent.parent / 'goldens' / 'dequantised-blocks.json'
HALVES = {'Q4_0': 1, 'Q4_1': 2, 'Q8_0': 1}
QUANT_BYTES = {'Q4_0': 16, 'Q4_1': 16, 'Q8_0': 32}
SCALES = [(-0.0123, 0.25), (2**-24, -3e-6), (0, 0.5), (65504, -1000), (0.01, 0.0)]

random = numpy.random.default_rng(15)
goldens = {}
for name in ('Q4_0', 'Q4_1', 'Q8_0', 'F16', 'BF16', 'F32'):
    if name in HALVES:
        raw = b''.join(numpy.array(pair[: HALVES[name]], numpy.float16).tobytes() + random.bytes(QUANT_BYTES[name]) for pair in SCALES)
    else:
        numbers = (random.standard_normal(32) * 10.0 ** random.integers(-7, 3, 32)).astype(numpy.float32)
        raw = numbers.astype(numpy.float16).tobytes() if name == 'F16' else numbers.tobytes()
        raw = bytes(byte for i, byte in enumerate(raw) if i % 4 > 1) if name == 'BF16' else raw
    values = gguf.quants.dequantize(numpy.frombuffer(raw, numpy.uint8), gguf.GGMLQuantizationType[name])
    goldens[name] = {'blocks': raw.hex(), 'values': numpy.ascontiguousarray(values, numpy.dtype('<f4')).tobytes().hex()}
GOLDEN.write_text(json.dumps(goldens, indent=1) + '\n')
