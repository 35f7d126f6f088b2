// Raw BSON, read in place: no values are built to look at a field.
//
// A walk trusts no length: it ends at the document's end or throws `Malformed`.

// Bytes that are not a BSON document.
export class Malformed extends Error {}

export const DOUBLE = 0x01;
export const STRING = 0x02;
export const BOOLEAN = 0x08;
export const NULL = 0x0a;
export const INT32 = 0x10;
export const INT64 = 0x12;
const REGEX = 0x0b;

// The size of a value (bsonspec.org): fixed, or the bytes that its own length
// does not count.
const FIXED = [];
for (const [length, ...kinds] of [
  [0, 0x06, 0x0a, 0x7f, 0xff],
  [1, 0x08],
  [4, 0x10],
  [8, 0x01, 0x09, 0x11, 0x12],
  [12, 0x07],
  [16, 0x13],
]) {
  for (const kind of kinds) FIXED[kind] = length;
}
const COUNTED = [];
for (const [more, ...kinds] of [
  [0, 0x03, 0x04, 0x0f],
  [4, 0x02, 0x0d, 0x0e],
  [5, 0x05],
  [16, 0x0c],
]) {
  for (const kind of kinds) COUNTED[kind] = more;
}

// A field's name in the form for `find`.
export function key(name) {
  return Uint8Array.from(unescape(encodeURIComponent(name)), (byte) => byte.charCodeAt(0));
}

// The type of the field and the start of its value, or undefined.
export function find(document, key) {
  const last = document.length - 1;
  let at = 4;
  while (at < last) {
    const name = at + 1;
    const end = document.indexOf(0, name);
    if (end < 0) throw new Malformed("malformed BSON");
    if (end - name === key.length && startsWith(document, key, name)) {
      return { kind: document[at], value: end + 1 };
    }
    at = end + 1 + valueLength(document, document[at], end + 1);
  }
  if (at !== last) throw new Malformed("malformed BSON");
  return undefined;
}

function startsWith(bytes, key, at) {
  for (let i = 0; i < key.length; i += 1) {
    if (bytes[at + i] !== key[i]) return false;
  }
  return true;
}

// The value of a string, a number, a boolean or null; of any other type its bytes.
// A 64-bit integer comes rounded past 2^53.
export function scalar(document, { kind, value }) {
  switch (kind) {
    case STRING:
      return text(document, value + 4, value + 3 + uint32(document, value));
    case DOUBLE:
      return view(document).getFloat64(value, true);
    case INT32:
      return view(document).getInt32(value, true);
    case INT64:
      return Number(view(document).getBigInt64(value, true));
    case BOOLEAN:
      return document[value] === 1;
    case NULL:
      return null;
    default:
      return document.subarray(value, value + valueLength(document, kind, value));
  }
}

function view(document) {
  return new DataView(document.buffer, document.byteOffset, document.byteLength);
}

// UTF-8 as a string.
function text(bytes, from, to) {
  let ascii = "";
  for (let at = from; at < to; at += 1) {
    if (bytes[at] > 0x7f) return decode(bytes.subarray(from, to));
    ascii += String.fromCharCode(bytes[at]);
  }
  return ascii;
}

function decode(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, "0")}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw new Malformed("a string that is not UTF-8");
  }
}

function valueLength(document, kind, at) {
  const fixed = FIXED[kind];
  if (fixed !== undefined) return fixed;
  if (kind === REGEX) return document.indexOf(0, document.indexOf(0, at) + 1) + 1 - at;
  const more = COUNTED[kind];
  if (more === undefined) throw new Malformed("malformed BSON");
  return uint32(document, at) + more;
}

function uint32(bytes, at) {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
