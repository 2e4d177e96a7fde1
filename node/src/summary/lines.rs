//! Lines of the summary: wrapping, columns and colour.

use super::Style;
use threat::Severity;

/// Columns before an incident's text: the longest severity name and two spaces.
const INDENT: usize = 15;

/// Columns of a field's or note's name.
const NAME: usize = 6;

/// Text that grows line by line.
pub(super) struct Page {
    out: String,
    colour: bool,
    width: usize,
}

impl Page {
    pub(super) fn new(style: &Style) -> Self {
        Self { out: String::new(), colour: style.colour, width: style.width.max(40) }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// `text` under an SGR code, when there is colour.
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !code.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A first column of `indent` columns, already padded and painted, then wrapped text.
    fn put(&mut self, first: &str, indent: usize, text: &str, code: &str) {
        for (n, line) in wrap(text, self.width.saturating_sub(indent)).iter().enumerate() {
            if n == 0 {
                self.out.push_str(first);
            } else {
                self.out.extend(std::iter::repeat_n(' ', indent));
            }
            let painted = self.paint(code, line);
            self.out.push_str(&painted);
            self.out.push('\n');
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.put("", 0, text, "1");
    }

    pub(super) fn plain(&mut self, text: &str) {
        self.put("", 0, text, "2");
    }

    /// An incident's first line.
    pub(super) fn severity(&mut self, s: Severity, title: &str) {
        let code = match s {
            Severity::Critical => "1;97;41",
            Severity::High => "1;31",
            Severity::Medium => "33",
            Severity::Low => "36",
            Severity::Informational => "2",
        };
        let name = s.name().to_uppercase();
        let pad = " ".repeat(INDENT - name.len());
        let first = format!("{}{pad}", self.paint(code, &name));
        self.put(&first, INDENT, title, "1");
    }

    /// A line of an incident.
    pub(super) fn field(&mut self, name: &str, text: &str) {
        let first = format!("{}{}", " ".repeat(INDENT), self.paint("2", &format!("{name:<NAME$}")));
        self.put(&first, INDENT + NAME, text, "");
    }

    /// A line after the incidents.
    pub(super) fn note(&mut self, name: &str, text: &str) {
        let first = self.paint("2", &format!("{name:<w$}", w = NAME + 2));
        self.put(&first, NAME + 2, text, "");
    }
}

/// Words of `text` in lines of at most `width` characters; a longer word (a path, an id) stands
/// alone and whole, so that it can be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if used > 0 && used + 1 + len > width {
            lines.push(String::new());
            used = 0;
        }
        let line = lines.len() - 1;
        if used > 0 {
            lines[line].push(' ');
            used += 1;
        }
        lines[line].push_str(word);
        used += len;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_between_words_only() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("a averyverylongword b", 6), ["a", "averyverylongword", "b"]);
        assert_eq!(wrap("", 6), [""]);
    }
}
