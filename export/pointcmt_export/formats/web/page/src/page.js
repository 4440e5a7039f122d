/** The page: takes a file, asks the worker, shows the answer. */
import { InputError } from "./errors.js";
import { requireSize, SUFFIXES } from "./formats/index.js";
import { View } from "./view.js";

const TOP = 5;
// A function that adds two vectors of bytes: valid only where WebAssembly has SIMD.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const byId = (id) => document.getElementById(id);

let view = null;
let asked = 0;
let chosen = 0;
let last = null;
const answers = new Map();

function say(text, wrong = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("wrong", wrong);
}

function ask(worker, question) {
  return new Promise((resolve, reject) => {
    const id = ++asked;
    answers.set(id, { resolve, reject });
    worker.postMessage({ id, ...question });
  });
}

function startWorker() {
  const worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
  worker.onmessage = ({ data }) => {
    const { resolve, reject } = answers.get(data.id);
    answers.delete(data.id);
    if (data.error) reject(new Error(data.error));
    else resolve(data.answer);
  };
  worker.onerror = () => {
    const error = new Error("The page's worker does not run; reload the page, in a current browser.");
    for (const { reject } of answers.values()) reject(error);
    answers.clear();
  };
  return worker;
}

async function start() {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD))) {
    say("This browser has no WebAssembly with SIMD, which the network needs; use one of 2021 or later.", true);
    return;
  }
  const worker = startWorker();
  say("Loading the network ...");
  try {
    const { model } = await ask(worker, {});
    describe(model, (name, read, up) => classify(worker, model, name, read, up));
    say("Ready: drop a file, or choose an example.");
  } catch (error) {
    say(error.message, true);
  }
}

function describe(model, take) {
  const up = byId("up");
  const again = () => last && take(last.name, () => last.bytes, up.value);
  byId("about").textContent =
    `${model.student}, ${model.classes.length} classes: ${model.classes.join(", ")}.`;
  byId("files").accept = SUFFIXES.join(",");
  up.closest("label").hidden = model.up === null || model.up === "any";
  const load = (files) => files.length && take(files[0].name, () => content(only(files)), up.value);
  byId("files").addEventListener("change", ({ target }) => {
    load(target.files);
    target.value = "";
  });
  up.addEventListener("change", again);
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      byId("drop").classList.toggle("over", kind === "dragover");
      if (kind === "drop") load(event.dataTransfer.files);
    });
  }
  byId("examples").append(
    ...model.examples.map(({ name, file, up: axis }) => {
      const button = document.createElement("button");
      button.textContent = name;
      button.addEventListener("click", () => {
        up.value = axis;
        take(file.split("/").pop(), async () => content(await fetch(file)), axis);
      });
      return button;
    }),
  );
  byId("controls").disabled = false;
}

function only(files) {
  if (files.length === 1) return files[0];
  throw new InputError(`${files.length} files at once; drop one after the other`);
}

/** The bytes of a file or of an answer. */
async function content(source) {
  if (source.size) requireSize(source.name, source.size);
  return new Uint8Array(await source.arrayBuffer());
}

/** Classify what `read` gives, unless something else was chosen in the meantime. */
async function classify(worker, model, name, read, up) {
  const mine = ++chosen;
  say(`Classifying ${name} ...`);
  try {
    const bytes = await whole(name, read);
    if (mine !== chosen) return;
    last = { name, bytes };
    const answer = await ask(worker, { name, bytes, up });
    if (mine === chosen) show(model, name, answer);
  } catch (error) {
    if (mine !== chosen) return;
    byId("answer").hidden = true;
    say(error.message, true);
  }
}

/** A folder, a file that is gone and a host that is away fail with messages without a name. */
async function whole(name, read) {
  try {
    return await read();
  } catch (error) {
    throw error instanceof InputError ? error : new Error(`${name}: cannot be read (${error.message})`);
  }
}

function show(model, name, { probabilities, cloud, share, axis, known }) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const best = order.slice(0, TOP);
  byId("answer").hidden = false;
  byId("bars").replaceChildren(...best.map((index) => row(model.classes[index], probabilities[index])));
  const won = share ? share.filter((value) => value > 0).length : 0;
  const decided = share ? ` ${won} of ${share.length} points decided; they are coloured.` : "";
  byId("why").textContent = `${decided} ${known === "guessed" ? `The axis ${axis} was taken to point up, a guess.` : ""}`.trim();
  byId("picture").setAttribute("aria-label", `The points of ${name}, seen from the side.${decided}`);
  say(`${name}: ${model.classes[best[0]]}, ${percent(probabilities[best[0]])}.`);
  try {
    view ??= makeView();
    view.show(cloud, model.up === "any" ? null : model.up, share);
  } catch {
    byId("picture").textContent = "This browser has no WebGL, so that the cloud cannot be shown.";
  }
}

function makeView() {
  const made = new View(byId("picture"));
  const button = byId("turning");
  const set = (on) => {
    made.turning = on;
    button.setAttribute("aria-pressed", String(on));
  };
  button.hidden = false;
  button.addEventListener("click", () => set(!made.turning));
  byId("picture").addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft" || key === "ArrowRight") made.turnBy(key === "ArrowLeft" ? -0.2 : 0.2);
  });
  set(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  return made;
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;

function row(label, probability) {
  const line = document.createElement("tr");
  line.dataset.probability = probability;
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = label;
  const [value, place] = [document.createElement("td"), document.createElement("td")];
  value.textContent = percent(probability);
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.style.width = `${100 * probability}%`;
  place.setAttribute("aria-hidden", "true");
  place.append(bar);
  line.append(name, value, place);
  return line;
}

// What is dropped beside the place for it, or before the network is there, must not replace the page.
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => event.preventDefault());
}
start();
