//! BSON element types (bsonspec.org).

/// A 64-bit floating-point number.
pub const DOUBLE: u8 = 0x01;
/// A string: length, text, NUL.
pub const STRING: u8 = 0x02;
/// An embedded document.
pub const DOCUMENT: u8 = 0x03;
/// An array: a document whose names are positions.
pub const ARRAY: u8 = 0x04;
/// Binary data: length, subtype, bytes.
pub const BINARY: u8 = 0x05;
/// Undefined, a deprecated type without a value.
pub const UNDEFINED: u8 = 0x06;
/// An object id of 12 bytes.
pub const OBJECT_ID: u8 = 0x07;
/// A boolean in a byte.
pub const BOOLEAN: u8 = 0x08;
/// Milliseconds since 1970 in UTC, as a 64-bit integer.
pub const DATE: u8 = 0x09;
/// Null, without a value.
pub const NULL: u8 = 0x0A;
/// A regular expression: pattern and options, each with a final NUL.
pub const REGEX: u8 = 0x0B;
/// A deprecated reference: namespace and object id.
pub const DB_POINTER: u8 = 0x0C;
/// JavaScript code, encoded like a string.
pub const JAVASCRIPT: u8 = 0x0D;
/// A symbol, a deprecated type encoded like a string.
pub const SYMBOL: u8 = 0x0E;
/// JavaScript code with a scope, deprecated: length, code, document.
pub const SCOPED_JAVASCRIPT: u8 = 0x0F;
/// A 32-bit integer.
pub const INT32: u8 = 0x10;
/// A timestamp of the oplog: increment in the low, seconds in the high 32 bits.
pub const TIMESTAMP: u8 = 0x11;
/// A 64-bit integer.
pub const INT64: u8 = 0x12;
/// A decimal of 16 bytes; see [`decimal`](crate::decimal).
pub const DECIMAL128: u8 = 0x13;
/// MaxKey, above all other values.
pub const MAX_KEY: u8 = 0x7F;
/// MinKey, below all other values.
pub const MIN_KEY: u8 = 0xFF;

/// The name of a type, as used by the server's `$type`.
pub fn name_of(kind: u8) -> &'static str {
    match kind {
        DOUBLE => "double",
        STRING => "string",
        DOCUMENT => "object",
        ARRAY => "array",
        BINARY => "binData",
        UNDEFINED => "undefined",
        OBJECT_ID => "objectId",
        BOOLEAN => "bool",
        DATE => "date",
        NULL => "null",
        REGEX => "regex",
        DB_POINTER => "dbPointer",
        JAVASCRIPT => "javascript",
        SYMBOL => "symbol",
        SCOPED_JAVASCRIPT => "javascriptWithScope",
        INT32 => "int",
        TIMESTAMP => "timestamp",
        INT64 => "long",
        DECIMAL128 => "decimal",
        MIN_KEY => "minKey",
        MAX_KEY => "maxKey",
        _ => "unknown",
    }
}
