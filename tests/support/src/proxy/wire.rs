//! Messages of the wire protocol: framing, the parts of a request, and replies.

use std::io;

use anyhow::{Context, Result, ensure};
use bson::{Document, RawDocument, RawDocumentBuf};
use tokio::io::{AsyncRead, AsyncReadExt};

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

const HEADER: usize = 16;
/// Header, flags, cursor, start and number of documents.
const OP_REPLY_HEADER: usize = HEADER + 20;
/// The servers' own limit.
const LONGEST: usize = 48 * 1000 * 1000 + HEADER * 1024;

const CHECKSUM_PRESENT: u32 = 1;

/// A whole message, header included, as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Message(Vec<u8>);

/// A kind 1 section: `documents` of an insert, `updates`, `deletes`.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub name: String,
    pub documents: Vec<RawDocumentBuf>,
}

/// The contents of a request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) body: RawDocumentBuf,
    pub(super) sequences: Vec<Sequence>,
}

impl Message {
    /// The next message; `None` where the connection was closed.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        match from.read_exact(&mut length).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let total = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(HEADER..=LONGEST).contains(&total) {
            let what = format!("a message of {total} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let mut bytes = vec![0; total];
        let (head, rest) = bytes.split_at_mut(length.len());
        head.copy_from_slice(&length);
        from.read_exact(rest).await?;
        Ok(Some(Self(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn id(&self) -> i32 {
        self.number(4)
    }

    pub(super) fn response_to(&self) -> i32 {
        self.number(8)
    }

    fn op_code(&self) -> i32 {
        self.number(12)
    }

    /// A number of the header.
    fn number(&self, at: usize) -> i32 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().map_or(0, i32::from_le_bytes)
    }

    fn after(&self, at: usize) -> Result<&[u8]> {
        self.0.get(at..).context("a message that is cut short")
    }

    /// The parts of a request; `None` if it is neither OP_MSG nor OP_QUERY.
    pub(super) fn request(&self) -> Result<Option<Request>> {
        match self.op_code() {
            OP_MSG => self.op_msg().map(Some),
            OP_QUERY => self.op_query().map(Some),
            _ => Ok(None),
        }
    }

    fn op_msg(&self) -> Result<Request> {
        let (flags, mut rest) = take_u32(self.after(HEADER)?)?;
        if flags & CHECKSUM_PRESENT != 0 {
            rest = rest.split_last_chunk::<4>().context("a checksum")?.0;
        }
        let (mut body, mut sequences) = (None, Vec::new());
        while let Some((kind, section)) = rest.split_first() {
            if *kind == 0 {
                let (document, after) = take_document(section)?;
                body = Some(document.to_owned());
                rest = after;
            } else {
                let (sequence, after) = take_sequence(section)?;
                sequences.push(sequence);
                rest = after;
            }
        }
        Ok(Request {
            body: body.context("an OP_MSG without a body")?,
            sequences,
        })
    }

    /// The handshake of clients that do not know the server's version yet.
    fn op_query(&self) -> Result<Request> {
        let (_flags, rest) = take_u32(self.after(HEADER)?)?;
        let (_namespace, rest) = take_name(rest)?;
        let (_skip, rest) = take_u32(rest)?;
        let (_number, rest) = take_u32(rest)?;
        Ok(Request {
            body: take_document(rest)?.0.to_owned(),
            sequences: Vec::new(),
        })
    }

    /// The document of a reply, also of a legacy reply.
    pub(super) fn reply(&self) -> Result<RawDocumentBuf> {
        match self.op_code() {
            OP_MSG => Ok(self.op_msg()?.body),
            OP_REPLY => Ok(take_document(self.after(OP_REPLY_HEADER)?)?.0.to_owned()),
            other => anyhow::bail!("a reply with op code {other}"),
        }
    }

    /// This reply with another document. Flags stay, but for the checksum's.
    pub(super) fn with_reply(&self, document: &Document) -> Result<Self> {
        let mut bytes = match self.op_code() {
            OP_REPLY => self.0.get(..OP_REPLY_HEADER).context("a header")?.to_vec(),
            _ => {
                let (flags, _) = take_u32(self.after(HEADER)?)?;
                let mut bytes = self.0.get(..HEADER).context("a header")?.to_vec();
                bytes.extend((flags & !CHECKSUM_PRESENT).to_le_bytes());
                bytes.push(0);
                bytes
            }
        };
        bytes.extend(bson::serialize_to_vec(document)?);
        Self::of(bytes)
    }

    /// This request with another body, in a single section.
    pub(super) fn with_body(&self, document: &Document) -> Result<Self> {
        ensure!(self.op_code() == OP_MSG, "only an OP_MSG has a body");
        self.with_reply(document)
    }

    /// An answer of our own to a request of OP_MSG.
    pub(super) fn answer(&self, document: &Document) -> Result<Self> {
        let mut bytes = Vec::new();
        for number in [0, self.id(), self.id(), OP_MSG, 0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.push(0);
        bytes.extend(bson::serialize_to_vec(document)?);
        Self::of(bytes)
    }

    fn of(mut bytes: Vec<u8>) -> Result<Self> {
        let length = i32::try_from(bytes.len())?.to_le_bytes();
        let place = bytes.first_chunk_mut().context("a header")?;
        *place = length;
        Ok(Self(bytes))
    }
}

fn take_u32(bytes: &[u8]) -> Result<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().context("a number")?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn take_name(bytes: &[u8]) -> Result<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0).context("a name")?;
    let (name, rest) = bytes.split_at(end);
    let rest = rest.get(1..).context("a name's end")?;
    Ok((String::from_utf8_lossy(name).into_owned(), rest))
}

fn take_document(bytes: &[u8]) -> Result<(&RawDocument, &[u8])> {
    let (length, _) = take_u32(bytes)?;
    let (document, rest) = bytes
        .split_at_checked(usize::try_from(length)?)
        .context("a document that is cut short")?;
    let document = RawDocument::from_bytes(document).context("a malformed document")?;
    Ok((document, rest))
}

fn take_sequence(bytes: &[u8]) -> Result<(Sequence, &[u8])> {
    let (length, _) = take_u32(bytes)?;
    let (section, after) = bytes
        .split_at_checked(usize::try_from(length)?)
        .context("a section that is cut short")?;
    let (_, section) = take_u32(section)?;
    let (name, mut rest) = take_name(section)?;
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let (document, after) = take_document(rest)?;
        documents.push(document.to_owned());
        rest = after;
    }
    Ok((Sequence { name, documents }, after))
}
