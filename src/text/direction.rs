//! Invisible characters that turn the direction in which a text is shown (Unicode Standard Annex 9).

/// Makes what follows run from right to left, whatever it is.
const OVERRIDE: char = '\u{202e}';

/// Marks and embeddings that are strongly right-to-left and show nothing. Those that are left-to-right
/// change nothing of ours, and come with numbers that were copied from address books.
pub(super) const TURNING: [char; 5] = ['\u{61c}', '\u{200f}', '\u{202b}', '\u{2067}', OVERRIDE];

/// Whether characters that nobody sees make a text read otherwise than it is written: `\u{202e}票发` and
/// `\u{200f}票\u{200f}发` both show 发票. Right-to-left scripts use the marks by right, unless
/// ideographs stand between them.
pub(super) fn is_turned(text: &str) -> bool {
    if !text.contains(TURNING) {
        return false;
    }
    let is_by_right = text.contains(is_right_to_left) && !text.contains(is_ideograph);
    text.contains(OVERRIDE) || !is_by_right
}

/// Hebrew, Arabic and their neighbours, and their presentation forms.
fn is_right_to_left(c: char) -> bool {
    c != '\u{61c}'
        && matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_in_another_order_than_it_is_written_is_found() {
        let cases = [
            ("通知：代开发票", false),
            ("通知：\u{202e}票发开代\u{202c}", true),
            ("\u{200f}票\u{200f}发\u{200f}开\u{200f}代", true),
            ("\u{61c}票\u{61c}发", true),
            ("\u{202b}票发\u{202c}", true),
            ("\u{2067}票发\u{2069}", true),
            ("\u{202e}argaiv", true),
            ("\u{200f}argaiv", true),
            ("请拨打\u{202d}13800138000\u{202c}", false),
            ("请拨打\u{202a}13800138000\u{202c}\u{200e}", false),
            ("\u{200f}שלום, 5 דקות\u{200f}", false),
            ("\u{200f}مرحبا\u{61c} 12", false),
            ("\u{202e}مرحبا", true),
            ("\u{200f}م票\u{200f}发", true),
        ];
        for (text, expected) in cases {
            assert_eq!(is_turned(text), expected, "{}", text.escape_unicode());
        }
    }
}
