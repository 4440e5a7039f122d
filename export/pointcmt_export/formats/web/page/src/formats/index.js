/** The formats that the page reads, each by one reader. */
import { InputError } from "../errors.js";
import { columnsToXyz } from "./channels.js";
import { readObj } from "./obj.js";
import { readOff } from "./off.js";
import { readPcd } from "./pcd.js";
import { readPly } from "./ply.js";
import { readStl } from "./stl.js";
import { stranger } from "./strangers.js";
import { readText } from "./text.js";

const READERS = {
  ".off": readOff, ".obj": readObj, ".stl": readStl, ".ply": readPly, ".pcd": readPcd,
  ".xyz": readText, ".txt": readText, ".csv": readText, ".pts": readText, ".asc": readText,
};
export const SUFFIXES = Object.keys(READERS);
export const MAX_BYTES = 256 * 2 ** 20;

/** Refuse a file that is too large, which can be told before it is read. */
export function requireSize(name, size) {
  if (size > MAX_BYTES) {
    throw new InputError(`${name}: has ${size} bytes; the page reads ${MAX_BYTES} or fewer`);
  }
}

/**
 * Read one file whole.
 *
 * @param {string} name its format is known by the ending.
 * @param {Uint8Array} bytes
 * @returns {{xyz: Float64Array, faces?: Int32Array}} points or vertices, and triangles if it has
 *   any.
 */
export function parse(name, bytes) {
  const suffix = (/\.[^.]*$/.exec(name) ?? [""])[0].toLowerCase();
  if (!READERS[suffix]) {
    throw new InputError(`${name}: unknown format; use one of ${SUFFIXES.join(", ")}`);
  }
  requireSize(name, bytes.length);
  if (bytes.every((byte) => byte === 32 || (byte > 8 && byte < 14))) {
    throw new InputError(`${name}: the file is empty; a cloud or a mesh was expected`);
  }
  const refusal = `${name}: not a readable ${suffix} file`;
  const { columns, xyz, faces } = parsedBy(READERS[suffix], bytes, refusal, stranger(bytes, suffix));
  return { xyz: xyz ?? columnsToXyz(columns, name), faces };
}

/** What the reader finds; `told` is what the file is instead, if that can be told. */
function parsedBy(reader, bytes, refusal, told) {
  try {
    if (told && reader === readText) throw new InputError(told);  // lines of words may be names
    return reader(bytes);
  } catch (error) {
    const sentence = error instanceof InputError ? error.message : "it is damaged";
    throw new InputError(`${refusal}: ${told ?? sentence}`);
  }
}
