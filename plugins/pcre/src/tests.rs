//! Patterns and texts, with PCRE's answers.

use super::Regex;

/// Pattern, options, texts that match, texts that do not.
type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

fn check(cases: &[Case]) {
    for (pattern, options, matching, others) in cases {
        let regex = Regex::new(pattern, options).unwrap_or_else(|e| panic!("/{pattern}/: {e}"));
        for text in *matching {
            assert_eq!(
                regex.is_match(text),
                Ok(true),
                "/{pattern}/{options} on {text:?}"
            );
        }
        for text in *others {
            assert_eq!(
                regex.is_match(text),
                Ok(false),
                "/{pattern}/{options} not on {text:?}"
            );
        }
    }
}

#[test]
fn anchors_and_newlines() {
    check(&[
        ("bc", "", &["abcd", "bc"], &["b", "cb", ""]),
        ("", "", &["", "a"], &[]),
        ("^a", "", &["ab"], &["ba", "b\na"]),
        ("^a", "m", &["ab", "b\na"], &["ba"]),
        ("^$", "m", &["", "\na", "a\n\nb"], &["a\n", "a"]),
        ("a$", "", &["a", "ba", "a\n"], &["ab", "a\nb", "a\n\n"]),
        ("a$", "m", &["a", "a\nb", "a\n\n"], &["ab"]),
        (r"a\z", "m", &["ba"], &["a\n", "a\nb"]),
        (r"a\Z", "m", &["ba", "a\n"], &["a\nb"]),
        (r"\Aa", "m", &["ab"], &["b\na"]),
        ("a.b", "", &["a.b", "axb", "aéb"], &["a\nb", "ab"]),
        ("a.b", "s", &["a\nb"], &["ab"]),
        (r"a\Nb", "s", &["axb"], &["a\nb"]),
        (
            r"^a\Rb$",
            "",
            &["a\nb", "a\r\nb", "a\u{2028}b"],
            &["a\n\rb", "ab"],
        ),
        (r"a\Kb", "", &["ab"], &["b"]),
    ]);
}

#[test]
fn classes_are_ascii_as_on_the_server() {
    check(&[
        (r"^\w+$", "", &["aZ_9"], &["é", "a-b", "٣"]),
        (r"^\W$", "", &["é", "-"], &["a"]),
        (r"^\d$", "", &["5"], &["٣", "a"]),
        (r"^\s$", "", &[" ", "\t", "\u{b}"], &["\u{a0}", "a"]),
        (r"^\h\v$", "", &["\u{a0}\n"], &["\n\u{a0}"]),
        (r"\byster", "", &["Öyster", "an yster"], &["oyster"]),
        (r"(*UCP)\byster", "", &["an yster"], &["Öyster"]),
        (r"(*UTF8)(*UCP)^\w\d\s$", "", &["é٣\u{a0}"], &["-1 "]),
        (r"a\B", "", &["ab"], &["a", "a-"]),
        ("^[[:alpha:]_-]+$", "", &["a-Z_"], &["a1", "é"]),
        ("^[[:^digit:]]$", "", &["a", "é"], &["1"]),
        ("^[[:upper:]]$", "i", &["a", "A"], &["1"]),
        ("^[]a]$", "", &["]", "a"], &["b"]),
        ("^[^]a]$", "", &["b", "é"], &["]", "a"]),
        (r"^[\d-z]$", "", &["5", "-", "z"], &["e"]),
        ("^[a-]$", "", &["a", "-"], &["b"]),
        ("^[a-c-e]$", "", &["b", "-", "e"], &["d"]),
        (
            r"^[\b\n\x41\101\\]$",
            "",
            &["\u{8}", "\n", "A", "\\"],
            &["b"],
        ),
        ("^[[]$", "", &["["], &["]"]),
        (r"^[\Qa]\E]$", "", &["a", "]"], &["Q", "\\"]),
        (r"^[^\W_]$", "", &["a", "1"], &["_", "-"]),
        (r"^[\Qa\E-c]$", "", &["b"], &["-"]),
        (r"^[a\E-c]$", "", &["b"], &["-"]),
        (r"^[a\Q-c\E]$", "", &["a", "-", "c"], &["b"]),
        (r"^[\E^a]$", "", &["b", "^"], &["a"]),
        ("^[[:alpha]$", "", &[":", "["], &["b"]),
        ("[[:<:]]ab[[:>:]]", "", &["ab", "-ab."], &["abb", "aab"]),
        (r"^\p{Ll}\pL\P{L}\p{^Lu}$", "", &["αé1a"], &["Aé1a", "αé1A"]),
    ]);
}

