/** Which points decided: `pointcmt_serve.explain.winners`, for one cloud. */

/**
 * The share of each of the points that the network saw.
 *
 * @param {{maxima: object[], samples: object}} explain of the exported file's metadata.
 * @param {Record<string, {data: ArrayLike<number>, dims: number[]}>} told the tensors named there.
 * @param {number} points
 * @returns {Float64Array|null} null where the network has no maximum over the whole cloud.
 */
export function shares(explain, told, points) {
  const last = explain.maxima.findLast((one) => one.centres === null);
  if (!last) return null;
  let share = ofWhole(last, told);
  let at = last.rows;
  while (at !== "points") {
    const source = explain.samples[at];
    const groups = explain.maxima.filter((one) => one.centres === at && one.rows === source);
    share = handedDown(share, groups, told, told[at].data, source === "points" ? points : told[source].dims[1]);
    at = source;
  }
  return share;
}

/** The place of the greatest of `count` values that lie `step` apart. */
function winner(data, start, count, step) {
  let best = 0;
  for (let i = 1; i < count; i++) if (data[start + i * step] > data[start + best * step]) best = i;
  return best;
}

function ofWhole(one, told) {
  const { data, dims } = told[one.values]; // (1, n, C) or (1, C, n)
  const rows = dims[one.axis];
  const channels = dims[3 - one.axis];
  const [between, step] = one.axis === 1 ? [1, channels] : [rows, 1];
  let counting = [...Array(channels).keys()].filter((c) => told[one.kept].data[c] !== 0);
  if (!counting.length) counting = [...Array(channels).keys()];
  const share = new Float64Array(rows);
  for (const c of counting) share[winner(data, c * between, rows, step)] += 1 / counting.length;
  return share;
}

function handedDown(share, groups, told, centres, size) {
  const result = new Float64Array(size);
  share.forEach((own, m) => {
    if (!own) return;
    const takers = groups.flatMap((one) => inGroup(one, told, m, share.length));
    if (!takers.length) result[Number(centres[m])] += own;
    for (const taker of takers) result[taker] += own / takers.length;
  });
  return result;
}

function inGroup(one, told, m, groups) {
  const { data, dims } = told[one.values]; // (M, k, C) or (1, M, k, C)
  const [k, channels] = dims.slice(-2);
  const [kept, index] = [told[one.kept].data, told[one.index].data];
  const start = m * k * channels;
  return [...Array(channels).keys()]
    .filter((c) => kept[(kept.length / groups) * m + c] !== 0)
    .map((c) => Number(index[m * k + winner(data, start + c, k, channels)]));
}
