//! The namespace filter's own matcher compared with the server's: a name that only one of them matches would be
//! lost data. Both get the same names. A pattern that the server refuses has to be refused, and a pattern that the
//! matcher refuses by choice is listed here.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt;
use mongodb::{Collection, error::ErrorKind};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{Document, ReplicaSet, TestDir, doc, replica_set};
use tidegate::model::options::{ClusterName, NamespaceFilter, Regex};
use tidegate::model::{ErrorName, Namespace, Route, StartOptions};
use tidegate::plugin::{Registry, Router, WasiPolicy};

const SEED: u64 = 1_905;
const RANDOM_NAMES: usize = 300;
const RANDOM_PATTERNS: u64 = 600;

/// Reasons to refuse patterns that the server accepts: random patterns may be refused for them.
const REFUSED_SHAPES: &[&str] = &[
    "more than 12 million steps",
    "a reference from without",
    "a reference in a look-behind",
    "some servers",
];

/// The numbers of the names that a pattern takes, or why it is refused.
type Answer = Result<BTreeSet<i32>, String>;

/// Options that each written pattern is tried with.
const OPTIONS: &[&str] = &["", "ims", "x"];

/// Options that are none, and some given twice.
const BAD_OPTIONS: &[&str] = &["g", "I", "ii", "xx", "im s"];

/// The server takes these; the matcher refuses them by name.
#[rustfmt::skip]
const NOT_SUPPORTED: &[&str] = &[
    "a(?R)?b", "(a)(?1)", "(?<n>a)(?&n)(?P>n)", r"(a)\g<1>", "(a)?(?(1)b|c)", "(?|(a)|(b))\\1",
    "a(*SKIP)b", "(*ANYCRLF)a.b", "a(?C)b", r"a\Xb", r"\Ca", "(?J)(?<n>a)|(?<n>b)", "(?U)a+b",
    "(?X)a", "(?i--s)a", r"\y", r"\F\I\J\M\O\T\Y\i\j\m\q", r"(a)\81", r"[\g]", r"[\8]", r"a{65535}",
    r"(a|b\1)+", r"(?<n>a|b\k<n>)+", r"\p{Xan}\p{Xwd}\p{Xsp}\p{Xps}", r"[\R]", r"[\B]", r"[\Z]",
    r"[\y]", "\\c\n", r"\p{Greek}", r"\p{Han}", r"\p{Common}", r"\8", r"\9(a)",
    r"(?:\8|(a)(b)(c)(d)(e)(f)(g)(h))", "a\u{85}b", "a\u{200e}b", "a\u{2028}b", "(*ACCEPT)",
    "a+(?#c)?", "[[:<:]]*a", "(*UCP)[[:alpha:]]",
    // Their outcome could take too long to find, or depends on earlier matches.
    "(?=(a))?\\1", r"(?<=(b)|(ab))\2", r"(?<!(a)|b)\1", "(?=(a+))\\1b", "(?!(a))\\1b",
    "(?=(a)|b)\\1", "(?<=(a))\\1", r"^(?:(a)|(b))*\1\2", r"^(?>(a)|b)\1", r"(a+)(b+)\1\2",
    r"(a)(?<=(?=\1)b)",
    // The server's answers are caused by a fault of its PCRE.
    "(?=.*a)b", "(?=_).?_", "b+(?:a)?+b", "b+(?>c|(?:a)?)b", "^(a|ab)?+c", "(?=a)?+a",
    "^(?:|a|b){2,3}+b",
];