#[test]
fn case() {
    check(&[
        ("straße", "i", &["STRAßE", "Straße"], &["STRASSE"]),
        ("Ä", "i", &["ä", "Ä"], &["a"]),
        ("[a-c]Ω", "i", &["Bω"], &["dω"]),
        ("^[^a]$", "i", &["b"], &["a", "A"]),
        ("a(?i)b", "", &["ab", "aB"], &["Ab", "AB"]),
        ("a(?i:b)c", "", &["aBc"], &["aBC"]),
        ("(a(?i)b)c", "", &["aBc"], &["aBC"]),
        ("(?:a(?i)b|c)d", "", &["aBd", "Cd"], &["CD"]),
        ("(?i)a(?-i)b", "", &["Ab"], &["AB"]),
        ("(?ms)^b.", "", &["a\nb\n"], &["ab\n"]),
        (r"^(a)\1$", "i", &["aA"], &["ab"]),
        (r"^(.)\1$", "i", &["iI", "Kk", "σς"], &["iı", "iİ", "ssß"]),
    ]);
}

#[test]
fn extended() {
    check(&[
        ("a b # comment\n c", "x", &["abc"], &["a b c"]),
        (r"a\ b[ ]c", "x", &["a b c"], &["abc"]),
        (r"a \Q b#\E +", "x", &["a b#", "a b##"], &["ab"]),
        ("a +", "x", &["aa"], &["b"]),
        ("^a + +a", "x", &[], &["aaa"]),
        ("^a + #\n ?$", "x", &["aa"], &[""]),
        ("(?x) a b (?-x) c", "", &["ab c"], &["abc"]),
        ("a(?# not\nthis)b", "", &["ab"], &["a"]),
        ("a #b", "", &["a #b"], &["a"]),
    ]);
}

#[test]
fn repeats() {
    check(&[
        ("^a{2,3}$", "", &["aa", "aaa"], &["a", "aaaa"]),
        ("^a{2}$", "", &["aa"], &["a", "aaa"]),
        ("^a{2,}b{0}$", "", &["aaaaa"], &["a", "aab"]),
        ("^a{,2}$", "", &["a{,2}"], &["a"]),
        ("^a{x}{$", "", &["a{x}{"], &["a"]),
        ("^a{70000$", "", &["a{70000"], &["a"]),
        (r"^(?:\b)+a", "", &["a"], &["b"]),
        ("^(ab?c|d)*$", "", &["", "abcacd"], &["ab"]),
        ("^(a*)*$", "", &["", "aaa"], &["b"]),
        ("^(a?){3}b$", "", &["b", "aab"], &["aaaab"]),
        ("^(?:a|ab)(?:c|bcd)(?:d*)$", "", &["abcd", "acd"], &["abd"]),
        ("^a+?b??c*?$", "", &["aabcc"], &["b"]),
        ("^a++a", "", &[], &["aaa"]),
        ("^a*+b$", "", &["aab"], &["aac"]),
        ("^(?>a|ab)c", "", &["ac"], &["abc"]),
        ("^(?>a+)b", "", &["aab"], &["aa"]),
        ("^(?:ab){1,2}+c", "", &["ababc"], &["abababc"]),
    ]);
}

#[test]
fn look_around() {
    check(&[
        ("^(?!test)", "", &["prod"], &["test_db"]),
        ("^(?=.*a)(?=.*b)", "", &["xbya"], &["aa"]),
        ("(?<=a|bc)d", "", &["ad", "bcd"], &["cd", "d"]),
        ("(?<!a|bc)d", "", &["cd", "d", "abd"], &["ad", "bcd"]),
        ("^(?!.*_(?:tmp|bak)$).*$", "", &["orders"], &["orders_tmp"]),
        (r"(?<=^|_)x", "", &["x", "a_x"], &["ax"]),
        (r"^(?=(a+)-\1$)a", "", &["aa-aa"], &["aa-a"]),
        (r"(?<!\w{2})z$", "", &["az", "z"], &["abz"]),
    ]);
}

