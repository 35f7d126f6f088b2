//! The collection of a resume token. The change streams of servers before 6.0 have it nowhere else.
//!
//! The `_data` of a token is a KeyString in hex (server: `ResumeTokenData`, `key_string.cpp`). Its values, each after a byte
//! for its type: cluster time, version, kind of token, index in a transaction, whether it comes from an invalidation, and
//! the UUID of the collection, which tokens of no collection lack. Seen with 4.4.2, 5.0.4 and 5.0.32.

use super::raw;

/// Bytes of the cluster time, after its type.
const TIME: (u8, usize) = (0x82, 8);

/// Numbers between the cluster time and the boolean.
const NUMBERS: usize = 3;
const ZERO: u8 = 0x29;
/// Types of positive whole numbers, of one byte to eight bytes.
const POSITIVE: std::ops::RangeInclusive<u8> = 0x2b..=0x32;

const BOOLEANS: [u8; 2] = [0x6e, 0x6f];

/// A binary of 16 bytes and of the subtype of UUIDs.
const UUID: [u8; 3] = [0x5a, 16, 4];

/// The collection of the event whose `_id` is `token`; `None` for an event of a database, and for an unknown form.
pub fn collection_of(token: &[u8]) -> Option<[u8; 16]> {
    let data = raw::find(token, "_data").ok()??;
    let mut bytes = HexBytes(data.as_str()?.as_bytes());
    bytes.next().filter(|kind| *kind == TIME.0)?;
    bytes.skip(TIME.1)?;
    for _ in 0..NUMBERS {
        match bytes.next()? {
            ZERO => {}
            kind if POSITIVE.contains(&kind) => {
                bytes.skip(usize::from(kind - POSITIVE.start()) + 1)?
            }
            _ => return None,
        }
    }
    bytes.next().filter(|kind| BOOLEANS.contains(kind))?;
    for expected in UUID {
        bytes.next().filter(|byte| *byte == expected)?;
    }
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = bytes.next()?;
    }
    Some(uuid)
}

/// The bytes of a text of hexadecimal digits.
struct HexBytes<'t>(&'t [u8]);

impl HexBytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (pair, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(2 * bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn collection(data: &str) -> Option<[u8; 16]> {
        collection_of(rawdoc! { "_data": data }.as_bytes())
    }

    #[test]
    fn the_collection_is_read_from_tokens_of_events() {
        let uuid = Some([
            0x14, 0x71, 0x88, 0x20, 0x11, 0x90, 0x41, 0x66, 0x9a, 0x24, 0x06, 0x31, 0x53, 0xe3,
            0x5b, 0xbd,
        ]);
        for (data, expected) in [
            // An update, a rename, and the second statement of a transaction: 5.0.4.
            (
                "826B0B0AF1000000102B022C0100296E5A100414718820119041669A24063153E35BBD461E5F6964002B020004",
                uuid,
            ),
            (
                "826B0B0AF2000000092B022C0100296E5A100414718820119041669A24063153E35BBD04",
                uuid,
            ),
            (
                "826B0B0AF2000000092B022C01002B026E5A100414718820119041669A24063153E35BBD04",
                uuid,
            ),
            // A dropped database, and a position without an event.
            ("826B0B0AF5000000012B022C0100296E04", None),
            ("826B0B0AF10000000F2B0229296E04", None),
            ("826B0B0AF2000000092B022C0100296E5A1004147188", None),
            ("82", None),
            ("zz", None),
        ] {
            assert_eq!(collection(data), expected, "{data}");
        }
    }
}
