//! Columns as SVG: no script, no file beside the page.

use std::fmt::Write;

use super::escape;

const HEIGHT: f64 = 200.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;

/// Lines of the grid above the ground.
const LINES: u64 = 4;

/// One column: its parts from the ground up, each with the class that colours it, and what a pointer
/// over it is told.
pub(super) struct Column {
    pub(super) parts: Vec<(&'static str, u64)>,
    pub(super) says: String,
}

/// A chart of columns of equal width, `width` units of which each is a CSS pixel when the page is at its
/// widest. `marks`: words below the axis, with the column that each begins at.
pub(super) fn columns(
    out: &mut String,
    width: f64,
    says: &str,
    columns: &[Column],
    marks: &[(usize, String)],
) {
    let total = |column: &Column| column.parts.iter().map(|(_, count)| count).sum::<u64>();
    let top = ceiling(columns.iter().map(total).max().unwrap_or(0));
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(says)
    );
    let ground = HEIGHT - BOTTOM;
    let height = |count: u64| (ground - TOP) * count as f64 / top as f64;
    for line in 0..=LINES {
        let value = top * line / LINES;
        let y = ground - height(value);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{width}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    let step = (width - LEFT) / columns.len().max(1) as f64;
    let wide = (step * 0.86).max(0.5);
    for (at, column) in columns.iter().enumerate() {
        let x = LEFT + step * at as f64;
        let _ = write!(out, "<g><title>{}</title>", escape(&column.says));
        let mut y = ground;
        for (class, count) in column.parts.iter().filter(|(_, count)| *count > 0) {
            let high = height(*count);
            y -= high;
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
            );
        }
        out.push_str("</g>");
    }
    for (at, mark) in marks {
        let x = LEFT + step * *at as f64;
        let _ = write!(out, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", HEIGHT - 6.0, escape(mark));
    }
    out.push_str("</svg>");
}

/// A number not below `most` that the lines of the grid divide into round ones.
fn ceiling(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let top = unit.saturating_mul(factor).saturating_mul(LINES);
            if top >= most {
                return top;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_round_numbers() {
        for (most, top) in
            [(0, 4), (4, 4), (5, 8), (9, 20), (21, 40), (81, 200), (201, 400), (u64::MAX, u64::MAX)]
        {
            assert_eq!(ceiling(most), top, "{most}");
        }
    }

    #[test]
    fn a_column_reaches_as_high_as_it_counts() {
        let mut out = String::new();
        let column = Column { parts: vec![("pass", 2), ("refuse", 2)], says: "a<b".to_owned() };
        columns(&mut out, 1000.0, "two", &[column], &[(0, "10:00".to_owned())]);
        assert!(out.contains("<title>a&lt;b</title>"), "{out}");
        // The upper half of the room for the refused.
        assert!(out.contains("class=\"refuse\" x=\"56.0\" y=\"8.0\""), "{out}");
        assert!(out.contains("height=\"85.0\""), "{out}");
    }
}
