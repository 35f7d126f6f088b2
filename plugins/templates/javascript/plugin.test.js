// Runs natively, without any WebAssembly: npm test

import assert from "node:assert/strict";
import { test } from "node:test";

import { Plugin } from "./plugin.js";
import { Malformed } from "./raw-bson.js";
import { ConfigError, DROP, KEEP } from "./sdk.js";

// A BSON document of these fields: [type, name, value as bytes].
function document(...elements) {
  const body = elements.flatMap(([kind, name, value]) => [kind, ...Buffer.from(`${name}\0`), ...value]);
  return Uint8Array.from([...int32(body.length + 5), ...body, 0]);
}

function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function int64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

function double(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function string(text) {
  const bytes = Buffer.from(`${text}\0`);
  return [...int32(bytes.length), ...bytes];
}

// A document with a `status`, after fields with every kind of length.
function status(kind, value) {
  return document(
    [0x07, "_id", Buffer.alloc(12)],
    [0x0b, "regex", Buffer.from("^a\0i\0")],
    [0x05, "binary", [...int32(3), 0, 1, 2, 3]],
    [0x03, "nested", document([0x10, "status", int32(1)])],
    [kind, "status", value],
  );
}

const plugin = new Plugin({ field: "status", values: ["active", "é", 7] });
const decide = (bytes) => plugin.transform(undefined, bytes);

test("keeps what has one of the values", () => {
  for (const [kind, value] of [
    [0x02, string("active")],
    [0x02, string("é")],
    [0x10, int32(7)],
    [0x12, int64(7n)],
    [0x01, double(7)],
  ]) {
    assert.equal(decide(status(kind, value)), KEEP);
  }
});

test("drops the others", () => {
  for (const [kind, value] of [
    [0x02, string("gone")],
    [0x02, string("7")],
    [0x10, int32(1)],
    [0x0a, []],
    [0x08, [1]],
  ]) {
    assert.equal(decide(status(kind, value)), DROP);
  }
  assert.equal(decide(document([0x10, "_id", int32(1)])), DROP);
});

test("what is no BSON is said to be none", () => {
  assert.throws(() => decide(document([0x7e, "x", []])), Malformed);
});

test("a wrong configuration is refused by path", () => {
  for (const [config, fault, path] of [
    [[], "invalid-value", ""],
    [{ field: "a" }, "missing-field", ""],
    [{ field: "a", values: [1], more: 1 }, "unknown-field", "more"],
    [{ field: 1, values: [1] }, "invalid-value", "field"],
    [{ field: "a", values: [] }, "invalid-value", "values"],
    [{ field: "a", values: ["a", true] }, "invalid-value", "values[1]"],
  ]) {
    assert.throws(
      () => new Plugin(config),
      (error) => error instanceof ConfigError && error.fault === fault && error.path === path,
    );
  }
});