/// Every construct that the matcher knows, and text that only looks like a construct.
#[rustfmt::skip]
const PATTERNS: &[&str] = &[
    // Anchors.
    "", "a", "^a", "a$", "^a$", "^$", "$", "^", "a^b", "a$b", "b$\na", "\n^a", r"\Aa", r"a\z", r"a\Z",
    r"\Ga", r"a\Gb", r"a\n\Z", r"a\n\z", "(^a|b$)", "(?:^|_)a", "a(?:$|_)", r"\n$", "$\n", "^\n",
    "\n^", "^^a$$", "a|^", "(?m)^a", "(?m)a$", "^*a", "a$*", r"\b+a", r"\B?a", r"\A{2}a", r"a\Z?",
    r"\G*a", r"a\K+b", r"a\Kb",
    // Any character, line breaks, white space.
    "a.b", "^.$", "^.*$", "^.+$", r"^\N+$", r"a\Rb", r"\R", r"^\R\n$", r"a\R*b", r"\h", r"\v", r"\H",
    r"\V", r"^\h+$", r"a\vb", r"[\h\v]", r"[^\h\v]", r"[\H]", r"[\V]", r"[\N]", "(?s).b", "(?s:a.)b",
    "(?-s)a.b",
    // Named sets.
    r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"^\w+$", r"^\W+$", r"\d\D\w\W\s\S", r"^\d+$", r"\s$",
    r"[\d\s]", r"[^\d\s]", r"[\D]", r"[\W_]", r"[^\W_]", r"\ba", r"a\b", r"\Ba", r"a\B", r"\bé",
    r"é\b", r"\b\b", r"\B\B",
    // Classes.
    "[abc]", "[^abc]", "^[a-c]+$", "[^a-c]", "[]a]", "[^]a]", "[]", "[^]", "[]-a]", "[a-]", "[-a]",
    "[a-c-e]", "[a-a]", "[c-a]", "[a", "[", "[[]", "[[a]", "[a[b]", "a]", "[a]]", r"[\]]", r"[\-a]",
    r"[a\-z]", r"[\\]", r"[a-\d]", r"[\d-z]", r"[\d-]", r"[-\d]", r"[a-\h]", r"[\w-.]", r"[+--]",
    "[--a]", "[$-a]", "[!-~]", "[^!-~]", "[é-ı]", "[à-ž]", "[^é]", "[Σ]", "[ß-ÿ]", "[K]", "[ſ]",
    "[j-l]", "[r-t]", "[^k]", "[^s]", "[^σ]", "[日-本]", "[本-日]", "[^日]", "[İ]", "[ı]", "[H-J]",
    "[ \n]", r"[\n\t\r\e\f\a]", r"[\b]", r"[\x41-\x43]", r"[\x{e9}]", r"[\101-\103]", r"[\0-\x1f]",
    r"[\o{101}]", r"[\1]", r"[\12]", r"[\018]", r"[\cA]", r"[\ca-\cz]", r"[\Qa-c\E]", r"[\Qa\E-c]",
    r"[a\E-c]", r"[a-\Ec]", r"[a-\Qc\E]", r"[a\Q\E-c]", r"[a-\Q\Ec]", r"[a-\Q]\E]", r"[a-\E]",
    r"[\Qab\E-c-e]", r"[\Q]\E]", r"[\E^a]", r"[^\E]a]", r"[\Q\E]a]", r"[\Q^\Ea]", r"[a\Q",
    r"[\p{Lu}]", r"[^\p{Lu}]", r"[\P{L}]", r"[\pL-z]", "[a#b]", "[ a ]", "[a\\ b]", "[#]", "[a&&b]",
    "[a~~b]", "[a--b]",
    // POSIX classes.
    "[[:alpha:]]", "[[:^alpha:]]", "[^[:alpha:]]", "[[:upper:]]", "[[:lower:]]", "[[:^upper:]]",
    "[[:^lower:]]", "[[:digit:]]", "[[:alnum:]_]", "[[:word:]]", "[[:^word:]]", "[[:space:]]",
    "[[:blank:]]", "[[:cntrl:]]", "[[:punct:]]", "[[:print:]]", "[[:graph:]]", "[[:xdigit:]]",
    "[[:ascii:]]", "[[:^ascii:]]", "[[:^print:]]", "[[:upper:][:digit:]]", "[[:alpha:]-z]",
    "[[:alpha:]-]", "[a-[:digit:]]", "[[:nope:]]", "[[:foo-bar:]]", "[[:Alpha:]]", "[[.a.]]",
    "[[=a=]]", "[:alpha:]", "[:alpha:", "[[:alpha]", "[[:alpha:", "[[:a", "[a[:]", "[[:]", "[[::]]",
    "[.a.]", "[=a=]", "[:a]", "[[:<:]]a", "a[[:>:]]", "[[:<:]a]", "[^[:<:]]", "[:^alpha:]",
    r"[[:a\]:]]", "[[:alpha:]", "x[[:space:]]*y",
    // Escapes.
    r"\x41", r"\x{41}", r"\x{e9}", r"\x{65e5}", r"\xe9", r"\x4", r"\x", r"\x{}", r"\x{d800}",
    r"\x{110000}", r"\x{41", r"\x{4g}", r"\xg", r"\101", r"\0", r"\012", r"\08", r"\0101", r"\o{101}",
    r"\o{}", r"\o{9}", r"\o101", r"\o{351}", r"\377", r"\351", r"\777", r"\cA", r"\c", r"\cé", r"\c[",
    r"\ca\cJ", r"\a\e\f\n\r\t", r"\n", r"\_", r"\-", r"\.", r"\$", r"\^\*\+\?\(\)\[\]\{\}\|\\\/",
    r"\é", r"\日", r"\ ", "\\\n", "a\\", r"\l", r"\L", r"\u0041", r"\U", r"\N{U+41}", r"\N{2}",
    r"\N{2,}", r"\N{", r"\N{,2}", r"\E", r"a\E+", r"\Qa.b\E", r"\Q.", r"\Q\E", r"\Qab\E+", r"\Qa\\E",
    r"a\Q\E+", r"\Q$\E$", r"\Qé\E", r"(\Q)\E)", r"\Q|\E|b", r"a\Q*\E", r"\E*", r"a\E?b", r"\Q(?i)\E",
    // Properties.
    r"\p{L}", r"\pL", r"\PL", r"\P{L}", r"\p{^L}", r"\P{^L}", r"\p{Lu}", r"\p{Ll}", r"\p{Lt}",
    r"\p{Lo}", r"\p{Lm}", r"\p{L&}", r"\p{N}", r"\p{Nd}", r"\p{Z}", r"\p{Zs}", r"\p{S}", r"\p{Sc}",
    r"\p{P}", r"\p{Pc}", r"\p{Pd}", r"\p{Po}", r"\p{Cc}", r"\p{Zl}", r"\p{Zp}", r"\p{Cs}", r"\P{Cs}", r"\p{C}", r"\p{M}", r"\p{Any}",
    r"\p{greek}", r"\p{lu}", r"\p{LU}", r"\p{Letter}", r"\p{Uppercase}", r"\p{Uppercase_Letter}",
    r"\p{Alphabetic}", r"\p{ L}", r"\p{L }", r"\p{}", r"\p", r"\p{L", r"\p{Nope}", r"\p{sc=Greek}",
    r"\p{Script=Greek}", r"\pLu", r"\p{any}", r"\p{ASCII}", r"\p{Assigned}", r"\p{LC}", r"\pX",
    r"\p^L", r"\p{Is_L}", r"\p{IsL}",
    // Repeats.
    "a*", "a+b", "a?b", "^a{2}$", "^a{2,}$", "^a{1,2}$", "^a{0}$", "^a{0,1}$", "^a{,2}$", "a{", "a{1",
    "a{1,", "a{1,2", "a{x}", "a{1x}", "a{ 1}", "a{1, 2}", "a{2,1}", "a{65536}", r"a+\E?", r"a+\Q\E?",
    "a+#c\n?", "a{1}{2}", "a{0}{0}", "(?:^)*a", r"(?:\b)+a", "(?:(?i))*A", r"(?:\K)?a", "(?i)(?#c)*",
    "^{", r"\b{a", "$+", "a{99999999999}", "a{70000", "a{0,70000}", "{", "{1}", "{1", "*", "+a", "?",
    "a|*", "(*)", "(+a)", "(?:?)", "a**", "a*+", "a*?", "a+?", "a++", "a?+", "a??", "a{2}?", "a{2}+",
    "a{2}{2}", "a{1,2}{2}", "a+*", "a?*", "a???", "a*++", "a*??", "^a++a", "^a*+b", "^(?:ab)++a",
    "^(a|b)*+b", "^(a|ab){1,2}+b", "^(a|ab){2}+b", "^(a|ab)(c|bcd)$", "^(a*)*$",
    "^(a*)+$", "^(a?)*?b", "^(a|b|)+$", "^(|a)+$", "^(|a)++b", "^(a|){3}b",
    "^(?:a?b?)*$", "(?:)*a", "()+a", "(a{0}b)", "(a){0}b", "(?=a)*b", "(?=a){0}b", "(?!a)*b",
    "(?=a)+a", "(?!a){2}b", "^.{3}$", "^.{0,2}$", "^[ab]{2,3}?$",
    r"^\w{3}+$", r"^\w{2,}?_", "é+", "日{1}", "ß{1,2}", ".+?a$", "(?:.a)+", "a{0,0}b", "a{00001}",
    "a{2,2}", "^(?:a{0,2}b){2}$",
    // Groups and alternatives.
    "(a)", "(?:a)", "(a|b)", "a|b|", "|a", "a||b", "()", "(?:)", "(|)", "(a|)b", "(|a)b", "(", ")",
    "(a", "a)", "(a))", "((a)", "(?", "(?:", "(?a)", "(?z:a)", "(?>a)", "(?>a|ab)c", "(?>a+)a",
    "(?>a*)b", "^(?>.*)a", "(?>(a|b)+)a", "(?<n>a)", "(?'n'a)", "(?P<n>a)", "(?<n>a", "(?<>a)",
    "(?<1n>a)", "(?<n-m>a)", "(?<é>a)", "(?<_>a)", "(?<n1>a)", "(?<n>a)(?<n>b)", "(?<n>a)|(?<n>b)",
    "(?<abcdefghijklmnopqrstuvwxyzabcdef>a)", "(?<abcdefghijklmnopqrstuvwxyzabcdefg>a)", "(?P>n)",
    "(?Pa)", "(?<n'a)", "(?#c)a", "a(?#c)b", "a(?#c)+", "(?#", "(?#(a)b", r"a(?#\)b", "a(?#c)(?#d)b",
    "a(?# \n )b", "( ?:a)", "(? :a)", "(?: a)", "(?:a )", "a (b | c)", "(?=", "(?<=", "(?<",
    // Look-around.
    "(?=a)", "(?!a)", "^(?=a)", "^(?!a)", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?<=a|b)c",
    "(?<=a|ba)c", "(?<!a|bc)d", "(?<=(a|b))b", "(?<=(a|bc))d", "(?<=a+)b", "(?<=a*)b", "(?<=a{2})b",
    "(?<=a{1,2})b", "(?<=a{2,2})b", "(?<=^)a", r"(?<=\ba)b", "(?<=(?=a)a)b", "(?<=(?<=a)b)c",
    "(?<!^)a", "(?<=)a", "(?<!)a", "(?=)a", "(?!)a", r"(?<=\R)a", r"(?<=\X)a", r"(?<=\d)a",
    r"(?<=é)a", "(?<=日)本", "(?<=a.)b", "(?<=(?>ab))c", "(?<=(?i)a)b", r"(a)(?<=\1)b", "(?<=(ab){2})c",
    "(?<=(?:a|b){2})c", "(?<=a{0})b", "(?<=(a|bc){0})d", "(?<=a{2}+)b", "(?<=a{1}?)b", "(?<=a?)b",
    "(?<=(a|b)c|d)e", "(?<=a(b|cd))e", "(?<=a|)b", "(?<=(?:a|bc))d",
    "(?<=(?:a|b))b", "(?<=a+){0}b", "(?<=(?:a)|(?:bc))b", "(?<=(?=a|bc).)b", r"(?<=a\Kb)a",
    "(?<!|a)b",
    "^(?=.*a)(?=.*b)", "^(?!.*a)", "^(?:(?!ab).)*$", "(?=a|b)[bc]", "(?<=\\n)a", "(?<=$)\n",
    "(?=a\\Kb)a",
    "(?<=a|(_){0}b)c", "(?<=(?:a){0}b)c", "b+(?:a)*+b", "b+a?+b", "^(?=.*a)b", "x?(?=.*a)b", "(?=a).?b",
    // References.
    r"(a)\1", r"(a|b)\1", r"(.)\1", r"(.+)_\1", r"\1", r"\1(a)", r"(?:\1b|(a))+", r"(a)\2",
    r"(a)?\1b", r"(?:(a)|b)\1", r"(a)\g1", r"(a)\g{1}", r"(a)\g{-1}", r"(a)\g-1", r"(a)\g{-2}",
    r"(a)\g{+1}", r"(a)\g0", r"(a)\g{0}", r"(a)\g{-0}", r"(a)\g{01}", r"(a)\g", r"(a)\g{", r"(a)\g{}",
    r"(a)\g{ 1}", r"(?<n>a)\k<n>", r"(?<n>a)\k'n'", r"(?<n>a)\k{n}", r"(?<n>a)\g{n}",
    r"(?<n>a)(?P=n)", r"\k<n>(?<n>a)", r"\k<n>", r"(?<n>a)\k<m>", r"(?<n>a)\kn", r"(?<n>a)\k",
    r"(?<n>a)\k<n", r"(?<n>a)(?P=m)", r"(?<n>a)\g{1n}", r"(?<n>a)\k<1>", r"(.)\1*$", r"^(.)(.)\2\1$",
    r"(a)\10", r"(a)\11", r"(a)\18", r"(a)\08", r"(a)\377", r"(a)\400",
    r"\11(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", r"(a)(b)?(c)?(d)?(e)?(f)?(g)?(h)?(i)?(j)?\10",
    r"(a)\1{2}", r"(a)\1?b", r"(a)\1+", r"(?i)(é)\1", r"(?i)(k)\1", r"(?i)(s)\1", r"(?i)(σ)\1",
    r"(?i)(i)\1", r"(?i)(ß)\1", r"(a(?i)b)\1", r"(?i:(a))\1", r"(a)(?i)\1", r"(a)(?i:\1)",
    r"(.)(?i)\1", r"(?i)(.)_\1", r"()\1a", r"(a*)\1b", r"(a|(b))\2", r"((a)|b)+\2",
    r"(?=(a))b|\1", r"^\11|(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)",
    r"(a)(b)(c)(d)(e)(f)(g)(h)\8", r"\70000", r"(a)\2147483648", r"(a)\g{2147483648}",
    // Flags.
    "(?i)A", "a(?i)B", "(?i:A)b", "(?-i)A", "(?i-i)A", "(?-i:A)B", "(a(?i)B)C", "(?:a(?i)b|C)D",
    "(a(?i)|B)C", "(?i)a|B", "(?ims)A.b", "(?i-ms:A)", "(?)a", "(?:a(?))b", "(?-)a", "(?x) a b",
    "(?x)a #b\nc", "(?x:a b) c", "(?x)a(?-x) b", "(?xx)[a b]", "(?ii)A", "(?^)a", "(?^i:A)", "(?i",
    "(?i:", "(?i-", "(?n)a", "(?a)a", "(?i)(?-i)A", "(?i)+a", "a(?i)*", "(?i)(?s)A.", "((?i)A)B",
    "(?x)(?#c)a b",
    // Extended.
    "a b", "a #c", "a #c\nb", "a\\ b", "a\\#b", "a[ ]b", "a[#]b", "[a #b]c", " a ", "a +", "a + b",
    "a +?b", "a + ?", "a {2}", "a{ 2}", "a{2} ?", "#", "# c", "# (", "a#\nb", "a\tb", "a\u{b}b",
    "a\u{a0}b", "( a )", "(#c\na)", "a | b", "a\\Q #\\E", "\\Q \\Eb", "(?=a )b", "[^ ]", "\\x 41",
    "\\ x", "a #é\nb", "\\p {L}", "(?i) A", "(? i)A", "(?#c) +a", "a (?#c) +",
    // Case.
    "é", "É", "ß", "ẞ", "ss", "ſ", "s", "S", "k", "K", "K", "İ", "ı", "i", "I", "Σ", "σ", "ς", "ΣΑΣ",
    "日本", "Ω", "å", "Å", "µ", "μ", "ǆ", "ǅ", "straße", "[a-z]", "[A-Z]", "[^A-Z]", "[^a-z]",
    "^[k-s]+$", "^[^k-s]+$", r"\x{212a}", r"\x{17f}", r"[\x{212a}]", "[ς]", "[^ς]",
    // Verbs before a pattern.
    r"(*UTF8)é", r"(*UCP)\w", r"(*UCP)^\W+$", r"(*UCP)\d", r"(*UCP)\s", r"(*UCP)\bé",
    r"(*UTF8)(*UCP)é\b", r"(*UCP)[\w]", r"(*UCP)[^\w]", r"(*UCP)[\W]", r"a(*UCP)", r"(*UTF)a",
    r"(*NOPE)a", "(*)", "(*",
    // As operators write them.
    "^order", "_(tmp|bak)$", r"^(?!system\.)", r"^tenant_\d+\.", r"^[a-z]+(_[a-z]+)*$",
    r"^(?:orders|users)_20\d{2}(?:0[1-9]|1[0-2])$", ".*", "^.*_v[0-9]+$", r"^a.*\.b$",
    "(?i)^ORDERS?$", "^([a-z0-9]+_?)*$", ".*.*.*.*=.*", "^(a+)+$", "^(a|a)*$", "^((a*)*)*b",
    r"(.+).*\1", r"^\$", r"\.chunks$", r"^(?!.*_(?:tmp|bak)$).*$",
];