#[test]
fn references() {
    check(&[
        (r"^(a|b)\1$", "", &["aa", "bb"], &["ab"]),
        (
            r"^(?<n>.)(?P=n)\k<n>\k{n}\k'n'\g{n}$",
            "",
            &["aaaaaa"],
            &["aaaaab"],
        ),
        (r"^(?P<n>.)\g1\g{1}\g{-1}$", "", &["aaaa"], &["aaab"]),
        (r"^(?'n'.)\1$", "", &["aa"], &["ab"]),
        (r"^(?:(a)|b)\1$", "", &["aa"], &["b", "ba"]),
        (r"^(?:\2b|(a)(c))+$", "", &["accb", "ac"], &["cb"]),
        (
            r"^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\10$",
            "",
            &["abcdefghijj"],
            &["abcdefghij\u{8}"],
        ),
        (r"^(a)\11$", "", &["a\t"], &["aa1"]),
        (
            r"^\11|(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)",
            "",
            &["\t"],
            &["a"],
        ),
    ]);
}

#[test]
fn escapes() {
    check(&[
        (
            r"^\x41\x{e9}\101\o{101}\0\cA\e\a\f\t\r$",
            "",
            &["AéAA\0\u{1}\u{1b}\u{7}\u{c}\t\r"],
            &["A"],
        ),
        (r"^\.\*\$\^\[\(\_\-\/$", "", &[".*$^[(_-/"], &["a"]),
        (r"^\Qa.b\E.$", "", &["a.bc"], &["axbc"]),
        (r"^a\Q.*\E", "", &["a.*"], &["axx"]),
        (r"^a\E+$", "", &["aa"], &["b"]),
    ]);
}

#[test]
fn invalid_patterns_are_refused() {
    for (pattern, options, reason) in [
        ("(", "", "not closed"),
        ("a)", "", "closing parenthesis"),
        ("[a", "", "not closed"),
        ("[]", "", "not closed"),
        ("[z-a]", "", "out of order"),
        ("a{3,2}", "", "out of order"),
        ("a{70000}", "", "65535"),
        ("*a", "", "nothing to repeat"),
        ("(?i)a|+", "", "nothing to repeat"),
        ("({2})", "", "nothing to repeat"),
        ("a\\", "", "backslash"),
        (r"\1", "", "no group 1"),
        (r"(a)\g{-2}", "", "no group -2"),
        (r"\k<n>", "", "no group `n`"),
        ("(?<n>a)(?<n>b)", "", "two groups"),
        ("(?<1>a)", "", "not a group's name"),
        ("(?<=a+)b", "", "fixed length"),
        ("(?<=(?:a|bc))d", "", "fixed length"),
        ("(?<=a+){0}b", "", "fixed length"),
        ("a**", "", "nothing to repeat"),
        ("a{2}{2}", "", "nothing to repeat"),
        ("^*a", "", "nothing to repeat"),
        (r"\b+a", "", "nothing to repeat"),
        ("(?i)+a", "", "nothing to repeat"),
        (r"a\Q.", "", "`\\E`"),
        ("a #b", "x", "comment"),
        ("a\u{85}b", "x", "some servers"),
        (r"[a-\d]", "", "end with a character"),
        ("[a-[:digit:]]", "", "end with a character"),
        ("[:alpha:]", "", "brackets of its own"),
        ("[[:foo-bar:]]", "", "not a known class"),
        ("[[:<:]a]", "", "not a known class"),
        ("(*UCP)[[:alpha:]]", "", "(*UCP)"),
        (
            "(?<abcdefghijklmnopqrstuvwxyzabcdefg>a)",
            "",
            "not a group's name",
        ),
        (r"(a)\g{+1}", "", "no group `+1`"),
        (r"(a)\8", "", "no group 8"),
        (r"(a|b\1)+", "", "stands in"),
        ("(?^i)a", "", "`^`"),
        (r"\N{U+41}", "", "not supported"),
        (r"\p{Greek}", "", "property"),
        (r"\p{letter}", "", "property"),
        ("(?z)a", "", "`z`"),
        (r"\y", "", "not an escape"),
        (r"\p{Nope}", "", "property"),
        ("[[:nope:]]", "", "not a known class"),
        (r"\x{d800}", "", "character"),
        ("a", "u", "not an option"),
        ("((a{999}){999}){999}", "", "too large"),
        ("a(?R)?b", "", "recursion"),
        ("(a)(?1)", "", "recursion"),
        ("(?(1)a|b)", "", "conditional"),
        ("(?|a|b)", "", "branch reset"),
        ("a(*SKIP)b", "", "control verbs"),
        (r"\X", "", "not supported"),
    ] {
        let error = Regex::new(pattern, options).expect_err(pattern);
        assert!(error.contains(reason), "/{pattern}/: {error}");
    }
    assert!(Regex::new(&"(".repeat(1000), "").is_err());
}

