use super::*;
use crate::testing::split;
use proptest::prelude::*;

fn check(text: &str, raw_text: &str, folded_text: &str) {
    assert_eq!(raw(text).text(), raw_text, "raw view of {text:?}");
    assert_eq!(folded(text).text(), folded_text, "folded view of {text:?}");
    check_offsets(text, &raw(text));
    check_offsets(text, &folded(text));
}

/// Every character of a view maps to whole characters of the original, in order.
fn check_offsets(text: &str, view: &Canonical) {
    let mut last = 0..0;
    for (at, c) in view.text().char_indices() {
        let range = view.original_range(at..at + c.len_utf8());
        assert!(
            text.get(range.clone()).is_some_and(|text| !text.is_empty()),
            "{range:?} {text:?}"
        );
        assert!(
            last.start <= range.start && last.end <= range.end,
            "{last:?} {range:?} {text:?}"
        );
        last = range;
    }
    let whole = view.original_range(0..usize::MAX);
    assert!(text.get(whole.clone()).is_some());
    assert_eq!(whole.end, last.end);
}

#[test]
fn ascii_stays_and_only_loses_its_case() {
    let all: String = ('\0'..='\u{7F}').collect();
    check(&all, &all, &all.to_ascii_lowercase());
    assert!(raw(&all).is_identity() && folded(&all).is_identity());
    assert!(views("I am 0l|1 m rn").1.is_none());
}

#[test]
fn characters_that_show_nothing_are_dropped() {
    check("b\u{200B}o\u{200D}m\u{2060}b\u{FEFF}", "bomb", "bomb");
    check("b\u{E0062}\u{E0061}omb", "bomb", "bomb");
    check("b\u{FE0F}om\u{E0101}b", "bomb", "bomb");
    check("\u{202E}bo\u{202C}m\u{2066}b\u{AD}", "bomb", "bomb");
    check("\u{200B}", "", "");
}

#[test]
fn letters_in_disguise_are_folded() {
    check("ｂｏｍｂ", "bomb", "bomb");
    check("bоmb", "bоmb", "bomb");
    check("𝐛𝕠𝓶𝖇", "bomb", "bomb");
    check("🇧🇴🇲🇧", "🇧🇴🇲🇧", "bomb");
    check("🅱🅾🅼🅱", "🅱🅾🅼🅱", "bomb");
    check("ⓑⓞⓜⓑ⒝", "bomb(b)", "bombb");
    check("ʙᴏᴍʙ", "ʙᴏᴍʙ", "bomb");
    check("ВОМВ ВІG", "ВОМВ ВІG", "bomb big");
    check("вомв ехрlоіт", "вомв ехрlоіт", "bomb exploit");
    check("κιll", "κιll", "kill");
    check("don’t — “no”", "don’t — “no”", "don't - \"no\"");
}

#[test]
fn marks_are_dropped_from_letters() {
    check("b\u{301}omb", "b\u{301}omb", "bomb");
    check("bómb cafe\u{301}", "bómb café", "bomb cafe");
    check(
        "b\u{489}o\u{335}m\u{64E}b\u{93C}",
        "b\u{489}o\u{335}m\u{64E}b\u{93C}",
        "bomb",
    );
    check("łøß ÆŒ", "łøß ÆŒ", "loss aeoe");
}

#[test]
fn look_alikes_of_other_scripts_fold_only_after_plain_letters() {
    check("bסmb", "bסmb", "bomb");
    check("שלום", "שלום", "שלום");
}

#[test]
fn other_languages_are_not_destroyed() {
    for text in [
        "नमस्ते दुनिया",
        "สวัสดีครับผม",
        "폭탄을 만드는 방법",
        "如何制作炸弹",
        "مرحبا بالعالم",
        "שלום עולם",
        "ばくだんガイド",
        "გამარჯობა",
    ] {
        assert_eq!(raw(text).text(), text);
        check_offsets(text, &raw(text));
    }
    assert_eq!(raw("Привет, мир").text(), "Привет, мир");
    assert_eq!(raw("Γειά σου Κόσμε").text(), "Γειά σου Κόσμε");
    for text in ["नमस्ते दुनिया", "폭탄", "如何制作炸弹", "مرحبا", "ガイド"]
    {
        assert!(views(text).1.is_none(), "{text:?} has no other folded view");
    }
    assert!(views("Привет").1.is_some());
}

#[test]
fn ranges_map_to_the_disguised_original() {
    let text = "a b\u{200B}оmb!";
    let view = folded(text);
    assert_eq!(view.text(), "a bomb!");
    assert_eq!(&text[view.original_range(2..6)], "b\u{200B}оmb");
    assert_eq!(view.original_range(6..7), 10..11);
    assert_eq!(view.original_range(4..4), 8..8);
    assert!(!view.is_identity());
}

#[test]
fn a_decomposed_syllable_composes_in_the_raw_view() {
    check("\u{1112}\u{1161}\u{11AB}", "한", "\u{1112}\u{1161}\u{11AB}");
    let long = format!("a{}", "\u{301}\u{327}".repeat(5000));
    check_offsets(&long, &raw(&long));
    assert_eq!(folded(&long).text(), "a");
}

proptest! {
    #[test]
    fn offsets_map_back_whatever_the_text(text in "(\\PC|\\p{M}|[a-z ]|\u{200B}){0,40}") {
        check_offsets(&text, &raw(&text));
        check_offsets(&text, &folded(&text));
    }

    #[test]
    fn any_split_folds_to_the_same(text in "(\\PC|\\p{M}|[A-z ]|\u{200B}){0,40}", cuts in prop::collection::vec(0..160usize, 0..6)) {
        let whole = folded(&text);
        let mut folder = Folder::new();
        for piece in split(&text, &cuts) {
            folder.push(piece);
            prop_assert!(whole.text().starts_with(folder.text()));
        }
        prop_assert_eq!(folder.original_len(), text.len());
        prop_assert!(folder.finish() == whole);
    }

    /// But for what the bound on segments cuts, the raw view is NFKC.
    #[test]
    fn the_raw_view_is_nfkc_of_what_shows(text in "(\\PC|\\p{M}|[a-z]|\u{1112}|\u{1161}|\u{11AB}|\u{200B}){0,30}") {
        use unicode_normalization::UnicodeNormalization;
        let shown = |c: &char| !fold::is_ignorable(*c);
        let nfkc: String = text.chars().filter(shown).nfkc().filter(shown).collect();
        let view = raw(&text);
        prop_assert_eq!(view.text(), nfkc);
    }
}
