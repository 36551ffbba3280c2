//! What the tests of several modules share.

/// Cuts a text at the given byte positions, each moved down to a character boundary.
pub(crate) fn split<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
    let mut at: Vec<_> = cuts
        .iter()
        .map(|&cut| text.floor_char_boundary(cut))
        .collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}