/// Finding 46: these patterns hit a step limit, in a sync that could then not continue.
#[test]
fn f46_no_pattern_runs_away() {
    let long = "a".repeat(254);
    let broken = format!("{}b", "a".repeat(253));
    for (pattern, text, matches) in [
        ("^([a-z0-9]+_?)*$", "customerordersarchive2024-01", false),
        (".*.*.*.*=.*", "customerordersarchive2024-01", false),
        (".*.*.*.*=.*", "customer=orders", true),
        ("^(a+)+$", &broken, false),
        ("^(a+)+$", &long, true),
        ("^(a|a)*$", &broken, false),
        ("^(a?b?)*c", &broken, false),
        ("^((a*)*)*c", &broken, false),
        ("(?:a*)*c", &broken, false),
        ("^(?!(a+)+$)a", &broken, true),
        ("^(?:(?!(a+)+c).)*$", &broken, true),
        ("^(?:(?=(?:(?=(?:(?=.*b).)*b).)*b).)*b$", &broken, true),
        ("^(?:(?>(?:(?>(?:(?>a*?).)*?.).)*?.).)*c$", &broken, false),
        ("(a*a*a*a*a*a*)*$c", &broken, false),
        (r"(.+)-?\1c", &broken, false),
        (r"(?i)(.)(?=(?:.*)*\1c)", &broken, false),
    ] {
        let regex = Regex::new(pattern, "").expect(pattern);
        let started = std::time::Instant::now();
        assert_eq!(regex.is_match(text), Ok(matches), "/{pattern}/");
        // The host allows ten seconds for a call; these patterns take less than one on an idle machine.
        let took = started.elapsed();
        assert!(took.as_secs() < 10, "/{pattern}/ took {took:?}");
    }
}

/// Finding 50: some servers answer these patterns differently.
#[test]
fn f50_what_servers_answer_differently_is_refused() {
    for (pattern, options, reason) in [
        ("(?=.*a)b", "s", "begins with `.*`"),
        ("((?=.*a)b)", "s", "begins with `.*`"),
        ("(?=.*a)(?=.*b)c|^d", "s", "begins with `.*`"),
        ("(?=_).?_", "", "twice"),
        ("(?=a)[ab]?A", "i", "twice"),
        ("b+(?:a)?+b", "", "possessive"),
        ("b+(?>c|(?:a)?)b", "", "atomic"),
        ("b+(?>a*|c)b", "", "atomic"),
        ("b+(?:|a){1,2}+b", "", "possessive"),
        ("(?<=a|(_){0}b)c", "", "fixed length"),
        ("(?<=(?:a){0}b)c", "", "fixed length"),
    ] {
        let error = Regex::new(pattern, options).expect_err(pattern);
        assert!(error.contains(reason), "/{pattern}/: {error}");
    }
    check(&[
        ("^(?=.*a)b", "s", &["ba"], &["cba"]),
        ("(?=.*a)b", "", &["cba"], &["cb"]),
        ("x?(?=.*a)b", "s", &["cba"], &["cb"]),
        ("(?=.*a)b|c", "s", &["xba", "xc"], &["xb"]),
        ("(?=_)_", "", &["a_"], &["a"]),
        ("(?=a).?b", "", &["xab"], &["b"]),
        ("b+a?+b", "", &["bb"], &["b"]),
        ("b+(?:a)*+b", "", &["bb"], &["b"]),
        (r"^\p{Zl}\p{Zp}\P{Cs}$", "", &["\u{2028}\u{2029}a"], &["a"]),
        (r"^\p{Cs}", "", &[], &["a"]),
    ]);
}

/// Patterns that could take too long are refused before a sync begins.
#[test]
fn f46_references_without_a_bound_are_refused() {
    for pattern in [
        r"(a+)(b+)\1\2",
        r"^(?:(.+)-)*\1(?:(.+)-)*\2$",
        r"^(?:(a)|(b))*\1\2",
        r"(.)(.)(.)(.).*\4\3\2\1",
        r"(?=(a+))\1b",
        r"(?>(a)|b)\1",
        r"(?:(?=(a)|\1b).)*",
        r"(a)(?<=(?=\1)b)",
    ] {
        let error = Regex::new(pattern, "").expect_err(pattern);
        assert!(error.contains("reference"), "/{pattern}/: {error}");
    }
    // Longer names are accepted as long as the work is not quadratic.
    let text = "a".repeat(10_000);
    let regex = Regex::new("^(a+)+$", "").expect("compiles");
    assert_eq!(regex.is_match(&text), Ok(true));
}
