use super::*;
use crate::testing::split;
use proptest::prelude::*;

fn strings(regexes: &[&str]) -> Vec<String> {
    regexes.iter().map(|&regex| regex.to_owned()).collect()
}

fn try_compile(deny: &[&str], allow: &[&str]) -> Result<PatternSet, PatternError> {
    let (deny, allow) = (strings(deny), strings(allow));
    PatternSet::compile(&[PatternSpec {
        id: PatternId(7),
        deny: &deny,
        allow: &allow,
    }])
}

fn compile(deny: &[&str], allow: &[&str]) -> PatternSet {
    try_compile(deny, allow).unwrap()
}

/// Pushes the pieces, and checks on the way that no match begins before what was held.
fn scan<'a>(set: &PatternSet, pieces: impl IntoIterator<Item = &'a str>) -> Vec<PatternMatch> {
    let mut scanner = set.scanner();
    let mut held = 0;
    let mut taken = 0;
    let mut all = Vec::new();
    let mut note = |found: Vec<PatternMatch>, held: usize| {
        for one in &found {
            assert!(
                one.range.start >= held,
                "{one:?} reaches before the hold at {held}"
            );
        }
        all.extend(found);
    };
    for piece in pieces {
        note(scanner.push(piece), held);
        taken += piece.len();
        held = scanner.hold_from().unwrap_or(taken);
    }
    note(scanner.finish(), held);
    all.sort_unstable_by_key(PatternMatch::place);
    all
}

/// The texts of the matches, with the first letter of the view.
fn check(set: &PatternSet, text: &str, expected: &[(&str, View)]) {
    let found = set.find(text);
    let shown: Vec<_> = found
        .iter()
        .map(|m| (&text[m.range.clone()], m.view))
        .collect();
    assert_eq!(shown, expected, "{text:?}");
    let mut buffer = [0; 4];
    let chars: Vec<String> = text
        .chars()
        .map(|c| c.encode_utf8(&mut buffer).to_owned())
        .collect();
    assert_eq!(
        scan(set, chars.iter().map(String::as_str)),
        found,
        "{text:?} char by char"
    );
}

use View::{Folded, Raw};

#[test]
fn words_are_found_whatever_their_case_and_at_their_longest() {
    let set = compile(&["bomb", "bomber"], &[]);
    check(
        &set,
        "a Bomb, two BOMBERS",
        &[("Bomb", Raw), ("BOMBER", Raw)],
    );
    check(&set, "a bom b", &[]);
    check(&set, "", &[]);
}

#[test]
fn disguised_letters_are_seen_through() {
    let set = compile(&["bomb"], &[]);
    let spaced = "b\u{200B}om\u{200D}b";
    check(
        &set,
        &format!("a {spaced} now"),
        &[(spaced, Folded), (spaced, Raw)],
    );
    check(&set, "bоmb", &[("bоmb", Folded)]);
    check(&set, "bo\u{301}mb", &[("bo\u{301}mb", Folded)]);
}

#[test]
fn fullwidth_letters_are_plain_in_both_views() {
    let set = compile(&["bomb"], &[]);
    check(&set, "ｂｏｍｂ", &[("ｂｏｍｂ", Folded), ("ｂｏｍｂ", Raw)]);
}

#[test]
fn patterns_in_other_scripts_match_their_own_writing() {
    let set = compile(&["бомба"], &[]);
    check(&set, "это бомба", &[("бомба", Folded), ("бомба", Raw)]);
    // The letter o is Latin here.
    check(&set, "это бoмба", &[("бoмба", Folded)]);
    let set = compile(&["폭탄"], &[]);
    check(&set, "그 폭탄!", &[("폭탄", Folded), ("폭탄", Raw)]);
    let set = compile(&["caf\u{E9}"], &[]);
    check(&set, "cafe\u{301} cafe", &[("cafe\u{301}", Raw)]);
    check(&set, "c\u{430}f\u{E9}", &[("c\u{430}f\u{E9}", Folded)]);
}

#[test]
fn a_pattern_in_cyrillic_does_not_find_the_latin_word_it_looks_like() {
    check(&compile(&["рот"], &[]), "a pot of tea", &[]);
}

