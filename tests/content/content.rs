//! What users rely on in the reading of texts: classes, evidence, normal form, templates, cache.

use consentry::content::{
    self, Class, Kind, Labelled, Normal, Prohibited, Reader, Reading, Scratch, Settings, Templates,
    Weights, notice, signatures,
};
use proptest::prelude::*;
use std::sync::LazyLock;

fn reader() -> &'static Reader {
    static READER: LazyLock<Reader> =
        LazyLock::new(|| Reader::built_in().expect("its own weights"));
    &READER
}

fn read(text: &str) -> Reading {
    reader().read(text, &mut Scratch::default())
}

#[test]
fn texts_have_their_class() {
    let code = Class::Service(Kind::Code);
    let note = Class::Service(Kind::Notification);
    let rows = [
        ("【示例商城】您的验证码是482913，5分钟内有效，请勿泄露给他人。", code),
        ("Your verification code is 482913. Do not share it with anyone.", code),
        ("【示例银行】您尾号1234的储蓄卡5月1日12:30支出人民币100.00元，余额2000.00元。", note),
        ("【示例快递】您的包裹已到南门驿站，取件码5-2-1234，请于20:00前领取。", note),
        ("【示例气象】暴雨橙色预警：预计未来6小时有强降水，请注意防范。", Class::Public),
        ("晚上一起吃饭吗，我七点到家", Class::Personal),
        ("ok see you tonight, love you", Class::Personal),
        ("【示例商城】周年庆全场5折起，满300减60，点击t.cn/a1抢购，拒收请回复R", Class::Commercial),
        (
            "【示例银行】信用贷最高30万，日息低至万2，3分钟到账，点t.cn/b办理 退订回T",
            Class::Commercial,
        ),
        ("【示例】验证码1234。全场5折，限时抢购，点击t.cn/a1领取优惠券", Class::Commercial),
        (
            "Flash sale! 50% off everything today only. Shop now t.cn/a. Reply STOP to opt out",
            Class::Commercial,
        ),
        ("全-场-五-折，优@惠@大@促，點擊領取紅包", Class::Commercial),
        ("代开发票，税点低，可验证，联系13800138000", Class::Illicit),
    ];
    for (text, class) in rows {
        assert_eq!(read(text).class, class, "{text}");
    }
}

#[test]
fn neither_a_way_to_refuse_nor_an_order_makes_an_advertisement() {
    for text in [
        "【示例银行】您尾号1234的信用卡账单1000.00元，最后还款日5月20日。拒收请回复R",
        "【示例移动】您将订购来电提醒功能，每月6元，回复Y确认，回复N取消。",
        "【示例公安】谨防冒充客服退款诈骗，不轻信、不透露、不转账。回TD退订",
    ] {
        assert!(!read(text).is_commercial(), "{text}");
    }
}

#[test]
fn who_signs_is_no_word() {
    for text in ["验证码482913，请勿泄露", "全场5折，点击t.cn/a1抢购，拒收请回复R"]
    {
        let lead = |name: &str| read(&format!("【{name}】{text}")).lead;
        for name in ["特价商城", "免费领取", "贷款公司", "公安分局"] {
            assert_eq!(lead(name), lead("甲乙丙丁"), "{name} {text}");
        }
    }
}

#[test]
fn a_class_is_that_of_the_reading() {
    let mut scratch = Scratch::default();
    for text in ["", "【示例】验证码1234。全场5折", "晚上一起吃饭吗", "代开发票", "Shop now"]
    {
        assert_eq!(reader().class(text, &mut scratch), read(text).class, "{text}");
    }
}

#[test]
fn two_lists_in_one_text_can_say_what_neither_says() {
    let (code, commercial) = (Class::Service(Kind::Code), Class::Commercial);
    let mut rows = Vec::new();
    for _ in 0..20 {
        rows.extend([("验证码", code), ("验证码优惠", commercial), ("优惠", Class::Personal)]);
    }
    let weights = content::fit(&labelled(&rows), &Settings { words_max: 0, ..Settings::default() });
    let pair = "list:offer.discount+list:service.code";
    assert!(weights.features.iter().any(|feature| feature.name == pair));
    let reader = Reader::parse(&weights.write(&[])).expect("its own file");
    for (text, class) in rows.iter().take(3) {
        assert_eq!(reader.class(text, &mut Scratch::default()), *class, "{text}");
    }
}

#[test]
fn a_reading_names_what_spoke_for_it() {
    let text = "【示例商城】全场５折起，优 惠多多，拒收请回复R";
    let reading = read(text);
    assert!(reading.is_commercial() && (0.5..=1.0).contains(&reading.score) && reading.lead > 0.0);
    let named: Vec<(&str, &str)> = reading
        .fired()
        .iter()
        .map(|fired| (reader().feature(fired.feature), fired.span.of(text)))
        .collect();
    let is_discount = |(name, written): &(&str, &str)| {
        name.starts_with("word:0折") && written.starts_with("５折")
    };
    assert!(named.iter().any(is_discount), "{named:?}");
    assert!(reading.fired().is_sorted_by(|one, other| one.weight.abs() >= other.weight.abs()));
}

