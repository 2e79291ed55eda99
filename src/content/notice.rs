//! Whether a text says how to refuse further ones, and the keyword that it announces (Order 31
//! art. 20: told in the same message). The keyword is learned so that it can be honoured.
//!
//! `回复Y确认,回复N取消` is an order and says nothing of refusing.

use super::reply::Keyword;
use super::{Normal, Span};

/// Letters and digits of a keyword at most.
const KEYWORD_LETTERS_MAX: usize = 16;

/// How to refuse, as a text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The word for refusing, in the raw text.
    pub span: Span,
    /// What to reply; `None` where a link or a number is given instead.
    pub keyword: Option<Keyword>,
}

/// Words for refusing. The longer ones stand before those that they begin with.
const REFUSE: [&str; 20] = [
    "退订",
    "退定",
    "拒收",
    "拒绝接收",
    "拒接收",
    "取消订阅",
    "取消接收",
    "停止接收",
    "不再接收",
    "不接收",
    "免打扰",
    "unsubscribe",
    "unsub",
    "opt out",
    "opt-out",
    "optout",
    "stop receiving",
    "stop msgs",
    "stop messages",
    "be removed",
];

/// English words for "reply", before STOP.
const REPLY_STOP: [&str; 5] = ["reply with", "reply", "text", "txt", "send"];

/// Whether any of these ways may begin so: with one of 退拒取停不免, or with these letters.
fn may_begin(three: [u8; 3]) -> bool {
    matches!(
        three,
        [0xe9, 0x80, 0x80]
            | [0xe6, 0x8b, 0x92]
            | [0xe5, 0x8f, 0x96]
            | [0xe5, 0x81, 0x9c]
            | [0xe5, 0x85, 0x8d]
            | [0xe4, 0xb8, 0x8d]
            | [b'u', b'n', b's']
            | [b'o', b'p', b't']
            | [b'b', b'e', b' ']
            | [b'r', b'e', b'p']
            | [b's', b't', b'o']
            | [b's', b'e', b'n']
            | [b't', b'o', b' ']
            | [b't', b'e', b'x']
            | [b't', b'x', b't']
    )
}

/// Whether an octet is the third of any of these ways: most are told apart by it.
const THIRDS: [bool; 256] = {
    let mut thirds = [false; 256];
    let lists: [&[&str]; 3] = [&REFUSE, &REFUSE_BEFORE, &REPLY_STOP];
    let mut list = 0;
    while list < lists.len() {
        let mut word = 0;
        while word < lists[list].len() {
            thirds[lists[list][word].as_bytes()[2] as usize] = true;
            word += 1;
        }
        list += 1;
    }
    thirds
};

/// Words that only refuse when what to reply follows: 拒回R, 不想收到请回N.
const REFUSE_BEFORE: [&str; 10] = [
    "拒",
    "不想再收到",
    "不想收到",
    "不愿收到",
    "不希望收到",
    "不希望再收到",
    "不需要",
    "不再需要",
    "to stop",
    "to end",
];

const REPLY: [&str; 16] = [
    "回复",
    "回覆",
    "回短信",
    "回",
    "复",
    "发送",
    "发短信",
    "发",
    "编辑短信",
    "编辑",
    "输入",
    "reply with",
    "reply",
    "text",
    "txt",
    "send",
];

/// Said between the word for refusing and the rest.
const GLUE: [&str; 34] = [
    "请直接",
    "请",
    "可直接",
    "可",
    "即可",
    "直接",
    "本短信",
    "此短信",
    "短信",
    "该信息",
    "此信息",
    "此类信息",
    "信息",
    "此类",
    "消息",
    "业务",
    "服务",
    "进行",
    "完成",
    "则",
    "即",
    "以",
    "就",
    "的",
    "或",
    "字母",
    "数字",
    "大写",
    "please",
    "the word",
    "just",
    "to",
    "further",
    "messages",
];

/// Signs that may stand in between.
const SIGNS: [char; 16] =
    [' ', ',', ':', ';', '"', '\'', '(', ')', '[', ']', '【', '】', '<', '>', '“', '+'];

/// Keywords so common that they stand without "reply".
const BARE: [&str; 8] = ["t", "td", "tt", "n", "r", "d", "qx", "0000"];

/// How a text says that one can refuse: the first way that it names. `normal` is filled anew.
pub fn notice(text: &str, normal: &mut Normal) -> Option<Notice> {
    normal.fold(text);
    let folded = normal.text();
    let (start, end, keyword) = find(folded)?;
    Some(Notice { span: normal.raw(start, end), keyword })
}

