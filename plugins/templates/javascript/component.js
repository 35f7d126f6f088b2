// Connects `plugin.js` to the host: the exports of the world `transform-plugin`.
//
// An unhandled exception ends the instance, and the host reports it.

import { CONFIG_SCHEMA, NAME, Plugin, SEMANTICS, VERSION } from "./plugin.js";
import { Malformed } from "./raw-bson.js";
import { ConfigError, DROP, DocumentError, KEEP } from "./sdk.js";

const REPLACED = 2;

let configured;

export const describe = {
  describe() {
    return {
      name: NAME,
      version: VERSION,
      semantics: SEMANTICS,
      scope: "document",
      configSchema: JSON.stringify(CONFIG_SCHEMA),
    };
  },

  configure(config) {
    try {
      configured = new Plugin(parse(config));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const { fault, path, reason } = error;
      throw { fault, path, reason };
    }
  },
};

export const transform = {
  transform(namespace, documents) {
    const verdicts = [];
    const replacements = [];
    let at = 0;
    while (at < documents.length) {
      const end = at + length(documents, at);
      if (end < at + 5 || end > documents.length) {
        const reason = `the batch is not raw BSON after document ${verdicts.length}`;
        throw { tag: "fatal", val: reason };
      }
      const answer = decide(namespace, documents.subarray(at, end), verdicts.length);
      if (answer === KEEP || answer === DROP) {
        verdicts.push(answer);
      } else {
        verdicts.push(REPLACED);
        replacements.push(answer);
      }
      at = end;
    }
    return {
      verdicts: Uint8Array.from(verdicts.some((verdict) => verdict !== KEEP) ? verdicts : []),
      replacements: joined(replacements),
    };
  },
};

function parse(config) {
  try {
    return JSON.parse(config);
  } catch (error) {
    throw new ConfigError("invalid-value", "", `it is not JSON: ${error.message}`);
  }
}

function decide(namespace, document, index) {
  try {
    return configured.transform(namespace, document);
  } catch (error) {
    if (error instanceof DocumentError) {
      throw { tag: "document", val: { index, reason: error.message } };
    }
    if (error instanceof Malformed) {
      throw { tag: "document", val: { index, reason: "it is not valid BSON" } };
    }
    throw error;
  }
}

function length(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
