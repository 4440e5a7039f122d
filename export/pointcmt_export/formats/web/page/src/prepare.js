/** From what a file holds to what the network wants, as `pointcmt_serve.Classifier` does it. */
import { InputError } from "./errors.js";
import { cross } from "./formats/polygons.js";
import { Random } from "./random.js";

const SAMPLES = 2048;
const MAX_POINTS = 5_000_000;
const MAX_COORDINATE = 1e18;
const FAR = 1000;

/** Prepare a parsed file: {cloud: Float32Array (points * 3), rows: which of the read points}. */
export function prepare(parsed, model, name) {
  const table = parsed.faces?.length ? sampled(parsed, model.random, name) : parsed.xyz;
  const read = requireCloud(table, name);
  const normal = normalize(read, model.normalization, name);
  const rows = resampledRows(read.length / 3, model.points, model.random);
  const cloud = new Float32Array(3 * model.points);
  rows.forEach((row, i) => cloud.set(normal.subarray(3 * row, 3 * row + 3), 3 * i));
  return { cloud, rows };
}

/** Draw points uniformly by area: `pointcmt.geometry.surface.draw`. */
function sampled({ xyz, faces }, seeded, name) {
  const bad = xyz.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new InputError(`${name}: vertex ${Math.floor(bad / 3)} has NaN or infinite coordinates`);
  }
  const corner = (place) => xyz.subarray(3 * faces[place], 3 * faces[place] + 3);
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const total = new Float64Array(faces.length / 3);
  let sum = 0;
  let last = -1;
  for (let f = 0; f < total.length; f++) {
    const a = corner(3 * f);
    const [x, y, z] = cross(minus(corner(3 * f + 1), a), minus(corner(3 * f + 2), a));
    const area = Math.sqrt(x * x + y * y + z * z) / 2;
    if (area > 0) last = f;
    total[f] = sum += area;
  }
  if (!(sum > 0 && sum < Infinity)) {
    throw new InputError(`${name}: the mesh has no face with an area; it cannot be sampled`);
  }
  const random = new Random(seeded);
  const chosen = random.doubles(SAMPLES).map((u) => Math.min(firstAbove(total, u * sum), last));
  const root = random.doubles(SAMPLES).map(Math.sqrt);
  const along = random.doubles(SAMPLES);
  const points = new Float64Array(3 * SAMPLES);
  for (let i = 0; i < SAMPLES; i++) {
    const [a, b, c] = [0, 1, 2].map((k) => corner(3 * chosen[i] + k));
    const weights = [1 - root[i], root[i] * (1 - along[i]), root[i] * along[i]];
    for (let axis = 0; axis < 3; axis++) {
      points[3 * i + axis] = a[axis] * weights[0] + b[axis] * weights[1] + c[axis] * weights[2];
    }
  }
  return points;
}

function firstAbove(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `pointcmt.geometry.require_cloud`: usable points as float32. */
function requireCloud(xyz, name) {
  const count = xyz.length / 3;
  if (count < 1 || count > MAX_POINTS) {
    throw new InputError(`${name}: ${count} points; a cloud has 2 to ${MAX_POINTS}`);
  }
  const bad = xyz.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new InputError(
      `${name}: point ${Math.floor(bad / 3)} has NaN or infinite coordinates; remove such points first`,
    );
  }
  const { low, high } = extent(xyz);
  const distance = Math.max(...low.map(Math.abs), ...high.map(Math.abs));
  const size = Math.max(...high.map((value, axis) => value - low[axis]));
  if (distance > MAX_COORDINATE) {
    const [shown, most] = [distance, MAX_COORDINATE].map((value) =>
      Number(value.toPrecision(3)).toExponential());
    throw new InputError(`${name}: a coordinate is ${shown}; they must be within ${most}`);
  }
  if (size === 0) {
    throw new InputError(
      `${name}: all ${count} points coincide; a cloud needs two different points or more`,
    );
  }
  if (distance <= FAR * size) return Float32Array.from(xyz);
  const middle = mean(xyz);
  return Float32Array.from(xyz, (value, i) => value - middle[i % 3]);
}

function extent(xyz) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  xyz.forEach((value, i) => {
    if (value < low[i % 3]) low[i % 3] = value;
    if (value > high[i % 3]) high[i % 3] = value;
  });
  return { low, high };
}

function mean(xyz) {
  const sum = [0, 0, 0];
  xyz.forEach((value, i) => { sum[i % 3] += value; });
  return sum.map((value) => value / (xyz.length / 3));
}

function normalize(xyz, rule, name) {
  const { low, high } = extent(xyz);
  const rules = {
    "unit-sphere": () => {
      const middle = mean(xyz);
      let most = 0;
      for (let i = 0; i < xyz.length; i += 3) {
        const [x, y, z] = [xyz[i] - middle[0], xyz[i + 1] - middle[1], xyz[i + 2] - middle[2]];
        most = Math.max(most, x * x + y * y + z * z);
      }
      return [middle, Math.sqrt(most)];
    },
    "unit-box": () => [
      low.map((value, axis) => (value + high[axis]) / 2),
      Math.max(...high.map((value, axis) => value - low[axis])),
    ],
    centered: () => [mean(xyz), 1],
    none: () => [[0, 0, 0], 1],
  };
  const [middle, scale] = rules[rule]();
  if (!(scale > 0)) throw new InputError(`${name}: its points coincide; two different ones are needed`);
  return Float32Array.from(xyz, (value, i) => (value - middle[i % 3]) / scale);
}

/** `pointcmt.geometry.resample.resampled_rows`. */
function resampledRows(given, count, seeded) {
  const rest = count % given;
  const order = rest ? new Random(seeded).permutation(given) : new Int32Array(0);
  const rows = [];
  for (let i = 0; i < count - rest; i++) rows.push(i % given);
  return [...rows, ...order.slice(0, rest).sort()];
}