/// Letters of the names, and of the random patterns.
#[rustfmt::skip]
const LETTERS: &[&str] = &[
    "a", "b", "c", "A", "B", "1", "2", "_", "-", ".", "$", " ", "\n", "\r", "\t", "é", "É", "ß", "ẞ",
    "s", "S", "ſ", "k", "K", "\u{212a}", "i", "I", "İ", "ı", "Σ", "σ", "ς", "日", "本", "\u{a0}",
    "٣", "ǅ",
];

/// Names with a meaning for some pattern, in addition to the random names.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "", "a", "b", "ab", "abc", "A", "B", "\n", "a\n", "a\nb", "\na", "a\n\n", "a\r\nb", "\r\n\n",
    "orders", "ORDERS", "orders_tmp", "orders_20250", "users_202512", "tenant_7.x", "system.views",
    "fs.chunks", "a.b", "a_v2", "a b", "a #c", "aa", "aaa", "aaaa", "aab", "aba", "abab", "abb", "bb",
    "a{,2}", "a{", "a{1", "a]", "[:alpha:]", "a\\", "\\", "\\n", "{", "{1", "}", "x41", "x{}",
    "\u{1}", "\u{1b}\u{7}\u{c}", "\u{8}", "AB", "kK\u{212a}", "sSſ", "σς", "ß", "ẞ", "straße",
    "STRASSE", "Straẞe", "éÉ", "iİıI", "日本", "日本日本", "ǆ", "Å", "å", "Å", "µ", "μ", "Ω", "Ω", "a&&b",
    "a~~b", "a--b", "8", "9", "a8", "a\u{8}", "\t", "\u{b}", "\u{c}", "ÿ", "Aÿ", "ı", "\u{100}",
    "\u{300}", "€", "½", "ª", "ʰ", "\u{200e}", "\u{7f}", "!", "#", "^$", "|b", "(?i)", "*", "a*",
    "ab+", "-", "^", "²", "\u{378}", "\u{e000}", "\u{1f600}", "a\u{85}b", "a\u{a0}b",
    "\u{85}", "\u{2028}", "a\u{2028}b", "\u{2029}", "customerordersarchive2024-01", "customer=orders",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
];

