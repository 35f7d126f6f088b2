//! Reads a Rust file as items of tokens, without the parts that do not affect the program.

use std::collections::BTreeSet;
use std::iter::Peekable;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream::IntoIter};

/// A source file.
#[derive(Default)]
pub(super) struct Module {
    pub(super) items: Vec<Item>,
    /// The modules that it declares, each in a file of its own.
    pub(super) modules: Vec<Declaration>,
    /// The names in its imports, re-exports excluded.
    imported: BTreeSet<String>,
}

/// `mod name;`
pub(super) struct Declaration {
    pub(super) name: String,
    pub(super) is_public: bool,
}

/// A function, a type, a constant or an implementation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The tokens, with a placeholder for each name that may be renamed.
    pub(super) shape: String,
    /// The names, in order.
    pub(super) names: Vec<Name>,
}

/// A name at its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) role: Role,
}

/// The role of a name, by the surrounding tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The definition of a function, a type, a constant or a variant.
    Definition,
    /// A use of an item that may be defined elsewhere: a call, a member, a type, a part of a path, or a macro.
    Use,
    /// A name before a colon: a field or a parameter.
    Field,
    /// A variable or a lifetime.
    Local,
}

impl Module {
    /// All names in the file.
    pub(super) fn mentioned(&self) -> BTreeSet<String> {
        let names = self.items.iter().flat_map(|item| &item.names);
        let names = names.map(|name| name.text.clone());
        names.chain(self.imported.iter().cloned()).collect()
    }
}

/// Reads a file of a component.
pub(super) fn read(text: &str, component: &str) -> Result<Module, String> {
    let text = text.replace("env!(\"CARGO_PKG_NAME\")", &format!("\"{component}\""));
    let tokens: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
    let mut module = Module::default();
    module.take(tokens);
    Ok(module)
}

impl Module {
    fn take(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while tokens.peek().is_some() {
            let mut item = Vec::new();
            let is_test = attributes(&mut tokens, &mut item);
            let is_public = visibility(&mut tokens);
            let kind = kind(&mut tokens, &mut item);
            rest(&mut tokens, &mut item, &kind);
            if !is_test {
                self.add(&kind, is_public, item);
            }
        }
    }

    fn add(&mut self, kind: &str, is_public: bool, item: Vec<TokenTree>) {
        match (kind, item.last()) {
            ("use", _) if is_public => {}
            ("use", _) => collect_names(item.into_iter().collect(), &mut self.imported),
            ("mod", Some(TokenTree::Punct(_))) => {
                let name = item.iter().rev().nth(1).map(ToString::to_string);
                let name = name.unwrap_or_default();
                self.modules.push(Declaration { name, is_public });
            }
            ("mod", Some(TokenTree::Group(group))) => self.take(group.stream()),
            (_, None) => {}
            _ => self.items.push(Item::new(kind, item)),
        }
    }
}

type Tokens = Peekable<IntoIter>;

/// Consumes attributes, and keeps those that affect the program. Returns whether the item is for tests.
fn attributes(tokens: &mut Tokens, item: &mut Vec<TokenTree>) -> bool {
    let mut is_test = false;
    while let Some(TokenTree::Punct(mark)) = tokens.peek()
        && mark.as_char() == '#'
    {
        let mark = tokens.next();
        let inner = tokens.next_if(|token| is_punct(token, '!'));
        let Some(TokenTree::Group(group)) = tokens.next() else {
            break;
        };
        let text = group.stream().to_string();
        is_test |= text.replace(' ', "") == "cfg(test)";
        if !is_idle(&group) {
            item.extend(mark.into_iter().chain(inner));
            item.push(TokenTree::Group(group));
        }
    }
    is_test
}

/// Whether an attribute is documentation or concerns lints.
fn is_idle(attribute: &Group) -> bool {
    const IDLE: [&str; 6] = ["doc", "expect", "allow", "warn", "must_use", "rustfmt"];
    let first = attribute.stream().into_iter().next();
    first.is_some_and(|first| IDLE.contains(&&*first.to_string()))
}

/// Consumes `pub` (returns true) or `pub(…)`.
fn visibility(tokens: &mut Tokens) -> bool {
    if tokens.next_if(|token| token.to_string() == "pub").is_none() {
        return false;
    }
    let limit = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis);
    tokens.next_if(limit).is_none()
}

/// Consumes the keywords up to the kind of the item.
fn kind(tokens: &mut Tokens, item: &mut Vec<TokenTree>) -> String {
    let mut kind = String::new();
    while let Some(TokenTree::Ident(word)) = tokens.peek() {
        let word = word.to_string();
        item.extend(tokens.next());
        let goes_on = matches!(&*word, "unsafe" | "async" | "extern" | "default")
            || word == "const" && tokens.peek().is_some_and(|next| next.to_string() == "fn");
        kind = word;
        if !goes_on {
            break;
        }
    }
    kind
}

/// Consumes the rest of an item, up to its semicolon or the end of its block.
fn rest(tokens: &mut Tokens, item: &mut Vec<TokenTree>, kind: &str) {
    let ends_with_semicolon = matches!(kind, "use" | "const" | "static" | "type");
    for token in tokens.by_ref() {
        let is_block =
            matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        let is_end = is_punct(&token, ';') || is_block && !ends_with_semicolon;
        item.push(token);
        if is_end {
            break;
        }
    }
}

fn collect_names(tokens: TokenStream, names: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                names.insert(name.to_string());
            }
            TokenTree::Group(group) => collect_names(group.stream(), names),
            _ => {}
        }
    }
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

