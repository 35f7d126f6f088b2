// A shop on mongoose: schemas with indexes, subdocuments, references, discriminators, timestamps, version keys, transactions.

import mongoose from 'mongoose';

import { digest, run, shown } from './program.mjs';

const { Schema } = mongoose;

const addressSchema = new Schema({
  street: String,
  city: { type: String, index: true },
  at: { type: { type: String }, coordinates: [Number] },
});
addressSchema.index({ at: '2dsphere' });

const customerSchema = new Schema(
  {
    email: { type: String, required: true, unique: true, lowercase: true, trim: true },
    name: { first: String, last: String },
    addresses: [addressSchema],
    settings: { type: Map, of: Schema.Types.Mixed },
    balance: { type: Schema.Types.Decimal128, default: () => mongoose.Types.Decimal128.fromString('0.00') },
    avatar: Buffer,
    session: Schema.Types.UUID,
  },
  { timestamps: true, collation: { locale: 'en', strength: 2 } },
);
customerSchema.virtual('fullName').get(function fullName() {
  return `${this.name.first} ${this.name.last}`;
});
customerSchema.virtual('orders', { ref: 'Order', localField: '_id', foreignField: 'customer' });

const productSchema = new Schema(
  {
    sku: { type: String, unique: true },
    title: String,
    description: String,
    price: { type: Number, min: 0 },
    tags: [String],
    stock: { type: Number, default: 0 },
    related: [{ type: Schema.Types.ObjectId, ref: 'Product' }],
  },
  {
    timestamps: { createdAt: 'made', updatedAt: 'changed' },
    versionKey: 'revision',
    discriminatorKey: 'kind',
    optimisticConcurrency: true,
  },
);
productSchema.index({ title: 'text', description: 'text' }, { weights: { title: 5 }, default_language: 'english' });
productSchema.index({ tags: 1, price: -1 }, { partialFilterExpression: { stock: { $gt: 0 } } });

const orderSchema = new Schema(
  {
    customer: { type: Schema.Types.ObjectId, ref: 'Customer', index: true },
    lines: [{ product: { type: Schema.Types.ObjectId, ref: 'Product' }, count: Number, price: Number, _id: false }],
    state: { type: String, enum: ['open', 'paid', 'sent'], default: 'open' },
    number: Schema.Types.BigInt,
  },
  { timestamps: true },
);

const sessionSchema = new Schema({ token: String, touched: Date });
sessionSchema.index({ touched: 1 }, { expireAfterSeconds: 86_400 * 365 });

const WORDS = ['red', 'green', 'walking', 'boots', 'warm', 'jacket', 'café', 'lamp', 'reading', 'chair'];

async function open(uri, random) {
  const connection = await mongoose.createConnection(uri, { dbName: 'shop', writeConcern: { w: 'majority' } }).asPromise();
  const Product = connection.model('Product', productSchema);
  const models = {
    Customer: connection.model('Customer', customerSchema),
    Product,
    Book: Product.discriminator('Book', new Schema({ isbn: { type: String, index: true, sparse: true }, pages: Number })),
    Shoe: Product.discriminator('Shoe', new Schema({ size: Number, colours: [{ name: String, hex: String }] }), 'shoe'),
    Order: connection.model('Order', orderSchema),
    Session: connection.model('Session', sessionSchema),
  };
  const below = (limit) => Math.floor(random() * limit);
  const word = () => WORDS[below(WORDS.length)];
  return { connection, ...models, below, word };
}

function newProduct({ Book, Shoe, Product, below, word }, sku) {
  const common = {
    sku,
    title: `${word()} ${word()}`,
    description: Array.from({ length: 20 }, word).join(' '),
    price: below(9_999) / 100,
    tags: [word(), word()],
    stock: below(9),
  };
  return [
    new Product(common),
    new Book({ ...common, isbn: `978-${sku}`, pages: below(900) }),
    new Shoe({ ...common, size: below(20) + 30, colours: [{ name: word(), hex: '#fff' }] }),
  ][below(3)];
}

function newCustomer({ Customer, below, word }, number) {
  return new Customer({
    email: `Customer${number}@Example.com`,
    name: { first: word(), last: word() },
    addresses: [
      { street: `${word()} ${below(99)}`, city: word(), at: { type: 'Point', coordinates: [below(360) - 180, below(180) - 90] } },
    ],
    settings: new Map([
      ['theme', word()],
      ['deep', { list: [1, null, { a: below(9) }] }],
    ]),
    avatar: Buffer.from([below(256), 0, 255]),
    session: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
  });
}

async function prepare(shop) {
  await Promise.all([shop.Customer, shop.Product, shop.Book, shop.Shoe, shop.Order, shop.Session].map((model) => model.init()));
  const { Customer, Product } = shop;
  await Customer.insertMany(Array.from({ length: 300 }, (_, number) => newCustomer(shop, number)));
  await Product.insertMany(Array.from({ length: 400 }, (_, number) => newProduct(shop, `before-${number}`)));
}

