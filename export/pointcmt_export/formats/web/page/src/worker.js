/** Reads, prepares and classifies one file after another, away from the page. */
import * as ort from "onnxruntime-web/wasm";
import { InputError } from "./errors.js";
import { shares } from "./explain.js";
import { parse } from "./formats/index.js";
import { classifyUpright, softmax } from "./orientation.js";
import { prepare } from "./prepare.js";

let opened = null;

/** Load runtime and student once: {model, session}. */
async function open() {
  const [model, student, runtime] = await Promise.all([
    fetched("model.json").then((answer) => answer.json()),
    fetched("model.onnx").then((answer) => answer.arrayBuffer()),
    fetched("onnxruntime.wasm").then((answer) => answer.arrayBuffer()),
  ]);
  ort.env.wasm.wasmBinary = runtime;
  ort.env.wasm.numThreads = 1; // more need headers that a plain host does not send
  ort.env.logLevel = "error";
  // Behind the file's own bytes, these make the tensors that explain outputs of the graph.
  const further = Uint8Array.from(atob(model.further_outputs), (letter) => letter.charCodeAt(0));
  const bytes = new Uint8Array(student.byteLength + further.length);
  bytes.set(new Uint8Array(student));
  bytes.set(further, student.byteLength);
  return { model, session: await ort.InferenceSession.create(bytes) };
}

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new InputError(`${name} is missing beside the page (${answer.status})`);
  return answer;
}

async function run(cloud, names) {
  const { model, session } = await opened;
  const points = new ort.Tensor("float32", cloud, [1, model.points, 3]);
  return session.run({ points }, names);
}

async function classify({ name, bytes, up }) {
  const { model } = await opened;
  const { cloud } = prepare(parse(name, bytes), model, name);
  const logits = async (each) => Float64Array.from((await run(each, ["logits"])).logits.data);
  const found = await classifyUpright(cloud, up, model.up, logits);
  const told = model.explain ? await run(found.cloud, model.tensors) : {};
  return {
    probabilities: softmax(found.logits),
    cloud: found.cloud,
    share: model.explain && shares(model.explain, told, model.points),
    axis: found.axis,
    known: found.known,
  };
}

self.onmessage = async ({ data }) => {
  try {
    opened ??= open();
    const answer = data.name ? await classify(data) : { model: (await opened).model };
    self.postMessage({ id: data.id, answer });
  } catch (error) {
    const own = error instanceof InputError;
    const reason = own ? error.message : `the network cannot be run here (${error.message})`;
    self.postMessage({ id: data.id, error: reason });
  }
};
