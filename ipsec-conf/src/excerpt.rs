//! Excerpts of source lines for display: shortened, without control characters, with keys masked.

/// Maximum number of columns shown.
pub(crate) const WIDTH: usize = 100;

/// A part of a source line, and where the caret below it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line without tabs, control characters and keys.
    pub(crate) text: String,
    /// Number of columns of `text` before the error.
    pub(crate) caret: usize,
}

impl Excerpt {
    /// Returns the excerpt of the line `head` + `rest` with the error at the beginning of `rest`. `head` begins at
    /// `offset` of the source; `secrets` are spans of the source.
    pub(crate) fn new(head: &str, rest: &str, offset: usize, secrets: &Secrets) -> Self {
        let mut shown = Vec::new();
        show(head, offset, secrets, &mut shown);
        let caret = shown.len();
        show(rest, offset + head.len(), secrets, &mut shown);

        // The error stays visible: in a long line the window is centred on it.
        let from = if caret < WIDTH * 3 / 4 { 0 } else { caret - WIDTH / 2 };
        let to = shown.len().min(from + WIDTH);
        let dots = |cut: bool| if cut { "..." } else { "" };
        let window: String = shown.get(from..to).unwrap_or_default().iter().collect();
        Self {
            text: format!("{}{window}{}", dots(from > 0), dots(to < shown.len())),
            caret: caret - from + dots(from > 0).len(),
        }
    }
}

/// Spans of a source that contain keys, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(pub(crate) Vec<(usize, usize)>);

impl Secrets {
    /// Whether `offset` is inside a key.
    pub(crate) fn cover(&self, offset: usize) -> bool {
        // The spans are in order and do not overlap.
        let next = self.0.partition_point(|(_, end)| *end <= offset);
        self.0.get(next).is_some_and(|(start, _)| *start <= offset)
    }

    /// Merges two sets of spans.
    pub(crate) fn joined(self, other: Self) -> Self {
        let mut all = [self.0, other.0].concat();
        all.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match joined.last_mut().filter(|(_, last)| start <= *last) {
                Some((_, last)) => *last = end.max(*last),
                None => joined.push((start, end)),
            }
        }
        Self(joined)
    }

    /// Returns the text, which is at `offset` in the source, with a `*` for each character of a key.
    pub(crate) fn blot(&self, text: &str, offset: usize) -> String {
        text.char_indices().map(|(at, c)| if self.cover(offset + at) { '*' } else { c }).collect()
    }
}

/// Appends `text`, which is at `offset` in the source, in a form safe for terminals.
fn show(text: &str, offset: usize, secrets: &Secrets, shown: &mut Vec<char>) {
    for (at, c) in text.char_indices() {
        match c {
            _ if secrets.cover(offset + at) => shown.push('*'),
            '\t' => shown.extend(std::iter::repeat_n(' ', 8 - shown.len() % 8)),
            _ => escape(c, |c| shown.push(c)),
        }
    }
}

/// Pushes a character, escaped unless it is printable ASCII.
fn escape(c: char, mut push: impl FnMut(char)) {
    match (c, u8::try_from(u32::from(c))) {
        (' '..='~', _) => push(c),
        (_, Ok(byte)) => std::ascii::escape_default(byte).map(char::from).for_each(push),
        _ => c.escape_default().for_each(push),
    }
}

/// Returns the text without control characters, shortened if it is long.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    // A file's text may contain escape sequences for the reader's terminal.
    text.chars().take(2 * WIDTH).for_each(|c| escape(c, |c| shown.push(c)));
    shown
}
