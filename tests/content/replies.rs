//! What a handset's reply says: tables of replies, and what no dress of them may change.

use consentry::content::reply::{
    KEYWORD_OCTETS_MAX, Keyword, REPLY_OCTETS_MAX, REPLY_WORDS_MAX, Reply, read,
};
use proptest::prelude::*;

/// Refusals that need no announcement.
const REFUSALS: [&str; 48] = [
    "T",
    "TD",
    "N",
    "R",
    "TT",
    "D",
    "QX",
    "退订",
    "退定",
    "拒收",
    "拒绝",
    "拒绝接收",
    "取消",
    "取消订阅",
    "取消接收",
    "TUIDING",
    "QUXIAO",
    "不要再发",
    "不要发",
    "别发",
    "别再发",
    "勿发",
    "不要再给我发",
    "停止发送",
    "停止推送",
    "停止",
    "不再接收",
    "不想再收到",
    "免打扰",
    "勿扰",
    "不要再打扰",
    "STOP",
    "QUIT",
    "END",
    "REVOKE",
    "OPTOUT",
    "CANCEL",
    "UNSUBSCRIBE",
    "STOPALL",
    "REMOVE",
    "ARRET",
    "UNSUB",
    "ALTO",
    "BAJA",
    "CANCELAR",
    "NOMAS",
    "TAKEMEOFF",
    "LEAVEMEALONE",
];

/// Words that give consent.
const AGREEMENTS: [&str; 18] = [
    "Y",
    "YES",
    "AGREE",
    "START",
    "UNSTOP",
    "SUBSCRIBE",
    "OPTIN",
    "是",
    "是的",
    "同意",
    "我同意",
    "同意接收",
    "愿意",
    "订阅",
    "我要订阅",
    "恢复订阅",
    "取消退订",
    "取消拒收",
];

/// Keywords that messages from the code announced.
fn announced() -> Vec<Keyword> {
    ["TDZD", "0000", "QXCP", "退出", "XF退92"]
        .iter()
        .filter_map(|word| Keyword::new(word))
        .collect()
}

/// How a verdict is written in the tables: `-TD`, `+Y`, or nothing.
fn shown(reply: Reply) -> String {
    match reply {
        Reply::OptOut { keyword } => format!("-{}", keyword.as_str()),
        Reply::OptIn { keyword } => format!("+{}", keyword.as_str()),
        Reply::None => String::new(),
    }
}

fn check(rows: &[(&str, &str)]) {
    let announced = announced();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(text, expected)| shown(read(text, &announced)) != *expected)
        .map(|(text, expected)| format!("{text:?}: {:?}, not {expected:?}", read(text, &announced)))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Each word by itself means itself.
fn alone(words: &[&str], sign: &str) {
    for word in words {
        assert_eq!(shown(read(word, &[])), format!("{sign}{word}"));
    }
}

#[test]
fn keywords_alone_end_consent() {
    alone(&REFUSALS, "-");
}

#[test]
fn keywords_end_consent_however_they_are_typed() {
    check(&[
        ("t", "-T"),
        ("Ｔ", "-T"),
        ("ｔｄ", "-TD"),
        ("Td", "-TD"),
        (" td。", "-TD"),
        ("TD!", "-TD"),
        ("TD！！！", "-TD"),
        ("“TD”", "-TD"),
        ("「退订」", "-退订"),
        ("【退订】", "-退订"),
        ("'R'", "-R"),
        ("(N)", "-N"),
        ("T\u{200b}D", "-TD"),
        ("\u{feff}退订", "-退订"),
        ("退\u{200d}订", "-退订"),
        ("退 订", "-退订"),
        ("退\u{3000}订", "-退订"),
        ("T D", "-TD"),
        ("T.D.", "-TD"),
        ("Q-X", "-QX"),
        ("TD\r\n", "-TD"),
        ("\tT\n", "-T"),
        ("T\0", "-T"),
        ("TD🙏", "-TD"),
        ("👎退订👎", "-退订"),
        ("😡😡TD", "-TD"),
        ("退訂", "-退订"),
        ("拒絕", "-拒绝"),
        ("取消訂閱", "-取消订阅"),
        ("不要再發", "-不要再发"),
        ("tuiding", "-TUIDING"),
        ("Stop", "-STOP"),
        ("stop.", "-STOP"),
        ("S T O P", "-STOP"),
        ("ＳＴＯＰ", "-STOP"),
        ("STOP ALL", "-STOPALL"),
        ("opt-out", "-OPTOUT"),
        ("Opt out", "-OPTOUT"),
        ("un-subscribe", "-UNSUBSCRIBE"),
        ("Arrêt", "-ARRET"),
        ("arre\u{302}t", "-ARRET"),
        ("No más", "-NOMAS"),
        ("baja", "-BAJA"),
        ("?取消?", "-取消"),
    ]);
}

