// An ONNX file, as far as the graph of onnx-graph.mjs needs one: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
// `protobufjs` is installed with the engines, on demand only.

export const ELEMENT = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7 };
const ATTRIBUTE = { f: 1, i: 2 };

/** A field: its number, its type, and whether there may be several. */
const one = (id, type) => ({ id, type });
const many = (id, type) => ({ id, type, rule: 'repeated' });

const SCHEMA = {
  nested: {
    Model: { fields: { irVersion: one(1, 'int64'), producer: one(2, 'string'), graph: one(7, 'Graph'), opsets: many(8, 'Opset') } },
    Opset: { fields: { domain: one(1, 'string'), version: one(2, 'int64') } },
    Graph: {
      fields: { nodes: many(1, 'Node'), name: one(2, 'string'), tensors: many(5, 'Tensor'), inputs: many(11, 'Value'), outputs: many(12, 'Value') },
    },
    Node: {
      fields: {
        inputs: many(1, 'string'), outputs: many(2, 'string'), name: one(3, 'string'), opType: one(4, 'string'),
        attributes: many(5, 'Attribute'), domain: one(7, 'string'),
      },
    },
    Attribute: { fields: { name: one(1, 'string'), f: one(2, 'float'), i: one(3, 'int64'), type: one(20, 'int32') } },
    Tensor: { fields: { dims: many(1, 'int64'), dataType: one(2, 'int32'), name: one(8, 'string'), raw: one(9, 'bytes') } },
    Value: { fields: { name: one(1, 'string'), type: one(2, 'Type') } },
    Type: { fields: { tensor: one(1, 'TensorType') } },
    TensorType: { fields: { elementType: one(1, 'int32'), shape: one(2, 'Shape') } },
    Shape: { fields: { dims: many(1, 'Dim') } },
    Dim: { fields: { value: one(1, 'int64'), name: one(2, 'string') } },
  },
};

/** Collects a graph's nodes and tensors, and writes it out. */
export class OnnxWriter {
  #graph = { name: 'decoder', nodes: [], tensors: [], inputs: [], outputs: [] };

  /** `dims`: numbers, or names of those that vary. */
  input(name, type, dims) {
    this.#graph.inputs.push(value(name, type, dims));
    return name;
  }

  output(name, type, dims) {
    this.#graph.outputs.push(value(name, type, dims));
  }

  /** A constant; `data`: a typed array in the machine's order, which is little-endian. */
  tensor(name, type, dims, data) {
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#graph.tensors.push({ name, dims, dataType: ELEMENT[type], raw });
    return name;
  }

  /**
   * A node; with its outputs' names. `attributes`: whole numbers are integers, of others `{ f }` is a float. Operators of
   * ONNX Runtime's own are written `com.microsoft:Name`.
   */
  node(operator, inputs, outputs, attributes = {}) {
    const [opType, domain = ''] = operator.split(':').toReversed();
    const list = Object.entries(attributes).map(([name, given]) => {
      return typeof given === 'number' ? { name, i: given, type: ATTRIBUTE.i } : { name, f: given.f, type: ATTRIBUTE.f };
    });
    this.#graph.nodes.push({ name: outputs[0], opType, domain, inputs, outputs, attributes: list });
    return outputs;
  }

  async bytes() {
    const { default: protobuf } = await import(new URL('node_modules/protobufjs/light.js', import.meta.url));
    const Model = protobuf.Root.fromJSON(SCHEMA).lookupType('Model');
    const opsets = [{ domain: '', version: 17 }, { domain: 'com.microsoft', version: 1 }];
    return Model.encode({ irVersion: 8, producer: 'tabserve', graph: this.#graph, opsets }).finish();
  }
}

function value(name, type, dims) {
  const shape = { dims: dims.map((dim) => (typeof dim === 'number' ? { value: dim } : { name: dim })) };
  return { name, type: { tensor: { elementType: ELEMENT[type], shape } } };
}
