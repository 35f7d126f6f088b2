// The parts that all applications in JavaScript share: modes, rounds and digests, as in program.py.

import { createHash } from 'node:crypto';

import { EJSON } from 'bson';

/** A generator of numbers from 0 up to 1 that gives the same numbers in each run of a mode. */
function generator(text) {
  let state = createHash('sha256').update(text).digest().readUInt32LE(0);
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Runs an application with the functions `prepare`, `change` (one round) and `answers`. */
export async function run(application) {
  const [mode, uri, seed] = process.argv.slice(2);
  const context = await application.open(uri, generator(`${seed} ${mode}`));
  if (mode === 'prepare') {
    await application.prepare(context);
  } else if (mode === 'work') {
    await work(application, context);
  } else if (mode === 'answers') {
    console.log(JSON.stringify(await application.answers(context), null, 1));
  } else {
    throw new Error(`unknown mode ${mode}`);
  }
  await application.close(context);
}

async function work(application, context) {
  let closed = false;
  process.stdin.on('end', () => (closed = true)).resume();
  for (let number = 0; ; number += 1) {
    await application.change(context, number);
    console.log('round');
    if (closed) {
      return;
    }
  }
}

/** The count of a collection's documents, and a digest of their bytes in the order of their `_id`s. */
export async function digest(collection) {
  const sum = createHash('sha256');
  let count = 0;
  for await (const document of collection.find({}, { raw: true }).sort({ _id: 1 })) {
    sum.update(document);
    count += 1;
  }
  return [count, sum.digest('hex')];
}

/** Results of a query in canonical Extended JSON, which keeps types apart. */
export function shown(results) {
  return EJSON.serialize(results, { relaxed: false });
}