impl Item {
    fn new(kind: &str, tokens: Vec<TokenTree>) -> Self {
        let mut item = Self {
            shape: String::new(),
            names: Vec::new(),
        };
        let mut words = BTreeSet::new();
        let attributes = tokens
            .iter()
            .take_while(|token| !matches!(token, TokenTree::Ident(_)));
        collect_names(attributes.cloned().collect(), &mut words);
        item.append(tokens, kind == "enum");
        // Names read from a configuration belong to operators, and errors show them.
        if words.contains("Deserialize") {
            let names = item.names.iter().map(|name| &*name.text);
            item.shape.push_str(&names.collect::<Vec<_>>().join(" "));
        }
        item
    }

    /// Appends tokens. In the block of an enum, the first name of each part is a definition.
    fn append(&mut self, tokens: Vec<TokenTree>, is_enum: bool) {
        let tokens = without_idle(tokens);
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| tokens.get(at));
            match token {
                TokenTree::Group(group) => self.append_group(group, is_enum, before),
                TokenTree::Ident(name) if !is_keyword(&name.to_string()) => {
                    self.shape.push_str("_ ");
                    let text = name.to_string();
                    let before = tokens.get(..at).unwrap_or_default();
                    let role = role(&text, before, tokens.get(at + 1..).unwrap_or_default());
                    self.names.push(Name { text, role });
                }
                token => {
                    self.shape.push_str(&token.to_string());
                    self.shape.push(' ');
                }
            }
        }
    }

    fn append_group(&mut self, group: &Group, is_enum: bool, before: Option<&TokenTree>) {
        let mut inner: Vec<_> = group.stream().into_iter().collect();
        // A trailing comma is layout, and so are the braces around the body of a match arm.
        if inner.last().is_some_and(|last| is_punct(last, ',')) {
            inner.pop();
        }
        let is_arm = group.delimiter() == Delimiter::Brace
            && before.is_some_and(|before| is_punct(before, '>'));
        let (open, close) = match group.delimiter() {
            _ if is_arm => ("", ", "),
            Delimiter::Parenthesis => ("( ", ") "),
            Delimiter::Brace => ("{ ", "} "),
            Delimiter::Bracket => ("[ ", "] "),
            Delimiter::None => ("", ""),
        };
        let is_variants = is_enum && group.delimiter() == Delimiter::Brace;
        let first = self.names.len();
        self.shape.push_str(open);
        self.append(inner.clone(), false);
        while self.shape.ends_with(", ") {
            self.shape.truncate(self.shape.len() - 2);
        }
        self.shape.push_str(close);
        if is_variants {
            self.define_variants(&inner, first);
        }
    }

    /// Marks the names of an enum's variants, among the names from `first` on, as definitions.
    fn define_variants(&mut self, block: &[TokenTree], first: usize) {
        let mut is_start = true;
        let mut variants = BTreeSet::new();
        for token in block {
            match token {
                TokenTree::Ident(name) if is_start => {
                    variants.insert(name.to_string());
                    is_start = false;
                }
                token => is_start |= is_punct(token, ','),
            }
        }
        for name in self.names.iter_mut().skip(first) {
            if variants.contains(&name.text) {
                name.role = Role::Definition;
            }
        }
    }
}

/// Tokens without visibility and without attributes that do not affect the program.
fn without_idle(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens: Tokens = TokenStream::from_iter(tokens).into_iter().peekable();
    while tokens.peek().is_some() {
        attributes(&mut tokens, &mut kept);
        visibility(&mut tokens);
        let Some(token) = tokens.next() else { break };
        let is_comma = is_punct(&token, ',');
        let is_after_arm = kept.last().is_some_and(
            |last| matches!(last, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace),
        );
        // A comma after `=> { … }` is optional.
        if !(is_comma && is_after_arm) {
            kept.push(token);
        }
    }
    kept
}

fn role(name: &str, before: &[TokenTree], after: &[TokenTree]) -> Role {
    const DEFINES: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "const", "static"];
    let is_path = |token: Option<&TokenTree>, next: Option<&TokenTree>| {
        token.is_some_and(|token| is_punct(token, ':'))
            && next.is_some_and(|next| is_punct(next, ':'))
    };
    let next = after.first();
    let is_after_path = match before {
        [.., first, second] => is_path(Some(first), Some(second)),
        _ => false,
    };
    let before = before.last();
    let keyword = before.map(ToString::to_string).unwrap_or_default();
    let is_after = |mark| before.is_some_and(|before| is_punct(before, mark));
    if DEFINES.contains(&&*keyword) {
        Role::Definition
    } else if is_after('\'') {
        Role::Local
    } else if name.starts_with(|first: char| first.is_ascii_uppercase())
        || is_path(next, after.get(1))
        || is_after('.')
        || is_after_path
    {
        Role::Use
    } else if next.is_some_and(|next| is_punct(next, ':')) {
        Role::Field
    } else if next.is_some_and(is_opening) {
        Role::Use
    } else {
        Role::Local
    }
}

/// Whether a name before this token is called, constructed, or a macro.
fn is_opening(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => {
            matches!(group.delimiter(), Delimiter::Parenthesis | Delimiter::Brace)
        }
        token => is_punct(token, '!') || is_punct(token, '<'),
    }
}

fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 34] = [
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
        "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move",
        "mut", "pub", "ref", "return", "self", "Self", "static", "struct", "super", "trait",
        "true", "type",
    ];
    KEYWORDS.contains(&word) || ["unsafe", "use", "where", "while", "_"].contains(&word)
}