fn names(random: &mut StdRng) -> Vec<String> {
    let written = NAMES.iter().map(|name| (*name).to_owned());
    let drawn = (0..RANDOM_NAMES).map(|_| {
        let count = random.random_range(1..9);
        // Few letters make repeats, many make variety.
        let few = random.random();
        let some = LETTERS
            .get(..if few { 5 } else { LETTERS.len() })
            .unwrap_or(LETTERS);
        (0..count)
            .filter_map(|_| some.choose(random).copied())
            .collect()
    });
    written.chain(drawn).collect()
}

/// Draws patterns from a small grammar.
struct Grammar<'a> {
    random: &'a mut StdRng,
    /// Groups that are closed, to which a reference may point.
    closed: Vec<usize>,
    opened: usize,
}

impl Grammar<'_> {
    fn pattern(random: &mut StdRng) -> String {
        let mut grammar = Grammar {
            random,
            closed: Vec::new(),
            opened: 0,
        };
        grammar.alternatives(3)
    }

    fn pick(&mut self, choices: &[&str]) -> String {
        choices
            .choose(self.random)
            .copied()
            .unwrap_or_default()
            .to_owned()
    }

    fn alternatives(&mut self, depth: u32) -> String {
        let count = if self.random.random_ratio(1, 4) { 2 } else { 1 };
        let branches: Vec<String> = (0..count).map(|_| self.sequence(depth)).collect();
        branches.join("|")
    }

    fn sequence(&mut self, depth: u32) -> String {
        (0..self.random.random_range(0..4))
            .map(|_| self.repeated(depth))
            .collect()
    }

    fn repeated(&mut self, depth: u32) -> String {
        let atom = self.atom(depth);
        let repeat = match self.random.random_range(0..3) {
            0 => {
                self.pick(&["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{0}", "{2,}", "{1}"])
                    + &self.pick(&["", "", "?", "+"])
            }
            _ => String::new(),
        };
        atom + &repeat
    }

    fn atom(&mut self, depth: u32) -> String {
        match self.random.random_range(0..14) {
            0..4 => {
                let letter = self.pick(LETTERS);
                if matches!(letter.as_str(), "$" | ".") {
                    format!("\\{letter}")
                } else {
                    letter
                }
            }
            4 => self.pick(&[
                ".", r"\d", r"\w", r"\s", r"\W", r"\S", r"\R", r"\N", r"\h", r"\V", r"\pL",
                r"\P{Lu}", r"\x{e9}",
            ]),
            5 => self.pick(&[
                "^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", "(?i)", "(?-i)", "(?s)", "(?m)",
            ]),
            6 | 7 => self.class(),
            8 if !self.closed.is_empty() => {
                let group = self.closed.choose(self.random).copied().unwrap_or(1);
                format!("\\g{{{group}}}")
            }
            _ if depth == 0 => self.pick(LETTERS).replace(['$', '.'], "a"),
            8 | 9 => {
                self.opened += 1;
                let group = self.opened;
                let inner = self.alternatives(depth - 1);
                self.closed.push(group);
                format!("({inner})")
            }
            10 | 11 => {
                let head = self.pick(&["(?:", "(?:", "(?i:", "(?>", "(?=", "(?!", "(?s-m:"]);
                format!("{head}{})", self.alternatives(depth - 1))
            }
            12 => format!("{}{})", self.pick(&["(?<=", "(?<!"]), self.sequence(0)),
            _ => self.pick(&["a", "b", "ab", "|", "#", " "]),
        }
    }

    fn class(&mut self) -> String {
        let members: String = (0..self.random.random_range(1..4))
            .map(|_| self.member())
            .collect();
        format!("[{}{members}]", self.pick(&["", "", "^"]))
    }

    fn member(&mut self) -> String {
        match self.random.random_range(0..6) {
            0 => self.pick(&[
                r"\d",
                r"\w",
                r"\s",
                r"\S",
                r"\h",
                "[:alpha:]",
                "[:^upper:]",
                "[:punct:]",
                r"\p{Ll}",
                r"\x41",
            ]),
            1 => self.pick(&[
                "a-c", "A-Z", "k-s", "é-ſ", "I-K", "à-ž", "1-2", "日-本", "σ-ω", "\n-\r",
            ]),
            2 => self.pick(&["-", "]", "\\]", "\\b", "$", "."]),
            _ => self.pick(LETTERS).replace('-', "_"),
        }
    }
}