async function change(shop, number) {
  const { Customer, Product, Order, Session, below, word } = shop;
  const product = await Product.findOne({ sku: `before-${below(400)}` });
  product.tags.push(word());
  product.tags.splice(0, product.tags.length > 8 ? 3 : 0);
  product.related.addToSet((await Product.findOne().skip(below(100)).sort('sku'))._id);
  product.set('price', below(500));
  await product.save();
  const stale = await Product.findById(product._id);
  await Product.updateOne({ _id: product._id }, { $inc: { revision: 1 } });
  stale.title = 'lost';
  const refusal = await stale.save().catch((error) => error.name);
  if (refusal !== 'VersionError') {
    throw new Error(`a stale product was saved: ${refusal}`);
  }
  const customer = await Customer.findOne({ email: `customer${below(300)}@example.com` });
  customer.addresses[0].city = word();
  customer.addresses.push({ street: word(), city: word() });
  if (customer.addresses.length > 4) {
    customer.addresses.pull(customer.addresses[1]._id);
  }
  customer.settings.set(word(), { at: new Date(0), n: below(9) });
  await customer.save();
  await buy(shop, customer, product, number);
  await Session.findOneAndUpdate({ token: `t${number % 30}` }, { touched: new Date(4_000_000_000_000 + number) }, { upsert: true });
  await newProduct(shop, `during-${number}-${below(1e9)}`).save();
  await Product.deleteOne({ sku: new RegExp('^during-') }).sort('made');
  const again = await newCustomer(shop, below(300))
    .save()
    .catch((error) => error.code);
  if (again !== 11_000) {
    throw new Error(`an email exists twice: ${again}`);
  }
  await Order.updateMany({ state: 'paid' }, { state: 'sent' });
  if (number % 10 === 9) {
    await Order.deleteMany({ state: 'sent' }).limit(1);
  }
}

/** A purchase in a transaction, and one that is aborted. */
async function buy({ connection, Customer, Order, Product, below }, customer, product, number) {
  const purchase = async (session, fails) => {
    const lines = [{ product: product._id, count: below(3) + 1, price: product.price }];
    await Order.create([{ customer: customer._id, lines, number: BigInt(number) + 2n ** 60n, state: 'paid' }], { session });
    await Product.updateOne({ _id: product._id }, { $inc: { stock: -1 } }, { session });
    await Customer.updateOne({ _id: customer._id }, { $inc: { balance: mongoose.Types.Decimal128.fromString('-1.10') } }, { session });
    if (fails) {
      throw new Error('no money');
    }
  };
  await connection.transaction((session) => purchase(session, false));
  await connection
    .transaction((session) => purchase(session, true))
    .catch((error) => {
      if (error.message !== 'no money') {
        throw error;
      }
    });
}

async function answers(shop) {
  const { Customer, Product, Book, Shoe, Order, Session } = shop;
  const found = {};
  for (const model of [Customer, Product, Order, Session]) {
    // In the order of their names: that of their builds is none of the data.
    const indexes = (await model.collection.indexes()).sort((one, other) => one.name.localeCompare(other.name));
    found[model.modelName] = [await digest(model.collection), shown(indexes), await model.diffIndexes()];
  }
  const customers = await Customer.find({ balance: { $lt: 0 } })
    .sort('email')
    .limit(20)
    .populate({ path: 'orders', options: { sort: { _id: 1 } }, populate: { path: 'lines.product', select: 'title kind' } });
  found.populated = customers.map((customer) => [
    customer.fullName,
    customer.balance.toString(),
    customer.orders.map((order) => [
      order.state,
      String(order.number),
      order.lines.map((line) => [line.count, line.product?.title, line.product?.kind]),
    ]),
  ]);
  found.kinds = [await Product.countDocuments(), await Book.countDocuments(), await Shoe.countDocuments()];
  const texts = Product.find({ $text: { $search: 'boots -lamp' } }, { score: { $meta: 'textScore' }, title: 1 });
  found.text = shown(
    await texts
      .sort({ score: { $meta: 'textScore' }, _id: 1 })
      .limit(50)
      .lean(),
  );
  const near = { $geometry: { type: 'Point', coordinates: [10, 50] }, $maxDistance: 3_000_000 };
  found.near = shown(
    // Customers at one place have no order among themselves.
    await Customer.find({ 'addresses.at': { $near: near } })
      .select('email')
      .sort('email')
      .lean(),
  );
  found.revisions = shown(await Product.aggregate([{ $group: { _id: '$revision', count: { $sum: 1 } } }, { $sort: { _id: 1 } }]));
  return found;
}

await run({ open, prepare, change, answers, close: ({ connection }) => connection.close() });