#[test]
fn disguise_is_undone() {
    let rows = [
        ("全　场 五*折", "全场五折"),
        ("優惠", "优惠"),
        ("ＶＩＰ１０", "vip10"),
        ("①③⑧", "138"),
        ("办讠正", "办证"),
        ("优\u{200b}惠", "优惠"),
        ("Ѕаlе", "sale"),
        ("一三八零零一三八零零零", "13800138000"),
        ("兼~职", "兼职"),
        ("2.5折", "2.5折"),
        ("a b", "a b"),
        ("三 两 个", "三两个"),
        ("3 - 5天", "3 - 5天"),
    ];
    let mut normal = Normal::default();
    for (text, wanted) in rows {
        normal.fold(text);
        assert_eq!(normal.text(), wanted, "{text}");
    }
}

#[test]
fn ten_thousand_templates_are_told_apart() {
    let file: String =
        (0..10_000).map(|number| format!("第{number}号业务的验证码是{{digits:4}}。\n")).collect();
    let set = Templates::parse("many", &file).expect("templates");
    assert_eq!(set.len(), 10_000);
    for number in [0, 1, 77, 4321, 9999] {
        let text = format!("第{number}号业务的验证码是1234。");
        let found = set.matches(&text, &mut Normal::default()).expect("its template");
        assert_eq!(set.origin(found), Some(("many", number + 1)));
    }
    assert_eq!(set.matches("第10000号业务的验证码是1234。", &mut Normal::default()), None);
}

fn labelled(rows: &[(&str, Class)]) -> Vec<Labelled> {
    let row = |(text, class): &(&str, Class)| Labelled {
        text: (*text).to_owned(),
        classes: vec![*class],
        source: 0,
        share: 1.0,
    };
    rows.iter().map(row).collect()
}

#[test]
fn fitting_learns_and_is_the_same_each_time() {
    let code = Class::Service(Kind::Code);
    let mut rows = Vec::new();
    for _ in 0..10 {
        rows.extend([
            ("蓝鲸来了快看蓝鲸", Class::Commercial),
            ("灰鹤口令一二", code),
            ("吃了没", Class::Personal),
        ]);
    }
    let rows = labelled(&rows);
    let first = content::fit(&rows, &Settings::default());
    assert_eq!(first, content::fit(&rows, &Settings::default()));
    let written = first.write(&[]);
    assert_eq!(Weights::parse(&written).expect("its own file").features, first.features);
    let reader = Reader::parse(&written).expect("its own file");
    for (text, class) in
        [("看蓝鲸", Class::Commercial), ("灰鹤口令", code), ("吃了没", Class::Personal)]
    {
        assert_eq!(reader.read(text, &mut Scratch::default()).class, class, "{text}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[一二三四五六七八九零〇壹贰x*0-9 .。,，!@#~-]{0,12}",
        "[讠正钅艮亻尤優惠购買回复退订拒收TRＴＤ【】]{0,10}",
        "\\PC{0,8}",
        any::<String>(),
        Just("\u{200b}\u{e000}\u{feff}ﷺ㎏⑩ǆ".to_owned()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_and_spans_lie_on_characters(text in texts()) {
        let mut normal = Normal::default();
        let reading = read(&text);
        prop_assert!((0.0..=1.0).contains(&reading.score));
        let mut spans: Vec<content::Span> = reading.fired().iter().map(|fired| fired.span).collect();
        spans.extend(signatures(&text).iter().map(|signature| signature.span));
        spans.extend(notice(&text, &mut normal).map(|notice| notice.span));
        let lists = Prohibited::parse_all(&[("list", "优惠\n1\na")]).expect("a list");
        spans.extend(lists.find(&text, &mut normal).map(|found| found.span));
        for span in spans {
            prop_assert!(text.get(span.start as usize..span.end as usize).is_some(), "{span:?}");
        }
    }

    #[test]
    fn the_normal_form_is_its_own_normal_form(text in texts()) {
        let (mut once, mut twice) = (Normal::default(), Normal::default());
        once.fold(&text);
        twice.fold(once.text());
        prop_assert_eq!(once.text(), twice.text());
    }

    #[test]
    fn a_scratch_leaves_no_trace(first in texts(), second in texts()) {
        let mut scratch = Scratch::default();
        reader().read(&first, &mut scratch);
        prop_assert_eq!(reader().read(&second, &mut scratch), read(&second));
    }

    #[test]
    fn any_template_file_is_read_or_refused(file in "[a-z好的{}:0-9\\n-]{0,60}", text in texts()) {
        if let Ok(set) = Templates::parse("file", &file) {
            let found = set.matches(&text, &mut Normal::default());
            prop_assert!(found.is_none_or(|found| set.origin(found).is_some()));
        }
    }

    #[test]
    fn any_weights_file_is_read_or_refused(lines in "(class|start|word|mark|link|\t|0|1e9|\\n){0,20}") {
        let _ = Weights::parse(&format!("consentry-content-weights\t1\n{lines}"));
    }
}