#[test]
fn courtesy_and_insistence_change_nothing() {
    check(&[
        ("退订。谢谢", "-退订"),
        ("退订谢谢", "-退订"),
        ("请退订", "-退订"),
        ("麻烦退订，多谢", "-退订"),
        ("请帮我退订短信谢谢", "-退订"),
        ("您好，我要退订", "-退订"),
        ("我想取消订阅", "-取消订阅"),
        ("退订吧", "-退订"),
        ("退订了", "-退订"),
        ("退订本短信", "-退订"),
        ("退订所有短信", "-退订"),
        ("全部退订", "-退订"),
        ("請退訂，謝謝", "-退订"),
        ("T 谢谢", "-T"),
        ("请回T", "-T"),
        ("回复TD", "-TD"),
        ("回复 R", "-R"),
        ("TD退订", "-TD"),
        ("T退订", "-T"),
        ("退订T", "-T"),
        ("退订 TD", "-TD"),
        ("退订回T", "-T"),
        ("拒收请回复R", "-R"),
        ("回T退订", "-T"),
        ("N取消", "-N"),
        ("TD TD", "-TD"),
        ("退订 退订 退订", "-退订"),
        ("N,N", "-N"),
        ("STOP STOP STOP!!", "-STOP"),
        ("不要再发了", "-不要再发"),
        ("请不要再发了！", "-不要再发"),
        ("不要再给我发广告短信了", "-不要再给我发"),
        ("别再发啦", "-别再发"),
        ("别发了谢谢", "-别发"),
        ("这种广告不要再发了", "-不要再发"),
        ("请勿打扰", "-勿打扰"),
        ("停止发送广告", "-停止发送"),
        ("我不想收到这些信息", "-不想收到"),
        ("不想再收到信息了", "-不想再收到"),
        ("please stop", "-STOP"),
        ("Stop please.", "-STOP"),
        ("STOP, thank you", "-STOP"),
        ("thank you, stop", "-STOP"),
        ("请回T退订，谢谢", "-T"),
        ("TD退订短信", "-TD"),
        ("thanks, unsubscribe", "-UNSUBSCRIBE"),
        ("stop texting me", "-STOP"),
        ("please stop sending me these messages", "-STOP"),
        ("text STOP", "-STOP"),
        ("unsubscribe me now", "-UNSUBSCRIBE"),
        ("please remove me", "-REMOVE"),
        ("opt me out pls", "-OPTMEOUT"),
        ("Don't text me", "-DONTTEXTME"),
        ("please do not contact me", "-DONOTCONTACTME"),
        ("Take me off please", "-TAKEMEOFF"),
        ("STOP短信", "-STOP"),
    ]);
}

#[test]
fn announced_keywords_are_honoured() {
    check(&[
        ("tdzd", "-TDZD"),
        ("ＴＤＺＤ。", "-TDZD"),
        ("TDZD退订", "-TDZD"),
        ("请回TDZD谢谢", "-TDZD"),
        ("0000", "-0000"),
        ("００００", "-0000"),
        ("QXCP", "-QXCP"),
        ("退出", "-退出"),
        ("xf退92", "-XF退92"),
        ("回XF退92，谢谢", "-XF退92"),
        ("TDZD 12", ""),
        ("00000", ""),
    ]);
    let unannounced = ["TDZD", "0000", "QXCP", "退出"];
    assert!(unannounced.iter().all(|word| read(word, &[]) == Reply::None));
    // What a message announced as its refusal is one, whatever it means elsewhere.
    let yes = Keyword::new("Y").expect("a letter");
    assert_eq!(read("y", &[yes]), Reply::OptOut { keyword: yes });
    assert_eq!(read("y", &[]), Reply::OptIn { keyword: yes });
}

#[test]
fn the_longest_keyword_can_be_announced() {
    let longest = "7".repeat(KEYWORD_OCTETS_MAX);
    let keyword = Keyword::new(&longest).expect("just within");
    assert_eq!(read(&longest, &[keyword]), Reply::OptOut { keyword });
    assert_eq!(read(&format!("{longest}7"), &[keyword]), Reply::None);
}

#[test]
fn consent_is_the_word_alone() {
    alone(&AGREEMENTS, "+");
    check(&[
        ("y", "+Y"),
        ("Ｙ", "+Y"),
        ("是。", "+是"),
        ("“同意”", "+同意"),
        ("訂閱", "+订阅"),
        ("opt in", "+OPTIN"),
        ("un-stop", "+UNSTOP"),
        ("取消退訂", "+取消退订"),
        ("yes I saw the parcel", ""),
        ("是吧", ""),
        ("我是", ""),
        ("不同意", ""),
        ("OK", ""),
        ("1", ""),
        ("确认", ""),
    ]);
}