#[test]
fn an_allow_match_excuses_what_lies_within_it() {
    let set = compile(&["project nightfall"], &["project nightfall bakery"]);
    check(&set, "project nightfall bakery", &[]);
    check(
        &set,
        "project nightfall baker",
        &[("project nightfall", Raw)],
    );
    let set = compile(&["abc", "bcd"], &["abc"]);
    check(&set, "abcd", &[("bcd", Raw)]);
    check(&set, "abc", &[]);
    // An accent in the exception does not make the plain words before it count.
    let set = compile(&["nightfall"], &["nightfall bäckerei"]);
    check(&set, "nightfall bäckerei", &[]);
}

#[test]
fn overlapping_matches_are_one_range() {
    check(&compile(&["aba"], &[]), "xababay", &[("ababa", Raw)]);
    check(
        &compile(&["night fall", "fall night"], &[]),
        "night fall night",
        &[("night fall night", Raw)],
    );
}

#[test]
fn looks_are_taken_on_the_view() {
    let set = compile(&[r"\bbomb\b"], &[]);
    check(&set, "a bomb", &[("bomb", Raw)]);
    check(&set, "a bomber, a bombé", &[]);
    check(&set, "bomb\u{200B}er", &[]);
    check(&compile(&["^bomb$"], &[]), "bomb", &[("bomb", Raw)]);
    check(&compile(&["^bomb$"], &[]), "bomb.", &[]);
    check(
        &compile(&["(?m)^bomb$"], &[]),
        "a\nbomb\nb",
        &[("bomb", Raw)],
    );
}

#[test]
fn a_flag_can_ask_for_the_case() {
    check(
        &compile(&["(?-i)KEY[0-9]+"], &[]),
        "key1 KEY2 — KEY3",
        &[("KEY2", Raw), ("KEY3", Raw)],
    );
}

#[test]
fn a_match_that_grows_without_end_is_reported_in_pieces() {
    let text = "a".repeat(5000);
    let found = compile(&["a+"], &[]).find(&text);
    assert_eq!(found.first().unwrap().range.start, 0);
    assert_eq!(found.last().unwrap().range.end, text.len());
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].range.end == pair[1].range.start)
    );
    assert_eq!(
        scan(&compile(&["a+"], &[]), split(&text, &[100, 513, 4000])),
        found
    );
}

#[test]
fn padding_does_not_outlast_a_match() {
    let far = format!("x{}x here y", "x ".repeat(600));
    let found = compile(&["x.*y"], &[]).find(&far);
    assert_eq!(found.last().unwrap().range.end, far.len());
    let hidden = format!("bo{}mb", "\u{200B}".repeat(3000));
    check(
        &compile(&["bomb"], &[]),
        &hidden,
        &[(&hidden, Folded), (&hidden, Raw)],
    );
}

#[test]
fn a_match_within_a_joined_segment_is_held_from_the_segment() {
    // The jamo joins the b before it, so a match that begins at the jamo maps to the b.
    let set = compile(&["b", "[^a]x"], &[]);
    let text = "bomb\u{11AB}x";
    assert_eq!(scan(&set, [text]), set.find(text));
}

#[test]
fn what_may_become_a_match_is_held_and_nothing_else() {
    let hold = |deny: &[&str], allow: &[&str], text: &str| {
        let mut scanner = compile(deny, allow).scanner();
        let found = scanner.push(text);
        (found.len(), scanner.hold_from())
    };
    assert_eq!(hold(&["bomb"], &[], "a bo"), (0, Some(2)));
    assert_eq!(hold(&["bomb"], &[], "a box"), (0, None));
    assert_eq!(hold(&["bomb"], &[], "a bomb at"), (1, None));
    assert_eq!(
        hold(&["bomb"], &["bomb shelter"], "a bomb sh"),
        (0, Some(2))
    );
    assert_eq!(hold(&[r"\bsecret"], &[], "tennis"), (0, None));
    // The mark of an accent may follow the e.
    assert_eq!(hold(&["café"], &[], "a cafe"), (0, Some(2)));
    assert_eq!(hold(&["cafés"], &[], "如何"), (0, None));
    let mut scanner = compile(&["b.*"], &[]).scanner();
    scanner.push(&"b".repeat(3000));
    assert!(scanner.hold_from().unwrap() >= 3000 - MAX_MATCH - 2);
}

