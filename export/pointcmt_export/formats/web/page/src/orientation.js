/** Which way is up: `pointcmt_serve.orientation` and `pointcmt.geometry.orientation`. */

export const AXES = ["x", "y", "z", "-x", "-y", "-z"];
const COMMON = ["y", "z"];
const ADVANTAGE = 0.3;

const vector = (axis) => {
  const found = [0, 0, 0];
  found["xyz".indexOf(axis.at(-1))] = axis.startsWith("-") ? -1 : 1;
  return found;
};

/** The shortest rotation, as rows, that takes one axis to another. */
function rotation(source, target) {
  const [start, end] = [vector(source), vector(target)];
  const along = start.reduce((sum, value, i) => sum + value * end[i], 0);
  const unit = (i, j) => (i === j ? 1 : 0);
  const matrix = (entry) => [0, 1, 2].map((i) => [0, 1, 2].map((j) => entry(i, j)));
  if (along > 0) return matrix(unit);
  if (along < 0) {
    const about = start.findIndex((value) => value === 0);
    return matrix((i, j) => 2 * unit(i, about) * unit(j, about) - unit(i, j));
  }
  const about = [0, 1, 2].map(
    (i) => start[(i + 1) % 3] * end[(i + 2) % 3] - start[(i + 2) % 3] * end[(i + 1) % 3],
  );
  return matrix((i, j) => end[i] * start[j] - start[i] * end[j] + about[i] * about[j]);
}

function apply(matrix, cloud) {
  const turned = new Float32Array(cloud.length);
  for (let i = 0; i < cloud.length; i += 3) {
    matrix.forEach((row, axis) => {
      turned[i + axis] = row[0] * cloud[i] + row[1] * cloud[i + 1] + row[2] * cloud[i + 2];
    });
  }
  return turned;
}

export const turn = (cloud, source, target) => apply(rotation(source, target), cloud);

function halfTurn(cloud, axis) {
  const about = vector(axis);
  const unit = (i, j) => (i === j ? 1 : 0);
  return apply([0, 1, 2].map((i) => [0, 1, 2].map((j) => 2 * about[i] * about[j] - unit(i, j))), cloud);
}

/**
 * Turn a cloud to the model's vertical axis, and classify it.
 *
 * @param {Float32Array} cloud prepared.
 * @param {string} up an axis, "auto" or "as-is".
 * @param {string|null} model the model's vertical axis; null or "any" leave the cloud as it is.
 * @param {(cloud: Float32Array) => Promise<Float64Array>} logits
 * @returns {Promise<{cloud: Float32Array, logits: Float64Array, axis: string|null, known: string}>}
 */
export async function classifyUpright(cloud, up, model, logits) {
  if (up === "as-is" || model === null || model === "any") {
    return { cloud, logits: await logits(cloud), axis: null, known: "as-is" };
  }
  if (up !== "auto") {
    const turned = turn(cloud, up, model);
    return { cloud: turned, logits: await logits(turned), axis: up, known: "stated" };
  }
  let best = { score: -Infinity };
  for (const axis of AXES) {
    const turned = turn(cloud, axis, model);
    const plain = await logits(turned);
    const back = await logits(halfTurn(turned, model));
    const score = (logSumExp(plain) + logSumExp(back)) / 2 + (COMMON.includes(axis) ? ADVANTAGE : 0);
    if (score > best.score) best = { score, cloud: turned, both: [plain, back], axis };
  }
  return { cloud: best.cloud, logits: meanLogits(best.both), axis: best.axis, known: "guessed" };
}

function logSumExp(logits) {
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

export function softmax(logits) {
  const most = Math.max(...logits);
  const weights = Array.from(logits, (value) => Math.exp(value - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Logits whose softmax is the mean of the softmax of each. */
function meanLogits(votes) {
  const chances = votes.map(softmax);
  return Float64Array.from(chances[0], (_, i) =>
    Math.log(Math.max(chances.reduce((sum, each) => sum + each[i], 0) / chances.length, 1e-300)),
  );
}
