// {{name}}: keeps the documents whose `field` has any of `values`, drops the others.
//
//     {"field": "status", "values": ["active", 7]}
//
// This file is the plugin: change it. `component.js` connects it to the host.

import { find, key, scalar } from "./raw-bson.js";
import { ConfigError, DROP, KEEP, fields } from "./sdk.js";

export const NAME = "{{name}}";
export const VERSION = "0.1.0";

// Raise this when the same document gets a different answer on purpose.
export const SEMANTICS = 1;

export const CONFIG_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: {
    field: {
      type: "string",
      minLength: 1,
      description: "The name of a top-level field.",
    },
    values: {
      type: "array",
      minItems: 1,
      items: { type: ["string", "integer"] },
      description: "A document is kept if its field has one of these.",
    },
  },
  required: ["field", "values"],
  additionalProperties: false,
};

// A configured instance. The same document always gets the same answer.
export class Plugin {
  #field;
  #values;

  constructor(config) {
    const [field, values] = fields(config, "field", "values");
    if (typeof field !== "string" || field === "" || field.includes("\0")) {
      throw new ConfigError("invalid-value", "field", "it is not the name of a field");
    }
    if (!Array.isArray(values) || values.length === 0) {
      throw new ConfigError("invalid-value", "values", "it is not a list of one value or more");
    }
    values.forEach((value, position) => {
      if (typeof value !== "string" && !Number.isSafeInteger(value)) {
        const reason = `${JSON.stringify(value)} is neither a string nor an integer below 2^53`;
        throw new ConfigError("invalid-value", `values[${position}]`, reason);
      }
    });
    this.#field = key(field);
    this.#values = new Set(values);
  }

  // Decides about a document, given as raw BSON: KEEP, DROP, or the bytes of
  // the document to write in its place, which has the same `_id`.
  transform(namespace, document) {
    const found = find(document, this.#field);
    return found && this.#values.has(scalar(document, found)) ? KEEP : DROP;
  }
}