fn find(text: &str) -> Option<(usize, usize, Option<Keyword>)> {
    let mut left = text.as_bytes();
    while let [first, second, third, behind @ ..] = left {
        let start = text.len() - left.len();
        // Characters of three octets, as most are, are stepped over whole.
        left = if *first >= 0xe0 { behind } else { left.get(1..).unwrap_or_default() };
        if !THIRDS[usize::from(*third)] || !may_begin([*first, *second, *third]) {
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        if let Some(word) = REFUSE.iter().find(|word| rest.starts_with(**word)) {
            let end = start + word.len();
            let head = text.get(..start).unwrap_or_default();
            let tail = text.get(end..).unwrap_or_default();
            let found = keyword_before(head, word).or_else(|| keyword_after(tail).map(Some));
            let found = found.or_else(|| leads_elsewhere(tail).then_some(None));
            if let Some(keyword) = found {
                return Some((start, end, keyword));
            }
        }
        if let Some(word) = REFUSE_BEFORE.iter().find(|word| rest.starts_with(**word)) {
            let end = start + word.len();
            if let Some(keyword) = keyword_after(text.get(end..).unwrap_or_default()) {
                return Some((start, end, Some(keyword)));
            }
        }
        if let Some(keyword) = reply_stop(rest) {
            return Some((start, start + "reply".len(), Some(keyword)));
        }
    }
    None
}

/// `回复TD退订`, `TD退订`, `回复退订`: what stands before the word. `Some(None)` cannot be.
fn keyword_before(head: &str, word: &str) -> Option<Option<Keyword>> {
    // "微信秒回,退订回TD": what ends before a comma is not said of the word.
    let is_other = head.trim_end().ends_with([',', ';']);
    let mut head = trim_end(head);
    if !is_other && word_at_end(head, &REPLY).is_some() {
        return Some(Keyword::new(word));
    }
    // "text STOP to 12345 to opt out": step over the number.
    for _ in 0..2 {
        let at = head.trim_end_matches(|c: char| c.is_ascii_alphanumeric()).len();
        let keyword = head.get(at..).unwrap_or_default();
        if keyword.is_empty() || keyword.len() > KEYWORD_LETTERS_MAX {
            return None;
        }
        let before = trim_signs_end(head.get(..at).unwrap_or_default());
        if word_at_end(before, &REPLY).is_some() || BARE.contains(&keyword) {
            return Keyword::new(keyword).map(Some);
        }
        head = trim_end(before);
    }
    None
}

/// `退订回T`, `退订请回复TD`, `拒收请回复R`: what follows the word.
fn keyword_after(tail: &str) -> Option<Keyword> {
    let tail = trim_start(tail);
    let reply = REPLY.iter().find(|reply| tail.starts_with(**reply))?;
    let mut tail = trim_start(tail.get(reply.len()..)?);
    // 退订请编辑短信TD发送至…, 退订请回短信 TD
    if let Some(again) = REPLY.iter().find(|reply| tail.starts_with(**reply)) {
        tail = trim_start(tail.get(again.len()..)?);
    }
    let letters = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
    if (1..=KEYWORD_LETTERS_MAX).contains(&letters) {
        return Keyword::new(tail.get(..letters)?);
    }
    REFUSE.iter().find(|word| tail.starts_with(**word)).and_then(|word| Keyword::new(word))
}

/// A link or a telephone number follows at once: that is a way to refuse without a keyword.
fn leads_elsewhere(tail: &str) -> bool {
    let near: usize = tail.char_indices().nth(12).map_or(tail.len(), |(at, _)| at);
    let near = tail.get(..near).unwrap_or_default();
    let has_number =
        near.split(|c: char| !c.is_ascii_digit() && c != '-').any(|run| run.len() >= 5);
    let is_led = ["点", "电", "拨", "登", "访问", "http", "www", "call", "visit", "at "];
    has_number && is_led.iter().any(|word| near.contains(word))
        || ["http", "www."].iter().any(|link| near.contains(link))
}

/// `reply STOP`, `txt STOP`: the word is its own keyword.
fn reply_stop(text: &str) -> Option<Keyword> {
    let reply = REPLY_STOP.into_iter().find(|reply| text.starts_with(reply))?;
    let rest = trim_signs_start(text.get(reply.len()..)?);
    let word = ["stop", "unsub", "unsubscribe", "optout", "quit"].into_iter().find(|word| {
        rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })?;
    Keyword::new(word)
}

fn trim_signs_start(text: &str) -> &str {
    text.trim_start_matches(SIGNS)
}

fn trim_signs_end(text: &str) -> &str {
    text.trim_end_matches(SIGNS)
}

/// Without glue and signs at the start.
fn trim_start(text: &str) -> &str {
    let mut text = trim_signs_start(text);
    while let Some(rest) = GLUE.iter().find_map(|glue| text.strip_prefix(glue)) {
        text = trim_signs_start(rest);
    }
    text
}

/// Without glue and signs at the end.
fn trim_end(text: &str) -> &str {
    let mut text = trim_signs_end(text);
    while let Some(glue) = word_at_end(text, &GLUE) {
        text = trim_signs_end(text.get(..text.len() - glue.len()).unwrap_or_default());
    }
    text
}

/// The first of the words that the text ends with. Most differ in the last octet already, which costs
/// less than to compare them.
fn word_at_end<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    let last = text.as_bytes().last();
    let mut likely = words.iter().filter(|word| word.as_bytes().last() == last);
    likely.find(|word| text.ends_with(**word)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keyword that a text announces, `-` for a way without one, nothing for no notice.
    fn announced(text: &str) -> String {
        match notice(text, &mut Normal::default()) {
            None => String::new(),
            Some(Notice { keyword: None, .. }) => "-".to_owned(),
            Some(Notice { keyword: Some(keyword), .. }) => keyword.as_str().to_owned(),
        }
    }

    #[test]
    fn every_way_to_refuse_begins_where_it_is_looked_for() {
        for word in REFUSE.iter().chain(&REFUSE_BEFORE).chain(&REPLY_STOP) {
            let three = word.as_bytes().first_chunk().copied();
            assert!(three.is_some_and(may_begin), "{word}");
        }
    }

    #[test]
    fn texts_announce_how_to_refuse() {
        let rows = [
            ("全场5折,拒收请回复R", "R"),
            ("秒杀开始 回T退订", "T"),
            ("退订回T", "T"),
            ("退订回复TD", "TD"),
            ("回TD退订", "TD"),
            ("回复TD退订", "TD"),
            ("退订回TD", "TD"),
            ("退订回N", "N"),
            ("回N退订", "N"),
            ("退订回D", "D"),
            ("回复TDZD退订本短信", "TDZD"),
            ("[回XFDXTD92退订]", "XFDXTD92"),
            ("TD退订", "TD"),
            ("回复退订", "退订"),
            ("退订请回复ＴＤ", "TD"),
            ("回复“T”退订", "T"),
            ("退 订 回 T", "T"),
            ("退\u{200b}订回T", "T"),
            ("拒回R", "R"),
            ("如不想收到此类信息请回复N", "N"),
            ("退订请点击 https://a.cn/x", "-"),
            ("回0000即可退订", "0000"),
            ("退订请回复“退订”", "退订"),
            ("Reply STOP to opt out", "STOP"),
            ("Text STOP to 12345 to opt out", "STOP"),
            ("To unsubscribe reply UNSUB", "UNSUB"),
            ("Txt STOP to end", "STOP"),
            ("不需要请回N", "N"),
            ("拒收請回覆R", "R"),
            ("退订回复TD，谢谢", "TD"),
            ("报价微信秒回，退订回TDZD", "TDZD"),
            ("客服秒回；拒收请回复R", "R"),
            ("退订致电95588", "-"),
            ("回复Y确认,回复N取消", ""),
            ("您已成功退订该业务", ""),
            ("我要退订这个套餐", ""),
            ("回复260404确认办理", ""),
            ("", ""),
            ("退订", ""),
            ("回复", ""),
            ("please reply soon, stop by later", ""),
        ];
        for (text, wanted) in rows {
            assert_eq!(announced(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_keyword_has_its_limit() {
        let longest = "A".repeat(KEYWORD_LETTERS_MAX);
        assert_eq!(announced(&format!("回{longest}退订")), longest);
        assert_eq!(announced(&format!("回A{longest}退订")), "");
        assert_eq!(announced(&format!("退订回A{longest}")), "");
    }

    #[test]
    fn the_span_is_that_of_the_raw_text() {
        let text = "好礼！回Ｔ退 订";
        let found = notice(text, &mut Normal::default()).expect("a notice");
        assert_eq!(found.span.of(text), "退 订");
    }
}