/// The server's answer; where it refuses, in no words.
async fn server(collection: &Collection<Document>, pattern: &str, options: &str) -> Result<Answer> {
    let filter = doc! { "n": { "$regex": pattern, "$options": options } };
    let found = collection.find(filter).projection(doc! { "_id": 1 });
    let cursor = match found.await {
        Ok(cursor) => cursor,
        Err(error) if is_refusal(&error) => return Ok(Err(String::new())),
        Err(error) => return Err(error).with_context(|| format!("/{pattern:?}/{options}")),
    };
    let found: Vec<Document> = cursor.try_collect().await?;
    let numbers = found.iter().map(|document| document.get_i32("_id"));
    Ok(Ok(numbers.collect::<Result<_, _>>()?))
}

/// True when the server says that a pattern or its options do not compile.
fn is_refusal(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => [51091, 51108].contains(&command.code),
        _ => false,
    }
}

/// The component's answer.
fn component(
    registry: &Registry,
    names: &[String],
    pattern: &str,
    options: &str,
) -> Result<Answer> {
    let regex = Regex {
        pattern: pattern.to_owned(),
        options: options.to_owned(),
    };
    let filter = NamespaceFilter {
        database: Some("db".to_owned()),
        collections_regex: Some(regex),
        ..NamespaceFilter::default()
    };
    let options = StartOptions {
        include_namespaces: vec![filter],
        ..StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1)
    };
    let router = match Router::new(registry, &options, &registry.pins(&options)?) {
        Ok(router) => router,
        Err(error) if error.name == ErrorName::InvalidRegex => return Ok(Err(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let mut taken = BTreeSet::new();
    for (number, name) in (0..).zip(names) {
        if router.route(&Namespace::new("db", name))? == Route::Keep {
            taken.insert(number);
        }
    }
    Ok(Ok(taken))
}

/// The questions: each written pattern with each set of options, then random patterns.
fn questions(random: &mut StdRng, random_patterns: u64) -> Vec<(String, String)> {
    let written = PATTERNS.iter().chain(NOT_SUPPORTED).flat_map(|pattern| {
        OPTIONS
            .iter()
            .map(|options| ((*pattern).to_owned(), (*options).to_owned()))
    });
    let mut questions: Vec<_> = written.collect();
    questions.extend(
        BAD_OPTIONS
            .iter()
            .map(|options| ("a".to_owned(), (*options).to_owned())),
    );
    for _ in 0..random_patterns {
        let options = "imsx".chars().filter(|_| random.random()).collect();
        questions.push((Grammar::pattern(random), options));
    }
    questions
}

/// The fault in our answer.
fn difference(
    names: &[String],
    (pattern, options): &(String, String),
    server: &Answer,
    ours: &Answer,
) -> Option<String> {
    let by_choice = |reason: &str| {
        NOT_SUPPORTED.contains(&pattern.as_str())
            || !PATTERNS.contains(&pattern.as_str())
                && REFUSED_SHAPES.iter().any(|known| reason.contains(known))
    };
    let what = match (server, ours) {
        (Ok(_), Err(reason)) if !by_choice(reason) => {
            format!("the server takes it, and we do not: {reason}")
        }
        (Err(_), Ok(_)) => "the server refuses it, and we do not".to_owned(),
        (Ok(server), Ok(ours)) => {
            let number = *server.symmetric_difference(ours).next()?;
            let name = names.get(usize::try_from(number).ok()?)?;
            format!("the server says {} for {name:?}", server.contains(&number))
        }
        _ => return None,
    };
    Some(format!("/{pattern:?}/{options}: {what}"))
}

/// A size of the run, from the environment where it is given there.
fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(otherwise),
    }
}

