//! Choices that an oracle makes: read from the input, or derived from it where the input is a file
//! of some format that has to stay one.

/// Numbers that depend on nothing but the bytes they were made from.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed % (n.max(1) as u64)) as usize
    }

    /// Places at which `len` bytes are cut, in order, both ends included.
    pub fn cuts(&mut self, len: usize) -> Vec<usize> {
        let n_cuts = self.below(8);
        let mut cuts: Vec<usize> = (0..n_cuts).map(|_| self.below(len + 1)).collect();
        cuts.extend([0, len]);
        cuts.sort_unstable();
        cuts
    }

    /// Bytes cut into pieces, some of them empty.
    pub fn pieces<'b>(&mut self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let cuts = self.cuts(bytes.len());
        cuts.windows(2)
            .map(|pair| &bytes[pair[0]..pair[1]])
            .collect()
    }

    /// The same for text, on character boundaries.
    pub fn text_pieces<'t>(&mut self, text: &'t str) -> Vec<&'t str> {
        let cuts = self.cuts(text.len());
        let cuts: Vec<usize> = cuts
            .into_iter()
            .map(|at| text.floor_char_boundary(at))
            .collect();
        cuts.windows(2)
            .map(|pair| &text[pair[0]..pair[1]])
            .collect()
    }
}

/// Choices read from an input, byte by byte; zeros once it is used up.
#[derive(Clone, Debug)]
pub struct Script<'b>(&'b [u8]);

impl<'b> Script<'b> {
    /// Reads from these bytes.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below `n`, which is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Up to `n` numbers below `bound`.
    pub fn list(&mut self, n: usize, bound: usize) -> Vec<usize> {
        let len = self.below(n + 1);
        (0..len).map(|_| self.below(bound)).collect()
    }
}
