//! The variables of a template: what each may stand for.

use super::Normal;
use super::template::VARIABLE_CHARS_MAX;

/// A variable: its kind and how many characters it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) kind: Kind,
    /// Characters at least.
    pub(super) min: usize,
    /// Characters at most.
    pub(super) max: usize,
}

/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Digits,
    Amount,
    Link,
    Name,
    Date,
    Free,
}

/// Digits in a row from which on they are a telephone number or the like.
const PHONE_DIGITS_MIN: usize = 7;

/// Words of promotion, in normal form: none may stand in a name or free text.
const PROMOTION: [&str; 48] = [
    "优惠",
    "促销",
    "特价",
    "打折",
    "折扣",
    "满减",
    "立减",
    "直降",
    "秒杀",
    "抢购",
    "特惠",
    "钜惠",
    "巨惠",
    "让利",
    "红包",
    "领券",
    "优惠券",
    "代金券",
    "现金券",
    "抵扣",
    "返现",
    "免费",
    "赠送",
    "好礼",
    "有礼",
    "大奖",
    "抽奖",
    "中奖",
    "低至",
    "全场",
    "包邮",
    "限时",
    "热卖",
    "新品",
    "上市",
    "开业",
    "酬宾",
    "贷款",
    "额度",
    "低息",
    "开户",
    "彩金",
    "加微",
    "微信",
    "扣扣",
    "点击",
    "退订",
    "下载",
];

impl Variable {
    /// Reads what stands between the braces.
    pub(super) fn parse(inner: &str) -> Result<Variable, String> {
        let (name, count) = match inner.split_once(':') {
            Some((name, count)) => (name, Some(count)),
            None => (inner, None),
        };
        let (kind, min, max) = match name {
            "digits" => (Kind::Digits, 1, 20),
            "amount" => (Kind::Amount, 1, 16),
            "link" => (Kind::Link, 4, 200),
            "name" => (Kind::Name, 1, 20),
            "date" => (Kind::Date, 1, 30),
            "free" => (Kind::Free, 1, 20),
            other => {
                let known = "digits, amount, link, name, date or free";
                return Err(format!("`{{{other}}}` is no variable; write {known}"));
            }
        };
        let Some(count) = count else { return Ok(Variable { kind, min, max }) };
        let (min, max) = count.split_once('-').unwrap_or((count, count));
        match (min.parse(), max.parse()) {
            (Ok(min), Ok(max)) if 1 <= min && min <= max && max <= VARIABLE_CHARS_MAX => {
                Ok(Variable { kind, min, max })
            }
            _ => Err(format!(
                "`{{{inner}}}`: write the characters as n or m-n, 1 to {VARIABLE_CHARS_MAX}"
            )),
        }
    }
}

impl Kind {
    /// Whether a character may stand in it.
    pub(super) fn has(self, c: char) -> bool {
        match self {
            Kind::Digits => c.is_ascii_digit(),
            Kind::Amount => c.is_ascii_digit() || ",.+-¥￥$".contains(c),
            Kind::Link => c.is_ascii_graphic(),
            Kind::Name => c.is_alphanumeric() || "*·•-.() （）".contains(c),
            Kind::Date => {
                c.is_ascii_digit()
                    || "-/:.：~至年月日号时点分秒半上下午早晚今明后天周星期一二三四五六七八九十 "
                        .contains(c)
            }
            Kind::Free => !c.is_control(),
        }
    }

    /// Whether a value of such characters may stand for it. `normal` is filled anew.
    pub(super) fn takes(self, value: &str, normal: &mut Normal) -> bool {
        match self {
            Kind::Digits | Kind::Date => true,
            Kind::Amount => value.contains(|c: char| c.is_ascii_digit()),
            Kind::Link => value.contains('.'),
            Kind::Name | Kind::Free => !advertises(value, normal),
        }
    }
}

/// Whether a value holds a link, a telephone number or words of promotion, in whatever disguise.
fn advertises(value: &str, normal: &mut Normal) -> bool {
    normal.fold(value);
    let text = normal.text();
    let mut digits = 0;
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        digits = match c {
            '0'..='9' => digits + 1,
            '-' | ' ' => digits,
            _ => 0,
        };
        let is_domain = c == '.' && before.is_ascii_alphanumeric();
        let is_link = is_domain && rest.peek().is_some_and(|next| next.is_ascii_alphabetic());
        if digits >= PHONE_DIGITS_MIN || is_link {
            return true;
        }
        before = c;
    }
    text.contains("://") || PROMOTION.iter().any(|word| text.contains(word))
}
