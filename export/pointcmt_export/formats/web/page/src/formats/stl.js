/** Stereolithography; see `pointcmt/geometry/formats/stl.py`. */
import { InputError, truncated } from "../errors.js";
import { coordinates, plainText, textOf, unmarked, withoutEnd } from "./words.js";

const HEAD = 84;
const TRIANGLE = 50;
const NAME = /^[ \t]*(?:end)?solid\b.*?(?=\bfacet\s+normal\b|$)/gim;

export function readStl(bytes) {
  const plain = isCounted(bytes) ? null : withoutEnd(unmarked(bytes), [0]);
  const xyz = plain && isText(plain) ? fromText(plainText(plain)) : fromBytes(bytes);
  return { xyz, faces: Int32Array.from({ length: xyz.length / 3 }, (_, place) => place) };
}

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function isCounted(bytes) {
  return bytes.length >= HEAD
    && bytes.length === HEAD + TRIANGLE * viewOf(bytes).getUint32(80, true);
}

function isText(bytes) {
  const start = textOf(bytes.subarray(0, 1024)).trimStart();
  return start.slice(0, 5).toLowerCase() === "solid" && !bytes.subarray(0, 4096).includes(0);
}

function fromBytes(bytes) {
  if (bytes.length < HEAD) {
    throw new InputError(
      `it has ${bytes.length} bytes, but an STL file is text or has ${HEAD} or more`,
    );
  }
  const view = viewOf(bytes);
  const count = view.getUint32(80, true);
  const whole = Math.floor((bytes.length - HEAD) / TRIANGLE);
  if (whole < count) throw truncated(whole, count, "triangles");
  if (!count) throw new InputError("its header announces no triangle");
  const xyz = new Float64Array(9 * count);
  for (let i = 0; i < 9 * count; i++) {
    const triangle = Math.floor(i / 9);
    xyz[i] = view.getFloat32(HEAD + TRIANGLE * triangle + 12 + 4 * (i % 9), true);
  }
  return xyz;
}

function fromText(text) {
  const body = text.replaceAll("\r", "\n").replace(NAME, "");
  const facets = (body.match(/\bfacet\b/gi) ?? []).length;
  const corners = [...body.matchAll(/\bvertex\s+(\S+)\s+(\S+)\s+(\S+)/gi)];
  const low = text.toLowerCase();
  if (!facets) throw new InputError("it has no facet; an STL file has a triangle or more");
  if (low.lastIndexOf("endsolid") < low.lastIndexOf("endfacet") || corners.length < 3 * facets) {
    throw new InputError("it ends before its `endsolid`; the file is truncated");
  }
  if (corners.length !== 3 * facets) {
    throw new InputError(`${facets} facets have ${corners.length} vertices; each must have three`);
  }
  return coordinates(corners.map((match) => match.slice(1)), "vertex");
}