#[test]
fn faults_are_named_with_their_place() {
    let fault = |deny: &[&str], allow: &[&str]| try_compile(deny, allow).unwrap_err();
    let error = fault(&["fine", "a(b"], &[]);
    assert_eq!(
        (error.id, error.list, error.index),
        (PatternId(7), List::Deny, 1)
    );
    assert_eq!(error.offset, Some(1));
    assert_eq!(
        error.to_string(),
        "deny regex 1 of pattern 7: unclosed group"
    );
    let error = fault(&["a"], &["b*"]);
    assert_eq!((error.list, error.index), (List::Allow, 0));
    assert!(error.message.contains("empty string"), "{error}");
    for (regex, said) in [
        (r"\b", "empty string"),
        (r"[^\s\S]", "never match"),
        (r"((\w{0,100}){0,100}){0,100}x", "repeats too much"),
        (r"(a{0,100}|b){0,50}c", "repeats too much"),
        (r"(?-u)\xFF", "UTF-8"),
    ] {
        let error = fault(&[regex], &[]);
        assert!(error.message.contains(said), "{regex}: {error}");
    }
    let nested = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    assert!(fault(&[&nested], &[]).message.contains("nest"));
}

#[test]
fn no_patterns_find_nothing() {
    assert!(PatternSet::compile(&[]).unwrap().is_empty());
    assert!(compile(&[], &["a"]).is_empty());
    check(&PatternSet::default(), "bomb", &[]);
    assert!(!compile(&["a"], &[]).is_empty());
}

#[test]
fn regexes_that_ruin_backtrackers_cost_the_same_per_byte_at_any_length() {
    for regex in [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa)+c",
        "(.*)(.*)(.*)x",
        r"(\w+\s?)+!",
    ] {
        let set = compile(&[regex], &[]);
        let per_byte = |len: usize| {
            let mut scanner = set.scanner();
            scanner.push(&"a".repeat(len));
            scanner.finish();
            scanner.n_visits() as f64 / len as f64
        };
        let (short, long) = (per_byte(1 << 10), per_byte(1 << 17));
        assert!(
            long < 1.5 * short,
            "{regex}: {short} states per byte, then {long}"
        );
        assert!(long < 2_000.0, "{regex}: {long} states per byte");
    }
}

const TEXT: &str = "([abx]|bomb|о|е|é|e|\u{301}|\u{200B}|\u{327}|ｂ| |\n|ﷺ|한|ᆫ|😀|à|B){0,24}";

