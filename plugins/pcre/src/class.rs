//! Sets of characters, by range and by name.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// A set of characters.
pub(super) type CharSet = ClassUnicode;

pub(super) fn of_ranges(ranges: &[(char, char)]) -> CharSet {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|&(from, to)| ClassUnicodeRange::new(from, to)),
    )
}

pub(super) fn negated(mut set: CharSet) -> CharSet {
    set.negate();
    set
}

/// The set extended by all case variants of its characters.
pub(super) fn case_folded(mut set: CharSet) -> CharSet {
    // Fails only if the crate is built without its case tables, which it is not.
    let _ = set.try_case_fold_simple();
    set
}

/// The first of a character's case variants: a representative of all of them.
pub(super) fn folded(c: char) -> char {
    let letters = case_folded(of_ranges(&[(c, c)]));
    letters.iter().next().map_or(c, |range| range.start())
}

/// Whether the set holds every character.
pub(super) fn is_any(set: &CharSet) -> bool {
    negated(set.clone()).ranges().is_empty()
}

/// The letter of a set that holds a single letter, in one case or both; `None` for other sets.
pub(super) fn single(set: &CharSet) -> Option<char> {
    let letter = folded(set.ranges().first()?.start());
    let all = case_folded(of_ranges(&[(letter, letter)]));
    let mut others = set.clone();
    others.difference(&all);
    others.ranges().is_empty().then_some(letter)
}

/// `\d`, `\w`, `\s`, `\h`, `\v`, `\N` and their negations.
pub(super) fn of_escape(escape: char, ucp: bool) -> Option<CharSet> {
    let set = match escape.to_ascii_lowercase() {
        'd' if ucp => of_property("Nd")?,
        'w' if ucp => union(&[
            of_property("L")?,
            of_property("N")?,
            of_ranges(&[('_', '_')]),
        ]),
        's' if ucp => union(&[of_property("Z")?, horizontal_space(), vertical_space()]),
        'd' => of_ranges(&[('0', '9')]),
        'w' => of_ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        's' => of_ranges(&[('\t', '\r'), (' ', ' ')]),
        'h' => horizontal_space(),
        'v' => vertical_space(),
        'n' if escape == 'N' => return Some(negated(of_ranges(&[('\n', '\n')]))),
        _ => return None,
    };
    Some(if escape.is_ascii_uppercase() {
        negated(set)
    } else {
        set
    })
}

fn horizontal_space() -> CharSet {
    of_ranges(&[
        ('\t', '\t'),
        (' ', ' '),
        ('\u{a0}', '\u{a0}'),
        ('\u{1680}', '\u{1680}'),
        ('\u{180e}', '\u{180e}'),
        ('\u{2000}', '\u{200a}'),
        ('\u{202f}', '\u{202f}'),
        ('\u{205f}', '\u{205f}'),
        ('\u{3000}', '\u{3000}'),
    ])
}

pub(super) fn vertical_space() -> CharSet {
    of_ranges(&[('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')])
}

/// The class `[:name:]`. ASCII, as on the server without `(*UCP)`.
pub(super) fn of_posix(name: &str, ignore_case: bool) -> Option<CharSet> {
    const LETTERS: [(char, char); 2] = [('A', 'Z'), ('a', 'z')];
    Some(of_ranges(match name {
        "alpha" => &LETTERS,
        "upper" | "lower" if ignore_case => &LETTERS,
        "upper" => &[('A', 'Z')],
        "lower" => &[('a', 'z')],
        "digit" => &[('0', '9')],
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')],
        "print" => &[(' ', '~')],
        "graph" => &[('!', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "ascii" => &[('\0', '\u{7f}')],
        _ => return None,
    }))
}

/// The general categories, as written after `\p`. Scripts are excluded, because their characters depend on the
/// server's version.
const CATEGORIES: &[&str] = &[
    "Any", "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me",
    "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk",
    "Sm", "So", "Z", "Zl", "Zp", "Zs",
];

/// `\p{name}`: a general category.
pub(super) fn of_property(name: &str) -> Option<CharSet> {
    if name == "L&" {
        return Some(union(&[
            of_property("Lu")?,
            of_property("Ll")?,
            of_property("Lt")?,
        ]));
    }
    if !CATEGORIES.contains(&name) {
        return None;
    }
    // The crate has no names for the categories with a single character, or with none.
    match name {
        "Zl" => return Some(of_ranges(&[('\u{2028}', '\u{2028}')])),
        "Zp" => return Some(of_ranges(&[('\u{2029}', '\u{2029}')])),
        "Cs" => return Some(CharSet::empty()),
        _ => {}
    }
    let parsed = regex_syntax::Parser::new()
        .parse(&format!(r"\p{{{name}}}"))
        .ok()?;
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set),
        _ => None,
    }
}

fn union(sets: &[CharSet]) -> CharSet {
    let mut all = CharSet::empty();
    for set in sets {
        all.union(set);
    }
    all
}
