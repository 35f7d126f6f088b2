// An application of the Node driver that stores each BSON type that it writes, and changes them in every way.

import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  MongoClient,
  ObjectId,
  Timestamp,
  UUID,
} from 'mongodb';

import { digest, run, shown } from './program.mjs';

const OWN = new ObjectId('0123456789abcdef01234567');

const VALUES = [
  new Double(0),
  new Double(-0),
  NaN,
  Infinity,
  -Infinity,
  5e-324,
  1.5,
  new Int32(-1),
  2 ** 31 - 1,
  Long.MAX_VALUE,
  Long.MIN_VALUE,
  9_007_199_254_740_993n,
  2 ** 53,
  '',
  'a\0b',
  'grüße 😀',
  'x'.repeat(3_000),
  true,
  false,
  null,
  undefined,
  OWN,
  new Date(0),
  new Date(-62_135_596_800_000),
  new Date(8_640_000_000_000_000),
  /a.*b/im,
  /^é$/u,
  new BSONRegExp('x', 'ilmsux'),
  new BSONSymbol('sym'),
  new Code('function () {}'),
  new Code('f', { a: { b: [1, null] } }),
  new DBRef('c', OWN, 'db', { extra: 1 }),
  ...['0', '-0', '1.10', 'NaN', 'Infinity', '-Infinity', '0E+6111', '1E-6176', '9.999999999999999999999999999999999E+6144'].map((text) =>
    Decimal128.fromString(text),
  ),
  ...[0, 1, 2, 3, 5, 6, 8, 9, 0x80, 0xff].map((subtype) => new Binary(Buffer.from('sixteen bytes ok'), subtype)),
  new UUID('00000000-0000-4000-8000-000000000007'),
  new Uint8Array([0, 255]),
  new Timestamp({ t: 1, i: 2 }),
  new Timestamp({ t: 0, i: 1 }),
  new MinKey(),
  new MaxKey(),
  {},
  [],
  [[], [[{ '': [undefined] }]]],
  { 'a.b': 1, $c: { 0: 'zero' }, é: new Map([['k', 1]]) },
];

function isId(value) {
  const odd = value === undefined || value instanceof RegExp || value instanceof BSONRegExp || Array.isArray(value);
  return !odd && !(value instanceof DBRef) && value?.$c === undefined;
}

async function open(uri, random) {
  const options = { serializeFunctions: true, ignoreUndefined: false, promoteValues: false, bsonRegExp: true };
  const client = await MongoClient.connect(uri, { ...options, writeConcern: { w: 'majority' } });
  const [values, ids, capped] = ['values', 'ids', 'capped'].map((name) => client.db('node_types').collection(name));
  const pick = () => VALUES[Math.floor(random() * VALUES.length)];
  return { client, values, ids, capped, random, pick };
}

async function prepare({ client, values, ids }) {
  await client.db('node_types').createCollection('capped', { capped: true, size: 200_000, max: 500 });
  await values.insertMany(VALUES.map((value, number) => ({ _id: number, v: value, in: [value, { v: value }], f: () => 1 })));
  await values.createIndexes([{ key: { v: 1 } }, { key: { '$**': 1 }, name: 'all', wildcardProjection: { in: 0 } }]);
  for (const value of VALUES.filter(isId)) {
    await ids.replaceOne({ _id: value }, { n: 0 }, { upsert: true });
  }
}

async function change({ client, values, ids, capped, random, pick }, number) {
  const one = Math.floor(random() * VALUES.length);
  await values.bulkWrite([
    { updateOne: { filter: { _id: one }, update: { $set: { v: pick(), [`more.${number % 40}`]: pick() } } } },
    { updateOne: { filter: { _id: one }, update: { $push: { in: { $each: [pick(), pick()], $position: 1, $slice: 8 } } } } },
    { updateOne: { filter: { _id: one }, update: { $unset: { [`more.${(number + 7) % 40}`]: '' }, $currentDate: { at: true } } } },
    { replaceOne: { filter: { _id: `n${number % 60}` }, replacement: { v: pick(), w: [pick()] }, upsert: true } },
    { deleteOne: { filter: { _id: `n${(number + 11) % 60}` } } },
  ]);
  await values.findOneAndUpdate({ _id: one }, [{ $set: { copy: ['$v', { $literal: 1 }], long: { $toLong: '12' } } }]);
  const id = VALUES.filter(isId)[Math.floor(random() * VALUES.filter(isId).length)];
  if (number % 2 === 0) {
    await ids.deleteOne({ _id: id });
  }
  await ids.updateOne({ _id: id }, { $inc: { n: 1 }, $set: { v: pick() } }, { upsert: true });
  await capped.insertMany([
    { n: number, v: pick() },
    { n: number, text: 'x'.repeat(500) },
  ]);
  await client.withSession((session) =>
    session.withTransaction(async () => {
      await values.insertOne({ _id: `t${number}`, v: pick() }, { session });
      await values.deleteOne({ _id: `t${number - 30}` }, { session });
      await ids.updateMany({ n: { $gt: 2 } }, { $set: { n: 0, t: number } }, { session });
    }),
  );
}

async function answers({ values, ids, capped }) {
  const found = {};
  for (const collection of [values, ids, capped]) {
    const types = collection.aggregate([
      { $group: { _id: { v: { $type: '$v' }, id: { $type: '$_id' } }, count: { $sum: 1 } } },
      { $sort: { '_id.v': 1, '_id.id': 1 } },
    ]);
    // In the order of their names: that of their builds is none of the data.
    const indexes = (await collection.indexes()).sort((one, other) => one.name.localeCompare(other.name));
    found[collection.collectionName] = [await digest(collection), shown(await types.toArray()), shown(indexes)];
  }
  found['in natural order'] = shown(await capped.find({}, { projection: { n: 1 } }).toArray());
  return found;
}

await run({ open, prepare, change, answers, close: ({ client }) => client.close() });