#[tokio::test]
async fn patterns_match_as_the_server_does() -> Result<()> {
    let seed = number("TIDEGATE_SEED", SEED)?;
    let mut random = StdRng::seed_from_u64(seed);
    let directory = TestDir::new()?;
    let path = directory.path().join("source");
    let set = ReplicaSet::start("source", path, replica_set::Options::default()).await?;
    let names = Arc::new(names(&mut random));
    let collection = set.db("regex").collection::<Document>("names");
    let documents = (0_i32..).zip(names.iter());
    let documents = documents.map(|(number, name)| doc! { "_id": number, "n": name });
    collection.insert_many(documents).await?;

    let count = number("TIDEGATE_PATTERNS", RANDOM_PATTERNS)?;
    let asked = Arc::new(questions(&mut random, count));
    let ours = {
        let (names, asked) = (names.clone(), asked.clone());
        tokio::task::spawn_blocking(move || component_answers(&names, &asked))
    };
    let mut theirs = Vec::new();
    for (pattern, options) in asked.iter() {
        theirs.push(server(&collection, pattern, options).await?);
    }
    check(&names, &asked, &theirs, &ours.await??).with_context(|| format!("seed {seed}"))?;
    drop(set);
    directory.remove();
    Ok(())
}

fn component_answers(names: &[String], asked: &[(String, String)]) -> Result<Vec<Answer>> {
    let registry = Registry::load(None, WasiPolicy::Refuse)?;
    let answer = |(pattern, options): &(String, String)| {
        component(&registry, names, pattern, options)
            .with_context(|| format!("/{pattern:?}/{options}"))
    };
    asked.iter().map(answer).collect()
}

fn check(
    names: &[String],
    asked: &[(String, String)],
    theirs: &[Answer],
    ours: &[Answer],
) -> Result<()> {
    let mut differences = Vec::new();
    let mut unused: BTreeSet<&str> = NOT_SUPPORTED.iter().copied().collect();
    for ((asked, theirs), ours) in asked.iter().zip(theirs).zip(ours) {
        differences.extend(difference(names, asked, theirs, ours));
        if theirs.is_ok() && ours.is_err() {
            unused.remove(asked.0.as_str());
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    ensure!(
        unused.is_empty(),
        "supported now, or refused by the server, too: {unused:?}"
    );
    Ok(())
}
