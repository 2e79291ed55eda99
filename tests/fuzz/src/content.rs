//! What a text is: normal form, classifier, templates, lists, signatures, notices, replies.

use std::cell::RefCell;
use std::sync::LazyLock;

use consentry::content::reply::{self, Keyword, Reply};
use consentry::content::{
    Normal, Prohibited, Reader, Scratch, Span, Templates, notice, same_name, signatures,
};

use crate::input::Input;

static READER: LazyLock<Reader> = LazyLock::new(|| Reader::built_in().expect("weights"));
static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| {
    let file = "您的验证码是{digits:4-8},{digits:1-2}分钟内有效\n【{name}】{free}于{date}扣款{amount}元\n\
                点击{link}查看\n{name}您好{free:1-40}。\n";
    Templates::parse("templates.txt", file).expect("templates")
});
static PROHIBITED: LazyLock<Prohibited> = LazyLock::new(|| {
    let list = "# version 1\n发票\n代开发票\nviagra\n法轮\n办证\n";
    Prohibited::parse_all(&[("list.txt", list)]).expect("a list")
});

thread_local! {
    /// Used from text to text, as the product does: what is left of one must not show in the next.
    static KEPT: RefCell<(Normal, Scratch)> = RefCell::default();
}

fn is_span(span: Span, text: &str) {
    assert!(span.start <= span.end);
    let range = span.start as usize..span.end as usize;
    assert!(text.get(range).is_some(), "{span:?} is no span of the text");
}

/// Any text is read twice alike, with used buffers and with new ones, and every span lies within it.
pub fn content(octets: &[u8]) {
    let mut input = Input(octets);
    let choice = input.octet();
    let text = String::from_utf8_lossy(input.0);
    KEPT.with_borrow_mut(|(normal, scratch)| {
        folded(&text, normal);
        let reading = READER.read(&text, scratch);
        assert_eq!(reading, READER.read(&text, &mut Scratch::default()));
        assert!((0.0..=1.0).contains(&reading.score) && reading.lead.is_finite());
        for fired in reading.fired() {
            is_span(fired.span, &text);
        }
        let found = TEMPLATES.matches(&text, normal);
        assert_eq!(found, TEMPLATES.matches(&text, &mut Normal::default()));
        assert!(found.is_none_or(|found| TEMPLATES.origin(found).is_some()));
        let listed = PROHIBITED.find(&text, normal);
        assert_eq!(listed, PROHIBITED.find(&text, &mut Normal::default()));
        let said = notice(&text, normal);
        assert_eq!(said, notice(&text, &mut Normal::default()));
        for span in listed.map(|one| one.span).into_iter().chain(said.map(|one| one.span)) {
            is_span(span, &text);
        }
        // A listed word is found wherever it stands, also behind what somebody else wrote.
        let words = ["发票", "办证"];
        let with = format!("{text}。{}", words[usize::from(choice) % 2]);
        assert!(PROHIBITED.find(&with, normal).is_some(), "{with}");
    });
    let signed = signatures(&text);
    assert!(signed.iter().count() <= signed.count());
    for signature in signed.iter() {
        is_span(signature.span, &text);
        assert!(same_name(signature.name, signature.name));
    }
    replies(choice, &text);
}

fn folded(text: &str, normal: &mut Normal) {
    normal.fold(text);
    let once = normal.text().to_owned();
    let mut at = 0;
    for c in once.chars() {
        is_span(normal.raw(at, at + c.len_utf8()), text);
        at += c.len_utf8();
    }
    is_span(normal.raw(0, once.len()), text);
    let mut fresh = Normal::default();
    fresh.fold(text);
    assert_eq!(fresh.text(), once);
    fresh.fold(&once);
    assert_eq!(fresh.text(), once, "folding twice is folding once");
}

fn replies(choice: u8, text: &str) {
    let announced = Keyword::new(if choice & 2 == 0 { "TDZD" } else { "Y" }).expect("a keyword");
    let read = reply::read(text, &[announced]);
    assert_eq!(read, reply::read(text, &[announced]));
    if let Some(keyword) = Keyword::new(text) {
        assert_eq!(Keyword::new(keyword.as_str()), Some(keyword), "folded is folded");
        if keyword == announced {
            assert_eq!(read, Reply::OptOut { keyword }, "what was announced refuses");
        }
    }
}
