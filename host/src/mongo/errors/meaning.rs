//! Meanings of server codes, for errors whose texts are not shown.

use super::code;

/// Codes of refused documents and indexes: the server's name, and the meaning.
const MEANINGS: [(i32, &str, &str); 27] = [
    (
        code::BAD_VALUE,
        "BadValue",
        "the server does not accept the value",
    ),
    (
        code::TYPE_MISMATCH,
        "TypeMismatch",
        "the server does not accept the value's type",
    ),
    (
        code::PATH_NOT_VIABLE,
        "PathNotViable",
        "a field is within a value that cannot hold it",
    ),
    (
        code::DOLLAR_PREFIXED_FIELD_NAME,
        "DollarPrefixedFieldName",
        "the name of a field begins with a dollar sign",
    ),
    (
        code::DOTTED_FIELD_NAME,
        "DottedFieldName",
        "the name of a field has a dot",
    ),
    (
        code::IMMUTABLE_FIELD,
        "ImmutableField",
        "the write would change the _id",
    ),
    (
        code::CANNOT_CREATE_INDEX,
        "CannotCreateIndex",
        "the server does not build an index of this specification",
    ),
    (
        code::DOCUMENT_VALIDATION_FAILURE,
        "DocumentValidationFailure",
        "a document does not pass the collection's validator",
    ),
    (
        code::CANNOT_INDEX_PARALLEL_ARRAYS,
        "CannotIndexParallelArrays",
        "a document has two arrays in the fields of one index",
    ),
    (
        code::CANNOT_BUILD_INDEX_KEYS,
        "",
        "an array cannot be in a field of a text index beside its text",
    ),
    (
        code::INDEX_BUILD_ABORTED,
        "IndexBuildAborted",
        "the index build was aborted",
    ),
    (
        code::CANNOT_CONVERT_INDEX_TO_UNIQUE,
        "CannotConvertIndexToUnique",
        "documents have the same key, so the index cannot be made unique",
    ),
    (
        code::BSON_OBJECT_TOO_LARGE,
        "BSONObjectTooLarge",
        "a document is larger than the server stores",
    ),
    (
        code::DUPLICATE_KEY,
        "DuplicateKey",
        "two documents have the same key in a unique index",
    ),
    (
        code::GEO_2D_NOT_A_POINT,
        "",
        "a value cannot be indexed by a 2d index",
    ),
    (
        code::GEO_2D_OUT_OF_BOUNDS,
        "",
        "a value is outside the bounds of a 2d index",
    ),
    (
        code::GEO_2D_SINGLE_COORDINATE,
        "",
        "a value cannot be indexed by a 2d index",
    ),
    (
        code::AMBIGUOUS_PATH,
        "",
        "a number in the path of an index may be a place in an array or the name of a field",
    ),
    (
        code::GEO_2DSPHERE_KEYS_NOT_EXTRACTED,
        "",
        "a value cannot be indexed by a 2dsphere index",
    ),
    (
        code::HASHED_ARRAY,
        "",
        "an array cannot be indexed by a hashed index",
    ),
    (
        code::GEO_2D_MALFORMED,
        "",
        "a value cannot be indexed by a 2d index",
    ),
    (
        code::TEXT_LANGUAGE_NOT_A_STRING,
        "",
        "a text index does not take the document's language",
    ),
    (
        code::TEXT_LANGUAGE_NOT_SUPPORTED,
        "",
        "a text index does not take the document's language",
    ),
    (
        code::UPDATED_DOCUMENT_TOO_LARGE,
        "",
        "a document is larger than the server stores",
    ),
    (
        code::UPSERTED_DOCUMENT_TOO_LARGE,
        "",
        "a document is larger than the server stores",
    ),
    (
        code::INVALID_RESUME_TOKEN,
        "InvalidResumeToken",
        "the server does not read the change stream's position",
    ),
    (
        code::CHANGE_STREAM_FATAL_ERROR,
        "ChangeStreamFatalError",
        "the change stream cannot go on from its position",
    ),
];

pub(super) fn meaning(code: i32) -> Option<(&'static str, &'static str)> {
    let known = MEANINGS.iter().find(|(known, ..)| *known == code);
    known.map(|(_, name, meaning)| (*name, *meaning))
}
