/** Bytes of text files to lines, words and numbers, as `pointcmt.geometry.formats.tokens` does. */
import { InputError } from "../errors.js";

const NUMBER = /^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)$/i;
const WHOLE = /^[-+]?\d+$/;

/** One character a byte, but for UTF-16 with its mark; what is counted and compared is ASCII. */
export function textOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  const from = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return new TextDecoder("latin1").decode(bytes.subarray(from));
}

export function linesOf(text) {
  return text.replace(/\r\n?/g, "\n").split("\n");
}

export function wordsOf(line) {
  const bare = line.trim();
  return bare ? bare.split(/\s+/) : [];
}

export function isNumber(word) {
  return NUMBER.test(word);
}

/** The number that `word` is; `row` is shown where it is none. */
export function numberOf(word, what, place, row = [word]) {
  if (!NUMBER.test(word ?? "")) {
    const shown = row.slice(0, 8).join(" ").slice(0, 60);
    throw new InputError(`${what} ${place} is '${shown}', not the numbers expected`);
  }
  const low = word.toLowerCase();
  if (low.includes("n")) {
    return low.includes("nan") ? NaN : low.startsWith("-") ? -Infinity : Infinity;
  }
  return Number(word);
}

export function wholeOf(word, what) {
  if (!WHOLE.test(word ?? "")) {
    throw new InputError(`${what} '${(word ?? "").slice(0, 40)}' is not a whole number in range`);
  }
  return Number(word);
}

/** The first three values of each row as x, y, z one after the other, (N * 3) float64. */
export function coordinates(rows, what) {
  const xyz = new Float64Array(rows.length * 3);
  rows.forEach((row, place) => {
    for (let axis = 0; axis < 3; axis++) xyz[3 * place + axis] = numberOf(row[axis], what, place, row);
  });
  return xyz;
}