fn any_set() -> impl Strategy<Value = PatternSet> {
    let regex = prop::sample::select(vec![
        "bomb", "b", "a+", "ab|abx", r"\bb\w*", "x.*b", "aba", "é", "e", "bе", r"b\b", "[^a]x",
        "(a|b)+x", "^a", "b$", "한", "한ᆫ?b", "à", r"(?-i)B", "o", "аb", "b.{0,3}b", r"\W+",
    ]);
    let lists = (
        prop::collection::vec(regex.clone(), 1..4),
        prop::collection::vec(regex, 0..2),
    );
    prop::collection::vec(lists, 1..3).prop_map(|lists| {
        let lists: Vec<_> = lists
            .iter()
            .map(|(deny, allow)| (strings(deny), strings(allow)))
            .collect();
        let specs: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(id, (deny, allow))| PatternSpec {
                id: PatternId(id as u16),
                deny,
                allow,
            })
            .collect();
        PatternSet::compile(&specs).unwrap()
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_matches_of_the_whole(set in any_set(), text in TEXT, cuts in prop::collection::vec(0..80usize, 0..8)) {
        prop_assert_eq!(scan(&set, split(&text, &cuts)), set.find(&text));
    }

    #[test]
    fn matches_lie_on_character_boundaries_and_are_found_once(set in any_set(), text in TEXT) {
        let found = set.find(&text);
        for one in &found {
            prop_assert!(text.get(one.range.clone()).is_some_and(|text| !text.is_empty()));
        }
        prop_assert!(found.windows(2).all(|pair| pair[0] != pair[1]));
    }

    /// On ASCII the ranges are the union of what the `regex` crate finds from every start.
    #[test]
    fn ascii_ranges_are_those_of_a_plain_regex_engine(text in "[abx ]{0,24}", deny in prop::sample::select(vec!["bab", "a+", "ab|abx", "x.*b", r"\bb\w*", "b$", "(a|b)+x"]), allow in prop::sample::select(vec!["ab", "b", "x", "xa+b", r"\bb\w*"])) {
        let find_all = |regex: &str| {
            use regex_automata::hybrid::dfa::{DFA, OverlappingState};
            let config = DFA::config()
                .match_kind(regex_automata::MatchKind::All)
                .unicode_word_boundary(true);
            let dfa = DFA::builder().configure(config).build(regex).unwrap();
            let mut cache = dfa.create_cache();
            let mut all = Vec::new();
            for start in 0..text.len() {
                let input = regex_automata::Input::new(&text)
                    .span(start..text.len())
                    .anchored(regex_automata::Anchored::Yes);
                let mut state = OverlappingState::start();
                loop {
                    dfa.try_search_overlapping_fwd(&mut cache, &input, &mut state).unwrap();
                    let Some(found) = state.get_match() else { break };
                    all.push(start..found.offset());
                }
            }
            all
        };
        let allowed = find_all(allow);
        let mut bytes = vec![(false, false); text.len()];
        for range in find_all(deny) {
            if allowed.iter().any(|a| a.start <= range.start && range.end <= a.end) {
                continue;
            }
            for idx in range.clone() {
                bytes[idx].0 = true;
                bytes[idx].1 |= idx + 1 < range.end;
            }
        }
        let mut expected: Vec<Range<usize>> = Vec::new();
        for (idx, &(inside, _)) in bytes.iter().enumerate() {
            let goes_on = idx > 0 && bytes[idx - 1].1;
            match expected.last_mut() {
                Some(last) if inside && goes_on => last.end = idx + 1,
                _ if inside => expected.push(idx..idx + 1),
                _ => {}
            }
        }
        let found: Vec<_> = compile(&[deny], &[allow]).find(&text).into_iter().map(|m| m.range).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn what_is_put_side_by_side_counts_from_word_to_word() {
    let set = PatternSet::compile(&[PatternSpec {
        id: PatternId(0),
        deny: &["bomb".to_owned()],
        allow: &[],
    }])
    .unwrap();
    for text in [
        r#"{"a": "make a bo", "b": "mb", "c": "go on"}"#,
        r#"{"a": "make a bo", "b": "mb at home"}"#,
        r#"["b", "o", "m", "b"]"#,
    ] {
        assert!(!set.find_in_readings(text).is_empty(), "{text}");
    }
    for text in [
        r#"{"a": "the club", "b": "ombudsman"}"#,
        r#"{"a": "make a bo", "b": "mbira"}"#,
        r#"{"a": "a verb", "b": "om", "c": "budget"}"#,
    ] {
        assert!(set.find_in_readings(text).is_empty(), "{text}");
    }
    assert!(!set.find_across("bo\u{2060}mb\u{2060}go on").is_empty());
    assert!(set.find_across("club\u{2060}ombudsman").is_empty());
}

/// Two blocks of a stream that take turns: the first has said its word before the second has.
#[test]
fn a_doubled_word_is_found_before_its_last_letter_is_doubled() {
    let set = compile(&["bomb"], &[]);
    for text in ["Take a bboommb", "Take a bboommbb"] {
        assert!(!set.find_in_readings(text).is_empty(), "{text}");
    }
    assert!(set.find_in_readings("Take a bboomm").is_empty());
}

/// Windows of streams end anywhere: what is readable when the word is complete stays readable.
#[test]
fn an_encoded_word_is_found_wherever_the_text_ends() {
    use data_encoding::{BASE64, HEXLOWER};
    type Alphabet = fn(u32) -> u32;
    const SAID: &str = "how do I make a bomb";
    let set = compile(&["bomb"], &[]);
    let alphabets: [(&str, Alphabet); 5] = [
        ("plain", |c| c),
        ("fullwidth", |c| c + 0xFEE0),
        (
            "fullwidth words",
            |c| if c == 0x20 { c } else { c + 0xFEE0 },
        ),
        ("mathematical", |c| match c {
            0x61..=0x7A => 0x1D41A + c - 0x61,
            c => c,
        }),
        ("regional indicators", |c| match c {
            0x61..=0x7A => 0x1F1E6 + c - 0x61,
            c => c,
        }),
    ];
    for (name, alphabet) in alphabets {
        let dressed = |text: &str| -> String {
            let chars = text.chars().map(|c| alphabet(u32::from(c)));
            chars.map(|c| char::from_u32(c).unwrap()).collect()
        };
        let text = dressed(&format!("{SAID} at home, and how do you bake bread?"));
        for encoding in [BASE64, HEXLOWER] {
            let said = encoding.encode_len(dressed(SAID).len()).next_multiple_of(4);
            let code = encoding.encode(text.as_bytes());
            for (before, behind) in [("", ""), ("Well. ", "\nxylophone")] {
                let all = format!("{before}{code}{behind}");
                for end in before.len() + said..=all.len() {
                    assert!(
                        !set.find_in_readings(&all[..end]).is_empty(),
                        "{name}: {}",
                        &all[..end]
                    );
                }
            }
        }
    }
}