#[test]
fn sentences_orders_and_noise_are_neither() {
    check(&[
        ("", ""),
        ("   ", ""),
        ("。。。", ""),
        ("👍", ""),
        ("谢谢", ""),
        ("thank you", ""),
        ("请", ""),
        ("请谢谢", ""),
        ("STOP 12345", ""),
        ("12345 STOP", ""),
        ("STOP1", ""),
        ("确认办理 260404", ""),
        ("260404", ""),
        ("N个人来", ""),
        ("T恤有货吗", ""),
        ("T恤", ""),
        ("D栋", ""),
        ("D栋3楼", ""),
        ("R&D", ""),
        ("T了", ""),
        ("我R", ""),
        ("N吧", ""),
        ("T me", ""),
        ("Hi D", ""),
        ("T1", ""),
        ("A", ""),
        ("X", ""),
        ("NO", ""),
        ("不", ""),
        ("不用了谢谢", ""),
        ("怎么退订", ""),
        ("退订了吗", ""),
        ("退订成功", ""),
        ("不要退订", ""),
        ("要不要退订", ""),
        ("退订酒店的事你弄了吗", ""),
        ("退订流量包", ""),
        ("取消订单", ""),
        ("取消预约", ""),
        ("帮我把那个会员取消了", ""),
        ("不要再发语音了，我在开会", ""),
        ("拒收吧，那个包裹不是我买的", ""),
        ("停止营业", ""),
        ("stop it you're making me blush", ""),
        ("stop it", ""),
        ("the end", ""),
        ("this is the end", ""),
        ("bus stop", ""),
        ("don't stop", ""),
        ("can't", ""),
        ("don't you", ""),
        ("you stop", ""),
        ("stop you", ""),
        ("T酒店", ""),
        ("I quit smoking", ""),
        ("weekend", ""),
        ("cancel the dinner booking", ""),
        ("No, N as in November", ""),
        ("TDD", ""),
        ("NT", ""),
        ("RT", ""),
        ("https://t.example/td", ""),
        ("你好，请问几点开门", ""),
        ("晚上几点到家", ""),
    ]);
}

#[test]
fn a_longer_reply_is_a_sentence() {
    let keyword = Keyword::new("TD").expect("two letters");
    let fits = format!("退订{}", "谢谢".repeat(15));
    assert_eq!(fits.len(), REPLY_OCTETS_MAX);
    assert!(matches!(read(&fits, &[]), Reply::OptOut { .. }));
    assert_eq!(read(&format!("{fits}谢"), &[]), Reply::None);
    let words = |count: usize| format!("TD{}", " PLS".repeat(count));
    assert_eq!(read(&words(REPLY_WORDS_MAX - 1), &[]), Reply::OptOut { keyword });
    assert_eq!(read(&words(REPLY_WORDS_MAX), &[]), Reply::None);
    // Blanks and marks around it are no part of it.
    let far = format!("{}TD{}", " ".repeat(10_000), "！".repeat(10_000));
    assert_eq!(read(&far, &[]), Reply::OptOut { keyword });
}

/// Blanks, marks, emoji and what is not seen.
fn noise() -> impl Strategy<Value = String> {
    "[ \t\r\n\u{3000}\u{a0}.,!?~*\"'“”‘’。，！？…、【】()\u{200b}\u{feff}\u{fe0f}\u{2060}🙏😡👍-]{0,12}"
}

fn replies() -> impl Strategy<Value = String> {
    let words: Vec<&str> = REFUSALS.iter().chain(&AGREEMENTS).copied().collect();
    prop_oneof![
        proptest::sample::select(words).prop_map(str::to_owned),
        "(请|回复?|我要)?(T|TD|退订|STOP|取消|N|QX)(谢谢|了|短信| 12|个人)?",
        "[a-zA-Z0-9 ]{0,20}",
        "\\PC{0,30}",
    ]
}

/// ASCII in full width.
fn widened(text: &str) -> String {
    let wide = |c: char| match c {
        ' ' => '\u{3000}',
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).expect("a full-width form"),
        _ => c,
    };
    text.chars().map(wide).collect()
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), word in any::<String>()) {
        let announced: Vec<Keyword> = Keyword::new(&word).into_iter().collect();
        read(&text, &announced);
        if let Some(keyword) = announced.first() {
            prop_assert_eq!(read(&word, &announced), Reply::OptOut { keyword: *keyword });
        }
    }

    #[test]
    fn what_stands_around_it_changes_nothing(
        text in replies(),
        before in noise(),
        after in noise(),
    ) {
        let plain = read(&text, &announced());
        prop_assert_eq!(read(&format!("{before}{text}{after}"), &announced()), plain);
    }

    #[test]
    fn width_and_case_change_nothing(text in replies()) {
        let plain = read(&text, &announced());
        prop_assert_eq!(read(&widened(&text), &announced()), plain);
        prop_assert_eq!(read(&text.to_ascii_lowercase(), &announced()), plain);
    }

    #[test]
    fn digits_beside_it_make_it_a_sentence(
        word in proptest::sample::select(&REFUSALS[..]),
        digits in "[0-9]{1,8}",
    ) {
        prop_assert_eq!(read(&format!("{word} {digits}"), &[]), Reply::None);
        prop_assert_eq!(read(&format!("{digits}{word}"), &[]), Reply::None);
    }
}
